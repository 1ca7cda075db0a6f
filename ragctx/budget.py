"""Which candidates fit: three ways to choose, and a ledger that says why. Pure: no I/O, no model.

A larger budget helps each of them, in its own sense (each sense is a test):

- `prefix`: the selections are nested, so their summed relevance never falls.
- `knapsack`: the summed relevance is the largest possible, so it never falls; chunks may change.
- `fill`: the selection is the best by rank, as words are ordered in a dictionary: the first rank
  in which two budgets differ is one that the larger takes. Its *sum* may fall: a large chunk of
  rank 1 that at last fits can push out two smaller ones.

Relevance is a candidate's score on a scale where the best is 1 (`relevances`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from ragctx.errors import InputError
from ragctx.records import Hit, LedgerOutcome, LedgerRow, Selection

Selector: TypeAlias = Callable[[Sequence[Hit], Sequence[int], int], Selection]
"""`(hits, costs, budget_tokens) -> Selection`; costs[i] is what hits[i] costs in the prompt."""

_ONE = 2**30  # relevance is counted in whole grains of 2**-30, so sums and ties are exact
_LEAST = _ONE // 100  # the worst real score
_MISSING = _LEAST // 2  # no score at all


def fill(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> Selection:
    """Take candidates in rank order, skip what does not fit, go on to fill the gap.

    Args:
        hits: the candidates, in any order; their ranks decide.
        costs: tokens each costs in the prompt, e.g. from `prompt.passage_costs`.
        budget_tokens: room for all passages together.

    Raises:
        InputError: lengths differ, or a cost or the budget is negative.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> selection = fill(hits, [60, 50, 40], 100)
    >>> [hit.rank for hit in selection.selected], selection.used_tokens
    ([1, 3], 100)
    >>> selection.ledger[1].reason
    'does not fit: costs 50 tokens, 40 left'
    """
    return _select(hits, costs, budget_tokens, _fill)


def prefix(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> Selection:
    """Take candidates in rank order and stop at the first that does not fit. Else as `fill`.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> selection = prefix(hits, [60, 50, 40], 100)
    >>> [hit.rank for hit in selection.selected], selection.ledger[2].reason
    ([1], 'stopped: the chunk of rank 2 did not fit')
    """
    return _select(hits, costs, budget_tokens, _prefix)


def knapsack(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> Selection:
    """Take the candidates whose summed relevance is the largest that fits. Else as `fill`.

    Exact, so `upper_bound == relevance`. Of several best selections it is the best by rank.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> [hit.rank for hit in knapsack(hits, [60, 60, 40], 100).selected]
    [1, 3]
    >>> hits = [Hit.from_text(rank, 10 - rank, f"text {rank}") for rank in (1, 2, 3, 4)]
    >>> [hit.rank for hit in knapsack(hits, [90, 50, 50, 50], 100).selected]
    [2, 3]
    """
    selection = _select(hits, costs, budget_tokens, _knapsack)
    return replace(selection, upper_bound=selection.relevance)


def relevances(hits: Sequence[Hit]) -> tuple[float, ...]:
    """What each hit is worth, in (0, 1], from its score among these hits.

    The finite scores are mapped linearly: the least to 0.01, the greatest to 1 (all equal: all 1),
    whatever their sign or scale. +inf counts as the greatest, -inf as 0.01. A missing score (None
    or NaN) counts 0.005: below every real score, negative ones included.

    >>> scores = [-0.5, -3.0, None, float("nan"), float("inf")]
    >>> hits = [Hit.from_text(rank, score, "text") for rank, score in enumerate(scores, 1)]
    >>> [round(relevance, 3) for relevance in relevances(hits)]
    [1.0, 0.01, 0.005, 0.005, 1.0]
    """
    return tuple(grains / _ONE for grains in _grains([hit.score for hit in hits]))


SELECTORS: Mapping[str, Selector] = MappingProxyType(
    {"fill": fill, "prefix": prefix, "knapsack": knapsack}
)
"""Name -> selector, for those who choose by name."""


# ---- From hits to a selection ----------------------------------------------------------------


class _Candidate(NamedTuple):
    hit: Hit
    cost: int  # tokens
    grains: int  # relevance, in units of 1 / _ONE


_Verdict: TypeAlias = tuple[bool, str]  # taken or not, and why
_Choose: TypeAlias = Callable[[Sequence[_Candidate], int], list[_Verdict]]


def _select(
    hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int, choose: _Choose
) -> Selection:
    _check(hits, costs, budget_tokens)
    pairs = sorted(zip(hits, map(int, costs), strict=True), key=lambda pair: pair[0].rank)
    first: dict[str, tuple[Hit, int]] = {}
    for pair in pairs:
        first.setdefault(pair[0].chunk.id, pair)
    grains = _grains([hit.score for hit, _ in first.values()])
    candidates = [
        _Candidate(hit, cost, worth)
        for (hit, cost), worth in zip(first.values(), grains, strict=True)
    ]
    verdicts = choose(candidates, budget_tokens)
    taken = [one for one, (fits, _) in zip(candidates, verdicts, strict=True) if fits]
    verdict_of = dict(zip(first, verdicts, strict=True))
    return Selection(
        selected=tuple(one.hit for one in taken),
        tokens=tuple(one.cost for one in taken),
        ledger=tuple(_row(pair, first[pair[0].chunk.id], verdict_of) for pair in pairs),
        used_tokens=sum(one.cost for one in taken),
        budget_tokens=budget_tokens,
        upper_bound=_fractional(candidates, budget_tokens).bound / _ONE,
        relevance=sum(one.grains for one in taken) / _ONE,
    )


def _check(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> None:
    if len(hits) != len(costs):
        raise InputError(
            f"There are {len(hits)} hits but {len(costs)} costs. Give one cost per hit: "
            "passage_costs(template, hits, tokenizer)."
        )
    if budget_tokens < 0:
        raise InputError(f"budget_tokens is {budget_tokens}. Give 0 or more.")
    if min(costs, default=0) < 0:
        raise InputError(f"A cost is {min(costs)} tokens. Costs are 0 or more.")


def _row(
    pair: tuple[Hit, int], first: tuple[Hit, int], verdict_of: dict[str, _Verdict]
) -> LedgerRow:
    hit, cost = pair
    if pair is first:
        fits, reason = verdict_of[hit.chunk.id]
    else:
        fits, reason = False, f"the same chunk as rank {first[0].rank}"
    outcome: LedgerOutcome = "selected" if fits else "dropped"
    return LedgerRow(hit.chunk.id, hit.document, hit.rank, hit.score, cost, outcome, reason)


def _grains(scores: Sequence[float | None]) -> list[int]:
    finite = [score for score in scores if score is not None and math.isfinite(score)]
    least, greatest = min(finite, default=0.0), max(finite, default=0.0)
    half_span = greatest / 2 - least / 2  # halves: 1e308 - (-1e308) is infinite

    def grains(score: float | None) -> int:
        if score is None or math.isnan(score):
            return _MISSING
        if math.isinf(score):
            return _ONE if score > 0 else _LEAST
        share = (score / 2 - least / 2) / half_span if half_span > 0 else 1.0
        return _LEAST + round(share * (_ONE - _LEAST))

    return [grains(score) for score in scores]


# ---- The three ways to choose ----------------------------------------------------------------


def _fill(candidates: Sequence[_Candidate], budget: int) -> list[_Verdict]:
    left, verdicts = budget, []
    for one in candidates:
        verdicts.append(_verdict(one, left))
        left -= one.cost if one.cost <= left else 0
    return verdicts


def _prefix(candidates: Sequence[_Candidate], budget: int) -> list[_Verdict]:
    left, verdicts = budget, []
    for i, one in enumerate(candidates):
        verdicts.append(_verdict(one, left))
        if one.cost > left:
            stopped = (False, f"stopped: the chunk of rank {one.hit.rank} did not fit")
            return verdicts + [stopped] * (len(candidates) - i - 1)
        left -= one.cost
    return verdicts


def _knapsack(candidates: Sequence[_Candidate], budget: int) -> list[_Verdict]:
    taken = _best_subset(candidates, budget)
    left = budget - sum(candidates[i].cost for i in taken)
    return [
        (True, "in the set of most relevance that fits")
        if i in taken
        else (False, f"does not fit beside the chosen: costs {one.cost} tokens, {left} left")
        for i, one in enumerate(candidates)
    ]


def _verdict(one: _Candidate, left: int) -> _Verdict:
    if one.cost <= left:
        return True, f"fits: {left - one.cost} tokens left after it"
    return False, f"does not fit: costs {one.cost} tokens, {left} left"


# ---- The knapsack ----------------------------------------------------------------------------


class _Fractional(NamedTuple):
    """The best selection if one chunk, the breaking one, might be cut at any point."""

    whole: frozenset[int]  # the candidates taken whole
    breaking: _Candidate | None  # None if all that could ever fit is taken whole
    grains: int  # of those taken whole
    left: int  # tokens left for the breaking one
    order: list[int]  # those that could fit at all, by relevance per token

    @property
    def bound(self) -> int:
        """No selection has more grains (Dantzig 1957), rounded down as grains are whole."""
        cut = self.breaking
        return self.grains + (cut.grains * self.left // cut.cost if cut else 0)


def _fractional(candidates: Sequence[_Candidate], budget: int) -> _Fractional:
    order = [i for i, one in enumerate(candidates) if one.cost <= budget]
    order.sort(key=lambda i: -candidates[i].grains / (candidates[i].cost or 1e-9))
    left, grains = budget, 0
    for place, i in enumerate(order):
        if candidates[i].cost > left:
            return _Fractional(frozenset(order[:place]), candidates[i], grains, left, order)
        left -= candidates[i].cost
        grains += candidates[i].grains
    return _Fractional(frozenset(order), None, grains, left, order)


def _best_subset(candidates: Sequence[_Candidate], budget: int) -> set[int]:
    """The exact optimum; of equal ones the best by rank.

    Candidates whose part in every optimum is certain are settled first: going against the
    fractional solution on one of them would bring the bound below what a greedy selection already
    has (Dembo and Hammer 1980). The few that remain go through the dynamic programme.
    """
    relaxed = _fractional(candidates, budget)
    cut = relaxed.breaking
    if cut is None:
        return set(relaxed.whole)
    slack = (relaxed.grains - _greedy_grains(candidates, relaxed.order, budget)) * cut.cost
    slack += cut.grains * relaxed.left  # (bound - greedy) x cost of the breaking one: whole numbers
    core = [
        i
        for i in sorted(relaxed.order)
        if abs(candidates[i].grains * cut.cost - cut.grains * candidates[i].cost) <= slack
    ]
    settled = set(relaxed.whole).difference(core)
    room = budget - sum(candidates[i].cost for i in settled)
    return settled | {core[j] for j in _dynamic_programme([candidates[i] for i in core], room)}


def _greedy_grains(candidates: Sequence[_Candidate], order: Iterable[int], budget: int) -> int:
    left, grains = budget, 0
    for i in order:
        if candidates[i].cost <= left:
            left -= candidates[i].cost
            grains += candidates[i].grains
    return grains


def _dynamic_programme(candidates: Sequence[_Candidate], room: int) -> set[int]:
    """Indices of the best subset: time n x room, memory n x room / 8 bytes, in units of the gcd.

    Runs from the last rank to the first and takes on ties, so that the walk back, from the first
    rank on, meets of all optima the best by rank.
    """
    unit = math.gcd(*(one.cost for one in candidates)) or 1
    size = min(room, sum(one.cost for one in candidates)) // unit + 1
    best = np.zeros(size, dtype=np.int64)  # best[w]: grains that fit in w units
    takes: list[np.ndarray] = []  # bit w: whether to take the candidate with w units left
    for one in reversed(candidates):
        cost = min(one.cost // unit, size)
        with_it = best[: size - cost] + one.grains
        take = np.zeros(size, dtype=np.bool_)
        np.greater_equal(with_it, best[cost:], out=take[cost:])
        np.maximum(with_it, best[cost:], out=best[cost:])
        takes.append(np.packbits(take))
    chosen, left = set(), size - 1
    for i, bits in enumerate(reversed(takes)):
        if bits[left >> 3] >> (7 - (left & 7)) & 1:
            chosen.add(i)
            left -= candidates[i].cost // unit
    return chosen
