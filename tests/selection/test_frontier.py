"""Laws of the frontier: one pass gives what solving for each budget gives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.records import Hit
from ragctx.selection.frontier import frontier
from ragctx.selection.selectors import fill, knapsack

some_candidates = st.lists(st.tuples(st.none() | st.floats(), st.integers(0, 12)), max_size=8).map(
    lambda drawn: (
        [Hit.from_text(rank, score, f"text {rank}") for rank, (score, _) in enumerate(drawn, 1)],
        [cost for _, cost in drawn],
    )
)


@given(some_candidates, st.integers(0, 40))
def test_every_budget_gives_the_selection_of_the_knapsack(
    candidates: tuple[list[Hit], list[int]], limit: int
) -> None:
    best = frontier(*candidates, limit)
    for budget in range(0, limit + 1, 1 + limit // 8):
        assert repr(best.select(budget)) == repr(knapsack(*candidates, budget))


@given(some_candidates, st.integers(0, 40))
def test_its_steps_rise_and_say_what_each_budget_buys(
    candidates: tuple[list[Hit], list[int]], limit: int
) -> None:
    best = frontier(*candidates, limit)
    steps = list(best.steps())
    assert steps[0][0] == 0 and steps[-1][0] <= limit
    assert all(a < b and x < y for (a, x), (b, y) in pairwise(steps))
    for (budget, relevance), (following, _) in pairwise([*steps, (limit + 1, 0.0)]):
        assert best.select(budget).relevance == relevance
        assert best.select(following - 1).relevance == relevance


@given(some_candidates, st.integers(0, 40))
def test_fill_is_never_above_it(candidates: tuple[list[Hit], list[int]], limit: int) -> None:
    best = frontier(*candidates, limit)
    for budget in range(0, limit + 1, 7):
        assert fill(*candidates, budget).relevance <= best.select(budget).relevance


def test_a_budget_above_its_limit_is_refused_with_what_to_do() -> None:
    hits = [Hit.from_text(1, 0.9, "text")]
    with pytest.raises(InputError, match=r"11, above the frontier's limit of 10.*costs, 11\)"):
        frontier(hits, [5], 10).select(11)
    with pytest.raises(InputError, match="room_tokens is -1"):
        frontier(hits, [5], -1)
    with pytest.raises(InputError, match="1 hits but 2 costs"):
        frontier(hits, [5, 6], 10)
