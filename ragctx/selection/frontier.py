"""The best selection for every budget at once: what a larger budget would buy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragctx.errors import InputError
from ragctx.records import Hit, Selection
from ragctx.selection.packing import Programme
from ragctx.selection.relevance import GRAINS
from ragctx.selection.selectors import Candidate, Choice, select_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What one pass over the candidates found for every budget from 0 to `limit_tokens`.

    Relevance is summed: what passages say twice is not looked at, so where they repeat each other
    `budget.knapsack` may choose otherwise.
    """

    hits: tuple[Hit, ...]
    costs: tuple[int, ...]
    limit_tokens: int
    _programme: Programme = field(repr=False)

    def select(self, budget_tokens: int) -> Selection:
        """The selection of most summed relevance under a budget; of equal ones the best by rank.

        Raises:
            InputError: the budget is negative or above the limit.
        """
        if budget_tokens > self.limit_tokens:
            raise InputError(
                f"budget_tokens is {budget_tokens}, above the frontier's limit of "
                f"{self.limit_tokens}. Make one with a higher limit: frontier(hits, costs, "
                f"{budget_tokens})."
            )
        return select_by(self.hits, self.costs, budget_tokens, self._choose)

    def steps(self) -> Iterator[tuple[int, float]]:
        """(budget in tokens, summed relevance) wherever a budget first buys more than a lower one.

        >>> hits = [Hit.from_text(rank, 3 - rank, f"text {rank}") for rank in (1, 2)]
        >>> [(budget, round(best, 2)) for budget, best in frontier(hits, [9, 4], 20).steps()]
        [(0, 0.0), (4, 0.01), (9, 1.0), (13, 1.01)]
        """
        best, unit = self._programme.best, self._programme.unit
        yield 0, float(best[0]) / GRAINS
        for units in np.flatnonzero(np.diff(best)) + 1:
            yield int(units) * unit, float(best[units]) / GRAINS

    def sampled(self, most: int) -> list[tuple[int, float]]:
        """`steps`, of which at most one is kept in each of so many equal parts of the limit.

        >>> hits = [Hit.from_text(rank, 3 - rank, f"text {rank}") for rank in (1, 2)]
        >>> [budget for budget, _ in frontier(hits, [9, 4], 20).sampled(2)]
        [9, 13]
        """
        kept = {step[0] * most // (self.limit_tokens + 1): step for step in self.steps()}
        return list(kept.values())

    def _choose(self, candidates: Sequence[Candidate], budget: int) -> Choice:
        taken = self._programme.chosen(budget)
        left = budget - sum(candidates[i].cost for i in taken)
        verdicts = [
            (True, "in the set of most relevance that fits")
            if i in taken
            else (False, f"does not fit beside the chosen: costs {one.cost} tokens, {left} left")
            for i, one in enumerate(candidates)
        ]
        worth = sum(candidates[i].grains for i in taken)
        return Choice(verdicts, worth, worth)


def frontier(hits: Sequence[Hit], costs: Sequence[int], limit_tokens: int) -> Frontier:
    """Solve the knapsack for every budget up to a limit, in one pass.

    Takes about as long as that many tokens times the number of hits are cheap additions: 60 ms for
    1,000 hits and 32,000 tokens. Arguments and errors as for `budget.fill`.

    >>> hits = [Hit.from_text(rank, 10 - rank, f"text {rank}") for rank in (1, 2, 3, 4)]
    >>> best = frontier(hits, [90, 50, 50, 50], 200)
    >>> [[hit.rank for hit in best.select(budget).selected] for budget in (50, 90, 100, 150)]
    [[2], [1], [2, 3], [1, 2]]
    """
    found: list[Candidate] = []

    def see(candidates: Sequence[Candidate], budget: int) -> Choice:
        found.extend(candidates)
        return Choice([(False, "")] * len(candidates), 0, 0)

    select_by(hits, costs, limit_tokens, see)
    programme = Programme([one.cost for one in found], [one.grains for one in found], limit_tokens)
    return Frontier(
        hits=tuple(hits), costs=tuple(costs), limit_tokens=limit_tokens, _programme=programme
    )
