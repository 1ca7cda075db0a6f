"""Run a command until whoever started this is gone: `python -m ragctx.generator.gguf.keeper ...`.

A server that a killed program left behind would hold its memory and its port for ever, and a
killed program cannot end it. So this process stands between: its standard input is a pipe that the
program holds open, and closes, however it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence

_GRACE_S = 3.0  # that a command has to end by itself; by hand


def keep(command: Sequence[str]) -> int:
    """Run `command` until it ends or standard input does; its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
    return process.wait()


def _end_with_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
