"""Who is worked for, and who waits: a number of places, and turns at the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.to_thread

BUSY = "others wait already; try again in a second"
DRAWERS = 4
"""Pages that are drawn at once, each by a process of its own. Chosen by hand."""
T = TypeVar("T")


class BusyError(Exception):
    """There are as many requests as there may be at once."""


@dataclass(slots=True, kw_only=True)
class Queue:
    """At most `most` requests at once. Whoever waits takes no thread, and may leave at any time.

    `models` and `writers` are held by one at a time: a model has one memory, an index one writer.
    `drawers` are for pages as pictures.
    """

    most: int
    at_once: int = 0
    models: anyio.Lock = field(default_factory=anyio.Lock)
    writers: anyio.Lock = field(default_factory=anyio.Lock)
    drawers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(DRAWERS))

    def require_place(self) -> None:
        """Raise BusyError if there is no place."""
        if self.at_once >= self.most:
            raise BusyError

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those that are worked for. Raises BusyError if there is none."""
        self.require_place()
        self.at_once += 1
        try:
            yield
        finally:
            self.at_once -= 1


async def in_thread(
    work: Callable[..., T], *arguments: object, limiter: anyio.CapacityLimiter | None = None
) -> T:
    """What `work` returns. It runs to its end, whoever is gone meanwhile."""
    return await anyio.to_thread.run_sync(functools.partial(work, *arguments), limiter=limiter)
