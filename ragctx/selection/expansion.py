"""Spend tokens that are left over on the text beside the chosen passages: their neighbours. Pure.

A neighbour is the chunk before or after a passage in its document. It goes on with the passage as
one text, or is a passage of its own where that would be too long. What is in the prompt already is
never repeated, and what was chosen stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ragctx.documents import Document, GetDocument
from ragctx.records import Chunk, Hit, LedgerRow, Selection
from ragctx.selection.candidates import ledger_row
from ragctx.selection.merging import join_ledgers

GetChunks = Callable[[str], Sequence[Chunk]]
"""The chunks of a document, by its id, in document order; none where there is no such document."""
Costs = Callable[[Sequence[Hit]], Sequence[int]]
"""What each of these passages costs in a prompt of them, in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the text beside passages is taken from: a function for documents, one for chunks."""

    get_document: GetDocument
    get_chunks: GetChunks


def expand(
    selection: Selection,
    reach: int,
    surroundings: Surroundings,
    costs_of: Costs,
    *,
    count: Callable[[str], int],
    max_tokens: int,
    last_rank: int,
) -> Selection:
    """Add the neighbours of the chosen passages, as far as they fit; those of the best ones first.

    Of each passage, the nearest neighbours come before those farther away, and the one after it
    before the one before it. A neighbour that does not fit ends its side. In the ledger a
    neighbour has a rank after all candidates; "merged" means that it goes on with a passage.

    Args:
        selection: what was chosen.
        reach: how many chunks before and after each passage; 0 leaves the selection as it is.
        surroundings: the documents and their chunks.
        costs_of: what passages cost, header included.
        count: tokens of a text.
        max_tokens: no passage grows beyond this many tokens of text.
        last_rank: that of all candidates.
    """
    if reach < 1 or not selection.selected:
        return selection
    growing = _Growing(
        passages=list(selection.selected),
        costs=costs_of(selection.selected),
        room_tokens=selection.room_tokens,
        rank=last_rank,
        rows=[],
    )
    for i, hit in enumerate(selection.selected):
        document = surroundings.get_document(hit.chunk.document_id)
        if document is not None and _is_of(hit.chunk, document):
            chunks = surroundings.get_chunks(hit.chunk.document_id)
            grower = _Grower(
                growing=growing,
                document=document,
                chunks=chunks,
                costs_of=costs_of,
                count=count,
                max_tokens=max_tokens,
            )
            grower.grow(i, reach)
    return growing.as_selection(selection)


def widened(hit: Hit, reach: int, surroundings: Surroundings) -> Hit:
    """The hit with the text of the `reach` chunks before and after it, whatever that costs."""
    document = surroundings.get_document(hit.chunk.document_id)
    if document is None or not _is_of(hit.chunk, document):
        return hit
    chunks, chunk = surroundings.get_chunks(hit.chunk.document_id), hit.chunk
    after = [other for other in chunks if other.end > chunk.end][:reach]
    before = [other for other in chunks if other.start < chunk.start][-reach:] if reach else []
    start = min((other.start for other in before), default=chunk.start)
    end = max((other.end for other in after), default=chunk.end)
    return replace(hit, chunk=_chunk_of(document, start, end))


class _Piece(NamedTuple):
    """A neighbour, and the part of it that is not in the prompt: characters, half open."""

    chunk: Chunk
    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class _Growing:
    """The passages so far: first those chosen, then neighbours that are passages of their own."""

    passages: list[Hit]
    costs: Sequence[int]
    room_tokens: int
    rank: int  # the last that was given
    rows: list[tuple[LedgerRow, int]]  # of the neighbours, each with the rank of its passage

    def as_selection(self, selection: Selection) -> Selection:
        """The selection with the passages as they are now."""
        tokens = {hit.rank: cost for hit, cost in zip(self.passages, self.costs, strict=True)}
        chosen = [
            row._replace(tokens=tokens[row.rank])
            if row.outcome in ("selected", "trimmed") and row.rank in tokens
            else row
            for row in selection.ledger
        ]
        ids = {hit.rank: hit.chunk.id for hit in self.passages}
        rows = [
            row._replace(into=ids[rank] if row.outcome == "merged" else None)
            for row, rank in self.rows
        ]
        return replace(
            selection,
            selected=tuple(self.passages),
            tokens=tuple(self.costs),
            used_tokens=sum(self.costs),
            ledger=join_ledgers(chosen, rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grower:
    """Adds the neighbours of one document's passages."""

    growing: _Growing
    document: Document
    chunks: Sequence[Chunk]
    costs_of: Costs
    count: Callable[[str], int]
    max_tokens: int

    def grow(self, i: int, reach: int) -> None:
        """Add up to `reach` neighbours after and before passage i."""
        last = first = i  # the passages at either end of the text around passage i
        for _ in range(reach):
            if last >= 0:
                last = self._add(self._piece_after(last), i, last)
            if first >= 0:
                first = self._add(self._piece_before(first), i, first)
            if last < 0 and first < 0:
                break

    def _piece_after(self, i: int) -> _Piece | None:
        end = self.growing.passages[i].chunk.end
        chunk = next((chunk for chunk in self.chunks if chunk.end > end), None)
        if chunk is None:
            return None
        begins = (other.start for other in self._others(i) if other.end > end)
        return self._piece(chunk, max(chunk.start, end), min([chunk.end, *begins]))

    def _piece_before(self, i: int) -> _Piece | None:
        start = self.growing.passages[i].chunk.start
        chunk = next((chunk for chunk in reversed(self.chunks) if chunk.start < start), None)
        if chunk is None:
            return None
        ends = (other.end for other in self._others(i) if other.start < start)
        return self._piece(chunk, max([chunk.start, *ends]), min(chunk.end, start))

    def _others(self, i: int) -> list[Chunk]:
        """The other passages of this document."""
        passages = (hit.chunk for k, hit in enumerate(self.growing.passages) if k != i)
        return [chunk for chunk in passages if chunk.document_id == self.document.id]

    def _piece(self, chunk: Chunk, start: int, end: int) -> _Piece | None:
        """The part of a chunk without white space at its ends; None if nothing is left."""
        text = self.document.text[start:end]
        if not text.strip():
            return None
        start += len(text) - len(text.lstrip())
        return _Piece(chunk, start, start + len(text.strip()))

    def _add(self, piece: _Piece | None, neighbour_of: int, i: int) -> int:
        """Let passage i go on with a piece, or add it as a passage; the one it is in, or -1."""
        if piece is None:
            return -1
        growing = self.growing
        hit = growing.passages[i]
        start, end = min(hit.chunk.start, piece.start), max(hit.chunk.end, piece.end)
        joined = _chunk_of(self.document, start, end)
        between = self.document.text[
            min(hit.chunk.end, piece.end) : max(hit.chunk.start, piece.start)
        ]
        rank = growing.rank + 1
        if not between.strip() and self.count(joined.text) <= self.max_tokens:
            passages = [*growing.passages]
            passages[i] = replace(hit, chunk=joined)
        else:
            alone = _chunk_of(self.document, piece.start, piece.end)
            passages = [*growing.passages, replace(hit, rank=rank, score=None, chunk=alone)]
            i = len(passages) - 1
        costs = self.costs_of(passages)
        if sum(costs) > growing.room_tokens:
            return -1
        growing.passages, growing.costs, growing.rank = passages, costs, rank
        row = self._row(piece, passages[i], rank, costs[i])
        reason = f"neighbour of {passages[neighbour_of].rank}"
        growing.rows.append((row._replace(reason=reason), passages[i].rank))
        return i

    def _row(self, piece: _Piece, passage: Hit, rank: int, cost: int) -> LedgerRow:
        neighbour = replace(passage, rank=rank, score=None, chunk=piece.chunk)
        if passage.rank == rank:
            row = ledger_row(neighbour, cost, "selected", "")
        else:
            tokens = self.count(self.document.text[piece.start : piece.end])
            row = ledger_row(neighbour, tokens, "merged", "")
        return row._replace(start=piece.start, end=piece.end)


def _is_of(chunk: Chunk, document: Document) -> bool:
    """Whether the chunk is of this version of the document."""
    return document.text[chunk.start : chunk.end] == chunk.text


def _chunk_of(document: Document, start: int, end: int) -> Chunk:
    return Chunk(
        id=f"{document.id}:{start}-{end}",
        document_id=document.id,
        start=start,
        end=end,
        first_page=document.page_of(start).number,
        last_page=document.page_of(end - 1).number,
        text=document.text[start:end],
        token_count=0,
    )
