"""An index in a folder: it holds an SQLite database and, made from it, segments.

One process writes at a time, by lock; readers never wait. An index may be used by several threads:
every call opens a connection of its own and closes it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.errors import InputError, StoreError
from ragctx.index import store, waiting
from ragctx.index.address import PostgresAddress, as_place
from ragctx.index.checks import require_storable, require_unit_rows, require_vectors
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
from ragctx.index.lock import write_lock
from ragctx.index.protocol import MOST_CHUNKS, AnyIndex, IndexWriter
from ragctx.index.sealing import SEAL_ROWS, Sealer
from ragctx.index.snapshot import FolderSnapshot
from ragctx.index.store import SourceInfo
from ragctx.records import Chunk, Document

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.engine import Engine
    from ragctx.index.lexicon import Lexicon


class FolderIndex(AnyIndex):
    """An index folder, for reading; `writer()` for writing."""

    def __init__(self, path: Path, meta: Meta) -> None:
        self._folder = path
        self.embedder = meta.embedder
        self.dim = meta.dim
        self.lease: object = None  # what has to live as long as this, see `index.cache`
        self._engine: Engine | None = None
        self._lexicon: tuple[Engine, Lexicon | None] | None = None
        self._spoiled: set[str] = set()  # names of segments that are damaged
        self._engine_lock = threading.Lock()

    @property
    def path(self) -> Path:
        return self._folder

    def __reduce__(self) -> tuple[Callable[[Path], FolderIndex], tuple[Path]]:
        """A copy, in another process too, opens the folder again."""
        return FolderIndex.open, (self.path,)

    # ---- Opening -----------------------------------------------------------------------------

    @classmethod
    def open(
        cls, path: str | Path | PostgresAddress, *, embedder: Embedder | None = None
    ) -> FolderIndex:
        """The index in the folder `path`; see `Index.open`."""
        folder = _folder(path)
        if embedder is not None:
            _require_embedder(embedder)
        with reading(folder) as connection:
            meta = read_meta(connection, folder)
        if embedder is not None:
            require_same_embedder(folder, (meta.embedder, meta.dim), (embedder.id, embedder.dim))
        return cls(folder, meta)

    @classmethod
    def create(cls, path: str | Path | PostgresAddress, *, embedder: Embedder) -> FolderIndex:
        """A new index in a folder; see `Index.create`."""
        folder = _folder(path)
        if folder.is_dir() and holds_index(folder):
            raise StoreError(
                f"There is an index in {folder} already. Use Index.open_or_create, or another path."
            )
        return cls.open_or_create(folder, embedder=embedder)

    @classmethod
    def open_or_create(
        cls, path: str | Path | PostgresAddress, *, embedder: Embedder
    ) -> FolderIndex:
        """The index in a folder, created if there is none; see `Index.open_or_create`."""
        folder = _folder(path)
        _require_embedder(embedder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be made ({error.strerror}). Choose another: "
                "--index DIR, or for the cache RAGCTX_CACHE_DIR"
            ) from error
        if not holds_index(folder):
            with write_lock(folder):
                if not holds_index(folder):  # no other process was faster
                    create_database(folder / DATABASE, embedder.id, embedder.dim)
        return cls.open(folder, embedder=embedder)

    # ---- Reading -----------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[FolderSnapshot]:
        with reading(self.path) as connection:
            meta = read_meta(connection, self.path)
            self._require_same(meta)
            yield FolderSnapshot(
                folder=self.path,
                meta=meta,
                connection=connection,
                load_engine=self._load_engine,
                load_lexicon=self._load_lexicon,
            )

    def compact(self) -> None:
        """Put everything into one segment, without what was deleted."""
        with self.writer() as writer:
            writer.compact()

    def _load_engine(self, connection: sqlite3.Connection, meta: Meta, spoiled: str = "") -> Engine:
        """What searches the state that `connection` sees; kept for the next snapshot.

        `spoiled` is the name of a segment that has shown itself to be damaged.
        """
        from ragctx.index.loading import load_engine

        with self._engine_lock:
            known = self._engine
            if known is not None and known.meta == meta and not spoiled:
                return known
            self._spoiled |= {spoiled} - {""}
            self._engine = engine = load_engine(
                connection, self.path, meta, known, spoiled=self._spoiled
            )
            return engine

    def _load_lexicon(self, connection: sqlite3.Connection, engine: Engine) -> Lexicon | None:
        """The words of what `engine` has; kept for the next snapshot."""
        from ragctx.index.loading import load_lexicon

        with self._engine_lock:
            if self._lexicon is None or self._lexicon[0] is not engine:
                known = self._lexicon[1] if self._lexicon else None
                self._lexicon = engine, load_lexicon(connection, engine, known)
            return self._lexicon[1]

    # ---- Writing -----------------------------------------------------------------------------

    @contextmanager
    def writer(self) -> Iterator[FolderWriter]:
        """Hold the index's lock and write; at the end what was stored is put into a segment.

        Raises:
            IndexLockedError: another writer is at work.
        """
        if not (self.path / DATABASE).is_file():
            raise missing(self.path)
        with write_lock(self.path), writing(self.path) as connection:
            meta = read_meta(connection, self.path)
            self._require_same(meta)
            writer = FolderWriter(connection, self.path, self.dim)
            yield writer
            writer.seal()

    def _require_same(self, meta: Meta) -> None:
        """Raise IndexMismatchError if the folder holds another index by now."""
        require_same_embedder(self.path, (meta.embedder, meta.dim), (self.embedder, self.dim))


class FolderWriter(IndexWriter):
    """Writes to an index folder; one at a time has its lock."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, dim: int) -> None:
        self._connection = connection
        self._folder = folder
        self._dim = dim
        self._stored = 0  # chunks, with their vectors
        self._sealed = 0  # of them, when segments were last brought up to date

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
        self._count(len(chunks))

    def put_text(
        self, path: str, document: Document, chunks: Sequence[Chunk], *, recipe: str
    ) -> None:
        require_storable(path, document, chunks)
        self._put(path, document, chunks, None, recipe=recipe)

    def waiting_documents(self) -> set[str]:
        with explained(self._folder):
            return set(waiting.read_waiting_documents(self._connection))

    def lacking(self, document_id: str, limit: int = MOST_CHUNKS) -> dict[int, Chunk]:
        with explained(self._folder):
            rows = waiting.read_lacking_rows(self._connection, document_id, limit)
            found = store.read_chunks(self._connection, rows)
            return {row: found[row][0] for row in rows}

    def count_lacking(self, document_id: str) -> int:
        with explained(self._folder):
            return waiting.count_lacking(self._connection, document_id)

    def keep(self, vectors: Mapping[int, Vectors]) -> None:
        if not vectors:
            return
        require_unit_rows(np.stack(list(vectors.values())), len(vectors), self._dim)
        with explained(self._folder), transaction(self._connection):
            waiting.keep(self._connection, vectors)

    def settle(self, document_id: str) -> bool:
        with self._change() as connection:
            is_settled = store.settle_document(connection, document_id, self._dim)
        if is_settled:
            self._count(store.count_chunks(self._connection, document_id))
        return is_settled

    def sources(
        self, *, path: str | None = None, document_id: str | None = None
    ) -> tuple[SourceInfo, ...]:
        with explained(self._folder):
            return store.read_sources(self._connection, path=path, document_id=document_id)

    def alias(self, path: str, document_id: str, *, recipe: str) -> bool:
        with self._change() as connection:
            row = store.find_document(connection, document_id, recipe)
            if row is not None:
                store.map_source(connection, path, row)
        return row is not None

    def move(self, old: str, new: str) -> None:
        with self._change() as connection:
            store.move_source(connection, old, new)

    def remember(self, recipe: str) -> None:
        with explained(self._folder), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('recipe', ?)", (recipe,))

    def remove(self, *paths_or_ids: str) -> int:
        with self._change() as connection:
            return sum(store.remove_sources(connection, which) for which in paths_or_ids)

    def seal(self) -> None:
        """Put what was stored into a segment, to be searched fast; `Index.writer` ends so.

        Raises:
            StoreError: there is no room for it; what was stored is.
        """
        try:
            with explained(self._folder):
                Sealer(self._connection, self._folder).seal(stored=self._stored)
        except OSError as error:
            raise _unsealed(self._folder, error) from error
        self._sealed = self._stored

    def compact(self) -> None:
        try:
            with explained(self._folder):
                Sealer(self._connection, self._folder).compact()
        except OSError as error:
            raise _unsealed(self._folder, error) from error

    def _count(self, chunks: int) -> None:
        """Note that chunks were stored, and bring segments up to date now and then."""
        self._stored += chunks
        if self._stored - self._sealed >= SEAL_ROWS:
            with suppress(StoreError):  # it is tried again at the end
                self.seal()
            self._sealed = self._stored

    def _put(
        self,
        path: str,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: Vectors | None,
        *,
        recipe: str,
    ) -> None:
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

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with explained(self._folder), transaction(self._connection):
            before = self._connection.total_changes
            yield self._connection
            if self._connection.total_changes != before:
                store.count_change(self._connection)


def _unsealed(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"Everything is stored in {folder}, but its vectors could not be put into a file of their "
        f"own ({error.strerror}); searching works without it, slower to start. Make room, then: "
        f"ragctx index compact {folder}"
    )


def _require_embedder(embedder: object) -> None:
    from ragctx.embedding import require_embedder

    require_embedder(embedder)


def _folder(path: object) -> Path:
    place = as_place(path)
    if not isinstance(place, Path):
        raise InputError(f"{place} is no folder; open it with Index.open({str(place)!r})")
    return place
