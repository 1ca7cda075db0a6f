"""Laws of the cut: what is dropped is below the floor, and is said to be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.records import Hit
from ragctx.selection.floors import DROP, at_least, cut_below, keep_best, near_best

scores = st.none() | st.floats()
some_hits = st.lists(st.tuples(scores, st.none() | st.floats(-1, 1)), max_size=8).map(
    lambda drawn: [
        replace(Hit.from_text(rank, score, f"text {rank}"), similarity=similarity)
        for rank, (score, similarity) in enumerate(drawn, 1)
    ]
)
floors = st.floats(allow_nan=False).map(at_least) | st.just(near_best)


@given(some_hits, floors, st.randoms())
def test_every_candidate_stays_or_is_in_the_ledger_with_its_cost(
    hits: list[Hit], floor: object, rng: object
) -> None:
    costs = [10 * hit.rank for hit in hits]
    cut = cut_below(hits[::-1], costs[::-1], floor)  # type: ignore[arg-type]
    kept = [hit.rank for hit in cut.hits]
    gone = [row.rank for row in cut.ledger]
    assert kept == sorted(kept) and gone == sorted(gone)
    assert sorted(kept + gone) == [hit.rank for hit in hits]
    assert cut.costs == tuple(10 * rank for rank in kept)
    assert [row.tokens for row in cut.ledger] == [10 * rank for rank in gone]
    assert all(row.outcome == "dropped" and row.reason for row in cut.ledger)


@given(some_hits, st.floats(allow_nan=False))
def test_a_floor_drops_what_is_below_it_and_what_has_no_score(
    hits: list[Hit], least: float
) -> None:
    kept = {hit.rank for hit in cut_below(hits, [1] * len(hits), at_least(least)).hits}
    for hit in hits:
        reaches = hit.score is not None and not math.isnan(hit.score) and hit.score >= least
        assert (hit.rank in kept) == reaches


@given(some_hits)
def test_near_best_keeps_the_best_and_all_within_reach_of_it(hits: list[Hit]) -> None:
    kept = {hit.rank for hit in cut_below(hits, [1] * len(hits), near_best).hits}
    known = [hit.similarity for hit in hits if hit.similarity is not None]
    for hit in hits:
        far = hit.similarity is not None and hit.similarity < max(known) - DROP
        assert (hit.rank in kept) == (not far)


def test_candidates_of_another_retriever_are_not_judged_by_similarity() -> None:
    hits = [Hit.from_text(rank, score, "text") for rank, score in ((1, 30.0), (2, 0.1))]
    assert len(cut_below(hits, [1, 1], near_best).hits) == 2


@given(some_hits, st.integers(1, 9))
def test_the_best_few_by_rank_are_kept(hits: list[Hit], most: int) -> None:
    cut = keep_best(hits[::-1], [1] * len(hits), most)
    assert [hit.rank for hit in cut.hits] == list(range(1, min(most, len(hits)) + 1))


def test_limits_without_meaning_are_refused() -> None:
    with pytest.raises(InputError, match="max_chunks is 0"):
        keep_best([], [], 0)
    with pytest.raises(InputError, match="min_score is nan"):
        at_least(math.nan)


def test_the_reasons_tell_a_person_what_happened() -> None:
    hits = [
        Hit.from_text(1, 0.9, "a"),
        Hit.from_text(2, -0.123456, "b"),
        Hit.from_text(3, None, ""),
    ]  # type: ignore[arg-type]
    assert [row.reason for row in cut_below(hits, [1, 1, 1], at_least(0)).ledger] == [
        "score -0.1235 is below the floor of 0",
        "no score, and the floor is 0",
    ]
    alike = [
        replace(hit, similarity=value) for hit, value in zip(hits, (0.8, 0.6, 0.5), strict=True)
    ]
    assert [row.reason for row in cut_below(alike, [1, 1, 1], near_best).ledger] == [
        "similarity 0.50 is below 0.55, the best less 0.25",
    ]
