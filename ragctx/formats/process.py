"""Reads a file in another process, which is watched, and killed when it takes too long."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from ragctx.errors import DocumentError
from ragctx.file_formats import TextFormat
from ragctx.formats.blocks import Content
from ragctx.pdf.process import Limits
from ragctx.records import PdfStatus

MAX_ANSWER_BYTES = 2**29
"""Of the longest answer (512 MiB); what is longer is none."""
_START = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from ragctx.formats.worker import main; main()"
)
"""Unlike `-m`, this never imports from the working directory, where anybody may put files."""
WORKER = (sys.executable, "-c", _START, str(Path(__file__).parents[2]))


def read_content(
    path: Path,
    format: TextFormat,
    limits: Limits,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
    worker: Sequence[str] = WORKER,
) -> Content:
    """What a reader gives of a file.

    Args:
        path: the file.
        format: its own.
        limits: what it may cost; there are no pages to be timed.
        is_wanted: asked ten times a second; when it says no, the reading ends.
        worker: the command that reads.

    Raises:
        DocumentError: nothing came of it; its `status` tells why.
    """
    request = {"path": str(path.absolute()), "format": format, "memory_bytes": limits.memory_bytes}
    line, is_late = _asked(json.dumps(request), worker, limits.file_timeout_s, is_wanted)
    if is_late:
        raise DocumentError(
            f"{path.name} took longer than the {limits.file_timeout_s:g} s a file may take; raise "
            "Limits.file_timeout_s",
            status="timeout",
        )
    try:
        answer: dict[str, Any] = json.loads(line)
        if answer.get("failed") in get_args(PdfStatus):
            raise DocumentError(str(answer["message"]), status=answer["failed"])
        return Content.from_json(answer)
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise DocumentError(
            f"{path.name}: its reader died, perhaps of the {limits.memory_bytes} bytes of memory "
            "allowed",
            status="corrupt",
        ) from None


def _asked(
    request: str, worker: Sequence[str], seconds: float, is_wanted: Callable[[], bool]
) -> tuple[bytes, bool]:
    """The line that the process answers, and whether it took too long."""
    process = subprocess.Popen(
        worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None and process.stdout is not None
    done, late = threading.Event(), threading.Event()
    deadline = time.monotonic() + seconds

    def watch() -> None:
        while not done.wait(0.1):
            if time.monotonic() >= deadline or not is_wanted():
                late.set()
                process.kill()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with suppress(OSError):  # it is gone already, which the empty answer tells
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()  # and left open: when it closes, the process knows we are gone
        return process.stdout.readline(MAX_ANSWER_BYTES), late.is_set()
    finally:
        done.set()
        watcher.join()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()
