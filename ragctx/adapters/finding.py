"""What the retrievers for all frameworks share: an index that is open, and how it is searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.arguments import require_whole
from ragctx.index.index import Index, as_index
from ragctx.index.made_with import embedder_of
from ragctx.records import Hit
from ragctx.retrieval import Retriever, as_retriever, search

if TYPE_CHECKING:
    from ragctx.embedding import Embedder


class Finder:
    """Finds passages. Several threads may use it.

    `settings` are the arguments as they were given, so that a copy can be made of names.

    Raises:
        InputError: `k` is below 1, or there is no retriever of that name.
        IndexMissingError, IndexMismatchError, IndexDamagedError: as for `Index.open`.
    """

    def __init__(
        self,
        *,
        index: str | Path | Index,
        embedder: str | Path | Embedder,
        k: int,
        retriever: str | Retriever,
    ) -> None:
        require_whole("k", k, least=1)
        self.settings: dict[str, Any] = {
            "index": str(index) if isinstance(index, Path) else index,
            "embedder": str(embedder) if isinstance(embedder, Path) else embedder,
            "k": k,
            "retriever": retriever,
        }
        self._k = k
        self._retriever = as_retriever(retriever)
        self._embedder = (
            embedder_of(index, embedder) if isinstance(embedder, str | Path) else embedder
        )
        self._index = as_index(index, self._embedder)

    def __deepcopy__(self, memo: dict[int, Any]) -> Finder:
        """Itself: nothing in it changes, and a model is not copied for nothing."""
        return self

    def hits(self, question: str, k: int | None = None) -> list[Hit]:
        """The best passages for a question; `k` overrides how many.

        Raises:
            InputError: the question is blank, or `k` is below 1.
        """
        count = self._k if k is None else k
        return search(self._index, self._embedder, question, count, retriever=self._retriever)
