"""What runs inside a Ray cluster of the tests, and the programs that use one.

Every process that a run starts, Ray's own included, has its mark in its environment.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ragctx.tokens.tokenizer import Encoding
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.paths import ROOT

MARK = "RAGCTX_TESTS_RUN"

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or not sys.platform.startswith("linux"),
    reason="needs Ray, on Linux: pip install 'ragctx[ray]'",
)


def environment(**more: str) -> dict[str, str]:
    """The environment of a run: it reaches this machine alone, and has a mark of its own."""
    paths = os.pathsep.join((str(ROOT), os.environ["PYTHONPATH"]))
    mark = uuid.uuid4().hex
    own = {"RAGCTX_TESTS_LOOPBACK": "1", "PYTHONPATH": paths, MARK: mark}
    return {**os.environ, **own, **more}


def processes_of(env: dict[str, str]) -> list[int]:
    """The processes of a run that are still there."""
    mark, found = f"{MARK}={env[MARK]}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it ended, or is another user's
            continue
    return found


def wait_for(what: Callable[[], object], seconds: float = 90.0) -> bool:
    """Whether something comes true in this time."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def end(env: dict[str, str]) -> None:
    """Kill what is left of a run."""
    for pid in processes_of(env):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def run_ragctx(*arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of ragctx, run to its end."""
    command = [sys.executable, "-m", "ragctx", *map(str, arguments)]
    # Elsewhere, for Ray lets workers import from the working directory of who asks them.
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=300)


def cluster_environment() -> dict[str, str]:
    """What a Ray that runs by itself, and whoever joins it, need: this machine alone, one token."""
    token = uuid.uuid4().hex * 2
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token, **loopback)


@contextmanager
def head(env: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A Ray that runs by itself; its address on this machine, and that for clients."""
    port, client_port = random.SystemRandom().sample(range(20_000, 32_000), 2)
    options = [f"--port={port}", f"--ray-client-server-port={client_port}", "--num-cpus=2"]
    options += ["--object-store-memory=83886080", "--include-dashboard=false"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    process = subprocess.Popen(
        [*command, *options, "--disable-usage-stats"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_for(lambda: {port, client_port} <= listening()), "Ray did not start"
        yield f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}"
    finally:
        process.terminate()
        process.wait(30)
        end(env)


def listening() -> set[int]:
    """The ports on which some process of this machine listens."""
    tables = (Path("/proc/net") / name for name in ("tcp", "tcp6"))
    lines = (line.split() for table in tables for line in table.read_text().splitlines()[1:])
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == "0A"}


# --- an embedder and a tokenizer whose processes die


class FragileTokenizer(WordTokenizer):
    """Of texts with certain words its process is killed: each time, or waits once to be killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def encode_with_offsets(self, text: str) -> Encoding:
        if "Readerbane" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "Readeronce" in text:
            await_death(self.folder / "reader")
        return super().encode_with_offsets(text)


class FragileEmbedder(HashEmbedder):
    """Its vectors depend on what is embedded together; it waits once to be killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.tokenizer = FragileTokenizer(folder)

    def encode(self, texts: Sequence[str], **more: Any) -> NDArray[np.float32]:
        if any("Embedderonce" in text for text in texts):
            await_death(self.folder / "embedder")
        if any("Embedderbane" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        alone = super().encode(texts, **more)
        mixed = alone + 0.1 * alone.mean(0)
        return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def await_death(pid_file: Path) -> None:
    """Write this process's id, the first time, and wait for somebody to kill it."""
    if pid_file.exists():
        return
    written = pid_file.with_suffix(f".{os.getpid()}")
    written.write_text(str(os.getpid()))
    written.rename(pid_file)
    time.sleep(120)
    raise AssertionError("nobody killed it")


def main(pdfs: str, index: str, folder: str) -> None:
    """Ingest on a Ray of its own, and write what each row tells."""
    from functools import partial

    from ragctx.errors import RagctxError
    from ragctx.ingestion.on_ray.workers import on_ray
    from ragctx.ingestion.run import ingest

    embedder = FragileEmbedder(Path(folder))
    load = partial(FragileEmbedder, Path(folder))
    try:
        with on_ray(embedder, load=load) as workers:
            for row in ingest(pdfs, index, embedder, workers=workers):
                told = Path(row.path).name, row.outcome, row.status, row.chunks, row.message
                sys.stdout.write(" ".join(map(str, told)) + "\n")
    except RagctxError as error:
        sys.stdout.write(f"{type(error).__name__} {error}\n")


if __name__ == "__main__":
    # Imported by its name, as the cluster knows it, not as __main__.
    from tests.support import ray_runs

    ray_runs.main(*sys.argv[1:])
