"""Reads a PDF in another process, which is watched, and killed when it takes too long.

A page at which that process hangs, crashes or runs out of memory is lost; another process goes on
with the page after it. What was read before is kept.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from ragctx.arguments import require_number, require_whole
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS, LookMessage, RequestMessage
from ragctx.pdf.readers import START_S, ReaderProcess, Readers, StartedReaders
from ragctx.pdf.reading import (
    Begun,
    Broken,
    Ended,
    Event,
    Failure,
    OnText,
    Opening,
    PageEvent,
    PageText,
    Picture,
    Reading,
    Sheet,
    Structure,
    event_of,
)
from ragctx.records import PageStatus

MAX_RESTARTS = 20
"""After how many lost pages of one file the rest is given up. Chosen by hand."""
MAX_CHARACTERS = 20_000_000
"""Characters read of one file before the rest is given up. A book has about 1,000,000, a manual of
5,000 pages some 15,000,000."""
MAX_CHARACTERS_PER_BYTE = 50
"""How many of them a file may hold for each of its bytes. Written text has 1 to 10, compressed;
only what one page draws again and again has more. Chosen by hand; 200,000 are always allowed."""
MAX_LINE = 2**26
"""Bytes of the longest message (64 MiB); a longer line is not a message."""
_BACKLOG = 64
"""How many messages may wait to be taken before the reading process has to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost. Sizes in bytes, times in seconds."""

    page_timeout_s: float = 20.0
    file_timeout_s: float = 600.0
    memory_bytes: int = 2 * 2**30
    max_pages: int = 20_000
    max_file_bytes: int = 2**30
    ocr_timeout_s: float = 3600.0  # for all pages of a file together, besides the others

    def __post_init__(self) -> None:
        """Raise InputError for a limit that is no number."""
        for name in ("page_timeout_s", "file_timeout_s", "ocr_timeout_s"):
            require_number(name, getattr(self, name))
        for name in ("memory_bytes", "max_pages", "max_file_bytes"):
            require_whole(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to read, by which library ("pdfium" or "pypdf"); `only` these pages, counted from 0.

    With `mend_fonts`, from a copy with mended fonts; with `look`, where the glyphs of these pages
    are and pictures of them, instead of their text; see `messages.RequestMessage`. `readers` gives
    the processes that read.
    """

    path: Path
    password: str | None
    reader: str
    limits: Limits
    deadline: float  # of time.monotonic()
    only: tuple[int, ...] | None = None
    mend_fonts: bool = False
    look: LookMessage | None = None
    readers: Readers = field(default_factory=StartedReaders)

    def from_page(self, first: int) -> str:
        """The line of JSON that tells a process to go on from a page, counted from 0."""
        message: RequestMessage = {
            "path": str(self.path),
            "password": self.password,
            "reader": self.reader,
            "max_pages": self.limits.max_pages,
            "memory_bytes": self.limits.memory_bytes,
            "only": None if self.only is None else list(self.only),
            "first": first,
            "structure": self.only is None and not self.mend_fonts,
            "mend_fonts": self.mend_fonts,
            "look": self.look,
        }
        return json.dumps(message)

    @cached_property
    def max_characters(self) -> int:
        """How many characters a person can have written in a file of this size."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        return min(MAX_CHARACTERS, max(MAX_PAGE_CHARACTERS, MAX_CHARACTERS_PER_BYTE * size))

    @property
    def too_long(self) -> str:
        """The warning of a file that holds more."""
        return (
            f"more than {self.max_characters} characters, which nobody writes in a file of this "
            "size; the rest is left out"
        )

    def wanted(self, pages: int) -> Sequence[int]:
        """Which of a file's pages are to be read."""
        return range(min(pages, self.limits.max_pages)) if self.only is None else self.only


def read(request: Request, on_text: OnText | None = None) -> Reading:
    """Read a file with as many processes, one after the other, as it takes and limits allow.

    `on_text` is called with each page read, and the number of pages. Nothing is raised for a bad
    file: the reading tells what could not be read and why.
    """
    reading = Reading()
    for _ in range(MAX_RESTARTS + 1):
        died_at = _one_process(request, reading, on_text)
        if died_at is None or reading.opening is None:
            break
        if died_at < 0:
            reading.warnings.append("labels and outline could not be read")
            break
        if time.monotonic() >= request.deadline or reading.characters > request.max_characters:
            break
    if reading.opening is not None:
        why = _given_up(request, reading)
        for i in request.wanted(reading.count):
            if i not in reading.pages:
                reading.lost.setdefault(i, why)
    return reading


def _given_up(request: Request, reading: Reading) -> PageStatus:
    """Why pages were left out that no process was lost at."""
    if reading.characters > request.max_characters:
        return "too_long"
    if time.monotonic() >= request.deadline:
        return "timeout"
    return next(reversed(reading.lost.values()), "corrupt")  # as the pages before them


def _one_process(request: Request, reading: Reading, on_text: OnText | None) -> int | None:
    """Run one process; the page at which it was lost (-1: the structure), None if it finished."""
    at = max([*reading.pages, *reading.lost], default=-1) + 1
    with _Worker(request.readers.start(), request.from_page(at)) as worker:
        for event in worker.events(request):
            if not _is_possible(event, reading):
                break
            if isinstance(event, Begun):
                at = event.page
            if isinstance(event, Ended):
                reading.warnings += event.warnings
                return None
            _take(event, reading, on_text)
            if reading.characters > request.max_characters:
                reading.warnings.append(request.too_long)
                return at
    if reading.opening is None:
        reading.failure = reading.failure or worker.failure(request)
    elif at >= reading.count:  # every page was read
        return -1
    elif at >= 0:
        reading.lost[at] = "timeout" if worker.late else "corrupt"
        reading.warnings.append(f"page {at + 1}: {worker.failure(request).message}")
    return at


def _is_possible(event: Event, reading: Reading) -> bool:
    """Whether the file has the page that an event is about; -1 is the structure."""
    if isinstance(event, Begun):
        return -1 <= event.page < reading.count
    return not isinstance(event, PageEvent) or 0 <= event.page < reading.count


def _take(event: Event, reading: Reading, on_text: OnText | None) -> None:
    """Note in the reading what an event tells."""
    if isinstance(event, Opening):
        reading.opening = event
    elif isinstance(event, Structure):
        reading.structure = event
    elif isinstance(event, Failure):
        reading.failure = event
        if reading.opening is not None:
            reading.warnings.append(event.message)
    elif isinstance(event, Broken):
        reading.lost[event.page] = "corrupt"
        reading.warnings.append(f"page {event.page + 1}: {event.message}")
    elif isinstance(event, Sheet):
        reading.sheets[event.page] = event
    elif isinstance(event, Picture):
        reading.pictures[event.page] = event
    elif isinstance(event, PageText):
        reading.pages[event.page] = event
        reading.characters += event.characters
        if on_text is not None:
            on_text(event, reading.count)


class _Worker:
    """A process that reads, killed at the end of the `with` block if not gone by then."""

    def __init__(self, process: ReaderProcess, request: str) -> None:
        self.late = False
        self._lines: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._process = process
        self._pump = threading.Thread(target=self._listen, daemon=True)
        self._pump.start()
        try:
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()  # and left open: when it closes, the process knows we are gone
        except OSError:  # it is gone already, which events() will find out
            pass

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._process.stdin)
        self._process.end()
        while self._pump.is_alive():  # it may be waiting to hand over one more line
            _drain(self._lines)
            self._pump.join(0.01)
        _close(self._process.stdout)

    def _listen(self) -> None:
        while line := self._process.stdout.readline(MAX_LINE):
            self._lines.put(line)
        self._lines.put(None)

    def events(self, request: Request) -> Iterator[Event]:
        """What the process reports, until it ends, talks nonsense, or is silent for too long."""
        patience = START_S
        while True:
            wait = min(patience, request.deadline - time.monotonic())
            try:
                line = self._lines.get(timeout=max(0.0, wait))
            except queue.Empty:
                wait = 0.0
            if wait <= 0:  # the file's time is up, even if messages keep coming
                self.late = True
                return
            if line is None:
                return
            event = event_of(line)
            if event is None:  # it died in the middle of a message, or sent nonsense
                return
            patience = request.limits.page_timeout_s
            yield event

    def failure(self, request: Request) -> Failure:
        """Why the process was lost."""
        limits = request.limits
        if not self.late:
            return Failure(
                "corrupt",
                f"its reader died, perhaps of the {limits.memory_bytes} bytes of memory allowed",
            )
        if time.monotonic() >= request.deadline:
            late = f"took longer than the {limits.file_timeout_s:g} s a file may take"
        else:
            late = f"took longer than the {limits.page_timeout_s:g} s a page may take"
        return Failure("timeout", late)


def _drain(lines: queue.Queue[bytes | None]) -> None:
    try:
        while True:
            lines.get_nowait()
    except queue.Empty:
        pass


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # bytes that the dead process never took
        pass
