"""The index on disk: one folder, SQLite as the truth, FAISS beside it.

    index = Index.open_or_create(Path("indexes/default"), embedder=embedder)
    with index.writer() as writer:              # one at a time, by lock
        writer.put(path, document, chunks, vectors, recipe="…")   # one transaction
    index.document(document_id)                 # readers never wait

An `Index` may be used by several threads: every call opens a connection of its own and closes it.
A writer belongs to the thread that opened it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import InputError, StoreError
from ragctx.index import store
from ragctx.index.checks import Vectors, require_sound
from ragctx.index.database import (
    DATABASE,
    Meta,
    create_database,
    explained,
    holds_index,
    missing,
    read_meta,
    reading,
    require_same_embedder,
    transaction,
    writing,
)
from ragctx.index.filters import Filter, matching_ids
from ragctx.index.lock import write_lock
from ragctx.index.store import SourceInfo
from ragctx.records import Chunk, Document, Hit

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.engine import Engine
    from ragctx.index.repair import Problem, Repair

Scored = list[tuple[int, float]]
"""(chunk row, score), best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """An index in numbers. Times are UTC, ISO 8601."""

    path: str
    documents: int
    sources: int
    pages: int
    chunks: int
    bytes: int  # of all its files
    embedder: str
    dim: int
    metric: str
    format_version: int
    ragctx_version: str  # that made it
    created: str
    updated: str


class Index:
    """An index folder, for reading; `writer()` for writing."""

    def __init__(self, path: Path, meta: Meta) -> None:
        self.path = path
        self.embedder = meta.embedder
        self.dim = meta.dim
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._local = threading.local()

    # ---- Opening -----------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path, *, embedder: Embedder | None = None) -> Index:
        """The index in the folder `path`.

        Raises:
            IndexMissingError: there is none.
            IndexMismatchError: it was made by another embedder, dimension or format version.
            IndexDamagedError: its database cannot be read.
        """
        folder = Path(path)
        with reading(folder) as connection:
            meta = read_meta(connection, folder)
        if embedder is not None:
            require_same_embedder(folder, (meta.embedder, meta.dim), (embedder.id, embedder.dim))
        return cls(folder, meta)

    @classmethod
    def create(cls, path: str | Path, *, embedder: Embedder) -> Index:
        """A new index; the folder is made if need be. Raises StoreError if there is one."""
        folder = Path(path)
        if folder.is_dir() and holds_index(folder):
            raise StoreError(
                f"There is an index in {folder} already. Use Index.open_or_create, or another path."
            )
        return cls.open_or_create(folder, embedder=embedder)

    @classmethod
    def open_or_create(cls, path: str | Path, *, embedder: Embedder) -> Index:
        """The index in `path`, made if there is none. Raises as `open` does."""
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be made ({error.strerror}). Choose another: "
                "--index DIR"
            ) from error
        if not holds_index(folder):
            with write_lock(folder):
                if not holds_index(folder):  # nobody was faster
                    create_database(folder / DATABASE, embedder.id, embedder.dim)
        return cls.open(folder, embedder=embedder)

    # ---- Reading -----------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """What the index holds now: whatever a writer does meanwhile, the block sees one state.

        Within the block, every call on this index by this thread sees the same snapshot.
        """
        current: Snapshot | None = getattr(self._local, "snapshot", None)
        if current is not None:
            yield current
            return
        with reading(self.path) as connection:
            meta = read_meta(connection, self.path)
            self._require_same(meta)
            self._local.snapshot = Snapshot(self, connection, meta)
            try:
                yield self._local.snapshot
            finally:
                del self._local.snapshot

    def sources(self) -> tuple[SourceInfo, ...]:
        """Every file the index knows, by path."""
        with self.snapshot() as snapshot:
            return store.read_sources(snapshot.connection)

    def document(self, document_id: str) -> Document | None:
        """The document with its pages, or None. Its path is the first one, by name, it has."""
        with self.snapshot() as snapshot:
            return store.read_document(snapshot.connection, document_id)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """A document's chunks, in document order; none if it is not there."""
        with self.snapshot() as snapshot:
            return tuple(store.read_chunks_of(snapshot.connection, document_id, self.dim)[0])

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        """Vectors of chunks, float32 (n, dim), in that order. Raises InputError for unknown ids."""
        with self.snapshot() as snapshot:
            rows = store.read_chunk_rows(snapshot.connection, chunk_ids)
            unknown = [chunk_id for chunk_id in chunk_ids if chunk_id not in rows]
            if unknown:
                raise InputError(f"The index {self.path} has no chunk {unknown[0]!r}.")
            wanted = [rows[chunk_id] for chunk_id in chunk_ids]
            return store.read_vectors(snapshot.connection, wanted, self.dim)

    def info(self) -> IndexInfo:
        """The index in numbers."""
        with self.snapshot() as snapshot:
            meta = snapshot.meta
            counts = {
                table: snapshot.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("documents", "sources", "pages", "chunks")
            }
        return IndexInfo(
            path=str(self.path),
            **counts,
            bytes=_bytes_in(self.path),
            embedder=meta.embedder,
            dim=meta.dim,
            metric=meta.metric,
            format_version=meta.format_version,
            ragctx_version=meta.ragctx_version,
            created=meta.created,
            updated=meta.updated,
        )

    def verify(self) -> tuple[Problem, ...]:
        """What is wrong with the index; see `ragctx.index.repair.verify_index`."""
        from ragctx.index.repair import verify_index

        return verify_index(self.path)

    def repair(self) -> Repair:
        """Repair what can be; see `ragctx.index.repair.repair_index`."""
        from ragctx.index.repair import repair_index

        return repair_index(self.path)

    def load_engine(self, snapshot: Snapshot) -> Engine:
        """The vectors as `snapshot` sees them; kept for the next time."""
        from ragctx.index.engine import VectorFileError, load_engine, load_file

        with self._engine_lock:
            known = self._engine
            if known is not None and known.meta == snapshot.meta:
                return known
            if known is None:
                with suppress(VectorFileError):  # it is only a copy
                    known = load_file(self.path, snapshot.meta)
            self._engine = engine = load_engine(snapshot.connection, snapshot.meta, known)
            return engine

    # ---- Writing -----------------------------------------------------------------------------

    @contextmanager
    def writer(self) -> Iterator[IndexWriter]:
        """Hold the index's lock and write; at the end `vectors.faiss` is brought up to date.

        Raises:
            IndexLockedError: another writer is at work.
        """
        if not (self.path / DATABASE).is_file():
            raise missing(self.path)
        with write_lock(self.path):
            with writing(self.path) as connection:
                meta = read_meta(connection, self.path)
                self._require_same(meta)
                yield IndexWriter(connection, self.path, self.dim)
            self._save_engine()

    def _require_same(self, meta: Meta) -> None:
        """The folder may hold another index by now."""
        require_same_embedder(self.path, (meta.embedder, meta.dim), (self.embedder, self.dim))

    def _save_engine(self) -> None:
        """Bring `vectors.faiss` up to date with the store. The caller holds the write lock."""
        from ragctx.index.engine import VectorFileError, read_stamp, save_engine

        with self.snapshot() as snapshot:
            with suppress(VectorFileError):
                if read_stamp(self.path) == (snapshot.meta.store, snapshot.meta.generation):
                    return
            try:
                save_engine(snapshot.engine, self.path)
            except OSError as error:
                raise StoreError(
                    f"Everything is stored in {self.path}, but vectors.faiss could not be written "
                    f"({error.strerror}); searching works without it, slower to start. Then: "
                    f"ragctx index repair {self.path}"
                ) from error


@dataclass(frozen=True)
class Snapshot:
    """One state of an index, while `Index.snapshot()` holds it."""

    index: Index
    connection: sqlite3.Connection
    meta: Meta

    @cached_property
    def engine(self) -> Engine:
        """The vectors; FAISS is imported here and not before."""
        return self.index.load_engine(self)

    def nearest(self, vector: Vectors, k: int, filter: Filter) -> Scored:
        """The k best chunks for a unit vector (dim,), by inner product; ties by chunk id."""
        mask = None
        if not filter.everything:
            mask = self.engine.mask(self._documents(filter), filter.pages)
        return self.engine.nearest(vector, k, mask)

    def matching(self, expression: str, k: int, filter: Filter) -> Scored:
        """The k best chunks for an FTS5 query (`words.match_expression`), by BM25."""
        documents = self._documents(filter)
        return store.search_words(self.connection, expression, k, documents, filter.pages)

    def hits(self, scored: Scored) -> list[Hit]:
        """Hits with their chunks and documents, ranked from 1 in the order given."""
        found = store.read_chunks(self.connection, [row for row, _ in scored])
        return [
            Hit(
                rank=rank,
                score=score,
                chunk=found[row][0],
                document=_name_of(found[row][1]),
                path=found[row][1],
            )
            for rank, (row, score) in enumerate(scored, 1)
        ]

    def _documents(self, filter: Filter) -> set[int] | None:
        """Rows of the documents the filter names; None for all."""
        if not filter.documents:
            return None
        ids = matching_ids(filter.documents, store.read_sources(self.connection))
        return store.read_document_rows(self.connection, ids)


class IndexWriter:
    """Writes to an index, one transaction per call. Made by `Index.writer()`."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, dim: int) -> None:
        self._connection = connection
        self._folder = folder
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
        """Store a document under `path`, in place of what `path` held before.

        A document (by id) that several paths hold is stored once, as it was put last. `vectors` is
        float32 (n, dim) with unit rows, row i for `chunks[i]`. `recipe` says how chunks and vectors
        were made; callers compare it to see whether a source is up to date.

        Raises:
            InputError: chunks, vectors and document do not fit together.
        """
        require_sound(path, document, chunks, vectors, self._dim)
        try:
            with self._change() as connection:
                store.put_document(
                    connection,
                    path=path,
                    document=document,
                    chunks=chunks,
                    vectors=vectors,
                    recipe=recipe,
                )
        except sqlite3.IntegrityError as error:
            raise InputError(
                f"{path!r} cannot be stored ({error}): one of its chunk ids belongs to another "
                "document. Make ids of the document's id and offsets, as chunk_document does."
            ) from error

    def alias(self, path: str, document_id: str, *, recipe: str) -> bool:
        """Let `path` hold a document that is stored already; False if it is not, in this recipe."""
        with self._change() as connection:
            row = store.find_document(connection, document_id, recipe)
            if row is not None:
                store.map_source(connection, path, row)
        return row is not None

    def remove(self, path_or_id: str) -> int:
        """Forget a path, or a document's id with all its paths; how many paths were forgotten.

        A document goes when its last path goes.
        """
        with self._change() as connection:
            return store.remove_sources(connection, path_or_id)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with explained(self._folder), transaction(self._connection):
            before = self._connection.total_changes
            yield self._connection
            if self._connection.total_changes != before:
                store.count_change(self._connection)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _name_of(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
