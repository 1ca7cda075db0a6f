"""The rows of pages, put in order by another thread while the file is looked at again.

That look is the work of other processes: this one has nothing else to do until they end.
"""

from __future__ import annotations

from ragctx.pdf.document import page_rows
from ragctx.pdf.later import Later
from ragctx.pdf.reading import PageText, Reading
from ragctx.pdf.row import Row


class RowsAhead:
    """The rows of the pages of a reading; of any other page they are found when asked for."""

    def __init__(self) -> None:
        self._found: Later[dict[int, tuple[PageText, list[Row]]]] | None = None

    def begin(self, reading: Reading) -> None:
        """Begin with the pages that a reading has now."""
        pages = list(reading.pages.values())
        self._found = Later(lambda: {id(page): (page, page_rows(page)) for page in pages})

    def rows(self, page: PageText | None) -> list[Row]:
        """What `page_rows` gives for a page."""
        found = self._found.result() if self._found else {}
        _, rows = found.get(id(page), (page, None))  # which is kept, so that its id stays its own
        return page_rows(page) if rows is None else rows
