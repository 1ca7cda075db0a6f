"""Progress bars on standard error, if it is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from ragctx.cli.output import console
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion.progress import Progress


_NAME = 24  # characters of a file's name shown
_READING = 0.05
"""Share of the time for a file that reading it takes; embedding takes the rest. Measured: 4 %."""


@contextmanager
def ingest_progress() -> Iterator[Progress]:
    """Callbacks for `ragctx.ingestion.ingest` that move a bar of all files and one of this file."""
    import rich.progress as rich

    from ragctx.ingestion.progress import Progress

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield Progress()
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=10),
        rich.TextColumn("{task.fields[unit]}"),
        rich.TimeRemainingColumn(compact=True),
        rich.TextColumn("left"),
    )
    # The time left is judged by the last minute: files that are known already take next to none.
    with rich.Progress(*columns, console=screen, transient=True, speed_estimate_period=60) as bars:
        yield _IngestBars(bars).callbacks()


@contextmanager
def phase_progress() -> Iterator[Callable[[str, float, int], None]]:
    """A callback `(what is done, how much of it, how much in all)`: a bar with the time left.

    Each phase starts the bar again. How much there is in all is 0 where that is not known: the bar
    then only shows that work goes on.
    """
    import rich.progress as rich

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda what, done, total: None
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=20),
        rich.TextColumn("{task.fields[count]}"),
        rich.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        rich.TextColumn("{task.fields[left]}"),
    )
    # Redirected, what is printed meanwhile would go to standard error, out of `> answers.jsonl`.
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
    """One bar of all files, by their bytes, and one of the file that is being read.

    Both have a rate and the time left.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._began = self._step_began = time.perf_counter()
        self._sizes: Sequence[int] = ()
        self._files_done = self._bytes_done = self._pages = 0
        self._files = bars.add_task("ingesting".ljust(_NAME), total=1, unit="")
        self._file = bars.add_task("", total=None, unit="", visible=False)

    def callbacks(self) -> Progress:
        from ragctx.ingestion.progress import Progress

        return Progress(
            on_sizes=self.on_sizes,
            on_file=self.on_file,
            on_page=self.on_page,
            on_embedded=self.on_embedded,
            on_row=self.on_row,
        )

    def on_sizes(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._show_files(0.0)

    def on_file(self, path: str) -> None:
        name = one_line(PurePath(path).name, _NAME).ljust(_NAME)
        self._bars.reset(self._file, total=None, description=name, unit="", visible=False)
        self._step_began = time.perf_counter()

    def on_page(self, page: int, pages: int) -> None:
        self._pages += 1
        self._show_file(page, pages, "pages")
        self._show_files(_READING * page / pages)
        if page == pages:
            self._step_began = time.perf_counter()

    def on_embedded(self, done: int, chunks: int) -> None:
        self._show_file(done, chunks, "chunks")
        self._show_files(_READING + (1 - _READING) * done / chunks)

    def on_row(self, row: IngestRow) -> None:
        if self._files_done < len(self._sizes):
            self._bytes_done += self._sizes[self._files_done]
            self._files_done += 1
        self._show_files(0.0)
        self._bars.update(self._file, visible=False)

    def _show_files(self, share: float) -> None:
        """Move the upper bar; of the file that is being read, `share` is done."""
        count = len(self._sizes)
        size = self._sizes[self._files_done] if self._files_done < count else 0
        pages_s = self._pages / max(time.perf_counter() - self._began, 1e-9)
        unit = f"{self._files_done}/{count} files" + f", {pages_s:.0f} pages/s" * bool(self._pages)
        done = self._bytes_done + share * size
        self._bars.update(self._files, completed=done, total=sum(self._sizes) or 1, unit=unit)

    def _show_file(self, done: int, total: int, noun: str) -> None:
        rate = done / max(time.perf_counter() - self._step_began, 1e-9)
        unit = f"{done}/{total} {noun}, {rate:.0f}/s"
        self._bars.update(self._file, completed=done, total=total, unit=unit, visible=True)
