"""Join chunks that overlap or touch into spans, before any tokens are spent on them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise
from operator import attrgetter

from ragctx.errors import InputError
from ragctx.records import Chunk, Hit, LedgerRow
from ragctx.selection.candidates import ledger_row
from ragctx.selection.relevance import is_real


@dataclass(frozen=True, slots=True)
class Merge:
    """Hits after merging, in rank order, and a ledger row for each hit that a span took in.

    Unlike a `Step` it has no costs: what a span costs in the prompt is known only once it is made.
    """

    hits: tuple[Hit, ...]
    ledger: tuple[LedgerRow, ...]
    saved_tokens: int  # of the passages' texts; each passage fewer also saves its header


def merge_hits(
    hits: Sequence[Hit],
    count: Callable[[str], int],
    *,
    max_tokens: int | None = None,
    document_text: Callable[[str], str] | None = None,
) -> Merge:
    """Join chunks of one document that overlap or touch into one span, so that no text costs twice.

    A span's text is always the document's own. Overlapping chunks are joined if they agree where
    they overlap; chunks with a gap between them only if `document_text` shows that the gap is
    whitespace. The span has the best rank and score of its parts and an id of its own.

    Args:
        hits: candidates, in any order.
        count: tokens of a text, e.g. `tokenizer.count`.
        max_tokens: no span grows beyond this many tokens of text; None: no bound. Hits that are
            already longer stay as they are.
        document_text: a document's whole text by its id, e.g. `lambda id: index.document(id).text`.

    Raises:
        InputError: `max_tokens` is below 1.

    >>> text = "One two. Three four. Five."
    >>> spans = [(0, 8), (4, 20), (21, 26)]
    >>> chunks = [
    ...     Chunk(
    ...         id=f"d:{a}-{b}",
    ...         document_id="d",
    ...         start=a,
    ...         end=b,
    ...         first_page=1,
    ...         last_page=1,
    ...         text=text[a:b],
    ...         token_count=0,
    ...     )
    ...     for a, b in spans
    ... ]
    >>> hits = [Hit(rank=rank, score=1 / rank, chunk=chunk) for rank, chunk in enumerate(chunks, 1)]
    >>> [hit.chunk.text for hit in merge_hits(hits, len).hits]
    ['One two. Three four.', 'Five.']
    >>> merge_hits(hits, len, document_text=lambda _: text).hits[0].chunk.id
    'd:0-26'
    """
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}. Give 1 or more, or None for no bound.")
    ordered = sorted(hits, key=lambda hit: (hit.chunk.document_id, hit.chunk.start, -hit.chunk.end))
    merged: list[Hit] = []
    ledger: list[LedgerRow] = []
    saved = 0
    for document_id, group in groupby(ordered, key=lambda hit: hit.chunk.document_id):
        parts = list(group)
        if not any(_are_close(hit, following) for hit, following in pairwise(parts)):
            merged += parts
            continue
        text = document_text(document_id) if document_text else None
        for span, members in _spans(parts, text, count, max_tokens):
            hit, rows = _merged(span, members, count)
            saved += sum(row.tokens for row in rows)
            saved -= count(hit.chunk.text) if 1 < len(rows) == len(members) else 0
            merged.append(hit)
            ledger += rows
    return Merge(tuple(sorted(merged, key=lambda hit: hit.rank)), join_ledgers(ledger), saved)


def join_ledgers(*ledgers: Iterable[LedgerRow]) -> tuple[LedgerRow, ...]:
    """One ledger in rank order, e.g. of what was merged and what was selected after it."""
    return tuple(sorted(chain.from_iterable(ledgers), key=attrgetter("rank")))


_WIDEST_GAP = 200
"""Characters. A wider gap between two chunks is not examined: it is never only whitespace, as what
the chunker leaves out between chunks is a few line ends. Chosen by hand."""


def _are_close(hit: Hit, following: Hit) -> bool:
    return following.chunk.start <= hit.chunk.end + _WIDEST_GAP


def _spans(
    hits: Sequence[Hit], text: str | None, count: Callable[[str], int], max_tokens: int | None
) -> Iterator[tuple[Chunk, list[Hit]]]:
    """Spans of one document, each with the hits that went into it. `hits` are in text order."""

    def is_too_long(joined: Chunk, a: Chunk, b: Chunk) -> bool:
        if max_tokens is None or joined is a:
            return False
        # The parts' counts are likely remembered, the whole's is not: count the parts first.
        return any(count(text) > max_tokens for text in (a.text, b.text, joined.text))

    span, members = hits[0].chunk, [hits[0]]
    for hit in hits[1:]:
        joined = _join(span, hit.chunk, text)
        if joined is None or is_too_long(joined, span, hit.chunk):
            yield span, members
            span, members = hit.chunk, [hit]
        else:
            span, members = joined, [*members, hit]
    yield span, members


def _join(a: Chunk, b: Chunk, text: str | None) -> Chunk | None:
    """Chunks `a` and `b` as one; None where the text between their ends is not certain.

    `b` begins where `a` does or after it.
    """
    if not a.document_id or len(a.text) != a.end - a.start or len(b.text) != b.end - b.start:
        return None  # hits of another retriever, whose offsets mean nothing
    shared = max(0, min(a.end, b.end) - b.start)
    if a.text[b.start - a.start :][:shared] != b.text[:shared]:
        return None
    if b.end <= a.end:
        return a
    gap = text[a.end : b.start] if text else ""
    if len(gap) != max(0, b.start - a.end) or gap.strip():
        return None
    joined = a.text + gap + b.text[shared:]
    if text and text[a.start : b.end] != joined:
        return None  # the chunks are of another version of the document
    return Chunk(
        id=f"{a.document_id}:{a.start}-{b.end}",
        document_id=a.document_id,
        start=a.start,
        end=b.end,
        first_page=a.first_page,
        last_page=_later(a.last_page, b.last_page),
        text=joined,
        token_count=0,
        title=a.title,
        section=a.section,
        lead_in=a.lead_in,
    )


def _later(a: int | None, b: int | None) -> int | None:
    """The later of two pages; None if one is not known."""
    return None if a is None or b is None else max(a, b)


def _merged(
    span: Chunk, members: Sequence[Hit], count: Callable[[str], int]
) -> tuple[Hit, list[LedgerRow]]:
    """The hit of a span, and a row for each member, except for one that itself is the span."""
    if len(members) == 1:
        return members[0], []
    best = min(members, key=lambda hit: hit.rank)
    score = max((hit.score for hit in members), key=_real_before_missing)
    chunk = span if span.token_count else replace(span, token_count=count(span.text))
    itself = next((hit for hit in members if hit.chunk.id == chunk.id), None)
    reason = f"merged into the passage of rank {best.rank}"
    rows = [
        ledger_row(hit, count(hit.chunk.text), "merged", reason, into=chunk.id)
        for hit in members
        if hit is not itself
    ]
    return replace(best, score=score, chunk=chunk), rows


def _real_before_missing(score: float | None) -> tuple[bool, float]:
    """A key that sorts scores; a missing one is below every real one."""
    return (True, score) if is_real(score) else (False, 0.0)
