"""Progress bars on standard error, if it is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragctx.cli.output import console

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from ragctx.ingestion.progress import Progress


_NAME = 24  # characters of a file's name shown
_STAGE = 9


@contextmanager
def ingest_progress() -> Iterator[Progress]:
    """Callbacks for `ragctx.ingestion.ingest` that move a bar of reading and one of embedding."""
    from ragctx.ingestion.progress import Progress

    if not sys.stderr.isatty():
        yield Progress()
        return
    import rich.progress as rich

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=10),
        rich.TextColumn("{task.fields[unit]}"),
        rich.TimeRemainingColumn(compact=True),
        rich.TextColumn("left"),
    )
    # The time left is judged by the last minute: files that are known already take next to none.
    screen = console(stderr=True)
    with rich.Progress(*columns, console=screen, transient=True, speed_estimate_period=60) as bars:
        yield _IngestBars(bars).callbacks()


@contextmanager
def phase_progress() -> Iterator[Callable[[str, float, int], None]]:
    """A callback `(what is done, how much of it, how much in all)`: a bar with the time left.

    Each phase starts the bar again. How much there is in all is 0 where that is not known: the bar
    then only shows that work goes on.
    """
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    import rich.progress as rich

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=20),
        rich.TextColumn("{task.fields[count]}"),
        rich.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        rich.TextColumn("{task.fields[left]}"),
    )
    # Redirected, what is printed meanwhile would go to standard error, out of `> answers.jsonl`.
    screen = console(stderr=True)
    with rich.Progress(*columns, console=screen, transient=True, redirect_stdout=False) as bars:
        yield _PhaseBar(bars)


@contextmanager
def loading(what: str) -> Iterator[None]:
    """A bar while something loads that cannot tell how long it takes."""
    with phase_progress() as progress:
        progress(f"loading {what}", 0, 0)
        yield


class _PhaseBar:
    """One bar, for one phase of the work after the other."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._what = ""
        self._task = bars.add_task("", total=None, count="", left="", visible=False)

    def __call__(self, what: str, done: float, total: int) -> None:
        count = f"{int(done):,}/{total:,}" if total else ""
        left = "left" if total and done < total else ""
        if what != self._what:
            self._what = what
            self._bars.reset(
                self._task,
                total=total or None,
                description=what.ljust(_NAME),
                count=count,
                left=left,
                visible=True,
            )
        self._bars.update(self._task, completed=done, total=total or None, count=count, left=left)


class _IngestBars:
    """One bar of what is read, by bytes, and one of what is embedded, by chunks.

    Both have a rate and the time left. How many chunks there will be in all is judged by the share
    of the bytes that was read.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._began = time.perf_counter()
        self._sizes: Sequence[int] = ()
        self._size_of: dict[str, int] = {}  # of the files that are being read
        self._share_of: dict[str, float] = {}  # what was read of them
        self._files_read = self._bytes_read = self._pages = self._embedded = 0
        self._embedding_began: float | None = None
        self._reading = bars.add_task("reading".ljust(_STAGE), total=1, unit="")
        self._embedding = bars.add_task(
            "embedding".ljust(_STAGE), total=None, unit="", visible=False
        )

    def callbacks(self) -> Progress:
        from ragctx.ingestion.progress import Progress

        return Progress(
            on_sizes=self.on_sizes,
            on_file=self.on_file,
            on_page=self.on_page,
            on_read=self.on_read,
            on_embedded=self.on_embedded,
        )

    def on_sizes(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._show_reading()

    def on_file(self, path: str) -> None:
        at = self._files_read + len(self._size_of)  # files begin and end in their order
        self._size_of[path] = self._sizes[at] if at < len(self._sizes) else 0

    def on_page(self, path: str, page: int, pages: int) -> None:
        self._pages += 1
        self._share_of[path] = max(page / pages, self._share_of.get(path, 0.0))
        self._show_reading()

    def on_read(self, path: str) -> None:
        self._files_read += 1
        self._bytes_read += self._size_of.pop(path, 0)
        self._share_of.pop(path, None)
        self._show_reading()

    def on_embedded(self, done: int, chunks: int) -> None:
        now = time.perf_counter()
        if self._embedding_began is None:
            self._embedding_began, self._embedded = now, done
        rate = (done - self._embedded) / max(now - self._embedding_began, 1e-9)
        self._bars.update(
            self._embedding,
            completed=done,
            total=chunks / max(self._share, 0.01),
            unit=f"{done:,}/{chunks:,} chunks, {rate:.0f}/s",
            visible=True,
        )

    @property
    def _share(self) -> float:
        """How much was read, 0 to 1."""
        partly = [share * self._size_of.get(path, 0) for path, share in self._share_of.items()]
        return (self._bytes_read + sum(partly)) / (sum(self._sizes) or 1)

    def _show_reading(self) -> None:
        pages_s = self._pages / max(time.perf_counter() - self._began, 1e-9)
        unit = f"{self._files_read}/{len(self._sizes)} files"
        if self._pages:
            unit += f", {self._pages:,} pages, {pages_s:.0f}/s"
        self._bars.update(self._reading, completed=self._share, total=1, unit=unit)
