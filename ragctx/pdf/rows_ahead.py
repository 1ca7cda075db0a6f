"""The rows of pages, put in order by another thread while further pages are read.

Reading is the work of other processes: this one has nothing else to do until they end.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from ragctx.pdf.document import page_rows
from ragctx.pdf.reading import PageText
from ragctx.pdf.row import Row


class RowsAhead:
    """The rows of pages that were added; of any other page they are found when asked for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._found: dict[int, tuple[PageText, Future[list[Row]]]] = {}

    def __enter__(self) -> RowsAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def add(self, page: PageText) -> None:
        """Begin with a page."""
        # It is kept with its rows, so that its id stays its own.
        self._found[id(page)] = page, self._thread.submit(page_rows, page)

    def rows(self, page: PageText | None) -> list[Row]:
        """What `page_rows` gives for a page."""
        found = self._found.get(id(page))
        return page_rows(page) if found is None else found[1].result()
