"""Which chunks to search, as SQL over the columns that `chunks` and `vectors` both have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragctx.index.filters import Filter, matching_ids
from ragctx.index.postgres.reading import read_document_rows, read_names

if TYPE_CHECKING:
    from ragctx.index.postgres.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A condition, and the values that it names; no condition means all chunks.

    `documents` are the rows of those that it leaves; None means all.
    """

    sql: str = ""
    values: dict[str, object] = field(default_factory=dict)
    documents: list[int] | None = None


def where_of(connection: Connection, filter: Filter, *, waiting: bool = False) -> Where:
    """The chunks that a filter leaves; with `waiting`, of those that wait for their vectors.

    Raises:
        InputError: the filter names a document that is not there.
    """
    conditions: list[str] = []
    values: dict[str, object] = {}
    documents = None
    if filter.documents:
        ids = matching_ids(filter.documents, read_names(connection))
        documents = read_document_rows(connection, ids)
        conditions.append("document = ANY(%(documents)s::bigint[])")
        values["documents"] = documents
    if filter.first_page is not None or filter.last_page is not None:
        first, last = filter.pages
        conditions.append("last_page >= %(first_page)s AND first_page <= %(last_page)s")
        values |= {"first_page": first, "last_page": last}
    if waiting:
        conditions.append("row IN (SELECT row FROM waiting)")
    return Where(sql=" AND ".join(conditions), values=values, documents=documents)
