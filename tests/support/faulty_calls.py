"""Work in a child process that ends before its n-th call that changes a file.

It needs `faulty_calls.c`, compiled and preloaded: see `tests/faults/test_crash_points.py`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import traceback
from collections.abc import Callable
from enum import IntEnum


class How(IntEnum):
    """What happens at the call."""

    KILLED = 0  # before it
    TORN = 1  # in the middle of it, if it writes
    FULL = 2  # it fails for want of space, and so does every one after it


class Counter:
    """A number that a child process changes and its parent sees, however the child ends."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    @property
    def value(self) -> int:
        return int(struct.unpack("q", self._memory[:])[0])

    @value.setter
    def value(self, value: int) -> None:
        self._memory[:] = struct.pack("q", value)


def in_child(work: Callable[[], None]) -> str:
    """How `work` ended in a process of its own: "", "killed", or a traceback."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:
            fault(0, How.KILLED, armed=False)
            os.write(writer, traceback.format_exc()[-1500:].encode())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {status}"
    return told or ("" if status == 0 else f"exit {status}")


def fault(at: int, how: How, *, armed: bool = True) -> None:
    """From now on count the calls of this process, and let the one numbered `at` go wrong.

    Calls count from 1; 0 only counts.
    """
    _library().fault_arm(ctypes.c_long(at if armed else -1), ctypes.c_int(how))


def calls_seen() -> int:
    """How many calls there were since `fault`."""
    seen = _library().fault_seen
    seen.restype = ctypes.c_long
    return int(seen())


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # the process itself, with what was preloaded into it
