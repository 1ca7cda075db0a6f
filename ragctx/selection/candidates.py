"""What selection chooses from, and the ledger rows that tell what became of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragctx.arguments import require_kind
from ragctx.errors import InputError
from ragctx.records import Hit, LedgerOutcome, LedgerRow
from ragctx.selection.relevance import fixed_point_relevances


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step before selection leaves over, and a ledger row for each hit that it drops."""

    hits: tuple[Hit, ...]  # in rank order
    costs: tuple[int, ...]  # tokens of hits[i] in the prompt
    ledger: tuple[LedgerRow, ...]  # of the dropped hits, in rank order


class Candidate(NamedTuple):
    """A hit that may be chosen."""

    hit: Hit
    cost: int  # tokens in the prompt
    value: int  # relevance, in units of 1 / RELEVANCE_UNIT


class Repeat(NamedTuple):
    """A hit whose chunk is already a candidate, with a better rank: it is never chosen."""

    hit: Hit
    cost: int  # tokens in the prompt
    first_rank: int  # the candidate's


def candidates_of(
    hits: Sequence[Hit], costs: Sequence[int]
) -> tuple[list[Candidate], list[Repeat]]:
    """The candidates among `hits` in rank order, one for each chunk, and the hits that repeat one.

    Args:
        hits: in any order; their ranks decide.
        costs: tokens that each hit costs in the prompt, in the order of `hits`.

    Raises:
        InputError: there are not as many costs as hits, or a cost is negative.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (2, 1)]
    >>> candidates, repeats = candidates_of(hits, [60, 50])
    >>> [(candidate.hit.rank, candidate.cost) for candidate in candidates], repeats
    ([(1, 50), (2, 60)], [])
    """
    for hit in hits:
        require_kind("one of hits", hit, Hit, "Hit.from_text makes a hit of a text")
    if len(hits) != len(costs):
        raise InputError(
            f"There are {len(hits)} hits but {len(costs)} costs. Give one cost per hit: "
            "passage_costs(template, hits, tokenizer)."
        )
    if min(costs, default=0) < 0:
        raise InputError(f"A cost is {min(costs)} tokens. Costs are 0 or more.")
    first_ranks: dict[str, int] = {}  # by chunk id: the best rank it was found at
    unique: list[tuple[Hit, int]] = []
    repeats: list[Repeat] = []
    for hit, cost in in_rank_order(hits, costs):
        if hit.chunk.id in first_ranks:
            repeats.append(Repeat(hit, int(cost), first_ranks[hit.chunk.id]))
        else:
            first_ranks[hit.chunk.id] = hit.rank
            unique.append((hit, int(cost)))
    values = fixed_point_relevances([hit.score for hit, _ in unique])
    candidates = [
        Candidate(hit, cost, value) for (hit, cost), value in zip(unique, values, strict=True)
    ]
    return candidates, repeats


def in_rank_order(hits: Sequence[Hit], costs: Sequence[int]) -> list[tuple[Hit, int]]:
    """Pairs of a hit and its cost, the best rank first; equal ranks in the order given."""
    return sorted(zip(hits, costs, strict=True), key=lambda pair: pair[0].rank)


def ledger_row(
    hit: Hit, tokens: int, outcome: LedgerOutcome, reason: str, *, into: str | None = None
) -> LedgerRow:
    """The row of a hit that costs `tokens` tokens; `into`: see `LedgerRow`."""
    return LedgerRow(
        chunk=hit.chunk.id,
        document=hit.document,
        rank=hit.rank,
        score=hit.score,
        tokens=tokens,
        outcome=outcome,
        reason=reason,
        start=hit.chunk.start,
        end=hit.chunk.end,
        into=into,
        section=hit.chunk.section,
    )
