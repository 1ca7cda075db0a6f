"""Whether passages that were found are what was stored: damage is an error, not a wrong passage.

SQLite has no checksums, and that of a document takes all of its rows. But much is stored twice: a
passage's text is also in its pages, a document's id and path are also in an index. So a few small
reads tell of each passage that is shown whether its text, place and source are as they were put.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ragctx.records import PAGE_SEPARATOR, Chunk


def require_stored(connection: sqlite3.Connection, found: Iterable[tuple[Chunk, str]]) -> None:
    """Check passages, each with its path.

    Raises:
        sqlite3.DatabaseError: one of them is not what was stored.
    """
    for chunk, path in found:
        document = _document_of(connection, chunk, path)
        if document is None or not _is_on_its_pages(connection, chunk, document):
            raise sqlite3.DatabaseError(f"a passage of {path!r:.200} is not what was stored")


def _document_of(connection: sqlite3.Connection, chunk: Chunk, path: str) -> int | None:
    """The row of the document that has this id and holds this path; None unless they agree."""
    found = connection.execute(
        """SELECT d.row FROM documents d JOIN sources s ON s.document = d.row
        WHERE d.id = ? AND s.path = ?""",
        (chunk.document_id, path),
    ).fetchone()
    return found[0] if found else None


def _is_on_its_pages(connection: sqlite3.Connection, chunk: Chunk, document: int) -> bool:
    """Whether its text begins on its first page and ends on its last."""
    first, last = chunk.first_page, chunk.last_page
    if not all(isinstance(n, int) for n in (first, last, chunk.start, chunk.end)):
        return False
    texts = _pages(connection, document, first, last)
    if not texts or not all(isinstance(text, str) for text in (chunk.text, *texts)):
        return False
    pages, length = [str(text) for text in texts], len(chunk.text)
    joined = PAGE_SEPARATOR.join(pages)
    at = joined.find(chunk.text, max(0, len(joined) - len(pages[-1]) - length))
    return chunk.end - chunk.start == length and 0 <= at <= len(pages[0])


def _pages(
    connection: sqlite3.Connection, document: int, first: int | None, last: int | None
) -> list[object]:
    """The texts of the pages with these numbers, first to last; [] where one is missing."""
    query = "SELECT text FROM pages WHERE document = :document AND {} ORDER BY position"
    values = {"document": document, "first": first, "last": last}
    # The first takes a few steps in an index; the second reads every page of the document.
    for where in (
        "position BETWEEN :first - 1 AND :last - 1 AND position + 1 = number",
        "number BETWEEN :first AND :last",
    ):
        texts = [text for (text,) in connection.execute(query.format(where), values)]
        if first is not None and last is not None and len(texts) == last - first + 1:
            return texts
    return []
