"""Laws of choosing what fits, against references that try every subset."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.records import Hit, Selection
from ragctx.selection.relevance import relevances
from ragctx.selection.selectors import SELECTORS, Selector, fill, knapsack, prefix

NAN = float("nan")
INF = float("inf")

any_score = st.none() | st.floats() | st.sampled_from([-0.5, -3.0, 0.25, 0.5])


@st.composite
def candidates(draw: st.DrawFn, largest: int = 8) -> tuple[list[Hit], list[int]]:
    """Hits in rank order and their costs; small numbers, so that ties are common."""
    scores = draw(st.lists(any_score, max_size=largest))
    costs = draw(st.lists(st.integers(0, 12), min_size=len(scores), max_size=len(scores)))
    return make_hits(scores), costs


def make_hits(scores: list[float | None]) -> list[Hit]:
    return [Hit.from_text(rank, score, f"text {rank}") for rank, score in enumerate(scores, 1)]  # type: ignore[arg-type]


def ranks(selection: Selection) -> list[int]:
    return [hit.rank for hit in selection.selected]


def feasible(costs: list[int], budget: int) -> list[tuple[int, ...]]:
    """Every subset that fits, as 1 (in) or 0 (out) per candidate, in rank order."""
    subsets = product((0, 1), repeat=len(costs))
    return [bits for bits in subsets if sum(map(int.__mul__, bits, costs)) <= budget]


def bits_of(selection: Selection, hits: list[Hit]) -> tuple[int, ...]:
    chosen = set(ranks(selection))
    return tuple(int(hit.rank in chosen) for hit in hits)


def value_of(bits: tuple[int, ...], hits: list[Hit]) -> float:
    return sum(bit * relevance for bit, relevance in zip(bits, relevances(hits), strict=True))


# ---- Each strategy is what it says -------------------------------------------------------------


@given(candidates(), st.integers(0, 40))
def test_knapsack_has_the_largest_relevance_of_all_subsets_and_of_those_the_best_by_rank(
    given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    best = max(feasible(costs, budget), key=lambda bits: (value_of(bits, hits), bits))
    selection = knapsack(hits, costs, budget)
    assert bits_of(selection, hits) == best
    assert selection.relevance == value_of(best, hits) == selection.upper_bound


@given(candidates(), st.integers(0, 40))
def test_fill_is_the_best_subset_by_rank(
    given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    assert bits_of(fill(hits, costs, budget), hits) == max(feasible(costs, budget))


@given(candidates(), st.integers(0, 40))
def test_prefix_is_the_longest_run_of_best_ranks_that_fits(
    given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    longest = max(n for n in range(len(hits) + 1) if sum(costs[:n]) <= budget)
    assert ranks(prefix(hits, costs, budget)) == list(range(1, longest + 1))


@given(candidates(largest=14), st.integers(0, 60))
def test_knapsack_agrees_with_a_plain_dynamic_programme(
    given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    best = [0.0] * (budget + 1)
    for cost, relevance in zip(costs, relevances(hits), strict=True):
        for room in range(budget, cost - 1, -1):
            best[room] = max(best[room], best[room - cost] + relevance)
    assert knapsack(hits, costs, budget).relevance == best[budget]


def test_knapsack_is_exact_where_every_chunk_is_worth_the_same_per_token() -> None:
    costs = [37, 41, 53, 59, 61, 67, 71, 73, 79, 83]
    hits = make_hits([float(cost) for cost in costs])
    for budget in (100, 200, 333):
        best = max(value_of(bits, hits) for bits in feasible(costs, budget))
        assert knapsack(hits, costs, budget).relevance == best


# ---- Laws all share ----------------------------------------------------------------------------


@pytest.mark.parametrize("select", SELECTORS.values())
@given(given_candidates=candidates(), budget=st.integers(0, 60))
def test_a_selection_fits_is_in_rank_order_and_below_its_bound(
    select: Selector, given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    selection = select(hits, costs, budget)
    assert selection.used_tokens == sum(selection.tokens) <= budget == selection.room_tokens
    assert ranks(selection) == sorted(ranks(selection))
    best = max(value_of(bits, hits) for bits in feasible(costs, budget))
    assert selection.relevance <= best <= selection.upper_bound


@pytest.mark.parametrize("select", SELECTORS.values())
@given(given_candidates=candidates(), budget=st.integers(0, 60), shuffler=st.randoms())
def test_a_selection_depends_on_ranks_not_on_the_order_of_arrival_and_changes_no_input(
    select: Selector, given_candidates: tuple[list[Hit], list[int]], budget: int, shuffler: Random
) -> None:
    pairs = list(zip(*given_candidates, strict=True))
    expected = select(*given_candidates, budget)
    shuffler.shuffle(pairs)
    hits, costs = [hit for hit, _ in pairs], [cost for _, cost in pairs]
    before = list(hits), list(costs)
    assert repr(select(hits, costs, budget)) == repr(expected)
    assert (hits, costs) == before


@pytest.mark.parametrize("select", SELECTORS.values())
@given(given_candidates=candidates(), budget=st.integers(0, 60))
def test_every_candidate_ends_in_the_ledger_in_rank_order_with_tokens_and_a_reason(
    select: Selector, given_candidates: tuple[list[Hit], list[int]], budget: int
) -> None:
    hits, costs = given_candidates
    selection = select(hits, costs, budget)
    assert [row.rank for row in selection.ledger] == [hit.rank for hit in hits]
    assert [row.chunk for row in selection.ledger] == [hit.chunk.id for hit in hits]
    assert [row.tokens for row in selection.ledger] == costs
    assert all(row.reason for row in selection.ledger)
    chosen = [row.rank for row in selection.ledger if row.outcome == "selected"]
    assert chosen == ranks(selection)


@pytest.mark.parametrize("select", SELECTORS.values())
def test_no_candidates_give_an_empty_selection(select: Selector) -> None:
    assert select([], [], 100) == Selection(
        selected=(),
        tokens=(),
        ledger=(),
        used_tokens=0,
        room_tokens=100,
        upper_bound=0.0,
        relevance=0.0,
    )


@pytest.mark.parametrize("select", SELECTORS.values())
def test_a_budget_of_nothing_or_one_takes_only_what_costs_no_more(select: Selector) -> None:
    hits = make_hits([0.9, 0.8, 0.7])
    assert ranks(select(hits, [2, 1, 1], 0)) == []
    assert ranks(select(hits, [0, 1, 2], 1)) == [1, 2]


@pytest.mark.parametrize("select", [fill, knapsack])
def test_a_chunk_larger_than_the_budget_does_not_keep_others_out(select: Selector) -> None:
    # One oversized first document empties LangChain's context without a word.
    selection = select(make_hits([0.9, 0.8]), [5000, 60], 100)
    assert ranks(selection) == [2]
    assert "5000" in selection.ledger[0].reason


@pytest.mark.parametrize("select", SELECTORS.values())
def test_the_chunk_that_breaches_the_budget_is_never_kept(select: Selector) -> None:
    # Haystack and RAGFlow keep it: 1,800 words on a budget of 1,000.
    assert select(make_hits([0.9, 0.8]), [600, 600], 1000).used_tokens == 600


@pytest.mark.parametrize("select", SELECTORS.values())
def test_a_chunk_that_comes_twice_is_paid_once(select: Selector) -> None:
    hit = Hit.from_text(1, 0.9, "text")
    twice = [hit, Hit(rank=2, score=0.8, chunk=hit.chunk)]
    selection = select(twice, [10, 10], 100)
    assert ranks(selection) == [1]
    assert selection.ledger[1].outcome == "dropped"
    assert selection.ledger[1].reason == "the same chunk as rank 1"


@pytest.mark.parametrize("select", SELECTORS.values())
def test_bad_arguments_are_refused_naming_the_numbers(select: Selector) -> None:
    hits = make_hits([0.9, 0.8])
    with pytest.raises(InputError, match="2 hits but 1 costs"):
        select(hits, [1], 10)
    with pytest.raises(InputError, match="room_tokens is -1"):
        select(hits, [1, 1], -1)
    with pytest.raises(InputError, match="cost is -3"):
        select(hits, [1, -3], 10)


def test_the_reasons_tell_a_person_what_happened() -> None:
    hits = make_hits([0.9, 0.8, 0.7])
    reasons = {
        select.__name__: [row.reason for row in select(hits, [60, 50, 30], 100).ledger]
        for select in (fill, prefix, knapsack)
    }
    assert reasons == {
        "fill": [
            "fits: 40 tokens left after it",
            "does not fit: costs 50 tokens, 40 left",
            "fits: 10 tokens left after it",
        ],
        "prefix": [
            "fits: 40 tokens left after it",
            "does not fit: costs 50 tokens, 40 left",
            "stopped: the chunk of rank 2 did not fit",
        ],
        "knapsack": [
            "in the set of most relevance that fits",
            "does not fit beside the chosen: costs 50 tokens, 10 left",
            "in the set of most relevance that fits",
        ],
    }


# ---- A larger budget ---------------------------------------------------------------------------


@pytest.mark.parametrize("select", [prefix, knapsack])
@given(given_candidates=candidates(), budget=st.integers(0, 60), more=st.integers(0, 20))
def test_a_larger_budget_never_lowers_the_relevance_of_prefix_and_knapsack(
    select: Selector, given_candidates: tuple[list[Hit], list[int]], budget: int, more: int
) -> None:
    small, large = (select(*given_candidates, tokens) for tokens in (budget, budget + more))
    assert small.relevance <= large.relevance
    assert small.upper_bound <= large.upper_bound


@given(candidates(), st.integers(0, 60), st.integers(0, 20))
def test_prefixes_are_nested(
    given_candidates: tuple[list[Hit], list[int]], budget: int, more: int
) -> None:
    small, large = (ranks(prefix(*given_candidates, tokens)) for tokens in (budget, budget + more))
    assert small == large[: len(small)]


@given(candidates(), st.integers(0, 60), st.integers(0, 20))
def test_a_larger_budget_never_gives_fill_a_worse_selection_by_rank(
    given_candidates: tuple[list[Hit], list[int]], budget: int, more: int
) -> None:
    hits, costs = given_candidates
    small, large = (bits_of(fill(hits, costs, tokens), hits) for tokens in (budget, budget + more))
    assert small <= large


def test_the_sum_of_fill_may_fall_when_a_better_rank_at_last_fits() -> None:
    hits, costs = make_hits([0.9, 0.8, 0.7, 0.1]), [10, 5, 4, 99]
    small, large = fill(hits, costs, 9), fill(hits, costs, 10)
    assert (ranks(small), ranks(large)) == ([2, 3], [1])
    assert small.relevance > large.relevance


# ---- Relevance ---------------------------------------------------------------------------------


@given(st.lists(any_score, max_size=12))
@example([1.7e308, -1.7e308, 5e-324, 0.0])
@example([0.0, 1.5e-305])
@example([0.0, 5e-324])
def test_relevance_keeps_the_order_of_scores_and_is_above_0_and_at_most_1(
    scores: list[float | None],
) -> None:
    values = relevances(make_hits(scores))
    assert all(0 < value <= 1 for value in values)
    real = [
        (score, value)
        for score, value in zip(scores, values, strict=True)
        if score is not None and not math.isnan(score)
    ]
    missing = [
        value
        for score, value in zip(scores, values, strict=True)
        if score is None or math.isnan(score)
    ]
    for score, value in real:
        assert all(value <= other for other_score, other in real if score <= other_score)
        assert all(nothing < value for nothing in missing)
    if any(math.isfinite(score) for score, _ in real):
        assert max(values) == 1


def test_a_missing_score_is_never_worth_more_than_a_negative_one() -> None:
    # LlamaIndex takes None for 0, which beats every negative logit of a cross-encoder.
    hits = make_hits([-0.5, -3.0, -9.0, None])
    assert relevances(hits)[3] < min(relevances(hits)[:3])
    assert ranks(knapsack(hits, [10, 10, 10, 10], 30)) == [1, 2, 3]


@pytest.mark.parametrize("scores", [[0.5, 0.5], [0.0, 0.0], [-7.0, -7.0], [INF, INF]])
def test_equal_scores_are_worth_the_same(scores: list[float | None]) -> None:
    assert relevances(make_hits(scores)) == (1.0, 1.0)


@pytest.mark.parametrize("scores", [[None, None], [NAN, None], [-INF, -INF]])
def test_without_any_finite_score_rank_decides(scores: list[float | None]) -> None:
    assert ranks(knapsack(make_hits(scores), [10, 10], 15)) == [1]


def test_relevance_does_not_depend_on_the_scale_of_scores() -> None:
    scores = [0.9, 0.4, 0.1]
    scaled = [1000 * score - 700 for score in scores]
    assert relevances(make_hits([*scores])) == relevances(make_hits([*scaled]))


@pytest.mark.parametrize("costs", ["alike", "like the scores", "various"])
def test_of_a_thousand_candidates_knapsack_has_at_least_what_fill_has(costs: str) -> None:
    scores = [math.cos(i / 1000) + (i * 7919 % 101) / 9999 for i in range(1000)]
    tokens = {
        "alike": [271] * 1000,
        "like the scores": [round(271 * score) for score in scores],
        "various": [200 + i * 7919 % 113 for i in range(1000)],
    }[costs]
    best, filled = (select(make_hits([*scores]), tokens, 32_000) for select in (knapsack, fill))
    assert filled.relevance <= best.relevance <= filled.upper_bound


def test_the_former_name_of_the_room_warns() -> None:
    selection = fill([], [], 100)
    with pytest.warns(DeprecationWarning, match="now Selection.room_tokens"):
        assert selection.budget_tokens == 100
