"""`ragctx ask -i`: questions one after another, with commands between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ragctx.cli.dialogue import Dialogue
from ragctx.cli.session import Session
from ragctx.records import Answer
from tests.support.generators import ScriptedGenerator
from tests.support.paths import ROOT, SAMPLES

if sys.platform != "win32":
    import fcntl
    import termios

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
        f":why\n{QUESTION}\n:page\n:page 3\n:page 99\n:why\n:k 2\n:k x\n:nonsense\n\nWhy?\n:new\n"
        f"Why?\n:help\n:quit\n{QUESTION}\n",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stdout.count("eight years") >= 2  # the answer, its quote or its page
    assert "4.1 Battery and panel" in done.stdout  # the page
    assert "selected" in done.stdout and ":quit" in done.stdout
    assert "(3 of 19)" in done.stderr and "page 10 (“6”) (10 of 19)" in done.stderr
    for told in (
        "nothing was asked yet",
        "retrieving 2 passages",
        ":k 'x'",
        ":nonsense is no",
        ":page 99: field-station-manual.pdf has 19 pages",
    ):
        assert told in done.stderr
    assert " ".join(done.stderr.split()).count(f"asked as: {QUESTION} Why?") == 1
    assert "Traceback" not in done.stderr


def test_a_dialogue_in_a_terminal(tmp_path: Path) -> None:
    """Ctrl-C costs the line that is typed, the arrow fetches an earlier one, Ctrl-D ends."""
    pty = pytest.importorskip("pty", reason="needs a terminal of Unix")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ragctx", "ask", "-i", str(MANUAL)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    program = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        while text not in seen:
            seen += os.read(ours, 4096).decode(errors="replace")
        seen = seen.partition(text)[2]

    try:
        until("type a question")
        until("? ")
        os.write(ours, f"{QUESTION}\n".encode())
        until("Sources")
        until("minus")
        until("? ")
        os.write(ours, b"half a line\x03")
        until("stopped; Ctrl-D ends")
        until("? ")
        os.write(ours, b"\x1b[A\n")  # the key for the line before
        until("eight years")
        until("Sources")
        until("minus")
        until("? ")
        os.write(ours, b"\x04")
        assert program.wait(60) == 0
    finally:
        program.kill()
        program.wait(30)
        os.close(ours)


def test_a_dialogue_asks_what_the_model_makes_of_a_follow_up() -> None:
    """And what the rule makes of it if the model says something else."""
    asked: list[str] = []

    def answer(question: str) -> Answer:
        asked.append(question)
        return cast(Answer, SimpleNamespace(text="eight years"))

    writer = ScriptedGenerator("For how many years should the battery last in winter?")
    dialogue = Dialogue(session=cast(Session, None), answer=answer, writer=writer)
    for line in (QUESTION, "And in winter?"):
        dialogue.take(line)
    assert asked == [QUESTION, writer.answer] and "eight years" in writer.prompts[0].text
    writer.answer = "I am only a model."
    dialogue.take("And in summer?")
    assert asked[-1] == f"{QUESTION} And in summer?"


@pytest.mark.parametrize("option", [("--json",), ("--batch", str(ROOT / "LICENSE"))])
def test_a_dialogue_is_for_people(option: tuple[str, ...], tmp_path: Path) -> None:
    done = ask("", *option, cwd=tmp_path)
    assert done.returncode == 2 and "-i goes with" in done.stderr
