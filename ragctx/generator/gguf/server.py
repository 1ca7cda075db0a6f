"""Start a llama.cpp server with a GGUF file on this machine's loopback, and end it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ragctx.errors import MissingExtraError, ModelError
from ragctx.generator.openai.http import Server

_LOAD_S = 600.0  # a model of many gigabytes from a slow disk; by hand
_POLL_S = 0.05
_GRACE_S = 5.0  # that the server has to end; its keeper kills it after less
_SHOWN = 300  # characters of what the server said last
_MAGIC = b"GGUF"
_KEY_VARIABLE = "LLAMA_API_KEY"  # what llama-server reads; the command line is for all to see


class LlamaServer:
    """A llama.cpp server of our own, with one model; make it with `start_server`.

    It ends with `close`, when this object or this process ends, and also if the process is killed:
    see `ragctx.generator.gguf.keeper`.
    """

    def __init__(self, command: Sequence[str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.key = secrets.token_urlsafe(24)
        self._said: IO[bytes] = tempfile.TemporaryFile()
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "ragctx.generator.gguf.keeper", *command],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**os.environ, _KEY_VARIABLE: self.key},
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        self._finalizer = weakref.finalize(self, _end, self._keeper, self._said)

    def wait(self, limit_s: float) -> None:
        """Return once the model is loaded. Raises ModelError if the server ends before, or is late.

        Whatever else ends the waiting (Ctrl-C) ends the server too.
        """
        server, until = Server(self.url, self.key), time.monotonic() + limit_s
        try:
            while not self._is_ready(server):
                if self._keeper.poll() is not None:
                    raise ModelError(
                        f"llama.cpp's server ended: {self.last_words()}; check that the file is "
                        "whole, and that this llama.cpp is as new as the model"
                    )
                if time.monotonic() > until:
                    raise ModelError(
                        f"llama.cpp's server has not loaded the model after {limit_s:g} s: "
                        f"{self.last_words()}"
                    )
                time.sleep(_POLL_S)
        except BaseException:
            self.close()
            raise

    def last_words(self) -> str:
        """The first error that the server printed, or the end of what it did, on one line."""
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").splitlines()
        errors = [" ".join(line.split())[:_SHOWN] for line in lines if "error" in line.lower()]
        return (errors or [" ".join(" ".join(lines).split())[-_SHOWN:]])[0] or "it said nothing"

    def close(self) -> None:
        """End the server and wait for it. Does nothing if it has ended."""
        self._finalizer()

    @staticmethod
    def _is_ready(server: Server) -> bool:
        try:
            return server.ask("/health") is not None
        except ModelError:  # nobody listens yet
            return False


def start_server(file: Path, *, context_window: int | None = None) -> LlamaServer:
    """A llama.cpp server that has loaded `file`, for at most `context_window` tokens.

    By default for as many as the model was trained with. `llama-server` on the path is taken, else
    the xllamacpp package.

    Raises ModelError for no GGUF file, or one that cannot be loaded; MissingExtraError if no
    llama.cpp is installed.
    """
    _require_gguf(file)
    port = _free_port()
    server = LlamaServer(_command(file.resolve(), port, context_window or 0), port)
    server.wait(_LOAD_S)
    return server


def _require_gguf(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            head = stream.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"{file} cannot be read ({error.strerror}); check the path") from error
    if head != _MAGIC:
        raise ModelError(f"{file} is no GGUF file (it begins with {head!r}): download it again")


def _command(file: Path, port: int, context_window: int) -> list[str]:
    program = shutil.which("llama-server")
    if program:
        # fmt: off
        return [
            program, "--model", str(file), "--host", "127.0.0.1", "--port", str(port),
            "--ctx-size", str(context_window), "--parallel", "1", "--jinja",
        ]
        # fmt: on
    if find_spec("xllamacpp") is not None:
        module = "ragctx.generator.gguf.embedded"
        return [sys.executable, "-m", module, str(file), str(port), str(context_window)]
    raise MissingExtraError(
        f"{file} needs llama.cpp: put llama-server on the path (brew install llama.cpp, or a build "
        "from github.com/ggml-org/llama.cpp), or pip install 'ragctx[gguf]'"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(keeper: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    try:
        keeper.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    said.close()
