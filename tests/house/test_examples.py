"""Every script in examples/ runs and prints something sensible."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ragctx.generator.reader.checkpoint import FOLDER
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"


def output(name: str, *arguments: str) -> str:
    """What the script prints. All share one cache, so the sample is read once."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_own_retriever() -> None:
    out = output("own_retriever.py")
    assert "of 5 pages fit" in out
    assert "    verified: Fines had brought in 58,000 pounds annually" in out
    assert "    unverified: " in out


@pytest.mark.slow
def test_search_only() -> None:
    out = output("search_only.py")
    assert out.splitlines()[0] == "hybrid:"
    assert "1. 0.03" in out and "field-station-manual.pdf p. 2:" in out


@pytest.mark.slow
def test_assemble_for_another_llm() -> None:
    assert "of 1000 tokens of bundled" in output("assemble_for_another_llm.py")


@pytest.mark.slow
@pytest.mark.skipif(
    not (FOLDER / "reader.safetensors").is_file(),
    reason="the bundled reader's weights are not here",
)
def test_ask() -> None:
    assert "field-station-manual.pdf" in output("ask.py")


@pytest.mark.slow
@pytest.mark.skipif(
    not (FOLDER / "reader.safetensors").is_file(),
    reason="the bundled reader's weights are not here",
)
def test_agent() -> None:
    pytest.importorskip("mcp", reason="needs the extra ragctx[mcp]")
    out = output("agent.py")
    assert "tools: search, ask, assemble, read_page, list_documents" in out
    assert "quote found on this page\n“Never raise the mast within 12 metres" in out
    assert "tokens of bundled as one text, of 400 that it may have" in out


def test_every_script_has_its_test() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")}
    assert {f"test_{script}" for script in scripts} <= set(globals())
