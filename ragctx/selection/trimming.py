"""The best passage that did not fit, cut at a sentence's end so that it does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ragctx.records import Chunk, Hit, LedgerRow, Selection
from ragctx.selection.packing import relax
from ragctx.selection.relevance import GRAINS, score_grains
from ragctx.text.sentences import sentence_spans

LEAST_TOKENS = 32
"""A shorter piece is hardly more than a heading, and not worth its label."""

PageOf = Callable[[str, int], int]
"""(document id, offset) -> number of the page that holds the character."""


def trim_to_fit(
    selection: Selection,
    hits: Sequence[Hit],
    costs: Sequence[int],
    count: Callable[[str], int],
    *,
    page_of: PageOf | None = None,
    least_tokens: int = LEAST_TOKENS,
) -> Selection:
    """Add the first sentences of the best ranked candidate that did not fit, as many as now do.

    What is kept is the document's own text, from and to where the new chunk says; the candidate's
    ledger row says "trimmed". It counts by the share of its tokens that is kept. The selection
    comes back as it is when nothing was too long, or nothing worth keeping fits.

    Args:
        selection: what a selector gave.
        hits: what the selector was given.
        costs: the same.
        count: tokens of a text, the generator's.
        page_of: to say exactly on which pages the piece stands; else its last page is the chunk's.
        least_tokens: text shorter than this is not kept.

    >>> from ragctx.selection.selectors import fill
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts early. It is soft. It is white.", "metals.pdf")]
    >>> selection = trim_to_fit(fill(hits, [41], 30), hits, [41], len, least_tokens=9)
    >>> selection.selected[0].chunk.text, selection.ledger[0].reason
    ('Tin melts early. It is soft.', 'cut to its first 2 of 3 sentences: 28 of 41 tokens')
    """
    left = selection.budget_tokens - selection.used_tokens
    worths = score_grains([hit.score for hit in hits])
    at = _best_too_long(selection, hits, costs, left)
    if at is None:
        return selection
    hit, cost = hits[at], costs[at]
    around = cost - count(hit.chunk.text)
    piece = _longest_piece(hit.chunk, left - around, count, max(1, least_tokens))
    if piece is None:
        return selection
    tokens = piece.tokens + around
    reason = f"cut to its first {piece.kept} of {piece.of} sentences: {tokens} of {cost} tokens"
    chunk = _cut_chunk(hit.chunk, piece, page_of)
    relevance = selection.relevance + worths[at] * tokens / cost / GRAINS
    bound = relax(costs, worths, selection.budget_tokens).bound / GRAINS
    return replace(
        _with_hit(selection, replace(hit, chunk=chunk), tokens),
        ledger=tuple(_trimmed(row, hit, tokens, reason) for row in selection.ledger),
        relevance=relevance,
        upper_bound=max(bound, relevance),
    )


class _Piece(NamedTuple):
    start: int  # in the chunk's text
    end: int
    tokens: int
    kept: int  # sentences
    of: int


def _best_too_long(
    selection: Selection, hits: Sequence[Hit], costs: Sequence[int], left: int
) -> int | None:
    """Where among the hits the best ranked one stands that was dropped for its length."""
    dropped = {row.rank for row in selection.ledger if row.outcome == "dropped"}
    chosen = {hit.chunk.id for hit in selection.selected}
    return min(
        (
            i
            for i, hit in enumerate(hits)
            if hit.rank in dropped and hit.chunk.id not in chosen and costs[i] > left
        ),
        key=lambda i: hits[i].rank,
        default=None,
    )


def _longest_piece(
    chunk: Chunk, room: int, count: Callable[[str], int], least: int
) -> _Piece | None:
    spans = sentence_spans(chunk.text)
    for kept in range(len(spans) - 1, 0, -1):
        start, end = spans[0][0], spans[kept - 1][1]
        tokens = count(chunk.text[start:end])
        if tokens < least:
            return None
        if tokens <= room:
            return _Piece(start=start, end=end, tokens=tokens, kept=kept, of=len(spans))
    return None


def _cut_chunk(chunk: Chunk, piece: _Piece, page_of: PageOf | None) -> Chunk:
    start, end = chunk.start + piece.start, chunk.start + piece.end
    first, last = chunk.first_page, chunk.last_page
    if page_of is not None:
        first, last = (page_of(chunk.document_id, offset) for offset in (start, end - 1))
    name = f"{chunk.document_id}:{start}-{end}"
    text = chunk.text[piece.start : piece.end]
    return Chunk(
        id=name,
        document_id=chunk.document_id,
        start=start,
        end=end,
        first_page=first,
        last_page=last,
        text=text,
        token_count=piece.tokens,
    )


def _with_hit(selection: Selection, hit: Hit, tokens: int) -> Selection:
    pairs = [*zip(selection.selected, selection.tokens, strict=True), (hit, tokens)]
    pairs.sort(key=lambda pair: pair[0].rank)
    return replace(
        selection,
        selected=tuple(hit for hit, _ in pairs),
        tokens=tuple(tokens for _, tokens in pairs),
        used_tokens=selection.used_tokens + tokens,
    )


def _trimmed(row: LedgerRow, hit: Hit, tokens: int, reason: str) -> LedgerRow:
    if (row.rank, row.chunk) != (hit.rank, hit.chunk.id):
        return row
    return row._replace(outcome="trimmed", tokens=tokens, reason=reason)
