"""Watches the process that reads a PDF: what it says in time counts, and a page may cost one life.

The page at which a process hangs, crashes or runs out of memory is lost; another process goes on
after it.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ragctx.pdf.messages import Message
from ragctx.records import PageStatus, PdfStatus

MAX_RESTARTS = 20
"""How many pages of one file may kill their reader before the rest is given up."""
MAX_CHARACTERS = 200_000_000
"""When a file has given more characters than this, the rest is given up."""
START_S = 60.0
"""How long the reading process may take to start, seconds: a busy machine is not a bad file."""
MAX_LINE = 2**26
"""No message has more bytes; what goes on longer without a line end is none."""
_BACKLOG = 64
"""So many messages may wait to be taken; then the reading process waits."""
_START = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from ragctx.pdf.worker import main; main()"
)
"""Unlike `-m`, this never imports from the working directory, where anybody's files may lie."""
WORKER = (sys.executable, "-c", _START, str(Path(__file__).parents[2]))


_SHAPES: dict[str, dict[str, type]] = {
    "started": {},
    "open": {"pages": int},
    "begin": {"page": int},
    "page": {"page": int, "reader": str, "doubtful": bool, "cut": bool},
    "broken": {"page": int, "message": str},
    "structure": {},
    "failed": {"status": str, "message": str},
    "end": {"warnings": list},
}
"""The kinds of message, and what each must hold: a hostile file may have taken the process over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost. Sizes in bytes, times in seconds."""

    page_timeout_s: float = 20.0
    file_timeout_s: float = 600.0
    memory_bytes: int = 2 * 2**30
    max_pages: int = 20_000
    max_file_bytes: int = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be read, by which library ("pdfium" or "pypdf"); `only` these pages, from 0."""

    path: Path
    password: str | None
    reader: str
    limits: Limits
    deadline: float  # of time.monotonic()
    only: tuple[int, ...] | None = None
    worker: Sequence[str] = field(default_factory=lambda: WORKER)

    def from_page(self, first: int, *, structure: bool) -> str:
        """The line that a process is given."""
        return json.dumps(
            {
                "path": str(self.path),
                "password": self.password,
                "reader": self.reader,
                "max_pages": self.limits.max_pages,
                "memory_bytes": self.limits.memory_bytes,
                "only": self.only,
                "first": first,
                "structure": structure and self.only is None,
            }
        )


@dataclass(kw_only=True)
class Reading:
    """What came of reading one file with one library. Pages count from 0."""

    opening: Message | None = None
    pages: dict[int, Message] = field(default_factory=dict)
    lost: dict[int, PageStatus] = field(default_factory=dict)
    structure: Message = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: tuple[PdfStatus, str] | None = None
    characters: int = 0

    @property
    def count(self) -> int:
        """Pages in the file; 0 when it could not be opened."""
        return int(self.opening["pages"]) if self.opening else 0

    def wanted(self, request: Request) -> Sequence[int]:
        """The pages that should have been read."""
        everything = range(min(self.count, request.limits.max_pages))
        return everything if request.only is None else request.only


def read(request: Request, on_page: Callable[[int, int], None] | None = None) -> Reading:
    """Read a file, over as many processes as it takes and the limits allow."""
    reading = Reading()
    for _ in range(MAX_RESTARTS + 1):
        died_at = _one_process(request, reading, on_page)
        if died_at is None or reading.opening is None:
            break
        if died_at < 0:
            reading.warnings.append("labels and outline could not be read")
            break
        if time.monotonic() >= request.deadline or reading.characters > MAX_CHARACTERS:
            break
    if reading.opening is not None:
        for i in reading.wanted(request):
            if i not in reading.pages:
                reading.lost.setdefault(i, "timeout")
    return reading


def _one_process(
    request: Request, reading: Reading, on_page: Callable[[int, int], None] | None
) -> int | None:
    """Run one process; the page at which it was lost (-1: the structure), None if it finished."""
    at = max([*reading.pages, *reading.lost], default=-1) + 1
    with _Worker(request.worker, request.from_page(at, structure=True)) as worker:
        for message in worker.messages(request):
            if not _possible(message, reading):
                break
            if message["kind"] == "begin":
                at = message["page"]
            elif message["kind"] == "end":
                reading.warnings += message["warnings"]
                return None
            _take(message, reading, on_page)
            if reading.characters > MAX_CHARACTERS:
                reading.warnings.append(f"more than {MAX_CHARACTERS} characters; the rest is left")
                return at
    if reading.opening is None:
        reading.failure = reading.failure or worker.failure(request)
    elif at >= reading.count:  # every page was read
        return -1
    elif at >= 0:
        reading.lost[at] = "timeout" if worker.late else "corrupt"
        reading.warnings.append(f"page {at + 1}: {worker.failure(request)[1]}")
    return at


def _possible(message: Message, reading: Reading) -> bool:
    """Whether the file has the page that is spoken of; -1 stands for the structure."""
    first = -1 if message["kind"] == "begin" else 0
    return "page" not in message or first <= message["page"] < reading.count


def _take(message: Message, reading: Reading, on_page: Callable[[int, int], None] | None) -> None:
    kind = message["kind"]
    if kind == "open":
        reading.opening = message
    elif kind == "structure":
        reading.structure = message
    elif kind == "failed":
        reading.failure = (message["status"], message["message"])
        if reading.opening is not None:
            reading.warnings.append(message["message"])
    elif kind == "broken":
        reading.lost[message["page"]] = "corrupt"
        reading.warnings.append(f"page {message['page'] + 1}: {message['message']}")
    elif kind == "page":
        reading.pages[message["page"]] = message
        reading.characters += len(message.get("text", "")) + sum(
            len(line[0]) for line in message.get("lines", ())
        )
        if on_page is not None:
            on_page(message["page"] + 1, reading.count)


class _Worker:
    """A process that reads, killed at the end of the `with` block if not gone by then."""

    def __init__(self, command: Sequence[str], request: str) -> None:
        self.late = False
        self._lines: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._pump = threading.Thread(target=self._listen, daemon=True)
        self._pump.start()
        try:
            self._stdin.write(request.encode() + b"\n")
            self._stdin.flush()  # and left open: when it closes, the process knows we are gone
        except OSError:  # it is gone already; messages() will find out
            pass

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        while self._pump.is_alive():  # it may be waiting to hand over one more line
            _drain(self._lines)
            self._pump.join(0.01)
        for pipe in (self._process.stdin, self._process.stdout):
            _close(pipe)

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline(MAX_LINE):
            self._lines.put(line)
        self._lines.put(None)

    def messages(self, request: Request) -> Iterator[Message]:
        """What the process says, until it ends, or says nothing for too long."""
        patience = START_S
        while True:
            wait = min(patience, request.deadline - time.monotonic())
            try:
                line = self._lines.get(timeout=max(0.0, wait))
            except queue.Empty:
                wait = 0.0
            if wait <= 0:  # even if it never stops talking
                self.late = True
                return
            if line is None:
                return
            message = _parsed(line)
            if message is None:  # it died while it spoke, or speaks nonsense
                return
            patience = request.limits.page_timeout_s
            yield message

    def failure(self, request: Request) -> tuple[PdfStatus, str]:
        """Why it was lost, in words."""
        limits = request.limits
        if not self.late:
            return "corrupt", (
                f"its reader died, perhaps of the {limits.memory_bytes} bytes of memory allowed"
            )
        if time.monotonic() >= request.deadline:
            return "timeout", f"took longer than the {limits.file_timeout_s:g} s a file may take"
        return "timeout", f"took longer than the {limits.page_timeout_s:g} s a page may take"


def _parsed(line: bytes) -> Message | None:
    """The message that a line holds, None if it is none."""
    try:
        message: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = message.get("kind") if isinstance(message, dict) else None
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        return None
    sound = all(isinstance(message.get(name), type_) for name, type_ in shape.items())
    return message if sound and message.get("pages", 0) >= 0 else None


def _drain(lines: queue.Queue[bytes | None]) -> None:
    try:
        while True:
            lines.get_nowait()
    except queue.Empty:
        pass


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:  # bytes that the dead process never took
        pass
