"""The 0/1 knapsack: which items are worth most within a budget, exactly, and how much at most.

Items come as two equally long lists of whole numbers, what each costs and what it is worth; a
selection is a set of their indices. Of several best selections it is the one that is first in the
order of the items, as words are ordered in a dictionary. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def best_subset(costs: Sequence[int], worths: Sequence[int], budget: int) -> set[int]:
    """The selection of most worth that fits. Items worth nothing are left out.

    Items whose part in every optimum is certain are settled first: going against the fractional
    solution on one of them would bring the bound below what a greedy selection already has (Dembo
    and Hammer 1980). The few that remain go through the dynamic programme.

    >>> sorted(best_subset([90, 50, 50, 50], [10, 9, 8, 7], 100))
    [1, 2]
    """
    relaxed = relax(costs, worths, budget)
    if relaxed.breaking is None:
        return set(relaxed.whole)
    cost, worth = costs[relaxed.breaking], worths[relaxed.breaking]
    slack = (relaxed.worth - _good_worth(costs, worths, relaxed, budget)) * cost
    slack += worth * relaxed.left  # (bound - greedy) x cost of the breaking one: whole numbers
    core = [i for i in sorted(relaxed.order) if abs(worths[i] * cost - worth * costs[i]) <= slack]
    settled = set(relaxed.whole).difference(core)
    room = budget - sum(costs[i] for i in settled)
    programme = Programme([costs[i] for i in core], [worths[i] for i in core], room)
    return settled | {core[j] for j in programme.chosen(room)}


_NEAR = 16  # items on either side of the break


class Relaxed(NamedTuple):
    """The best selection if one item, the breaking one, might be cut at any point."""

    whole: list[int]  # the items taken whole
    breaking: int | None  # None if all that could ever fit is taken whole
    worth: int  # of those taken whole
    left: int  # budget left for the breaking one
    order: list[int]  # those that could fit at all, by worth per cost
    bound: int  # no selection is worth more (Dantzig 1957), rounded down as worths are whole


def relax(costs: Sequence[int], worths: Sequence[int], budget: int) -> Relaxed:
    """Fill the budget by worth per cost, cutting the item that breaks it.

    >>> relax([90, 50, 50, 50], [10, 9, 8, 7], 120).bound
    19
    """
    ratios = [worth / (cost or 1e-9) for cost, worth in zip(costs, worths, strict=True)]
    order = [i for i, worth in enumerate(worths) if worth > 0 and costs[i] <= budget]
    order.sort(key=ratios.__getitem__, reverse=True)
    left, total = budget, 0
    for place, i in enumerate(order):
        if costs[i] > left:
            bound = total + worths[i] * left // costs[i]
            return Relaxed(
                whole=order[:place], breaking=i, worth=total, left=left, order=order, bound=bound
            )
        left -= costs[i]
        total += worths[i]
    return Relaxed(whole=order, breaking=None, worth=total, left=left, order=order, bound=total)


def _good_worth(costs: Sequence[int], worths: Sequence[int], relaxed: Relaxed, budget: int) -> int:
    """What a good selection is worth: the best that differs from the fractional one near its break.

    (Balas and Zemel 1980: of items sorted by worth per cost, the optimum changes few but those.)
    """
    middle = len(relaxed.whole)
    sure = relaxed.order[: max(0, middle - _NEAR)]
    near = relaxed.order[len(sure) : middle + _NEAR]
    room = budget - sum(costs[i] for i in sure)
    programme = Programme([costs[i] for i in near], [worths[i] for i in near], room)
    return sum(worths[i] for i in sure) + int(programme.best[-1])


class Programme:
    """The dynamic programme: what is best under every budget up to a limit, in one pass.

    Time n x limit; memory n x limit / 8 bytes; budgets in units of the costs' greatest common
    divisor. It runs from the last item to the first and takes on ties, so that the walk back, from
    the first on, meets of all optima the first in the order of the items.
    """

    def __init__(self, costs: Sequence[int], worths: Sequence[int], limit: int) -> None:
        self.unit = math.gcd(*costs) or 1
        self.costs = [cost // self.unit for cost in costs]
        size = min(limit // self.unit, sum(self.costs)) + 1
        self.best: NDArray[np.int64] = np.zeros(size, dtype=np.int64)
        """best[w]: the most worth that fits in w units."""
        self._takes: list[NDArray[np.uint8]] = []  # item by item: whether to take it, a bit for w
        with_it, take = np.empty_like(self.best), np.empty(size, dtype=np.bool_)
        for cost, worth in zip(reversed(self.costs), reversed(worths), strict=True):
            cost = min(cost, size)
            np.add(self.best[: size - cost], worth, out=with_it[cost:])
            take[:cost] = False
            np.greater_equal(with_it[cost:], self.best[cost:], out=take[cost:])
            np.maximum(with_it[cost:], self.best[cost:], out=self.best[cost:])
            self._takes.append(np.packbits(take))
        self._takes.reverse()

    def chosen(self, budget: int) -> set[int]:
        """The indices of the best selection under `budget`, which is at most the limit."""
        left = min(budget // self.unit, len(self.best) - 1)
        taken = set()
        for i, bits in enumerate(self._takes):
            if bits[left >> 3] >> (7 - (left & 7)) & 1:
                taken.add(i)
                left -= self.costs[i]
        return taken
