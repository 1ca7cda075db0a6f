"""How much a search by clusters misses: measured against comparing with every vector."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ragctx.arguments import require_whole
from ragctx.errors import InputError
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.protocol import Scored, Snapshot

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

QUESTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What was measured: the share of the true k best that a search finds, and what it takes."""

    k: int
    questions: int
    recall: float  # from 0 to 1
    search_ms: float  # median
    exact_ms: float  # median, of comparing with every vector


def measure_recall(
    index: Index, k: int = 10, *, questions: int = QUESTIONS, vectors: Vectors | None = None
) -> Recall:
    """The recall@k of an index: of the k chunks nearest to a question, the share that it finds.

    A chunk that is as near as the k-th counts as found.

    Args:
        index: with at least one vector.
        k: how many chunks.
        questions: how many are tried.
        vectors: those of the questions, float32 (questions, dim), unit rows. By default each is
            the middle between those of two chunks of the index, always the same: as far from all
            chunks as questions are, or farther.

    Raises:
        InputError: the index holds no vectors, or k or questions is less than 1.
    """
    for name, value in (("k", k), ("questions", questions)):
        require_whole(name, value)
        if value < 1:
            raise InputError(f"{name} is {value}; give at least 1")
    with index.snapshot() as snapshot:
        if vectors is None:
            vectors = _between_chunks(snapshot, questions)
        if not len(snapshot.some_vectors(1)):
            raise InputError(f"the index {index.path} holds no vectors; ingest something first")
        found, took, took_exactly = 0, [], []
        for vector in vectors:
            near, near_s = _nearest(snapshot, vector, k, exact=False)
            best, best_s = _nearest(snapshot, vector, k, exact=True)
            least = best[-1][1]
            found += sum(score >= least for _, score in near)
            took.append(near_s)
            took_exactly.append(best_s)
        wanted = len(vectors) * len(best)
    return Recall(
        k=k,
        questions=len(vectors),
        recall=found / wanted,
        search_ms=1000 * median(took),
        exact_ms=1000 * median(took_exactly),
    )


def _nearest(snapshot: Snapshot, vector: Vectors, k: int, *, exact: bool) -> tuple[Scored, float]:
    """The k nearest, and the seconds that it took to find them."""
    began = perf_counter()
    return snapshot.nearest(vector, k, Filter(), exact=exact), perf_counter() - began


def _between_chunks(snapshot: Snapshot, n: int) -> Vectors:
    """Unit vectors, float32 (n, dim), each the middle between two chunks'."""
    some = snapshot.some_vectors(2 * n)
    middle = some[: len(some) // 2] + some[len(some) // 2 :]
    lengths = np.linalg.norm(middle, axis=1, keepdims=True)
    unit: Vectors = (middle / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit
