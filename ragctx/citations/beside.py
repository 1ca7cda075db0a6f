"""What is told beside a copied answer: other answers, and how the numbers of its table read."""

from __future__ import annotations

from bisect import bisect_right

from ragctx.citations.agreement import is_conflict
from ragctx.citations.resolve import cite_span
from ragctx.citations.table_scale import table_scale
from ragctx.records import Alternative, Generation, GetDocument, Prompt


def alternatives_of(
    generation: Generation, prompt: Prompt, get_document: GetDocument
) -> tuple[Alternative, ...]:
    """The other answers of a generation, each with its citation.

    Beside a sure answer only those that contradict it: that other passages say other things does
    not make it less sure, but that another document says the same thing otherwise must be told.
    """
    if not generation.spans or not generation.alternatives:
        return ()
    best = cite_span(generation.spans[0], prompt, get_document)
    found = []
    for guess in generation.alternatives:
        citation = cite_span(guess.span, prompt, get_document)
        conflict = is_conflict(best, citation)
        if conflict or not generation.is_sure:
            found.append(Alternative(guess.text, citation, conflict))
    return tuple(found)


def scale_of(generation: Generation, prompt: Prompt, get_document: GetDocument) -> str:
    """What the head of its table says of an answer that is a number ("in millions"), or ""."""
    if not generation.spans:
        return ""
    span = generation.spans[0]
    hit = prompt.passages[span.passage].hit
    document = None if hit is None else get_document(hit.chunk.document_id)
    if hit is None or document is None:
        return ""
    start, end = hit.chunk.start + span.start, hit.chunk.start + span.end
    begin = document.page_starts[max(0, bisect_right(document.page_starts, start) - 1)]
    return table_scale(document.page_of(start).text, start - begin, end - begin)
