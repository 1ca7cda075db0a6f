"""What a search asks of an index, wherever it is kept: the folder of `index` is one answer.

Another kind of index has these methods, with these promises; `retrieval.search` takes it then. Rows
are numbers that name chunks within one state of one index, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ragctx.index.filters import Filter
from ragctx.records import Chunk, Document, Hit

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.snapshot import Scored
    from ragctx.index.store import SourceInfo


class SearchableIndex(Protocol):
    """An index, or one state of it that is held already."""

    @property
    def path(self) -> Path:
        """Where it is, for messages."""
        ...

    @property
    def embedder(self) -> str:
        """The id of the embedder that made the vectors."""
        ...

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        ...

    def snapshot(self) -> AbstractContextManager[IndexState]:
        """What it holds now; whatever a writer does meanwhile, the block sees one state."""
        ...


class IndexState(SearchableIndex, Protocol):
    """What an index holds at one moment; good for the block of `SearchableIndex.snapshot`."""

    def sources(self) -> tuple[SourceInfo, ...]:
        """Every file the index knows, sorted by path."""
        ...

    def document(self, document_id: str) -> Document | None:
        """The document with its pages, or None."""
        ...

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """A document's chunks in document order; empty if it is not in the index."""
        ...

    def nearest(self, vector: Vectors, k: int, filter: Filter) -> Scored:
        """The k best chunks for a unit vector (dim,), by inner product; ties by chunk id."""
        ...

    def matching(self, expression: str, k: int, filter: Filter) -> Scored:
        """The k best chunks for what `fts_query.match_expression` gives, by BM25; ties by id."""
        ...

    def hits(self, scored: Scored) -> list[Hit]:
        """The chunks and documents of scored rows, ranked from 1 in the order given."""
        ...

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of chunks by their rows."""
        ...

    def chunks_by_row(self, rows: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by their rows."""
        ...

    def vectors_of(self, chunk_ids: Sequence[str]) -> Vectors:
        """The vectors of chunks, float32 (n, dim), row i for `chunk_ids[i]`.

        Raises InputError for a chunk that is not there, or has no vector yet.
        """
        ...

    # ---- What waits for its vectors; an index that stores whole documents only has nothing -----

    @property
    def is_complete(self) -> bool:
        """Whether every document has all of its vectors."""
        ...

    def kept_vectors(self, rows: Iterable[int]) -> dict[int, Vectors]:
        """The vectors, by row, that chunks of documents have that do not have all of theirs."""
        ...

    def waiting_rows(self, filter: Filter) -> list[int]:
        """The chunks whose documents do not have all of their vectors, by chunk id."""
        ...

    def waiting_among_ids(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Those of some chunks whose documents do not have all of their vectors: rows by id."""
        ...

    def waiting_among(self, expression: str, k: int, filter: Filter) -> Scored:
        """`matching`, of the chunks whose documents do not have all of their vectors."""
        ...
