"""The orders of other packages are what those packages do, told here step by step as they do it.

`python -m benchmarks.peers.placement` compares with the packages themselves.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.placement.strategies import place
from ragctx.records import Hit

Score = float | None


def make_hits(scores: list[Score]) -> list[Hit]:
    return [Hit.from_text(i, score, f"{i}") for i, score in enumerate(scores, 1)]  # type: ignore[arg-type]


def order(name: str, hits: list[Hit]) -> list[int]:
    return [hit.rank for hit in place(hits, name).hits]


# ---- What the packages do ----------------------------------------------------------------------


def langchain_does(ranks: list[int]) -> list[int]:
    """Worst first, each goes to the front and the back by turns, beginning with the front."""
    placed: list[int] = []
    for turn, rank in enumerate(reversed(ranks)):
        placed = [*placed, rank] if turn % 2 else [rank, *placed]
    return placed


def llama_index_does(scores: list[Score]) -> list[int]:
    """The same, after sorting by score, where none at all counts as zero."""
    ranked = sorted(range(len(scores)), key=lambda i: scores[i] or 0)
    placed: list[int] = []
    for turn, i in enumerate(ranked):
        placed.insert(len(placed) if turn % 2 else 0, i + 1)
    return placed


def haystack_does(ranks: list[int]) -> list[int]:
    """Best first, each goes into the middle; of two middles, the later."""
    placed: list[int] = []
    for rank in ranks:
        placed.insert(math.ceil(len(placed) / 2), rank)
    return placed


def llmlingua_does(ranks: list[int]) -> list[int]:
    """Those at even places, then those at odd places backwards."""
    even = [rank for place, rank in enumerate(ranks) if place % 2 == 0]
    odd = [rank for place, rank in enumerate(ranks) if place % 2 == 1]
    odd.reverse()
    return even + odd


def autorag_does(scores: list[float]) -> list[int]:
    """As they come, then the one of the best score again."""
    ranks = list(range(1, len(scores) + 1))
    best = sorted(zip(ranks, scores, strict=True), key=lambda pair: pair[1], reverse=True)[0]
    return [*ranks, best[0]]


# ---- Ours is the same --------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(40))
def test_orders_by_rank_are_those_of_the_packages(n: int) -> None:
    hits, ranks = make_hits([1 / (i + 1) for i in range(n)]), list(range(1, n + 1))
    assert order("langchain", hits) == langchain_does(ranks)
    assert order("haystack", hits) == haystack_does(ranks)
    assert order("llmlingua", hits) == llmlingua_does(ranks)


@given(st.lists(st.none() | st.sampled_from([-2.0, -0.5, 0.0, 1.0]) | st.floats(allow_nan=False)))
def test_llama_index_goes_by_score_ties_and_missing_ones_included(scores: list[Score]) -> None:
    assert order("llama_index", make_hits(scores)) == llama_index_does(scores)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_autorag_is_its_order_without_the_copy(scores: list[float]) -> None:
    placed = place(make_hits([*scores]), "autorag")
    *kept, copy = autorag_does(scores)
    assert [hit.rank for hit in placed.hits] == kept
    assert scores[copy - 1] == max(scores)
    assert placed.note == "the copy of the best passage that AutoRAG appends is left out"


# ---- What is wrong with them -------------------------------------------------------------------


def test_langchain_and_llama_index_put_the_best_last_when_the_count_is_even() -> None:
    for name in ("langchain", "llama_index"):
        assert order(name, make_hits([0.9, 0.8, 0.7, 0.6])) == [2, 4, 3, 1]
        assert order(name, make_hits([0.9, 0.8, 0.7, 0.6, 0.5])) == [1, 3, 5, 4, 2]
        assert order(name, make_hits([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])) == [2, 4, 6, 5, 3, 1]


def test_llama_index_takes_a_missing_score_for_the_best_among_negative_ones() -> None:
    assert order("llama_index", make_hits([-0.5, -3.0, None, -9.0])) == [1, 4, 2, 3]
    assert order("edges", make_hits([-0.5, -3.0, None, -9.0])) == [1, 3, 4, 2]
