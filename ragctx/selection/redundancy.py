"""Text that passages repeat: a run of words that several of them share counts once.

A passage's relevance is spread evenly over its runs of five words (`shingles`). The value of a set
of passages is the sum, over all runs, of the largest value that any passage of the set gives the
run:

    value(S) = sum over runs r of max {value(i) / runs(i) : i in S, r in i}

One passage alone has its relevance as value; one that repeats half of a better one adds half of its
own. More passages never have a smaller value, and each adds less the more there are: the function
is monotone and submodular, which bounds how far a selection can be from the best. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.selection.packing import FREE, best_subset, relax
from ragctx.selection.shingles import shared_runs

Floats = NDArray[np.float64]


class Distinct(NamedTuple):
    """A selection in which no repeated text is counted twice."""

    chosen: set[int]
    value: float
    bound: float  # no selection that fits has a larger value
    repeated: list[float]  # of each item: the share that (other) chosen items repeat, 0 to 1


def best_distinct_subset(
    texts: Sequence[str], costs: Sequence[int], values: Sequence[int], budget: int
) -> Distinct:
    """The selection of the largest value that fits, where what several texts repeat counts once.

    Exact where no text of the best selection repeats another. Else the best of three selections
    (greedy, and two knapsacks) is improved: each round solves the knapsack exactly for values that
    add up, never exceed the true ones, and agree with them on the selection of the round before,
    so no round makes it worse (Iyer, Jegelka and Bilmes 2013, "Fast semidifferential-based
    submodular function optimization"). `bound` bounds what may be missing.

    >>> best_distinct_subset(["a b c", "a b c", "x y z"], [1, 1, 1], [9, 8, 2], 2).chosen
    {0, 2}
    """
    plain = best_subset(costs, values, budget)
    total = float(sum(values[i] for i in plain))
    if Coverage([texts[i] for i in plain], [values[i] for i in plain]).is_plain:
        return Distinct(chosen=plain, value=total, bound=total, repeated=[0.0] * len(texts))
    best_among = partial(
        _best_among, plain=plain, texts=texts, costs=costs, values=values, budget=budget
    )
    likely = _likely(costs, values, _COMPARED_BUDGETS * budget)
    best = best_among(likely)
    left = budget - sum(costs[i] for i in best.chosen)
    others = set(range(len(texts))).difference(likely)
    if any(costs[i] <= left for i in others):
        best = best_among(list(range(len(texts))))
    return best


_COMPARED_BUDGETS = 4
"""Comparing texts takes time, so it is done among the likeliest candidates that four budgets would
hold, and among all only where those repeat each other so much that room is left for others. Chosen
by hand."""

_ROUNDS = 4
"""Rounds of improvement at most; most often the second finds nothing more. Chosen by hand."""

_ROUNDING = 1e-3
"""Values are whole numbers, up to 2**30 each: a gain smaller than this is a rounding error of the
shares that they are divided into."""


def _likely(costs: Sequence[int], values: Sequence[int], tokens: int) -> list[int]:
    """The items that a budget of `tokens` would hold if filled by value per cost."""
    return sorted(relax(costs, values, tokens).whole)


def _best_among(
    items: list[int],
    *,
    plain: set[int],
    texts: Sequence[str],
    costs: Sequence[int],
    values: Sequence[int],
    budget: int,
) -> Distinct:
    """The best selection found of some items, with a bound for every selection of all items.

    `items` are indices into texts, costs and values; `plain` is the best selection of all items if
    texts never repeated each other. In here a place is an index into `items`.
    """
    coverage = Coverage([texts[i] for i in items], [values[i] for i in items])
    item_costs = [costs[i] for i in items]
    starts = (
        _improve(coverage, item_costs, set(), budget),
        _greedy(coverage, item_costs, budget),
        {place for place, i in enumerate(items) if i in plain},
    )
    chosen = max(starts, key=coverage.value)
    for _ in range(_ROUNDS):
        better = _improve(coverage, item_costs, chosen, budget)
        if coverage.value(better) <= coverage.value(chosen):
            break
        chosen = better
    gains = coverage.gains_beside(chosen)
    chosen = {place for place in chosen if gains[place] > _ROUNDING}
    value = coverage.value(chosen)
    # The best selection adds to the chosen at most what each of its items, alone, adds to them.
    could_add, repeated = [*values], [0.0] * len(texts)
    for place, i in enumerate(items):
        could_add[i] = 0 if place in chosen else int(gains[place]) + 1
        repeated[i] = 1 - gains[place] / values[i]
    bound = min(sum(values[i] for i in plain), value + relax(costs, could_add, budget).bound)
    return Distinct(
        chosen={items[place] for place in chosen},
        value=value,
        bound=max(value, bound),
        repeated=repeated,
    )


class Coverage:
    """The values of some texts, and which runs of words they share.

    >>> coverage = Coverage(["a b c d e f", "a b c d e f", "x y z"], [8, 4, 6])
    >>> coverage.value([0, 1, 2]), coverage.gains([1, 2, 0])
    (14.0, [4.0, 6.0, 4.0])
    """

    def __init__(self, texts: Sequence[str], values: Sequence[int]) -> None:
        self.values = values
        owners, runs, totals = shared_runs(texts)
        self._share: Floats = np.asarray(values, dtype=np.float64) / np.maximum(1, totals)
        """(n,): the value of each run of a text"""
        counts = np.bincount(owners, minlength=len(texts))
        ends = np.cumsum(counts)
        self._runs = [runs[end - n : end] for end, n in zip(ends, counts, strict=True)]
        """of each text: the numbers of the runs that it shares"""
        self._unshared = np.asarray(values) - counts * self._share
        """(n,): the value of the runs that no other text has"""
        self._n_shared = int(runs.max(initial=-1)) + 1

    @property
    def is_plain(self) -> bool:
        """Whether no two texts share a run, so that values add up."""
        return self._n_shared == 0

    def value(self, chosen: Iterable[int]) -> float:
        """The value of the chosen texts together."""
        return float(sum(self.gains(sorted(chosen))))

    def gains(self, order: Iterable[int]) -> list[float]:
        """What each text adds to those before it."""
        best = np.zeros(self._n_shared)  # of each run: the largest value that a text gave it
        return [self._add(i, best) for i in order]

    def gains_beside(self, chosen: set[int]) -> list[float]:
        """What each text, alone, adds to the chosen; a chosen one, to those before it."""
        best = np.zeros(self._n_shared)
        gains = {i: self._add(i, best) for i in sorted(chosen)}
        return [
            gains[i] if i in gains else self._add(i, best, keep=False)
            for i in range(len(self.values))
        ]

    def adder(self) -> Callable[..., float]:
        """A function of a text's index: what it adds to those kept before; `keep` keeps it."""
        return partial(self._add, best=np.zeros(self._n_shared))

    def _add(self, i: int, best: Floats, *, keep: bool = True) -> float:
        runs = self._runs[i]
        if not len(runs):
            return float(self.values[i])
        surplus = np.maximum(0.0, self._share[i] - best[runs])
        if keep:
            best[runs] += surplus
        return float(self._unshared[i] + surplus.sum())


def _greedy(coverage: Coverage, costs: Sequence[int], budget: int) -> set[int]:
    """Choose again and again the text that adds most per token to those chosen before.

    A gain only falls as more texts are chosen, so one that is still the largest after it was
    computed again need not be compared with the others (Minoux 1978).
    """
    gain_of, left = coverage.adder(), budget
    queue = [
        (-value / (cost or FREE), i)
        for i, (value, cost) in enumerate(zip(coverage.values, costs, strict=True))
    ]
    heapify(queue)
    chosen: set[int] = set()
    while queue:
        _, i = heappop(queue)
        if costs[i] > left:
            continue
        present = -gain_of(i, keep=False) / (costs[i] or FREE)
        if queue and present > queue[0][0]:
            heappush(queue, (present, i))
            continue
        gain_of(i, keep=True)
        chosen.add(i)
        left -= costs[i]
    return chosen


def _improve(coverage: Coverage, costs: Sequence[int], chosen: set[int], budget: int) -> set[int]:
    """The best selection if each text had the value that it adds to the chosen and better ranks."""
    order = [*sorted(chosen), *(i for i in range(len(costs)) if i not in chosen)]
    values = [0] * len(costs)
    for i, gain in zip(order, coverage.gains(order), strict=True):
        values[i] = int(gain)
    return best_subset(costs, values, budget)
