"""One state of an index, for reading: whatever a writer does meanwhile, it does not change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.errors import InputError
from ragctx.index import membership, store, waiting
from ragctx.index.database import FORMAT_VERSION, LEXICON_FROM, Meta
from ragctx.index.filters import Filter, matching_ids
from ragctx.index.hit_checks import require_stored
from ragctx.index.protocol import IndexInfo, Scored, Snapshot
from ragctx.index.store import SourceInfo
from ragctx.index.waiting import Lacking
from ragctx.records import Chunk, Document, Hit, file_name

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.engine import Engine
    from ragctx.index.lexicon import Lexicon

_MOST_ROWS = 2**62
"""More than a database can hold; SQLite takes no number over 2**63 - 1."""

_MOST_ONE_BY_ONE = 100_000
"""With more, `info` says that joining segments helps: 20 ms a question. Chosen by hand."""


@dataclass(frozen=True, kw_only=True)
class FolderSnapshot(Snapshot):
    """One state of an index folder: what one SQLite transaction sees."""

    folder: Path
    meta: Meta
    connection: sqlite3.Connection
    load_engine: Callable[[sqlite3.Connection, Meta, str], Engine]
    load_lexicon: Callable[[sqlite3.Connection, Engine], Lexicon | None]

    @property
    def path(self) -> Path:
        return self.folder

    @property
    def embedder(self) -> str:
        return self.meta.embedder

    @property
    def dim(self) -> int:
        return self.meta.dim

    @contextmanager
    def snapshot(self) -> Iterator[FolderSnapshot]:
        yield self

    # ---- Documents ---------------------------------------------------------------------------

    def sources(self) -> tuple[SourceInfo, ...]:
        return store.read_sources(self.connection)

    def document(self, document_id: str) -> Document | None:
        return store.read_document(self.connection, document_id)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        return tuple(chunk for _, chunk in store.read_chunks_of(self.connection, document_id))

    def sound_vectors(self, document_id: str) -> dict[str, Vectors]:
        return store.read_sound_vectors(self.connection, document_id, self.dim)

    def recipes(self) -> dict[str, str]:
        return store.read_recipes(self.connection)

    @property
    def recipe(self) -> str | None:
        return self.meta.recipe or store.read_recipe(self.connection)

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        rows = store.read_chunk_rows(self.connection, chunk_ids)
        unknown = [chunk_id for chunk_id in chunk_ids if chunk_id not in rows]
        if unknown:
            raise InputError(f"The index {self.path} has no chunk {unknown[0]!r}.")
        if waiting.read_waiting(self.connection, rows.values()):
            raise InputError(
                f"The index {self.path} has not all vectors of these chunks yet. Embed the rest: "
                f"ragctx ingest PATH --index {self.path}"
            )
        return store.read_vectors(self.connection, [rows[id_] for id_ in chunk_ids], self.dim)

    # ---- What waits for its vectors -----------------------------------------------------------

    @cached_property
    def is_complete(self) -> bool:
        return not waiting.anything_waits(self.connection)

    def lacking(self) -> Lacking:
        return waiting.read_lacking(self.connection)

    def count_lacking(self, document_id: str) -> int:
        return waiting.count_lacking(self.connection, document_id)

    def kept_vectors(self, rows: Iterable[int]) -> dict[int, Vectors]:
        return waiting.read_kept(self.connection, rows, self.dim)

    def waiting_rows(self, filter: Filter) -> list[int]:
        documents = self._documents(filter)
        return waiting.read_waiting_rows(self.connection, documents, filter.pages)

    def waiting_among_ids(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        rows = store.read_chunk_rows(self.connection, chunk_ids)
        waits = waiting.read_waiting(self.connection, rows.values())
        return {chunk_id: row for chunk_id, row in rows.items() if row in waits}

    def waiting_among(self, expression: str, k: int, filter: Filter) -> Scored:
        documents = set(waiting.read_waiting_documents(self.connection).values())
        named = self._documents(filter)
        documents &= documents if named is None else named
        limit = min(k, _MOST_ROWS)
        return store.search_words(self.connection, expression, limit, documents, filter.pages)

    def chunks_by_row(self, rows: Sequence[int]) -> dict[int, Chunk]:
        return {row: chunk for row, (chunk, _) in store.read_chunks(self.connection, rows).items()}

    def info(self) -> IndexInfo:
        counts = {
            table: self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("documents", "sources", "pages", "chunks")
        }
        return IndexInfo(
            path=str(self.path),
            **counts,
            unembedded=self.lacking().chunks,
            bytes=sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            embedder=self.meta.embedder,
            dim=self.meta.dim,
            metric=self.meta.metric,
            format_version=self.meta.format_version,
            ragctx_version=self.meta.ragctx_version,
            created=self.meta.created,
            updated=self.meta.updated,
            recipe=self.recipe,
            segments=len(self.meta.segments),
            unsealed=len(membership.read_unsealed(self.connection)),
            deleted=len(membership.read_dropped(self.connection)),
            notes=self.notes(),
        )

    def notes(self) -> tuple[str, ...]:
        """What slows searches of this index, and the command that helps."""
        from ragctx.index.loading import open_segments

        segments, wrong = open_segments(self.path, self.meta)
        notes = [f"{fact}; searching reads the database instead" for fact in wrong]
        if self.meta.format_version < FORMAT_VERSION:
            notes.append(
                "its vectors are in no segments yet, for an earlier ragctx made it; bring them "
                f"there: ragctx index compact {self.path}"
            )
        if wrong:
            notes.append(f"make it again: ragctx index repair {self.path}")
        one_by_one = sum(len(segment) for segment in segments if segment.clusters is None)
        if one_by_one > _MOST_ONE_BY_ONE:
            notes.append(
                f"{one_by_one:,} chunks are compared one by one with a question; join their "
                f"segments: ragctx index compact {self.path}"
            )
        return tuple(notes)

    # ---- Searching ---------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The vectors, ready to be searched."""
        return self.load_engine(self.connection, self.meta, "")

    def nearest(self, vector: Vectors, k: int, filter: Filter, *, exact: bool = False) -> Scored:
        from ragctx.index.segment_file import SegmentError

        engine, documents = self.engine, self._documents(filter)
        while True:
            mask = None if filter.everything else engine.mask(documents, filter.pages)
            try:
                return engine.nearest(vector, k, self.ids_of, mask, exact=exact)
            except SegmentError as error:  # from now on it is read from the database
                engine = self.load_engine(self.connection, self.meta, error.name)

    def matching(self, expression: str, k: int, filter: Filter) -> Scored:
        documents = self._documents(filter)
        limit = min(k, _MOST_ROWS)
        if (lexicon := self._lexicon) is not None:
            mask = None if filter.everything else lexicon.mask(documents, filter.pages)
            with suppress(IndexError):  # of places that no chunk has, in a damaged file
                return lexicon.matching(expression, limit, self.ids_of, self._fts, mask)
        return store.search_words(self.connection, expression, limit, documents, filter.pages)

    @property
    def _lexicon(self) -> Lexicon | None:
        """The words of segments, where they are faster than FTS5."""
        if sum(segment.rows for segment in self.meta.segments) < LEXICON_FROM:
            return None
        return self.load_lexicon(self.connection, self.engine)

    def _fts(self, expression: str) -> dict[int, float]:
        """The chunks that hold a word, with the scores that FTS5 gives them."""
        return dict(
            store.search_words(
                self.connection, expression, _MOST_ROWS, None, (-_MOST_ROWS, _MOST_ROWS)
            )
        )

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        return membership.read_chunk_ids(self.connection, rows)

    def some_vectors(self, n: int) -> Vectors:
        segments, chance = self.engine.segments, np.random.default_rng(0)
        ends = np.cumsum([len(segment) for segment in segments])
        if not len(self.engine):
            return np.empty((0, self.dim), np.float32)
        at = chance.integers(ends[-1], size=n)
        of_each = np.searchsorted(ends, at, side="right")
        places = zip(of_each, at - (ends - [len(s) for s in segments])[of_each], strict=True)
        return np.array([segments[s].vectors[i] for s, i in places], np.float32)

    def hits(self, scored: Scored) -> list[Hit]:
        """The chunks and documents of scored rows, ranked from 1 in the order given.

        Raises:
            sqlite3.DatabaseError: one of them is not what was stored; `Index.snapshot` makes an
                IndexDamagedError of it.
        """
        rows = [row for row, _ in scored]
        chunks = store.read_chunks(self.connection, rows)
        if lost := [row for row in rows if row not in chunks]:
            raise sqlite3.DatabaseError(f"the passage of row {lost[0]} is missing")
        require_stored(self.connection, chunks.values())
        hits = []
        for rank, (row, score) in enumerate(scored, 1):
            chunk, path = chunks[row]
            hits.append(
                Hit(rank=rank, score=score, chunk=chunk, document=file_name(path), path=path)
            )
        return hits

    def _documents(self, filter: Filter) -> set[int] | None:
        """Rows of the documents the filter names; None if it names none, which means all."""
        if not filter.documents:
            return None
        ids = matching_ids(filter.documents, store.read_names(self.connection))
        return store.read_document_rows(self.connection, ids)
