"""Writes to an index in PostgreSQL: many writers at once, one transaction per call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ragctx.errors import InputError
from ragctx.index.checks import require_storable, require_unit_rows, require_vectors
from ragctx.index.database import utc_now
from ragctx.index.postgres import reading, storing
from ragctx.index.postgres.connection import damaged, errors, explained, in_transaction
from ragctx.index.postgres.texts import held
from ragctx.index.protocol import MOST_CHUNKS, IndexWriter
from ragctx.index.store import SourceInfo
from ragctx.records import Chunk, Document

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.address import PostgresAddress
    from ragctx.index.postgres.connection import Connection

T = TypeVar("T")


class PostgresWriter(IndexWriter):
    """Writes to an index in PostgreSQL. Others may write at the same time."""

    def __init__(self, connection: Connection, address: PostgresAddress, dim: int) -> None:
        self._connection = connection
        self._address = address
        self._dim = dim

    def put(
        self,
        path: str,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        *,
        recipe: str,
    ) -> None:
        require_storable(path, document, chunks)
        require_vectors(chunks, vectors, self._dim)
        self._put(path, document, chunks, vectors, recipe=recipe)

    def put_text(
        self, path: str, document: Document, chunks: Sequence[Chunk], *, recipe: str
    ) -> None:
        require_storable(path, document, chunks)
        self._put(path, document, chunks, None, recipe=recipe)

    def waiting_documents(self) -> set[str]:
        with explained(self._address):
            return set(reading.read_waiting_documents(self._connection))

    def lacking(self, document_id: str, limit: int = MOST_CHUNKS) -> dict[int, Chunk]:
        with explained(self._address):
            rows = reading.read_lacking_rows(self._connection, document_id, limit)
            found = reading.read_chunks(self._connection, rows)
            return {row: found[row][0] for row in rows if row in found}

    def count_lacking(self, document_id: str) -> int:
        with explained(self._address):
            return reading.count_lacking(self._connection, document_id)

    def keep(self, vectors: Mapping[int, Vectors]) -> None:
        if not vectors:
            return
        require_unit_rows(np.stack(list(vectors.values())), len(vectors), self._dim)
        self._change((), lambda: storing.keep(self._connection, vectors))

    def settle(self, document_id: str) -> bool:
        try:
            return self._change(
                [document_id],
                lambda: storing.settle_document(self._connection, document_id, self._dim),
            )
        except ValueError as error:
            raise damaged(self._address, str(error)) from error

    def sources(
        self, *, path: str | None = None, document_id: str | None = None
    ) -> tuple[SourceInfo, ...]:
        with explained(self._address):
            return reading.read_sources(self._connection, path=path, document_id=document_id)

    def alias(self, path: str, document_id: str, *, recipe: str) -> bool:
        def work() -> bool:
            row = storing.find_document(self._connection, document_id, recipe)
            if row is not None:
                storing.map_source(self._connection, path, row)
            return row is not None

        return self._change([path, document_id], work)

    def move(self, old: str, new: str) -> None:
        self._change([old, new], lambda: storing.move_source(self._connection, old, new))

    def remember(self, recipe: str) -> None:
        with explained(self._address):
            self._connection.execute(_REMEMBERED, ("recipe", held(recipe)))

    def remove(self, *paths_or_ids: str) -> int:
        def work() -> int:
            gone = sum(storing.remove_sources(self._connection, each) for each in paths_or_ids)
            if gone:
                self._connection.execute(_REMEMBERED, ("updated", utc_now()))
            return gone

        return self._change(paths_or_ids, work)

    def compact(self) -> None:
        with explained(self._address):
            for table in ("documents", "pages", "chunks", "vectors", "waiting", "postings"):
                self._connection.execute(f"VACUUM (ANALYZE) {table}")

    def _put(
        self,
        path: str,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: Vectors | None,
        *,
        recipe: str,
    ) -> None:
        def work() -> None:
            storing.put_document(
                self._connection,
                path=path,
                document=document,
                chunks=chunks,
                vectors=vectors,
                recipe=recipe,
            )

        try:
            self._change([path, document.id], work)
        except InputError as error:
            if isinstance(error.__cause__, errors.UniqueViolation):
                raise InputError(
                    f"{path!r} cannot be stored ({error}): one of its chunk ids belongs to another "
                    "document. Make ids of the document's id and offsets, as chunk_document does."
                ) from error
            raise

    def _change(self, names: Sequence[str], work: Callable[[], T]) -> T:
        """Do work in one transaction, in which nobody else changes what is named."""

        def alone() -> T:
            storing.lock(self._connection, self._address.schema, names)
            return work()

        with explained(self._address):
            return in_transaction(self._connection, alone)


_REMEMBERED = """INSERT INTO meta VALUES (%s, %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value"""
