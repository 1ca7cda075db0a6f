"""The 0/1 knapsack: which items have the largest summed value within a budget, solved exactly.

Items are given as two equally long lists of whole numbers, what each costs and what its value is; a
selection is a set of their indices. Of several best selections the result is the one that comes
first when selections are compared in the order of the items, as words are in a dictionary. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def best_subset(costs: Sequence[int], values: Sequence[int], budget: int) -> set[int]:
    """The selection of the largest value that fits. Items of value 0 are left out.

    Most items are settled before the dynamic programme runs: where deciding against the fractional
    solution on an item would bring the bound below what a good selection already has, every optimum
    agrees with the fractional solution on it (Dembo and Hammer 1980). Only the few others, the
    core, go through the programme.

    >>> sorted(best_subset([90, 50, 50, 50], [10, 9, 8, 7], 100))
    [1, 2]
    """
    relaxed = relax(costs, values, budget)
    if relaxed.breaking is None:
        return set(relaxed.whole)
    cost, value = costs[relaxed.breaking], values[relaxed.breaking]
    # slack: (bound - value of a good selection) x cost of the breaking item, so that all numbers
    # stay whole. Deciding against the fractional solution on item i costs, in the same unit,
    # |values[i] x cost - value x costs[i]|.
    slack = (relaxed.value - _good_value(costs, values, relaxed, budget)) * cost
    slack += value * relaxed.left
    core = [i for i in sorted(relaxed.order) if abs(values[i] * cost - value * costs[i]) <= slack]
    settled = set(relaxed.whole).difference(core)
    left = budget - sum(costs[i] for i in settled)
    programme = Programme([costs[i] for i in core], [values[i] for i in core], left)
    return settled | {core[j] for j in programme.chosen(left)}


_AROUND_BREAK = 16
"""Items on either side of the break among which a good selection is sought: enough to come close to
the optimum, few enough to cost little. Chosen by hand."""


class Relaxed(NamedTuple):
    """The best selection if one item, the breaking one, might be cut at any point."""

    whole: list[int]  # the items taken whole
    breaking: int | None  # None if every item that could ever fit is taken whole
    value: int  # of those taken whole
    left: int  # of the budget, for the breaking item
    order: list[int]  # the items that could fit at all, by value per cost, highest first
    bound: int  # no selection has a larger value (Dantzig 1957); rounded down, as values are whole


def relax(costs: Sequence[int], values: Sequence[int], budget: int) -> Relaxed:
    """Fill the budget by value per cost, cutting the item that breaks it.

    >>> relax([90, 50, 50, 50], [10, 9, 8, 7], 120).bound
    19
    """
    ratios = [value / (cost or FREE) for cost, value in zip(costs, values, strict=True)]
    order = [i for i, value in enumerate(values) if value > 0 and costs[i] <= budget]
    order.sort(key=ratios.__getitem__, reverse=True)
    left, total = budget, 0
    for place, i in enumerate(order):
        if costs[i] > left:
            bound = total + values[i] * left // costs[i]
            return Relaxed(
                whole=order[:place], breaking=i, value=total, left=left, order=order, bound=bound
            )
        left -= costs[i]
        total += values[i]
    return Relaxed(whole=order, breaking=None, value=total, left=left, order=order, bound=total)


FREE = 1e-9
"""What an item that costs nothing counts as costing in a ratio: it comes before all others."""


def _good_value(costs: Sequence[int], values: Sequence[int], relaxed: Relaxed, budget: int) -> int:
    """The value of a good selection: the best that differs from the relaxed one around its break.

    (Balas and Zemel 1980: of items sorted by value per cost, the optimum changes few but those.)
    """
    middle = len(relaxed.whole)
    sure = relaxed.order[: max(0, middle - _AROUND_BREAK)]
    open_items = relaxed.order[len(sure) : middle + _AROUND_BREAK]
    left = budget - sum(costs[i] for i in sure)
    programme = Programme([costs[i] for i in open_items], [values[i] for i in open_items], left)
    return sum(values[i] for i in sure) + int(programme.best[-1])


class Programme:
    """The dynamic programme: what is best under every budget up to a limit, in one pass.

    Time n x limit; memory n x limit / 8 bytes; budgets in units of the costs' greatest common
    divisor. It runs from the last item to the first and takes an item on ties, so that reading the
    solution back, from the first item on, gives of all optima the first in the order of the items.
    """

    def __init__(self, costs: Sequence[int], values: Sequence[int], limit: int) -> None:
        self.unit = math.gcd(*costs) or 1
        self.costs = [cost // self.unit for cost in costs]
        size = min(limit // self.unit, sum(self.costs)) + 1
        self.best: NDArray[np.int64] = np.zeros(size, dtype=np.int64)
        """best[w]: the largest value that fits in w units."""
        self._takes: list[NDArray[np.uint8]] = []  # for each item: one bit a budget, 1 if taken
        with_it, take = np.empty_like(self.best), np.empty(size, dtype=np.bool_)
        for cost, value in zip(reversed(self.costs), reversed(values), strict=True):
            cost = min(cost, size)
            np.add(self.best[: size - cost], value, out=with_it[cost:])
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
