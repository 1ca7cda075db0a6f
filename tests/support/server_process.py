"""`ragctx serve` in a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT


@dataclass
class ServerProcess:
    """A server that serves at `address`."""

    address: str
    program: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def get(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer; a POST if there is a body to send."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", **headers}
        request = urllib.request.Request(f"{self.address}{path}", data, headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def names(self) -> list[str]:
        """The names of the files in the index."""
        sources = json.loads(self.get("/documents")[1])["sources"]
        return sorted(source["path"].rpartition("/")[2] for source in sources)

    def kill(self) -> None:
        """End it without a warning."""
        self.program.kill()
        self.program.wait(30)


@contextmanager
def server_process(
    folder: Path, *arguments: str, token: str | None = None
) -> Iterator[ServerProcess]:
    """A server that runs in `folder`, over folder/index; it must end in order, unless killed."""
    command = [sys.executable, "-m", "ragctx", "serve", *arguments, "--index", "index"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # without what keeps tests offline
    if token is not None:
        environment["RAGCTX_TOKEN"] = token
    program = subprocess.Popen(
        [*command, "--port", "0"], cwd=folder, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert program.stderr is not None
        line = next((line for line in program.stderr if "serving on" in line), "")
        assert line, "the server did not start"
        yield ServerProcess(re.findall(r"http://\S+", line)[0], program)
        if program.poll() is None:
            program.send_signal(signal.SIGINT)
            assert program.wait(30) == 0
    finally:
        program.kill()
        program.communicate()
