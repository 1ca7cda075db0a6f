"""The index on disk: one folder that holds an SQLite database and, made from it, segments.

    index = Index.open_or_create(Path("indexes/default"), embedder=embedder)
    with index.writer() as writer:              # one at a time, by lock
        writer.put(path, document, chunks, vectors, recipe="…")   # one transaction
    index.document(document_id)                 # readers never wait
    with index.snapshot() as snapshot:          # several reads of one and the same state
        snapshot.hits(snapshot.nearest(vector, k=5, filter=Filter()))

An `Index` may be used by several threads: every call opens a connection of its own and closes it.
A snapshot and a writer belong to the thread that opened them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.cards import card, clipped, line
from ragctx.errors import InputError, StoreError
from ragctx.index import store, waiting
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
from ragctx.index.protocol import SearchableIndex
from ragctx.index.sealing import SEAL_ROWS, Sealer
from ragctx.index.snapshot import IndexInfo, Snapshot
from ragctx.index.store import SourceInfo
from ragctx.records import Chunk, Document
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.engine import Engine
    from ragctx.index.lexicon import Lexicon

_ALL = 2**62
"""More chunks than a document has."""


class Index:
    """An index folder, for reading; `writer()` for writing."""

    def __init__(self, path: Path, meta: Meta | None = None) -> None:
        if meta is None:  # what comes to mind first
            raise InputError(f"open an index with Index.open({str(path)!r})")
        self.path = path
        self.embedder = meta.embedder
        self.dim = meta.dim
        self.lease: object = None  # what has to live as long as this, see `index.cache`
        self._engine: Engine | None = None
        self._lexicon: tuple[Engine, Lexicon | None] | None = None
        self._spoiled: set[str] = set()  # names of segments that are damaged
        self._engine_lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[Path], Index], tuple[Path]]:
        """A copy, in another process too, opens the folder again."""
        return Index.open, (self.path,)

    def __repr__(self) -> str:
        return line("Index", repr(str(self.path)), f"embedder {clipped(self.embedder)}")

    def _repr_html_(self) -> str:
        try:
            sources = self.sources()
        except StoreError as error:
            return card(str(self.path), (str(error),))
        pages, chunks = sum(s.pages for s in sources), sum(s.chunks for s in sources)
        counts = (counted(len(sources), "document"), counted(pages, "page"))
        facts = (*counts, counted(chunks, "passage"), f"embedder {self.embedder}")
        return card(str(self.path), facts, ((source.path, "") for source in sources))

    # ---- Opening -----------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path, *, embedder: Embedder | None = None) -> Index:
        """The index in the folder `path`.

        Raises:
            IndexMissingError: there is none.
            IndexMismatchError: it was made by another embedder, dimension or format version.
            IndexDamagedError: its database cannot be read.
        """
        folder = _folder(path)
        if embedder is not None:
            _require_embedder(embedder)
        with reading(folder) as connection:
            meta = read_meta(connection, folder)
        if embedder is not None:
            require_same_embedder(folder, (meta.embedder, meta.dim), (embedder.id, embedder.dim))
        return cls(folder, meta)

    @classmethod
    def create(cls, path: str | Path, *, embedder: Embedder) -> Index:
        """A new index; the folder is created if need be.

        Raises:
            StoreError: there is an index already, or the folder cannot be written.
        """
        folder = _folder(path)
        if folder.is_dir() and holds_index(folder):
            raise StoreError(
                f"There is an index in {folder} already. Use Index.open_or_create, or another path."
            )
        return cls.open_or_create(folder, embedder=embedder)

    @classmethod
    def open_or_create(cls, path: str | Path, *, embedder: Embedder) -> Index:
        """The index in `path`, created if there is none. Raises what `open` and `create` raise."""
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
    def snapshot(self) -> Iterator[Snapshot]:
        """What the index holds now; whatever a writer does meanwhile, the block sees one state.

        Raises:
            IndexMismatchError: the folder holds another index by now.
            IndexMissingError, IndexDamagedError: as for `open`.
        """
        with reading(self.path) as connection:
            meta = read_meta(connection, self.path)
            self._require_same(meta)
            yield Snapshot(
                path=self.path,
                meta=meta,
                connection=connection,
                load_engine=self._load_engine,
                load_lexicon=self._load_lexicon,
            )

    def sources(self) -> tuple[SourceInfo, ...]:
        """Every file the index knows, sorted by path."""
        with self.snapshot() as snapshot:
            return snapshot.sources()

    def document(self, document_id: str) -> Document | None:
        """The document with its pages, or None. Of several paths, `path` is the first by name."""
        with self.snapshot() as snapshot:
            return snapshot.document(document_id)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """A document's chunks in document order; empty if the document is not in the index."""
        with self.snapshot() as snapshot:
            return snapshot.chunks(document_id)

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        """The vectors of chunks, as `Snapshot.vectors_of` gives them."""
        with self.snapshot() as snapshot:
            return snapshot.vectors_of(chunk_ids)

    def info(self) -> IndexInfo:
        """The index in numbers."""
        with self.snapshot() as snapshot:
            return snapshot.info()

    def compact(self) -> None:
        """Put everything into one segment, without what was deleted; searches are fastest then.

        Raises:
            IndexLockedError: another writer is at work.
            StoreError: there is no room; the index is as it was.
        """
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
    def writer(self) -> Iterator[IndexWriter]:
        """Hold the index's lock and write; at the end what was stored is put into a segment.

        Raises:
            IndexLockedError: another writer is at work.
        """
        if not (self.path / DATABASE).is_file():
            raise missing(self.path)
        with write_lock(self.path), writing(self.path) as connection:
            meta = read_meta(connection, self.path)
            self._require_same(meta)
            writer = IndexWriter(connection, self.path, self.dim)
            yield writer
            writer.seal()

    def _require_same(self, meta: Meta) -> None:
        """Raise IndexMismatchError if the folder holds another index by now."""
        require_same_embedder(self.path, (meta.embedder, meta.dim), (self.embedder, self.dim))


class IndexWriter:
    """Writes to an index, one transaction per call. Made by `Index.writer()`."""

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
        """Store a document under `path`, in place of what `path` held before.

        A document (by id) that several paths hold is stored once, as it was put last. `vectors` is
        float32 (n, dim) with unit rows, row i for `chunks[i]`. `recipe` describes how chunks and
        vectors were made; callers compare it to see whether a source is up to date.

        Raises:
            InputError: chunks, vectors and document do not fit together.
        """
        require_storable(path, document, chunks)
        require_vectors(chunks, vectors, self._dim)
        self._put(path, document, chunks, vectors, recipe=recipe)
        self._count(len(chunks))

    def put_text(
        self, path: str, document: Document, chunks: Sequence[Chunk], *, recipe: str
    ) -> None:
        """Store a document as `put` does, to be found by its words; its vectors come later.

        They are given to `keep`, for the chunks that `lacking` names, and made the document's own
        by `settle`. A document without chunks has nothing to wait for.

        Raises:
            InputError: chunks and document do not fit together.
        """
        require_storable(path, document, chunks)
        self._put(path, document, chunks, None, recipe=recipe)

    def waiting_documents(self) -> set[str]:
        """The ids of the documents that do not have all of their vectors."""
        with explained(self._folder):
            return set(waiting.read_waiting_documents(self._connection))

    def lacking(self, document_id: str, limit: int = _ALL) -> dict[int, Chunk]:
        """The first chunks of a document that have no vector yet, by row, in document order."""
        with explained(self._folder):
            rows = waiting.read_lacking_rows(self._connection, document_id, limit)
            found = store.read_chunks(self._connection, rows)
            return {row: found[row][0] for row in rows}

    def count_lacking(self, document_id: str) -> int:
        """How many chunks of a document have no vector yet."""
        with explained(self._folder):
            return waiting.count_lacking(self._connection, document_id)

    def keep(self, vectors: Mapping[int, Vectors]) -> None:
        """Keep vectors, float32 (dim,), for chunks that wait for them, by row.

        Raises:
            InputError: one is not a unit vector of the index's dimension.
        """
        if not vectors:
            return
        require_unit_rows(np.stack(list(vectors.values())), len(vectors), self._dim)
        with explained(self._folder), transaction(self._connection):
            waiting.keep(self._connection, vectors)

    def settle(self, document_id: str) -> bool:
        """Make the vectors kept for a document its own, in one step, if all are there.

        Returns whether it has them all now. A kept vector that is damaged is forgotten.
        """
        with self._change() as connection:
            is_settled = store.settle_document(connection, document_id, self._dim)
        if is_settled:
            self._count(store.count_chunks(self._connection, document_id))
        return is_settled

    def sources(
        self, *, path: str | None = None, document_id: str | None = None
    ) -> tuple[SourceInfo, ...]:
        """The files the index knows, this writer's changes included, sorted by path.

        Only those of one path, or of one document, where that is named.
        """
        with explained(self._folder):
            return store.read_sources(self._connection, path=path, document_id=document_id)

    def alias(self, path: str, document_id: str, *, recipe: str) -> bool:
        """Let `path` hold a document that is stored already.

        Returns False, and changes nothing, if the document is not stored or by another recipe.
        """
        with self._change() as connection:
            row = store.find_document(connection, document_id, recipe)
            if row is not None:
                store.map_source(connection, path, row)
        return row is not None

    def move(self, old: str, new: str) -> None:
        """Let the path `new` hold the document that `old` held; nothing if `old` held none."""
        with self._change() as connection:
            store.move_source(connection, old, new)

    def remember(self, recipe: str) -> None:
        """Record how documents are to be made from now on; what is stored does not change."""
        with explained(self._folder), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('recipe', ?)", (recipe,))

    def remove(self, *paths_or_ids: str) -> int:
        """Remove paths, or all paths of documents' ids; returns how many were removed.

        A document is deleted with its last path. All go in one transaction.
        """
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
        """Put everything into one segment; see `Index.compact`."""
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


def as_index(index: str | Path | SearchableIndex, embedder: Embedder) -> SearchableIndex:
    """`index`, opened if it is a path; the embedder is checked too.

    Raises:
        InputError: it is no index and no path, or `embedder` is none.
        IndexMissingError, IndexMismatchError, IndexDamagedError: as for `Index.open`.
    """
    _require_embedder(embedder)
    if isinstance(index, str | Path):
        return Index.open(index, embedder=embedder)
    if not hasattr(index, "snapshot"):
        return Index.open(_folder(index), embedder=embedder)  # refuses it
    return index


def _require_embedder(embedder: object) -> None:
    from ragctx.embedding import require_embedder

    require_embedder(embedder)


def _folder(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"the path of an index is a text or a Path, not a {type(path).__name__}")
    return Path(path)
