"""What passages say twice: runs of words that stand in several of them count once.

A passage's relevance is spread evenly over its runs of five words (`shingles`). A set of passages
is worth, summed over all runs, what the passage that values the run most values it at:

    worth(S) = sum over runs r of max {worth(i) / runs(i) : i in S, r in i}

One passage alone is worth its relevance; one that repeats half of a better one adds half of its
own. More passages are never worth less, and each adds less the more there are: the function is
monotone and submodular, which bounds how far a selection can be from the best. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.selection.packing import best_subset, relax
from ragctx.selection.shingles import shared_runs

_ROUNDS = 4  # of improvement at most; most often the second finds nothing

Floats = NDArray[np.float64]


class Distinct(NamedTuple):
    """A selection in which nothing is paid for twice."""

    chosen: set[int]
    worth: float
    bound: float  # no selection that fits is worth more
    repeated: list[float]  # of each item, the share that stands in (other) chosen ones, 0 to 1


def best_distinct_subset(
    texts: Sequence[str], costs: Sequence[int], worths: Sequence[int], budget: int
) -> Distinct:
    """The selection of most worth that fits, counting what several texts say once.

    Exact where nothing in the best selection repeats. Else the best of three selections (greedy,
    and two knapsacks) is improved: each round solves the knapsack exactly for worths that add up
    and never exceed the true ones, and agree with them on the selection of the round before, so no
    round makes it worse (Iyer, Jegelka and Bilmes 2013, "Fast semidifferential-based submodular
    function optimization"). `bound` says what may be missing.

    >>> best_distinct_subset(["a b c", "a b c", "x y z"], [1, 1, 1], [9, 8, 2], 2).chosen
    {0, 2}
    """
    plain = best_subset(costs, worths, budget)
    total = float(sum(worths[i] for i in plain))
    if Coverage([texts[i] for i in plain], [worths[i] for i in plain]).is_plain:
        return Distinct(chosen=plain, worth=total, bound=total, repeated=[0.0] * len(texts))
    likely = _likely(costs, worths, _LOOKED_AT * budget)
    found = _best_among(
        items=likely, plain=plain, texts=texts, costs=costs, worths=worths, budget=budget
    )
    left = budget - sum(costs[i] for i in found.chosen)
    if left >= min((costs[i] for i in {*range(len(texts))}.difference(likely)), default=budget + 1):
        found = _best_among(
            items=list(range(len(texts))),
            plain=plain,
            texts=texts,
            costs=costs,
            worths=worths,
            budget=budget,
        )
    return found


_NOTHING = 1e-3  # worths are whole numbers: a smaller gain is a rounding error
_LOOKED_AT = 4  # times the budget: texts are compared among the likeliest of that many tokens, and
# among all only where those repeat each other so much that they leave room for others


def _likely(costs: Sequence[int], worths: Sequence[int], tokens: int) -> list[int]:
    """The items of most worth per cost that a budget of so many tokens would hold."""
    return sorted(relax(costs, worths, tokens).whole)


def _best_among(
    items: list[int],
    plain: set[int],
    texts: Sequence[str],
    costs: Sequence[int],
    worths: Sequence[int],
    budget: int,
) -> Distinct:
    """The best selection found of some items, and what none of all could exceed."""
    coverage = Coverage([texts[i] for i in items], [worths[i] for i in items])
    prices = [costs[i] for i in items]
    start = {place for place, i in enumerate(items) if i in plain}
    starts = _improve(coverage, prices, set(), budget), _greedy(coverage, prices, budget), start
    chosen = max(starts, key=coverage.worth)
    for _ in range(_ROUNDS):
        better = _improve(coverage, prices, chosen, budget)
        if coverage.worth(better) <= coverage.worth(chosen):
            break
        chosen = better
    gains = coverage.gains_beside(chosen)
    chosen = {place for place in chosen if gains[place] > _NOTHING}
    worth = coverage.worth(chosen)
    # The best selection adds to the chosen at most what each of its items, alone, adds to them.
    more, repeated = [*worths], [0.0] * len(texts)
    for place, i in enumerate(items):
        more[i] = 0 if place in chosen else int(gains[place]) + 1
        repeated[i] = 1 - gains[place] / worths[i]
    bound = min(sum(worths[i] for i in plain), worth + relax(costs, more, budget).bound)
    return Distinct(
        chosen={items[place] for place in chosen},
        worth=worth,
        bound=max(worth, bound),
        repeated=repeated,
    )


class Coverage:
    """What each of some texts is worth, and which runs of words they share.

    >>> coverage = Coverage(["a b c d e f", "a b c d e f", "x y z"], [8, 4, 6])
    >>> coverage.worth([0, 1, 2]), coverage.gains([1, 2, 0])
    (14.0, [4.0, 6.0, 4.0])
    """

    def __init__(self, texts: Sequence[str], worths: Sequence[int]) -> None:
        self.worths = worths
        owners, runs, totals = shared_runs(texts)
        self._share: Floats = np.asarray(worths, dtype=np.float64) / np.maximum(1, totals)
        counts = np.bincount(owners, minlength=len(texts))
        ends = np.cumsum(counts)
        self._runs = [runs[end - n : end] for end, n in zip(ends, counts, strict=True)]
        self._own = np.asarray(worths) - counts * self._share  # worth of what no other text says
        self._size = int(runs.max(initial=-1)) + 1

    @property
    def is_plain(self) -> bool:
        """Whether no two texts share a run, so that worths add up."""
        return self._size == 0

    def worth(self, chosen: Iterable[int]) -> float:
        """What the chosen are worth together."""
        return float(sum(self.gains(sorted(chosen))))

    def gains(self, order: Iterable[int]) -> list[float]:
        """What each text adds to those before it."""
        best = np.zeros(self._size)  # by run: the most it is worth so far
        return [self._add(i, best) for i in order]

    def gains_beside(self, chosen: set[int]) -> list[float]:
        """What each text, alone, adds to the chosen; a chosen one, to those before it."""
        best = np.zeros(self._size)
        gains = {i: self._add(i, best) for i in sorted(chosen)}
        return [
            gains[i] if i in gains else self._add(i, best, keep=False)
            for i in range(len(self.worths))
        ]

    def adder(self) -> Callable[..., float]:
        """A function that says what text i adds to those kept before, and with `keep` keeps it."""
        return partial(self._add, best=np.zeros(self._size))

    def _add(self, i: int, best: Floats, *, keep: bool = True) -> float:
        runs = self._runs[i]
        if not len(runs):
            return float(self.worths[i])
        surplus = np.maximum(0.0, self._share[i] - best[runs])
        if keep:
            best[runs] += surplus
        return float(self._own[i] + surplus.sum())


def _greedy(coverage: Coverage, costs: Sequence[int], budget: int) -> set[int]:
    """Whatever adds most per token to what is chosen so far, again and again.

    A gain only falls as more is chosen, so one that is still the largest when it is looked at anew
    need not be compared with the others (Minoux 1978).
    """
    gain_of, left = coverage.adder(), budget
    queue = [
        (-worth / (cost or 1e-9), i)
        for i, (worth, cost) in enumerate(zip(coverage.worths, costs, strict=True))
    ]
    heapify(queue)
    chosen: set[int] = set()
    while queue:
        _, i = heappop(queue)
        if costs[i] > left:
            continue
        again = -gain_of(i, keep=False) / (costs[i] or 1e-9)
        if queue and again > queue[0][0]:
            heappush(queue, (again, i))
            continue
        gain_of(i, keep=True)
        chosen.add(i)
        left -= costs[i]
    return chosen


def _improve(coverage: Coverage, costs: Sequence[int], chosen: set[int], budget: int) -> set[int]:
    """The best selection when each text counts for what it adds to the chosen and better ranks."""
    order = [*sorted(chosen), *(i for i in range(len(costs)) if i not in chosen)]
    gains = [0] * len(costs)
    for i, gain in zip(order, coverage.gains(order), strict=True):
        gains[i] = int(gain)
    return best_subset(costs, gains, budget)
