"""Cut the best passage that did not fit at the end of a sentence, so that it fits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ragctx.records import Chunk, Hit, LedgerRow, Selection
from ragctx.selection.packing import relax
from ragctx.selection.relevance import RELEVANCE_UNIT, fixed_point_relevances
from ragctx.text.sentences import sentence_spans

LEAST_TOKENS = 32
"""Tokens of text. A shorter piece is hardly more than a heading, and its label would cost as much.
Chosen by hand."""

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
    """Add as many first sentences as fit of the best ranked candidate that did not fit whole.

    What is kept is the document's own text between the offsets of the new chunk; the outcome in the
    candidate's ledger row is "trimmed". Of its relevance the share of its tokens that is kept
    counts. The selection comes back unchanged if nothing was too long, or if what would fit is
    shorter than `least_tokens`.

    Args:
        selection: what a selector gave for `hits` and `costs`.
        hits: the candidates that the selector was given.
        costs: tokens that each costs in the prompt.
        count: tokens of a text, e.g. `tokenizer.count`, in the same tokens as the costs.
        page_of: for the exact pages of the piece; without it they are those of the whole chunk.
        least_tokens: a piece with fewer tokens of text is not added.

    >>> from ragctx.selection.selectors import fill
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts early. It is soft. It is white.", "metals.pdf")]
    >>> selection = trim_to_fit(fill(hits, [41], 30), hits, [41], len, least_tokens=9)
    >>> selection.selected[0].chunk.text, selection.ledger[0].reason
    ('Tin melts early. It is soft.', 'cut to its first 2 of 3 sentences: 28 of 41 tokens')
    """
    left = selection.room_tokens - selection.used_tokens
    values = fixed_point_relevances([hit.score for hit in hits])
    too_long = _best_too_long(selection, hits, costs, left)
    if too_long is None:
        return selection
    hit, cost = hits[too_long], costs[too_long]
    header = cost - count(hit.chunk.text)
    piece = _longest_piece(hit.chunk, left - header, count, max(1, least_tokens))
    if piece is None:
        return selection
    tokens = piece.tokens + header
    reason = f"cut to its first {piece.kept} of {piece.of} sentences: {tokens} of {cost} tokens"
    chunk = _cut_chunk(hit.chunk, piece, page_of)
    relevance = selection.relevance + values[too_long] * tokens / cost / RELEVANCE_UNIT
    bound = relax(costs, values, selection.room_tokens).bound / RELEVANCE_UNIT
    return replace(
        _with_hit(selection, replace(hit, chunk=chunk), tokens),
        ledger=tuple(_trimmed(row, hit, tokens, reason) for row in selection.ledger),
        relevance=relevance,
        upper_bound=max(bound, relevance),
    )


class _Piece(NamedTuple):
    """The first sentences of a chunk: `chunk.text[start:end]`."""

    start: int
    end: int
    tokens: int
    kept: int  # how many sentences …
    of: int  # … of how many


def _best_too_long(
    selection: Selection, hits: Sequence[Hit], costs: Sequence[int], left: int
) -> int | None:
    """The index of the best ranked hit that was dropped for its length; None without one."""
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
    chunk: Chunk, left: int, count: Callable[[str], int], least: int
) -> _Piece | None:
    """The most sentences of at least `least` and at most `left` tokens; None if there are none."""
    spans = sentence_spans(chunk.text)
    for kept in range(len(spans) - 1, 0, -1):
        start, end = spans[0][0], spans[kept - 1][1]
        tokens = count(chunk.text[start:end])
        if tokens < least:
            return None
        if tokens <= left:
            return _Piece(start=start, end=end, tokens=tokens, kept=kept, of=len(spans))
    return None


def _cut_chunk(chunk: Chunk, piece: _Piece, page_of: PageOf | None) -> Chunk:
    start, end = chunk.start + piece.start, chunk.start + piece.end
    first_page, last_page = chunk.first_page, chunk.last_page
    if page_of is not None:
        first_page = page_of(chunk.document_id, start)
        last_page = page_of(chunk.document_id, end - 1)
    return Chunk(
        id=f"{chunk.document_id}:{start}-{end}",
        document_id=chunk.document_id,
        start=start,
        end=end,
        first_page=first_page,
        last_page=last_page,
        text=chunk.text[piece.start : piece.end],
        token_count=piece.tokens,
        title=chunk.title,
        section=chunk.section,
        lead_in=chunk.lead_in,
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
