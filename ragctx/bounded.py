"""What a process does that reads a file of unknown origin: it ends with its parent, and in time."""

from __future__ import annotations

import os
import sys
import threading


def end_with_parent() -> None:
    """End this process as soon as its standard input is closed, which its parent keeps open."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    sys.stdin.read()  # the parent never writes again: this ends when the parent does
    os._exit(1)


def limit_memory(memory_bytes: int) -> None:
    """Let this process have no more address space than this."""
    try:
        import resource
    except ImportError:  # not on Windows; the time limits still hold there
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
