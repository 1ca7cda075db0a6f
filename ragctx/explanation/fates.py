"""Why a prompt has the passages it has: what became of each candidate, and what more room buys."""

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
"""Candidates for which the tokens they lack are worked out, the best ranks first. Each takes some
ten selections. Chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one candidate.

    `label` is that of the passage that contains it, or "". With `tokens_to_enter` more tokens of
    room it would be chosen whole, with one fewer it would not; None if it is chosen, if that was
    not worked out, or if no room would do.
    """

    row: LedgerRow
    hit: Hit
    label: str
    tokens_to_enter: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A prompt and what became of every candidate, in rank order."""

    prompt: Prompt
    fates: tuple[Fate, ...]
    room_tokens: int  # for passages
    used_tokens: int  # by passages
    relevance: float  # these three: see `Selection`
    upper_bound: float
    gap: float
    imitations: tuple[ImitatedLabel, ...]
    frontier: tuple[tuple[int, float], ...]  # (tokens for passages, the most relevance they buy)
    score_name: str  # what the retriever's scores are

    @property
    def one_for_each_rank(self) -> tuple[Fate, ...]:
        """The fates as they are shown to people: no rank twice.

        Passages that were merged stand in the rank of the best of them, whose own fate is theirs.
        """
        whole = {fate.row.rank for fate in self.fates if fate.row.into is None}
        return tuple(
            fate for fate in self.fates if fate.row.into is None or fate.row.rank not in whole
        )

    @property
    def next_to_enter(self) -> Fate | None:
        """The candidate that lacks the fewest tokens."""
        waiting = [fate for fate in self.fates if fate.tokens_to_enter is not None]
        return min(waiting, key=lambda fate: fate.tokens_to_enter or 0, default=None)


def explain(
    trace: Trace, hits: Sequence[Hit], select: Selector, *, score_name: str = "score"
) -> Explanation:
    """Explain what `assembly.trace` made of `hits` with `select`.

    `score_name` is what the retriever's scores are called; see `retrieval.SCORE_SCALES`.

    >>> from ragctx.assembly import Assembly, trace
    >>> from ragctx.selection.selectors import fill
    >>> from ragctx.tokens.load import load_tokenizer
    >>> hits = [Hit.from_text(rank, 1 / rank, "Tin melts. " * 9) for rank in (1, 2)]
    >>> assembly = Assembly(budget_tokens=40, template="plain")
    >>> tokenizer = load_tokenizer("bundled")
    >>> traced = trace("Why?", hits, tokenizer, context_window=512, assembly=assembly)
    >>> [(fate.label, fate.tokens_to_enter) for fate in explain(traced, hits, fill).fates]
    [('1', None), ('', 34)]
    """
    selection, prompt = trace.selection, trace.prompt
    labels = {p.hit.rank: p.label for p in prompt.passages if p.hit is not None}
    spans = {hit.chunk.id: hit.rank for hit in (*trace.candidates, *selection.selected)}
    entries = tokens_to_enter(trace, select)
    known = {(hit.rank, hit.chunk.id): hit for hit in (*trace.candidates, *hits)}
    passages = {hit.rank: hit for hit in selection.selected}  # which may be of neighbours alone

    def fate(row: LedgerRow) -> Fate:
        rank = row.rank if row.into is None else spans.get(row.into, row.rank)
        return Fate(
            row=row,
            hit=known.get((row.rank, row.chunk)) or passages[rank],
            label="" if row.outcome == "dropped" else labels.get(rank, ""),
            tokens_to_enter=entries.get((row.rank, row.chunk)),
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
        score_name=score_name,
    )


def _frontier(trace: Trace) -> tuple[tuple[int, float], ...]:
    """What fewer and more tokens buy: up to all candidates, or to `_WIDEST` times the room."""
    limit = min(sum(trace.costs), _WIDEST * trace.room_tokens)
    return tuple(frontier(trace.candidates, trace.costs, limit).sampled(_POINTS))


_WIDEST = 3
_POINTS = 60
"""Enough for a picture in which the prompt's own room is still a third. Chosen by hand."""


def tokens_to_enter(trace: Trace, select: Selector) -> Mapping[tuple[int, str], int]:
    """How many more tokens of room would let each candidate in, by (rank, chunk id).

    Every number was tried: with that many more tokens the selector takes the candidate whole, with
    one fewer it does not. It need not be the smallest such number, since a selector may take a
    candidate with some room and not with more.
    """

    @cache
    def chosen(more: int) -> frozenset[str]:
        selection = select(trace.candidates, trace.costs, trace.room_tokens + more)
        return frozenset(hit.chunk.id for hit in selection.selected)

    def enough_for(hit: Hit, cost: int) -> int | None:
        free = trace.room_tokens - trace.selection.used_tokens
        beside_chosen, beside_all = max(1, cost - free), sum(trace.costs)
        for more in (beside_chosen, beside_all):
            if hit.chunk.id in chosen(more):
                return more
        return None

    left_out = [
        (hit, cost)
        for hit, cost in zip(trace.candidates, trace.costs, strict=True)
        if hit.chunk.id not in chosen(0) and cost
    ]
    left_out.sort(key=lambda pair: pair[0].rank)
    entries = {}
    for hit, cost in left_out[:MOST_ENTRIES]:
        enough = enough_for(hit, cost)
        if enough is not None:
            entries[hit.rank, hit.chunk.id] = _entry(hit.chunk.id, chosen, enough)
    return entries


def _entry(chunk: str, chosen: Callable[[int], frozenset[str]], enough: int) -> int:
    """Bisect between 0 more tokens, too few, and `enough` for a number from which it is chosen."""
    too_few = 0
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if chunk in chosen(middle):
            enough = middle
        else:
            too_few = middle
    return enough
