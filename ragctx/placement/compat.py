"""The orders in which other packages put passages, as those packages really do it.

They are for comparing with what you run today, not for choosing: two of them put the best passage
first or last depending on whether the count is odd. Checked by `benchmarks.peers.placement` against
langchain-community 0.4.2, llama-index-core 0.14.25, haystack-ai 3.4.1, llmlingua 0.2.2 and AutoRAG
0.3.27.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ragctx.placement.orders import edges, edges_end
from ragctx.records import Hit

T = TypeVar("T")


def langchain(hits: Sequence[T]) -> tuple[T, ...]:
    """`LongContextReorder` of LangChain: the best is first of an odd count, last of an even one.

    >>> langchain([1, 2, 3, 4, 5]), langchain([1, 2, 3, 4, 5, 6])
    ((1, 3, 5, 4, 2), (2, 4, 6, 5, 3, 1))
    """
    return edges(hits) if len(hits) % 2 else edges_end(hits)


def llama_index(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """`LongContextReorder` of LlamaIndex: LangChain's order, of the hits sorted by score.

    A missing score (None) counts as 0 there, which makes it the best where scores are negative,
    like those of cross-encoders. Of equal scores the later hit counts as the better.

    >>> scores = (-0.5, -3.0, None)
    >>> hits = [Hit.from_text(rank, score, "text") for rank, score in enumerate(scores, start=1)]
    >>> [hit.rank for hit in llama_index(hits)]
    [3, 2, 1]
    """

    def score_there(hit: Hit) -> float:
        score: float | None = hit.score
        return 0 if score is None else score

    return langchain(sorted(hits, key=score_there)[::-1])


def haystack(hits: Sequence[T]) -> tuple[T, ...]:
    """`LostInTheMiddleRanker` of Haystack, without its threshold in words: `edges`, 1 3 5 6 4 2."""
    return edges(hits)


def llmlingua(hits: Sequence[T]) -> tuple[T, ...]:
    """`reorder_context="two_stage"` of LLMLingua: `edges`, 1 3 5 6 4 2."""
    return edges(hits)


def autorag(hits: Sequence[T]) -> tuple[T, ...]:
    """`long_context_reorder` of AutoRAG, without the copy it appends: `best_first`, 1 2 3 4 5 6.

    AutoRAG does not reorder. It repeats the best-scored passage at the end (1 2 3 4 5 6 1), which
    costs that passage's tokens twice and is not a permutation; the note of `place` tells so.
    """
    return tuple(hits)
