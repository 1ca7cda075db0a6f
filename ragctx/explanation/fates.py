"""Why a prompt holds what it holds: every candidate's fate, and what a larger budget would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ragctx.assembly import Trace
from ragctx.prompt.imitation import ImitatedLabel, imitated_labels
from ragctx.records import Hit, LedgerRow, Prompt
from ragctx.selection.frontier import frontier
from ragctx.selection.selectors import Selector

MOST_ENTRIES = 30
"""For how many candidates it is worked out what would let them in; the best ranked come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one candidate.

    `label` is that of the passage it stands in, or "". With `tokens_to_enter` more tokens of budget
    it would be chosen whole, with one fewer it would not; None where that was not worked out, or no
    budget would do.
    """

    row: LedgerRow
    hit: Hit
    label: str
    tokens_to_enter: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A prompt and the fate of every candidate, in rank order."""

    prompt: Prompt
    fates: tuple[Fate, ...]
    room_tokens: int  # for passages
    used_tokens: int
    relevance: float
    upper_bound: float
    gap: float
    imitations: tuple[ImitatedLabel, ...]
    frontier: tuple[tuple[int, float], ...]  # (tokens for passages, the most relevance they buy)

    @property
    def next_to_enter(self) -> Fate | None:
        """The candidate that the fewest tokens more would let in."""
        waiting = [fate for fate in self.fates if fate.tokens_to_enter is not None]
        return min(waiting, key=lambda fate: fate.tokens_to_enter or 0, default=None)


def explain(trace: Trace, hits: Sequence[Hit], select: Selector) -> Explanation:
    """Explain what `assembly.trace` made of `hits` with `select`.

    >>> from ragctx.assembly import Assembly, trace
    >>> from ragctx.selection.selectors import fill
    >>> from ragctx.tokens.load import load_tokenizer
    >>> hits = [Hit.from_text(rank, 1 / rank, "Tin melts. " * 9) for rank in (1, 2)]
    >>> how = Assembly(budget_tokens=40, template="plain")
    >>> made = trace("Why?", hits, load_tokenizer("bundled"), context_window=512, assembly=how)
    >>> [(fate.label, fate.tokens_to_enter) for fate in explain(made, hits, fill).fates]
    [('1', None), ('', 34)]
    """
    selection, prompt = trace.selection, trace.prompt
    labels = {p.hit.rank: p.label for p in prompt.passages if p.hit is not None}
    spans = {hit.chunk.id: hit.rank for hit in trace.candidates}
    entries = tokens_to_enter(trace, select)
    known = {(hit.rank, hit.chunk.id): hit for hit in (*trace.candidates, *hits)}

    def fate(row: LedgerRow) -> Fate:
        rank = row.rank if row.into is None else spans.get(row.into, row.rank)
        gone = row.outcome == "dropped"
        entry = entries.get((row.rank, row.chunk))
        return Fate(
            row=row,
            hit=known[row.rank, row.chunk],
            label="" if gone else labels.get(rank, ""),
            tokens_to_enter=entry,
        )

    return Explanation(
        prompt=prompt,
        fates=tuple(map(fate, prompt.ledger)),
        room_tokens=trace.room_tokens,
        used_tokens=prompt.certificate.tokens_of("passage"),
        relevance=selection.relevance,
        upper_bound=selection.upper_bound,
        gap=selection.gap,
        imitations=imitated_labels(prompt),
        frontier=_frontier(trace),
    )


def _frontier(trace: Trace) -> tuple[tuple[int, float], ...]:
    """What less and more room would buy, up to where everything fits, but not far beyond the room.

    The last point of each sixtieth is kept: enough for a picture.
    """
    limit = min(sum(trace.costs), 3 * trace.room_tokens)
    return tuple(frontier(trace.candidates, trace.costs, limit).sampled(_POINTS))


_POINTS = 60


def tokens_to_enter(trace: Trace, select: Selector) -> Mapping[tuple[int, str], int]:
    """How many tokens more would let each candidate in, by rank and chunk id.

    Every number was tried: with that many more tokens the selector takes the candidate whole, with
    one fewer it does not. (It need not be the fewest: a selector may give a chunk up again.)
    """

    @cache
    def chosen(more: int) -> frozenset[str]:
        selection = select(trace.candidates, trace.costs, trace.room_tokens + more)
        return frozenset(hit.chunk.id for hit in selection.selected)

    def enough_for(hit: Hit, cost: int) -> int | None:
        left = trace.room_tokens - trace.selection.used_tokens
        tries = max(1, cost - left), sum(trace.costs)  # beside the chosen; beside all
        tried = (more for more in tries if hit.chunk.id in chosen(more))
        return next(tried, None)

    out = [
        (hit, cost)
        for hit, cost in zip(trace.candidates, trace.costs, strict=True)
        if hit.chunk.id not in chosen(0) and cost
    ]
    out.sort(key=lambda pair: pair[0].rank)
    entries = {}
    for hit, cost in out[:MOST_ENTRIES]:
        enough = enough_for(hit, cost)
        if enough is not None:
            entries[hit.rank, hit.chunk.id] = _first_in(hit.chunk.id, chosen, enough)
    return entries


def _first_in(chunk: str, chosen: Callable[[int], frozenset[str]], enough: int) -> int:
    """Between 0, where it is out, and `enough`, where it is in: a number at which it comes in."""
    out = 0
    while enough - out > 1:
        middle = (out + enough) // 2
        if chunk in chosen(middle):
            enough = middle
        else:
            out = middle
    return enough
