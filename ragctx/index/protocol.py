"""What every index can do, wherever it is kept: reading, one state of it, and writing.

`ragctx.index.folder` keeps one in a folder, `ragctx.index.postgres` in a PostgreSQL database; both
find the same passages, in the same order, with the same scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ragctx.cards import card, clipped, line
from ragctx.errors import StoreError
from ragctx.index.filters import Filter
from ragctx.records import Chunk, Document, Hit
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.address import IndexPlace
    from ragctx.index.store import SourceInfo
    from ragctx.index.waiting import Lacking

Scored = list[tuple[int, float]]
"""(chunk row, score), best first. A row names a chunk within one snapshot only."""
MOST_CHUNKS = 2**62
"""More chunks than a document has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """An index in numbers. Times are UTC, ISO 8601."""

    path: str
    documents: int
    sources: int
    pages: int
    chunks: int
    unembedded: int  # chunks without vectors, found by their words until `ragctx ingest` goes on
    bytes: int  # of all its files, or tables
    embedder: str
    dim: int
    metric: str
    format_version: int
    ragctx_version: str  # of the ragctx that created it
    created: str
    updated: str
    recipe: str | None = None  # how its documents are made, see `Snapshot.recipe`
    segments: int = 0  # files that hold its vectors and words, see docs/index-format.md
    unsealed: int = 0  # chunks with vectors that are in none of them yet
    deleted: int = 0  # chunks in them that are no longer in the index
    notes: tuple[str, ...] = ()  # what slows searches, and what to do


class SearchableIndex(Protocol):
    """What a search takes: an index, or one state of it that is held already."""

    @property
    def path(self) -> IndexPlace:
        """Where the index is."""

    @property
    def embedder(self) -> str:
        """The id of the embedder that made the vectors."""

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""

    def snapshot(self) -> AbstractContextManager[IndexState]:
        """What the index holds now; whatever a writer does meanwhile, the block sees one state."""


class IndexState(SearchableIndex, Protocol):
    """What a search asks of one state of an index."""

    def sources(self) -> tuple[SourceInfo, ...]:
        """Every file the index knows, sorted by path."""

    def document(self, document_id: str) -> Document | None:
        """The document with its pages, or None. Of several paths, `path` is the first by name."""

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """A document's chunks in document order; empty if the document is not in the index."""

    def nearest(self, vector: Vectors, k: int, filter: Filter, *, exact: bool = False) -> Scored:
        """The k best chunks for a unit vector (dim,), by inner product; ties by chunk id.

        In an index of more than some 50,000 chunks one of them may be missed now and then, unless
        `exact` is given, which compares with all of them.
        """

    def matching(self, expression: str, k: int, filter: Filter) -> Scored:
        """The k best chunks for an FTS5 query (`fts_query.match_expression`), by BM25."""

    def hits(self, scored: Scored) -> list[Hit]:
        """The chunks and documents of scored rows, ranked from 1 in the order given."""

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of chunks by their rows."""

    def chunks_by_row(self, rows: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by their rows."""

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        """The vectors of chunks, float32 (n, dim), row i for `chunk_ids[i]`.

        Raises:
            InputError: the index has no chunk of one of these ids, or no vector of it yet.
        """

    @property
    def is_complete(self) -> bool:
        """Whether every document has all of its vectors."""

    def kept_vectors(self, rows: Iterable[int]) -> dict[int, Vectors]:
        """Vectors (dim,) of chunks whose documents do not have all of theirs, by row.

        Those that have none yet are left out.
        """

    def waiting_rows(self, filter: Filter) -> list[int]:
        """The chunks whose documents do not have all of their vectors, by chunk id."""

    def waiting_among_ids(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Those of some chunks whose documents do not have all of their vectors: rows by id."""

    def waiting_among(self, expression: str, k: int, filter: Filter) -> Scored:
        """`matching`, of the chunks whose documents do not have all of their vectors."""


class Snapshot(IndexState, Protocol):
    """What an index holds at one moment; made by `snapshot()` of an index, and good for its block.

    It belongs to the thread that opened it.
    """

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """This snapshot: what takes an index takes a snapshot of it as well."""

    def sound_vectors(self, document_id: str) -> dict[str, Vectors]:
        """The vectors (dim,) of a document's chunks by their texts, as far as it has them.

        None of a damaged document.
        """

    def recipes(self) -> dict[str, str]:
        """How each document was made, by its id."""

    @property
    def recipe(self) -> str | None:
        """How documents are to be made: as was remembered, else as all of them were made."""

    def info(self) -> IndexInfo:
        """The index in numbers."""

    def lacking(self) -> Lacking:
        """How many chunks have no vector yet, and of which files."""

    def count_lacking(self, document_id: str) -> int:
        """How many chunks of a document have no vector yet."""

    def some_vectors(self, n: int) -> Vectors:
        """Vectors of the index chosen by chance, float32 (n, dim); some perhaps more than once.

        Always the same for one state. None, (0, dim), if it has none.
        """


class IndexWriter(Protocol):
    """Writes to an index, one transaction per call. Made by `writer()` of an index."""

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

    def put_text(
        self, path: str, document: Document, chunks: Sequence[Chunk], *, recipe: str
    ) -> None:
        """Store a document as `put` does, to be found by its words; its vectors come later.

        They are given to `keep`, for the chunks that `lacking` names, and made the document's own
        by `settle`. A document without chunks has nothing to wait for.

        Raises:
            InputError: chunks and document do not fit together.
        """

    def waiting_documents(self) -> set[str]:
        """The ids of the documents that do not have all of their vectors."""

    def lacking(self, document_id: str, limit: int = MOST_CHUNKS) -> dict[int, Chunk]:
        """The first chunks of a document that have no vector yet, by row, in document order."""

    def count_lacking(self, document_id: str) -> int:
        """How many chunks of a document have no vector yet."""

    def keep(self, vectors: Mapping[int, Vectors]) -> None:
        """Keep vectors, float32 (dim,), for chunks that wait for them, by row.

        Raises:
            InputError: one is not a unit vector of the index's dimension.
        """

    def settle(self, document_id: str) -> bool:
        """Make the vectors kept for a document its own, in one step, if all are there.

        Returns whether it has them all now. A kept vector that is damaged is forgotten.
        """

    def sources(
        self, *, path: str | None = None, document_id: str | None = None
    ) -> tuple[SourceInfo, ...]:
        """The files the index knows, this writer's changes included, sorted by path.

        Only those of one path, or of one document, where that is named.
        """

    def alias(self, path: str, document_id: str, *, recipe: str) -> bool:
        """Let `path` hold a document that is stored already.

        Returns False, and changes nothing, if the document is not stored or by another recipe.
        """

    def move(self, old: str, new: str) -> None:
        """Let the path `new` hold the document that `old` held; nothing if `old` held none."""

    def remember(self, recipe: str) -> None:
        """Record how documents are to be made from now on; what is stored does not change."""

    def remove(self, *paths_or_ids: str) -> int:
        """Remove paths, or all paths of documents' ids; returns how many were removed.

        A document is deleted with its last path. All go in one transaction.
        """

    def compact(self) -> None:
        """Put things in order, so that searches are fastest; see `AnyIndex.compact`."""


@runtime_checkable
class AnyIndex(Protocol):
    """An index, for reading; `writer()` for writing. It may be used by several threads.

    A snapshot and a writer belong to the thread that opened them.
    """

    embedder: str  # the id of the embedder that made the vectors
    dim: int  # how many numbers a vector has
    lease: object  # what has to live as long as this, see `index.cache`

    @property
    def path(self) -> IndexPlace:
        """Where it is; its text names it in messages and commands."""
        raise NotImplementedError

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """What the index holds now; whatever a writer does meanwhile, the block sees one state.

        Raises:
            IndexMismatchError: another index is in its place by now.
            IndexMissingError, IndexDamagedError: as for `open`.
        """
        raise NotImplementedError

    def writer(self) -> AbstractContextManager[IndexWriter]:
        """What writes to the index.

        Raises:
            IndexLockedError: another writer is at work, where only one may be.
        """
        raise NotImplementedError

    def compact(self) -> None:
        """Put what changes have left behind in order; searches are fastest then.

        Raises:
            IndexLockedError: another writer is at work.
            StoreError: there is no room; the index is as it was.
        """

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
