"""A long file read by several processes at once, each a part of its pages."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from ragctx.pdf.process import Request, read
from ragctx.pdf.reading import OnText, PageText, Reading

MIN_BYTES = 2**20
"""Smaller files are read by one process: counting their pages first takes longer than it saves."""
MIN_PAGES = 50
"""Of a part: a process takes as long to start as some ten pages take to read. Chosen by hand."""


def read_in_parts(request: Request, on_text: OnText | None, processes: int) -> Reading:
    """`process.read` of all pages, by up to this many processes at once; it gives the same.

    `on_text` is called by one thread at a time, but not in the order of the pages; what it raises
    ends the reading.
    """
    pages = _pages(request) if processes > 1 else 0
    count = min(processes, pages // MIN_PAGES)
    if count < 2:
        return read(request, on_text)
    bounds = [pages * part // count for part in range(count + 1)]
    # The first gives labels and outline, too: it is a reading of the whole file that ends early.
    parts = [replace(request, limits=replace(request.limits, max_pages=bounds[1]))]
    parts += [replace(request, only=tuple(range(*ends))) for ends in pairwise(bounds[1:])]
    first, *others = _at_once(parts, on_text)
    if first.opening is not None:
        for part, reading in zip(parts[1:], others, strict=True):
            _add(reading, first, part.wanted(first.count))
        _leave_out(first, request)
    return first


def _pages(request: Request) -> int:
    """How many pages are to be read of a file that is large enough to have many; else 0."""
    if not request.path.is_file() or request.path.stat().st_size < MIN_BYTES:
        return 0
    return len(request.wanted(read(replace(request, only=())).count))


def _at_once(parts: Sequence[Request], on_text: OnText | None) -> list[Reading]:
    """The readings of the parts; raises what `on_text` raised."""
    turn, failed = threading.Lock(), threading.Event()
    done: dict[int, Reading] = {}
    errors: list[BaseException] = []

    def told(page: PageText, pages: int) -> None:
        if failed.is_set():
            raise _Failed
        if on_text is not None:
            with turn:
                on_text(page, pages)

    def work(i: int) -> None:
        try:
            done[i] = read(parts[i], told)
        except BaseException as error:
            failed.set()
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(1, len(parts))]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]  # others are `_Failed`, because of it
    return [done[i] for i in range(len(parts))]


class _Failed(Exception):
    """Ends the reading of a part whose file nobody waits for any more."""


def _add(part: Reading, whole: Reading, wanted: Iterable[int]) -> None:
    """Put what was read of some pages into the reading of the whole file."""
    for i in wanted:
        if i in part.pages:
            whole.pages[i] = part.pages[i]
        else:  # also if the part could not be opened again
            whole.lost[i] = part.lost.get(i, "corrupt")
    whole.characters += part.characters
    whole.warnings += [text for text in part.warnings if text not in whole.warnings]


def _leave_out(reading: Reading, request: Request) -> None:
    """Leave out what is over the limit of characters, as one process would have done."""
    if reading.characters <= request.max_characters:
        return
    characters = 0
    for i in sorted(reading.pages):
        if characters > request.max_characters:
            del reading.pages[i]
            reading.lost[i] = "too_long"
        else:
            characters += reading.pages[i].characters
    reading.characters = characters
    if request.too_long not in reading.warnings:
        reading.warnings.append(request.too_long)
