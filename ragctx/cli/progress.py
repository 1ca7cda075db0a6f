"""Progress bars on standard error, if it is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from ragctx.cli.output import console
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion import Progress


_NAME = 24  # characters of a file's name shown


@contextmanager
def ingest_progress() -> Iterator[Progress]:
    """Callbacks for `ragctx.ingestion.ingest` that move a bar of all files and one of this file."""
    import rich.progress as rich

    from ragctx.ingestion import Progress

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield Progress()
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=20),
        rich.TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
    )
    with rich.Progress(*columns, console=screen, transient=True) as bars:
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
    """One bar of all files with the pages read a second, one of the file that is being read."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._began = time.perf_counter()
        self._pages = 0
        self._files = bars.add_task("ingesting".ljust(_NAME), total=0, unit="files")
        self._file = bars.add_task("", total=1, unit="", visible=False)

    def callbacks(self) -> Progress:
        from ragctx.ingestion import Progress

        return Progress(
            on_files=self.on_files,
            on_file=self.on_file,
            on_page=self.on_page,
            on_embedded=self.on_embedded,
            on_row=self.on_row,
        )

    def on_files(self, count: int) -> None:
        self._bars.update(self._files, total=count)

    def on_file(self, path: str) -> None:
        name = one_line(PurePath(path).name, _NAME).ljust(_NAME)
        self._bars.reset(self._file, total=1, description=name, unit="", visible=False)

    def on_page(self, page: int, pages: int) -> None:
        self._pages += 1
        seconds = time.perf_counter() - self._began
        rate = f"files, {self._pages / seconds:.0f} pages/s"
        self._bars.update(self._files, unit=rate)
        self._show(page, pages, "pages read")

    def on_embedded(self, done: int, chunks: int) -> None:
        self._show(done, chunks, "chunks embedded")

    def on_row(self, row: IngestRow) -> None:
        self._bars.update(self._files, advance=1)
        self._bars.update(self._file, visible=False)

    def _show(self, done: int, total: int, unit: str) -> None:
        self._bars.update(self._file, completed=done, total=total, unit=unit, visible=True)
