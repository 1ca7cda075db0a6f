"""One state of an index in PostgreSQL, for reading: what one transaction sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragctx.errors import InputError
from ragctx.index.filters import Filter
from ragctx.index.postgres import reading
from ragctx.index.postgres.connection import damaged, vector_of
from ragctx.index.postgres.filtering import Where, where_of
from ragctx.index.postgres.nearest import nearest
from ragctx.index.postgres.schema import Meta
from ragctx.index.postgres.words import Totals, read_totals, search_words
from ragctx.index.protocol import IndexInfo, Scored, Snapshot
from ragctx.index.store import SourceInfo
from ragctx.index.waiting import Lacking
from ragctx.records import Chunk, Document, Hit, file_name

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.address import PostgresAddress
    from ragctx.index.postgres.connection import Connection

_MOST = 2**62


@dataclass(frozen=True, kw_only=True)
class PostgresSnapshot(Snapshot):
    """One state of the tables: a transaction that reads only, and sees no later change."""

    address: PostgresAddress
    meta: Meta
    connection: Connection

    @property
    def path(self) -> PostgresAddress:
        return self.address

    @property
    def embedder(self) -> str:
        return self.meta.embedder

    @property
    def dim(self) -> int:
        return self.meta.dim

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        yield self

    # ---- Documents ---------------------------------------------------------------------------

    def sources(self) -> tuple[SourceInfo, ...]:
        return reading.read_sources(self.connection)

    def document(self, document_id: str) -> Document | None:
        return reading.read_document(self.connection, document_id)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        return tuple(chunk for _, chunk in reading.read_chunks_of(self.connection, document_id))

    def chunks_by_row(self, rows: Sequence[int]) -> dict[int, Chunk]:
        found = reading.read_chunks(self.connection, rows)
        return {row: chunk for row, (chunk, _) in found.items()}

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        rows = reading.read_chunk_rows(self.connection, chunk_ids)
        unknown = [chunk_id for chunk_id in chunk_ids if chunk_id not in rows]
        if unknown:
            raise InputError(f"The index {self.path} has no chunk {unknown[0]!r}.")
        if reading.read_waiting(self.connection, rows.values()):
            raise InputError(
                f"The index {self.path} has not all vectors of these chunks yet. Embed the rest: "
                f"ragctx ingest PATH --index {self.path}"
            )
        wanted = [rows[chunk_id] for chunk_id in chunk_ids]
        vectors = reading.read_vectors(self.connection, wanted, self.dim)
        if vectors is None:
            raise damaged(self.address, "vectors are missing")
        return vectors

    def sound_vectors(self, document_id: str) -> dict[str, Vectors]:
        return reading.read_sound_vectors(self.connection, document_id, self.dim)

    def recipes(self) -> dict[str, str]:
        return reading.read_recipes(self.connection)

    @property
    def recipe(self) -> str | None:
        return self.meta.recipe or reading.read_recipe(self.connection)

    def info(self) -> IndexInfo:
        counts = self.connection.execute(
            """SELECT count(*), (SELECT count(*) FROM sources), coalesce(sum(pages), 0)::bigint,
                coalesce(sum(chunks), 0)::bigint, max(stored),
                (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
                WHERE relnamespace = %s::regnamespace AND relkind = 'r')
            FROM documents""",
            (self.address.schema,),
        ).fetchone()
        documents, sources, pages, chunks, stored, size = counts or (0, 0, 0, 0, None, 0)
        return IndexInfo(
            path=str(self.path),
            documents=documents,
            sources=sources,
            pages=pages,
            chunks=chunks,
            unembedded=self.lacking().chunks,
            bytes=size,
            embedder=self.meta.embedder,
            dim=self.meta.dim,
            metric=self.meta.metric,
            format_version=self.meta.format_version,
            ragctx_version=self.meta.ragctx_version,
            created=self.meta.created,
            updated=max(self.meta.updated, stored or ""),
            recipe=self.recipe,
        )

    # ---- What waits for its vectors ----------------------------------------------------------

    @cached_property
    def is_complete(self) -> bool:
        return not reading.anything_waits(self.connection)

    def lacking(self) -> Lacking:
        return reading.read_lacking(self.connection)

    def count_lacking(self, document_id: str) -> int:
        return reading.count_lacking(self.connection, document_id)

    def kept_vectors(self, rows: Iterable[int]) -> dict[int, Vectors]:
        return reading.read_kept(self.connection, rows)

    def waiting_rows(self, filter: Filter) -> list[int]:
        where = where_of(self.connection, filter, waiting=True)
        found = self.connection.execute(
            f"SELECT row FROM chunks WHERE {where.sql} ORDER BY id", where.values
        )
        return [row for (row,) in found]

    def waiting_among_ids(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        rows = reading.read_chunk_rows(self.connection, chunk_ids)
        waits = reading.read_waiting(self.connection, rows.values())
        return {chunk_id: row for chunk_id, row in rows.items() if row in waits}

    def waiting_among(self, expression: str, k: int, filter: Filter) -> Scored:
        return self._matching(expression, k, where_of(self.connection, filter, waiting=True))

    # ---- Searching ---------------------------------------------------------------------------

    @cached_property
    def _totals(self) -> Totals:
        return read_totals(self.connection)

    def nearest(self, vector: Vectors, k: int, filter: Filter, *, exact: bool = False) -> Scored:
        where = where_of(self.connection, filter)
        return nearest(
            self.connection,
            np.asarray(vector, np.float32),
            min(k, _MOST),
            where,
            chunks=self._count(where),
            exact=exact,
        )

    def matching(self, expression: str, k: int, filter: Filter) -> Scored:
        return self._matching(expression, k, where_of(self.connection, filter))

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        return reading.read_chunk_ids(self.connection, rows)

    def hits(self, scored: Scored) -> list[Hit]:
        chunks = reading.read_chunks(self.connection, [row for row, _ in scored])
        hits = []
        for rank, (row, score) in enumerate(scored, 1):
            chunk, path = chunks[row]
            hits.append(
                Hit(rank=rank, score=score, chunk=chunk, document=file_name(path), path=path)
            )
        return hits

    def some_vectors(self, n: int) -> Vectors:
        ends = self.connection.execute("SELECT min(row), max(row) FROM vectors").fetchone()
        if not ends or ends[0] is None:
            return np.empty((0, self.dim), np.float32)
        chance = np.random.default_rng(0).integers(ends[0], ends[1] + 1, size=n)
        found = self.connection.execute(
            """SELECT vector_send(v.vector) FROM unnest(%s::bigint[]) AS wanted(row)
            CROSS JOIN LATERAL (SELECT vector FROM vectors
                WHERE vectors.row >= wanted.row ORDER BY vectors.row LIMIT 1) v""",
            (chance.tolist(),),
            binary=True,
        )
        return np.array([vector_of(sent) for (sent,) in found], np.float32)

    def _matching(self, expression: str, k: int, where: Where) -> Scored:
        return search_words(self.connection, expression, min(k, _MOST), self._totals, where)

    def _count(self, where: Where) -> int:
        """How many chunks there are in the documents that a filter leaves."""
        if where.documents is None:
            return self._totals.chunks
        (count,) = self.connection.execute(
            "SELECT coalesce(sum(chunks), 0)::bigint FROM documents WHERE row = ANY(%s)",
            (where.documents,),
        ).fetchone() or (0,)
        return int(count)
