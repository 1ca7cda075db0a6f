"""Work done ahead by several threads, its results taken in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
"""Results of each thread that may wait to be taken: what bounds the memory. Chosen by hand."""


class Ahead(Generic[Item, Result]):
    """`work` of all items, by some threads at once, a bounded number of items ahead.

    Items are looked up in their order, one at a time, by whichever thread is free. The threads
    begin with the `with` block. At its end `stopped` is set, and those that are still at work are
    left to see it by themselves.
    """

    def __init__(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        threads: int,
        stopped: threading.Event,
    ) -> None:
        self._work = work
        self._items = iter(items)
        self._threads = threads
        self._stopped = stopped
        self._turn = threading.Lock()  # of who looks up the next item
        self._changed = threading.Condition()
        self._results: dict[int, Result | BaseException] = {}
        self._looked_up = self._taken = 0

    def __enter__(self) -> Ahead[Item, Result]:
        for _ in range(self._threads):
            # A daemon: Ctrl-C must not wait for a file whose reader hangs.
            threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def is_ready(self) -> bool:
        """Whether `take` need not wait."""
        with self._changed:
            return self._taken in self._results

    def take(self) -> Result:
        """The result of the next item, in their order; raises what its work raised."""
        with self._changed:
            while self._taken not in self._results:
                self._changed.wait()
            result = self._results.pop(self._taken)
            self._taken += 1
            self._changed.notify_all()
        if isinstance(result, BaseException):
            raise result
        return result

    def _serve(self) -> None:
        while (found := self._next()) is not None:
            at, item = found
            result: Result | BaseException
            try:
                result = self._work(item)
            except BaseException as error:  # Ctrl-C too: `take` raises it where it belongs
                result = error
            self._give(at, result)

    def _next(self) -> tuple[int, Item] | None:
        """The next item, once there is room for its result; None if there are no more."""
        with self._turn:
            at = self._looked_up
            with self._changed:
                while not self._stopped.is_set() and at >= self._taken + _AHEAD * self._threads:
                    self._changed.wait()
            if self._stopped.is_set():
                return None
            try:
                item = next(self._items)
            except StopIteration:
                return None
            except BaseException as error:  # nothing follows it
                self._give(at, error)
                return None
            self._looked_up += 1
            return at, item

    def _give(self, at: int, result: Result | BaseException) -> None:
        with self._changed:
            self._results[at] = result
            self._changed.notify_all()
