"""The best selection for every number of tokens at once: what more tokens would buy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragctx.errors import InputError
from ragctx.records import Hit, Selection
from ragctx.selection.candidates import Candidate, candidates_of
from ragctx.selection.packing import Programme
from ragctx.selection.relevance import RELEVANCE_UNIT
from ragctx.selection.selectors import (
    IN_BEST_SET,
    Choice,
    beside_chosen,
    check_room,
    select_by,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The best selections for 0 to `limit_tokens` tokens of passages, from one pass.

    Relevance is summed as if passages never repeated each other; where they do, `knapsack`, which
    counts repeated text once, may choose otherwise.
    """

    hits: tuple[Hit, ...]
    costs: tuple[int, ...]
    limit_tokens: int
    _programme: Programme = field(repr=False)

    def select(self, room_tokens: int) -> Selection:
        """The selection of most summed relevance that fits; of equal ones the best by rank.

        Raises:
            InputError: the room is negative or above the limit.
        """
        if room_tokens > self.limit_tokens:
            raise InputError(
                f"room_tokens is {room_tokens}, above the frontier's limit of "
                f"{self.limit_tokens}. Make one with a higher limit: frontier(hits, costs, "
                f"{room_tokens})."
            )
        return select_by(self.hits, self.costs, room_tokens, self._choose)

    def steps(self) -> Iterator[tuple[int, float]]:
        """(tokens, summed relevance) wherever that many tokens buy more than one token fewer.

        >>> hits = [Hit.from_text(rank, 3 - rank, f"text {rank}") for rank in (1, 2)]
        >>> [(tokens, round(best, 2)) for tokens, best in frontier(hits, [9, 4], 20).steps()]
        [(0, 0.0), (4, 0.01), (9, 1.0), (13, 1.01)]
        """
        best, unit = self._programme.best, self._programme.unit
        yield 0, float(best[0]) / RELEVANCE_UNIT
        for units in np.flatnonzero(np.diff(best)) + 1:
            yield int(units) * unit, float(best[units]) / RELEVANCE_UNIT

    def sampled(self, most: int) -> list[tuple[int, float]]:
        """`steps`, thinned to the last in each of `most` equal parts of the range from 0 to limit.

        >>> hits = [Hit.from_text(rank, 3 - rank, f"text {rank}") for rank in (1, 2)]
        >>> [tokens for tokens, _ in frontier(hits, [9, 4], 20).sampled(2)]
        [9, 13]
        """
        last_in_part = {
            tokens * most // (self.limit_tokens + 1): (tokens, relevance)
            for tokens, relevance in self.steps()
        }
        return list(last_in_part.values())

    def _choose(self, candidates: Sequence[Candidate], room_tokens: int) -> Choice:
        chosen = self._programme.chosen(room_tokens)
        left = room_tokens - sum(candidates[i].cost for i in chosen)
        verdicts = [
            (True, IN_BEST_SET) if i in chosen else (False, beside_chosen(candidate.cost, left))
            for i, candidate in enumerate(candidates)
        ]
        value = sum(candidates[i].value for i in chosen)
        return Choice(verdicts, value, value)


def frontier(hits: Sequence[Hit], costs: Sequence[int], limit_tokens: int) -> Frontier:
    """Solve the knapsack for every number of tokens up to a limit, in one pass.

    Arguments and errors as for `selectors.fill`. Time is that of `limit_tokens` times `len(hits)`
    cheap additions: 25 ms of CPU for 1,000 hits and 32,000 tokens (`benchmarks.assemble`).

    >>> hits = [Hit.from_text(rank, 10 - rank, f"text {rank}") for rank in (1, 2, 3, 4)]
    >>> best = frontier(hits, [90, 50, 50, 50], 200)
    >>> [[hit.rank for hit in best.select(tokens).selected] for tokens in (50, 90, 100, 150)]
    [[2], [1], [2, 3], [1, 2]]
    """
    check_room(limit_tokens)
    candidates, _ = candidates_of(hits, costs)
    programme = Programme(
        [candidate.cost for candidate in candidates],
        [candidate.value for candidate in candidates],
        limit_tokens,
    )
    return Frontier(
        hits=tuple(hits), costs=tuple(costs), limit_tokens=limit_tokens, _programme=programme
    )
