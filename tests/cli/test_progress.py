"""Bars are for a terminal: one for each phase, within 80 columns, and none in a pipe."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCSWINSZ

from tests.support.paths import ROOT

PHASES = """
from ragctx.cli.progress import loading, phase_progress
with loading("the model"):
    pass
with phase_progress() as progress:
    for what in ("finding passages", "asking"):
        for done in range(4):
            progress(what, done, 3)
print("done")
"""


def shown_on_a_terminal(script: str, columns: int = 80) -> list[str]:
    """Every line that a script ever drew on standard error, without its colours."""
    leader, follower = pty.openpty()
    ioctl(follower, TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    written = b""
    with suppress(OSError):  # the terminal's end
        while piece := os.read(leader, 65536):
            written += piece
    out, _ = process.communicate()
    os.close(leader)
    assert (process.returncode, out) == (0, b"done\n")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_each_phase_has_a_bar_with_the_time_left() -> None:
    lines = shown_on_a_terminal(PHASES)
    for phase in ("loading the model", "finding passages", "asking"):
        assert any(line.startswith(phase) for line in lines), phase
    assert any(re.search(r"asking .* 3/3 \d\d:\d\d$", line) for line in lines)
    assert max(map(len, lines)) < 80
    # Once a phase began with a frame of the numbers that the phase before had ended with.
    first = next(line for line in lines if line.startswith("asking"))
    assert " 3/3 " not in first or "left" not in first


def test_a_pipe_has_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PHASES],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"done\n", b"")
