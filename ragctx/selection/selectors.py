"""Which candidates fit: three ways to choose, and a ledger that tells why. Pure: no I/O, no model.

Each selector takes hits, their costs in tokens and the room for passages in tokens. More room helps
each of them, in its own sense (each sense is a test):

- `prefix`: the selections are nested, so their summed relevance never falls.
- `knapsack`: the summed relevance, with repeated text counted once, is the largest possible where
  no chosen passage repeats another, so there it never falls; elsewhere it is close to the largest
  possible (`Selection.gap` tells how close).
- `fill`: the selection is the best by rank, compared as words are in a dictionary: at the first
  rank where two selections differ, it is the one with more room that takes the candidate. Its *sum*
  may fall: a large chunk of rank 1 that at last fits can push out two smaller ones.

Relevance is a candidate's score on a scale where the best is 1 (`relevances`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from ragctx.errors import InputError
from ragctx.records import Hit, LedgerOutcome, Selection
from ragctx.selection.candidates import Candidate, candidates_of, ledger_row
from ragctx.selection.packing import relax
from ragctx.selection.redundancy import best_distinct_subset
from ragctx.selection.relevance import RELEVANCE_UNIT

Selector: TypeAlias = Callable[[Sequence[Hit], Sequence[int], int], Selection]
"""`(hits, costs, room_tokens) -> Selection`; hits[i] costs costs[i] tokens in the prompt."""


def fill(hits: Sequence[Hit], costs: Sequence[int], room_tokens: int) -> Selection:
    """Take candidates in rank order, skip those that do not fit, go on to fill the gap.

    Args:
        hits: the candidates, in any order; their ranks decide.
        costs: tokens that each costs in the prompt, e.g. from `passage_costs`.
        room_tokens: room for all passages together, e.g. from `room_for_passages`.

    Raises:
        InputError: there are not as many costs as hits, or a cost or the room is negative.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> selection = fill(hits, [60, 50, 40], 100)
    >>> [hit.rank for hit in selection.selected], selection.used_tokens
    ([1, 3], 100)
    >>> selection.ledger[1].reason
    'does not fit: costs 50 tokens, 40 left'
    """
    return select_by(hits, costs, room_tokens, _fill)


def prefix(hits: Sequence[Hit], costs: Sequence[int], room_tokens: int) -> Selection:
    """Take candidates in rank order and stop at the first that does not fit.

    Arguments and errors as for `fill`.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> selection = prefix(hits, [60, 50, 40], 100)
    >>> [hit.rank for hit in selection.selected], selection.ledger[2].reason
    ([1], 'stopped: the chunk of rank 2 did not fit')
    """
    return select_by(hits, costs, room_tokens, _prefix)


def knapsack(hits: Sequence[Hit], costs: Sequence[int], room_tokens: int) -> Selection:
    """Take the candidates whose summed relevance is the largest that fits.

    Text that several of them repeat counts once (`selection.redundancy`), so a near-duplicate adds
    little. Exact, with `upper_bound == relevance`, where no two chosen passages share a run of
    words; then, of several best selections, it is the best by rank. Elsewhere `Selection.gap`
    bounds what is missing. Arguments and errors as for `fill`.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3)]
    >>> [hit.rank for hit in knapsack(hits, [60, 60, 40], 100).selected]
    [1, 3]
    >>> hits = [Hit.from_text(rank, 10 - rank, text) for rank, text in enumerate("AAB", 1)]
    >>> [hit.rank for hit in knapsack(hits, [50, 50, 50], 100).selected]
    [1, 3]
    """
    return select_by(hits, costs, room_tokens, _knapsack)


SELECTORS: Mapping[str, Selector] = MappingProxyType(
    {"fill": fill, "prefix": prefix, "knapsack": knapsack}
)
"""The selectors by name."""


def as_selector(select: str | Selector) -> Selector:
    """`select`, looked up if it is a name.

    >>> as_selector("knapsack").__name__
    'knapsack'
    """
    if callable(select):
        return select
    if select not in SELECTORS:
        raise InputError(
            f"select is {select!r}. Valid: {', '.join(SELECTORS)}, or a function "
            "that gives a Selection."
        )
    return SELECTORS[select]


# ---- From hits to a selection ----------------------------------------------------------------

Verdict: TypeAlias = tuple[bool, str]
"""Whether a candidate is taken, and why."""


class Choice(NamedTuple):
    """What a rule decides."""

    verdicts: list[Verdict]  # for each candidate
    value: float  # of the taken candidates together, in units of 1 / RELEVANCE_UNIT
    bound: float  # no selection that fits has a larger value


Rule: TypeAlias = Callable[[Sequence[Candidate], int], Choice]
"""Candidates in rank order, and the room in tokens -> what becomes of each candidate."""


def select_by(hits: Sequence[Hit], costs: Sequence[int], room_tokens: int, rule: Rule) -> Selection:
    """A selection by a rule of your own. Arguments and errors as for `fill`.

    >>> def nothing(candidates, room_tokens):
    ...     return Choice([(False, "out of spite")] * len(candidates), 0, 0)
    >>> select_by([Hit.from_text(1, 0.9, "text")], [60], 100, nothing).ledger[0].reason
    'out of spite'
    """
    check_room(room_tokens)
    candidates, repeats = candidates_of(hits, costs)
    choice = rule(candidates, room_tokens)
    selected: list[Candidate] = []
    ledger = []
    for candidate, (is_taken, reason) in zip(candidates, choice.verdicts, strict=True):
        if is_taken:
            selected.append(candidate)
        outcome: LedgerOutcome = "selected" if is_taken else "dropped"
        ledger.append(ledger_row(candidate.hit, candidate.cost, outcome, reason))
    for repeat in repeats:
        reason = f"the same chunk as rank {repeat.first_rank}"
        ledger.append(ledger_row(repeat.hit, repeat.cost, "dropped", reason))
    ledger.sort(key=lambda row: row.rank)
    return Selection(
        selected=tuple(candidate.hit for candidate in selected),
        tokens=tuple(candidate.cost for candidate in selected),
        ledger=tuple(ledger),
        used_tokens=sum(candidate.cost for candidate in selected),
        room_tokens=room_tokens,
        upper_bound=choice.bound / RELEVANCE_UNIT,
        relevance=choice.value / RELEVANCE_UNIT,
    )


def check_room(room_tokens: int) -> None:
    """Raise InputError if the room is negative."""
    if room_tokens < 0:
        raise InputError(f"room_tokens is {room_tokens}. Give 0 or more.")


# ---- The three rules -------------------------------------------------------------------------


def _fill(candidates: Sequence[Candidate], room_tokens: int) -> Choice:
    free = room_tokens
    verdicts = []
    for candidate in candidates:
        verdicts.append(_verdict(candidate, free))
        if candidate.cost <= free:
            free -= candidate.cost
    return _summed(candidates, verdicts, room_tokens)


def _prefix(candidates: Sequence[Candidate], room_tokens: int) -> Choice:
    free = room_tokens
    verdicts: list[Verdict] = []
    for candidate in candidates:
        verdicts.append(_verdict(candidate, free))
        if candidate.cost > free:
            stopped = (False, f"stopped: the chunk of rank {candidate.hit.rank} did not fit")
            verdicts += [stopped] * (len(candidates) - len(verdicts))
            break
        free -= candidate.cost
    return _summed(candidates, verdicts, room_tokens)


def _knapsack(candidates: Sequence[Candidate], room_tokens: int) -> Choice:
    best = best_distinct_subset(
        [candidate.hit.chunk.text for candidate in candidates],
        [candidate.cost for candidate in candidates],
        [candidate.value for candidate in candidates],
        room_tokens,
    )
    free = room_tokens - sum(candidates[i].cost for i in best.chosen)
    verdicts = []
    for i, candidate in enumerate(candidates):
        repeated = f"{100 * best.repeated[i]:.0f} % of it stands in better ones chosen"
        remark = f"; {repeated}" if best.repeated[i] >= _REPORTED_SHARE else ""
        if i in best.chosen:
            verdicts.append((True, f"{IN_BEST_SET}{remark}"))
        elif candidate.cost <= free:
            verdicts.append((False, f"adds nothing: {repeated}"))
        else:
            verdicts.append((False, beside_chosen(candidate.cost, free) + remark))
    return Choice(verdicts, best.value, best.bound)


_REPORTED_SHARE = 0.05
"""The share of a passage repeated by others from which its reason mentions it. Chosen by hand."""

IN_BEST_SET = "in the set of most relevance that fits"
"""The reason of a candidate that an exact solution takes."""


def beside_chosen(cost: int, free_tokens: int) -> str:
    """The reason of a candidate that an exact solution leaves out."""
    return f"does not fit beside the chosen: costs {cost} tokens, {free_tokens} left"


def _verdict(candidate: Candidate, free: int) -> Verdict:
    if candidate.cost <= free:
        return True, f"fits: {free - candidate.cost} tokens left after it"
    return False, f"does not fit: costs {candidate.cost} tokens, {free} left"


def _summed(candidates: Sequence[Candidate], verdicts: list[Verdict], room_tokens: int) -> Choice:
    """The choice with these verdicts: its summed value, and the bound of the relaxed knapsack."""
    values = [candidate.value for candidate in candidates]
    value = sum(
        candidate.value
        for candidate, (is_taken, _) in zip(candidates, verdicts, strict=True)
        if is_taken
    )
    bound = relax([candidate.cost for candidate in candidates], values, room_tokens).bound
    return Choice(verdicts, value, bound)
