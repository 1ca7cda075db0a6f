"""Which candidates fit: three ways to choose, and a ledger that says why. Pure: no I/O, no model.

A larger budget helps each of them, in its own sense (each sense is a test):

- `prefix`: the selections are nested, so their summed relevance never falls.
- `knapsack`: the summed relevance, what is said twice counted once, is the largest possible where
  nothing chosen repeats, so there it never falls; elsewhere it is near it (`Selection.gap`).
- `fill`: the selection is the best by rank, as words are ordered in a dictionary: the first rank
  in which two budgets differ is one that the larger takes. Its *sum* may fall: a large chunk of
  rank 1 that at last fits can push out two smaller ones.

Relevance is a candidate's score on a scale where the best is 1 (`relevances`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from ragctx.errors import InputError
from ragctx.records import Hit, LedgerOutcome, LedgerRow, Selection
from ragctx.selection.packing import relax
from ragctx.selection.redundancy import best_distinct_subset
from ragctx.selection.relevance import (
    GRAINS,
    score_grains,
)

Selector: TypeAlias = Callable[[Sequence[Hit], Sequence[int], int], Selection]
"""`(hits, costs, budget_tokens) -> Selection`; costs[i] is what hits[i] costs in the prompt."""


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
    return select_by(hits, costs, budget_tokens, _fill)


def prefix(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> Selection:
    """Take candidates in rank order and stop at the first that does not fit. Else as `fill`.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> selection = prefix(hits, [60, 50, 40], 100)
    >>> [hit.rank for hit in selection.selected], selection.ledger[2].reason
    ([1], 'stopped: the chunk of rank 2 did not fit')
    """
    return select_by(hits, costs, budget_tokens, _prefix)


def knapsack(hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int) -> Selection:
    """Take the candidates whose summed relevance is the largest that fits. Else as `fill`.

    What several of them say counts once (`redundancy`), so a near-duplicate is worth little.
    Exact, with `upper_bound == relevance`, where no two chosen passages share a run of words; then,
    of several best selections, it is the best by rank. Elsewhere `Selection.gap` bounds what is
    missing.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> [hit.rank for hit in knapsack(hits, [60, 60, 40], 100).selected]
    [1, 3]
    >>> hits = [Hit.from_text(rank, 10 - rank, text) for rank, text in enumerate("AAB", 1)]
    >>> [hit.rank for hit in knapsack(hits, [50, 50, 50], 100).selected]
    [1, 3]
    """
    return select_by(hits, costs, budget_tokens, _knapsack)


SELECTORS: Mapping[str, Selector] = MappingProxyType(
    {"fill": fill, "prefix": prefix, "knapsack": knapsack}
)
"""Name -> selector, for those who choose by name."""


# ---- From hits to a selection ----------------------------------------------------------------


class Candidate(NamedTuple):
    """A hit that may be chosen. Of several with one chunk only the best ranked is a candidate."""

    hit: Hit
    cost: int  # tokens
    grains: int  # relevance, in units of 1 / GRAINS


class Choice(NamedTuple):
    """What a way to choose says: for each candidate whether it is taken and why; and the worth."""

    verdicts: list[tuple[bool, str]]
    grains: float  # the worth of the taken
    bound: float  # in grains: no selection that fits is worth more


Choose: TypeAlias = Callable[[Sequence[Candidate], int], Choice]
"""A rule: candidates in rank order and a budget -> what becomes of each."""


def select_by(
    hits: Sequence[Hit], costs: Sequence[int], budget_tokens: int, choose: Choose
) -> Selection:
    """A selection by a rule of your own. Else as `fill`.

    >>> def nothing(candidates, budget):
    ...     return Choice([(False, "out of spite")] * len(candidates), 0, 0)
    >>> select_by([Hit.from_text(1, 0.9, "text")], [60], 100, nothing).ledger[0].reason
    'out of spite'
    """
    _check(hits, costs, budget_tokens)
    ranked = sorted(zip(hits, map(int, costs), strict=True), key=lambda pair: pair[0].rank)
    first = {pair[0].chunk.id: pair for pair in reversed(ranked)}
    pairs = [pair for pair in ranked if first[pair[0].chunk.id] is pair]
    grains = score_grains([hit.score for hit, _ in pairs])
    candidates = list(map(Candidate, *zip(*pairs, strict=True), grains)) if pairs else []
    choice = choose(candidates, budget_tokens)
    judged = zip(pairs, choice.verdicts, strict=True)
    rows = [_row(hit, cost, *verdict) for (hit, cost), verdict in judged]
    if len(pairs) < len(ranked):
        rows = _with_repeats(ranked, first, iter(rows))
    taken = [one for one, (fits, _) in zip(candidates, choice.verdicts, strict=True) if fits]
    return Selection(
        selected=tuple(one.hit for one in taken),
        tokens=tuple(one.cost for one in taken),
        ledger=tuple(rows),
        used_tokens=sum(one.cost for one in taken),
        budget_tokens=budget_tokens,
        upper_bound=choice.bound / GRAINS,
        relevance=choice.grains / GRAINS,
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


def _with_repeats(
    ranked: Sequence[tuple[Hit, int]],
    first: Mapping[str, tuple[Hit, int]],
    rows: Iterator[LedgerRow],
) -> list[LedgerRow]:
    """The rows of the candidates, and one for each hit whose chunk came at a better rank."""
    found = []
    for pair in ranked:
        before = first[pair[0].chunk.id]
        again = f"the same chunk as rank {before[0].rank}"
        found.append(next(rows) if pair is before else _row(*pair, False, again))
    return found


def _row(hit: Hit, cost: int, fits: bool, reason: str) -> LedgerRow:
    outcome: LedgerOutcome = "selected" if fits else "dropped"
    return LedgerRow(
        chunk=hit.chunk.id,
        document=hit.document,
        rank=hit.rank,
        score=hit.score,
        tokens=cost,
        outcome=outcome,
        reason=reason,
    )


# ---- The three ways to choose ----------------------------------------------------------------


def _fill(candidates: Sequence[Candidate], budget: int) -> Choice:
    left, verdicts = budget, []
    for one in candidates:
        verdicts.append(_verdict(one, left))
        left -= one.cost if one.cost <= left else 0
    return _summed(candidates, verdicts, budget)


def _prefix(candidates: Sequence[Candidate], budget: int) -> Choice:
    left, verdicts = budget, []
    for one in candidates:
        verdicts.append(_verdict(one, left))
        if one.cost > left:
            stopped = (False, f"stopped: the chunk of rank {one.hit.rank} did not fit")
            verdicts += [stopped] * (len(candidates) - len(verdicts))
            break
        left -= one.cost
    return _summed(candidates, verdicts, budget)


def _knapsack(candidates: Sequence[Candidate], budget: int) -> Choice:
    best = best_distinct_subset(
        [one.hit.chunk.text for one in candidates],
        [one.cost for one in candidates],
        [one.grains for one in candidates],
        budget,
    )
    left = budget - sum(candidates[i].cost for i in best.chosen)
    verdicts = []
    for i, one in enumerate(candidates):
        share = f"{100 * best.repeated[i]:.0f} % of it stands in better ones chosen"
        said = f"; {share}" if best.repeated[i] >= _TELLING else ""
        if i in best.chosen:
            verdicts.append((True, f"in the set of most relevance that fits{said}"))
        elif one.cost <= left:
            verdicts.append((False, f"adds nothing: {share}"))
        else:
            beside = f"does not fit beside the chosen: costs {one.cost} tokens, {left} left"
            verdicts.append((False, beside + said))
    return Choice(verdicts, best.worth, best.bound)


_TELLING = 0.05  # a smaller share of repetition is not worth a word


def _verdict(one: Candidate, left: int) -> tuple[bool, str]:
    if one.cost <= left:
        return True, f"fits: {left - one.cost} tokens left after it"
    return False, f"does not fit: costs {one.cost} tokens, {left} left"


def _summed(
    candidates: Sequence[Candidate], verdicts: list[tuple[bool, str]], budget: int
) -> Choice:
    worths = [one.grains for one in candidates]
    total = sum(worth for worth, (fits, _) in zip(worths, verdicts, strict=True) if fits)
    bound = relax([one.cost for one in candidates], worths, budget).bound
    return Choice(verdicts, total, bound)
