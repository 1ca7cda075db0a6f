"""Laws of the knapsack, against a reference that tries every subset."""

from __future__ import annotations

from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ragctx.selection.packing import Programme, best_subset, relax

Items = list[tuple[int, int]]  # (cost, value)

some_items = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=9)


def split(items: Items) -> tuple[list[int], list[int]]:
    return [cost for cost, _ in items], [value for _, value in items]


def every_subset(items: Items, budget: int) -> list[tuple[int, tuple[int, ...]]]:
    """(value, 1 or 0 for each item) of each selection that fits."""
    found = []
    for bits in product((0, 1), repeat=len(items)):
        chosen = [item for bit, item in zip(bits, items, strict=True) if bit]
        if sum(cost for cost, _ in chosen) <= budget:
            found.append((sum(value for _, value in chosen), bits))
    return found


@given(some_items, st.integers(0, 40))
def test_it_is_the_best_of_all_subsets_and_of_those_the_first(items: Items, budget: int) -> None:
    positive = [(cost, value + 1) for cost, value in items]  # an item of value 0 is never taken
    _, best = max(every_subset(positive, budget))
    chosen = best_subset(*split(positive), budget)
    assert tuple(int(i in chosen) for i in range(len(items))) == best


@given(some_items, st.integers(0, 40))
def test_items_worth_nothing_are_left_out(items: Items, budget: int) -> None:
    chosen = best_subset(*split(items), budget)
    assert all(items[i][1] > 0 for i in chosen)
    assert sum(items[i][1] for i in chosen) == max(every_subset(items, budget))[0]


@given(some_items, st.integers(0, 40))
def test_no_subset_is_worth_more_than_the_bound(items: Items, budget: int) -> None:
    relaxed = relax(*split(items), budget)
    best = max(every_subset(items, budget))[0]
    assert relaxed.value <= best <= relaxed.bound


@given(some_items, st.integers(0, 40))
def test_one_pass_is_best_under_every_budget(items: Items, limit: int) -> None:
    costs, values = split(items)
    programme = Programme(costs, values, limit)
    for budget in range(limit + 1):
        chosen = programme.chosen(budget)
        assert sum(costs[i] for i in chosen) <= budget
        assert sum(values[i] for i in chosen) == max(every_subset(items, budget))[0]


def test_many_items_are_as_good_as_a_plain_dynamic_programme_finds() -> None:
    # What is settled before the programme runs must not cost anything.
    rng = Random(0)
    for _ in range(8):
        costs = [rng.randint(20, 60) for _ in range(150)]
        values = [rng.choice([cost, rng.randint(1, 60)]) for cost in costs]
        budget = rng.randint(50, 4000)
        best = [0] * (budget + 1)
        for cost, value in zip(costs, values, strict=True):
            for room in range(budget, cost - 1, -1):
                best[room] = max(best[room], best[room - cost] + value)
        chosen = best_subset(costs, values, budget)
        assert sum(values[i] for i in chosen) == best[budget]
        assert sum(costs[i] for i in chosen) <= budget
