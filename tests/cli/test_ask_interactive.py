"""`ragctx ask -i`: questions one after another, with commands between them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SAMPLES

MANUAL = SAMPLES / "field-station-manual.pdf"
QUESTION = "For how many years should the station's battery last?"


def ask(lines: str, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragctx", "ask", "-i", str(MANUAL), *options]
    return subprocess.run(
        command, input=lines, cwd=cwd, capture_output=True, text=True, check=False, timeout=110
    )


def test_a_dialogue(tmp_path: Path) -> None:
    """An error costs its line, and a question that leans on the one before takes it along."""
    done = ask(
        f":why\n{QUESTION}\n:page\n:why\n:k 2\n:k x\n:nonsense\n\nWhy?\n:help\n:quit\n{QUESTION}\n",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stdout.count("eight years") >= 2  # the answer, its quote or its page
    assert "4.1 Battery and panel" in done.stdout  # the page
    assert "selected" in done.stdout and ":quit" in done.stdout
    for told in ("nothing was asked yet", "retrieving 2 passages", ":k 'x'", ":nonsense is no"):
        assert told in done.stderr
    assert f"{QUESTION} Why?" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [("--json",), ("--batch", str(ROOT / "LICENSE"))])
def test_a_dialogue_is_for_people(option: tuple[str, ...], tmp_path: Path) -> None:
    done = ask("", *option, cwd=tmp_path)
    assert done.returncode == 2 and "-i goes with" in done.stderr
