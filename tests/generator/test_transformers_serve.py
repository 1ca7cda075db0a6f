"""`transformers serve`, as docs/models.md starts it: the same model says the same as when it is
loaded here, counted alike."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragctx.assembly import Assembly, assemble
from ragctx.generator.load import load_generator
from ragctx.generator.protocol import Generator, TellsNotes
from ragctx.records import Generation, Hit
from tests.support.tiny_llama import write_llama

for package in ("transformers", "fastapi", "uvicorn"):
    pytest.importorskip(package, reason="pip install 'transformers[serving]' to run it")

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]

FAMILIES = ("smollm", "mistral-v0.1", "llama3")
HITS = [
    Hit.from_text(1, 0.9, "Tin melts at 232 °C (449 °F).", "metals.pdf", page=3),
    Hit.from_text(2, 0.8, "Lead is heavy;\nit melts at 327 °C.", "lead.pdf"),
]
_LOAD_S = 90.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("no `transformers` command beside this Python")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": ""},  # without what keeps tests from sockets
    )
    try:
        until = time.monotonic() + _LOAD_S
        while not _is_up(port):
            assert server.poll() is None and time.monotonic() < until, "it does not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except OSError:
        return False


def answer_of(generator: Generator) -> tuple[Generation, int]:
    prompt = assemble(
        "At how many °C does tin melt?",
        HITS,
        generator.tokenizer,
        context_window=4096,
        assembly=Assembly(max_new_tokens=16),
    )
    return generator.generate(prompt), prompt.token_count


@pytest.mark.parametrize("family", FAMILIES)
def test_it_answers_as_the_same_model_does_here_and_counts_alike(
    family: str, url: str, tmp_path: Path
) -> None:
    directory = write_llama(tmp_path / family, family)
    served = load_generator(f"{url}#{directory}", tokenizer=directory, context_window=4096)
    here = load_generator(directory, dtype="float32", device="cpu")
    (theirs, counted), (ours, tokens) = answer_of(served), answer_of(here)
    # the server leaves out a character of which the last token has only a part
    assert theirs.text == ours.text.rstrip("\ufffd") and counted == tokens
    assert isinstance(served, TellsNotes) and served.take_notes() == (), "both count alike"
