"""Where an answer comes from: resolve its labels and copied spans, and check every quote.

A citation is `verified` only if its quote is, character for character, in the document's text on
the cited pages, and supports what the answer states (the rule is in `citations.support`). Page
numbers come from the document's page table, for the quote itself, not for the whole passage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeGuard

from ragctx.arguments import require_function, require_kind
from ragctx.citations.abstention import abstained
from ragctx.citations.label_forms import Labelled, in_square_brackets
from ragctx.citations.labels import CitedStatement, cited_statements
from ragctx.citations.list_markers import without_list_markers
from ragctx.citations.support import (
    ReadText,
    Support,
    closest_sentence,
    find_support,
    find_verbatim,
    says_something,
)
from ragctx.file_formats import unit_of
from ragctx.records import (
    Chunk,
    Citation,
    CopiedSpan,
    Document,
    Generation,
    GetDocument,
    Hit,
    Prompt,
)
from ragctx.text.sentences import sentence_around, sentence_spans

QUOTE_CHARACTERS = 400
"""A quote is the sentences around what is cited, cut to at most this many characters unless what is
cited is longer: some three lines, so that a person takes it in at a glance. Chosen by hand."""


def cite(generation: Generation, prompt: Prompt, get_document: GetDocument) -> tuple[Citation, ...]:
    """Cite where the answer comes from, in the order of the answer; nothing for an abstention.

    Three cases. If the generator copied, its spans are cited. Otherwise the labels in the text
    ([1], [2-4], [Passage 2], 【1】, and the other `label_forms`) are resolved, and the statement
    that each belongs to is sought in its passage. A text without any label is cited where its
    sentences occur word for word in a passage, and otherwise not at all.

    `get_document` gives the document with an id, or None if there is none (for hits of another
    retriever; `CitationStatus` tells what is promised then).
    """
    require_kind("generation", generation, Generation, "give what a generator's generate returns")
    require_kind("prompt", prompt, Prompt, "give the prompt that was answered")
    require_function("get_document", get_document, "give index.document, or lambda id: None")
    sources = _Sources(prompt, cache(get_document), cache(ReadText))
    # A copied "unknown" is not an abstention: it may be what the document contains.
    if generation.spans and generation.finish_reason != "abstain":
        citations = [sources.cite_copy(span) for span in generation.spans]
    elif abstained(generation):
        citations = []
    elif cited := cited_statements(_as_asked(generation.text, prompt), says_something):
        citations = [citation for group in cited for citation in sources.cite_labels(group)]
    else:
        citations = list(sources.cite_unlabelled(generation.text))
    return tuple(dict.fromkeys(citations))


def cite_span(span: CopiedSpan, prompt: Prompt, get_document: GetDocument) -> Citation:
    """Cite the place in a prompt's passages that something was copied from."""
    return _Sources(prompt, get_document, ReadText).cite_copy(span)


def _as_asked(answer: str, prompt: Prompt) -> str:
    """The answer with its labels as prompts ask for them, in whatever way the model wrote them."""
    return in_square_brackets(
        answer,
        [
            Labelled(
                label=segment.label,
                document=hit.document,
                first_page=hit.chunk.first_page,
                last_page=hit.chunk.last_page,
                text=hit.chunk.text,
            )
            for segment in prompt.passages
            if (hit := segment.hit) is not None
        ],
    )


@dataclass(frozen=True)
class _Sources:
    """The prompt's passages, and the documents they come from."""

    prompt: Prompt
    get_document: GetDocument
    read: Callable[[str], ReadText]
    made: dict[tuple[str, tuple[str, ...]], Citation] = field(default_factory=dict)
    """By label and statements: an answer may repeat both thousands of times."""

    def cite_copy(self, span: CopiedSpan) -> Citation:
        """Cite the place an answer was copied from."""
        if not 0 <= span.passage < len(self.prompt.passages):
            return _unknown(str(span.passage + 1))
        segment = self.prompt.passages[span.passage]
        hit = _hit_of(segment.hit)
        if not 0 <= span.start < span.end <= len(hit.chunk.text):
            return _unsupported(segment.label, hit, self.get_document(hit.chunk.document_id))
        return self._supported(segment.label, hit, span.start, span.end)

    def cite_labels(self, cited: CitedStatement) -> Iterator[Citation]:
        """Cite each label's passage for the statement that it belongs to."""
        by_label = {segment.label: segment for segment in self.prompt.passages}
        for label in cited.labels:
            if label not in by_label:
                yield replace(_unknown(label), statement=cited.statements[0])
                continue
            key = label, cited.statements
            if key not in self.made:
                hit = _hit_of(by_label[label].hit)
                self.made[key] = self._cite_statement(label, hit, cited.statements)
            yield self.made[key]

    def cite_unlabelled(self, answer: str) -> Iterator[Citation]:
        """Cite each sentence of the answer where it occurs word for word, if it does."""
        question = self.read(self.prompt.question)
        passages = [(s.label, _hit_of(s.hit)) for s in self.prompt.passages]
        texts = [self.read(hit.chunk.text) for _, hit in passages]
        unmarked = without_list_markers(answer)
        for start, end in sentence_spans(answer):
            statement = ReadText(unmarked[start:end])
            places = [find_verbatim(statement, text, question) for text in texts]
            best = _most_shared(places)
            if best is not None:
                label, hit = passages[best[0]]
                citation = self._supported(label, hit, best[1].start, best[1].end)
                yield replace(citation, statement=statement.text)

    def _cite_statement(self, label: str, hit: Hit, statements: tuple[str, ...]) -> Citation:
        """Cite a passage for the first of `statements` that it supports."""
        passage, question = self.read(hit.chunk.text), self.read(self.prompt.question)
        for statement in statements:
            support = find_support(statement, passage, question)
            if support:
                citation = self._supported(label, hit, support.start, support.end)
                return replace(citation, statement=statement)
        document = self.get_document(hit.chunk.document_id)
        closest = closest_sentence(statements[0], passage)
        citation = _unsupported(label, hit, document, closest)
        return replace(citation, statement=statements[0])

    def _supported(self, label: str, hit: Hit, start: int, end: int) -> Citation:
        """Cite characters `start` to `end` of a passage, with the sentences around them."""
        chunk = hit.chunk
        document = self.get_document(chunk.document_id)
        if _holds(document, chunk):
            return _at(
                label=label,
                hit=hit,
                document=document,
                text=document.text,
                origin=0,
                start=chunk.start + start,
                end=chunk.start + end,
            )
        citation = _at(
            label=label,
            hit=hit,
            document=None,
            text=chunk.text,
            origin=chunk.start,
            start=start,
            end=end,
        )
        # Without a document, the passage is all there is to check against.
        return citation if document is None else replace(citation, status="unverified")


def _holds(document: Document | None, chunk: Chunk) -> TypeGuard[Document]:
    """Whether there is a document, and the chunk is still its text."""
    return document is not None and document.text[chunk.start : chunk.end] == chunk.text


def _hit_of(hit: Hit | None) -> Hit:
    """The hit of a passage segment; an empty one for a segment that was made without a hit."""
    return hit or Hit.from_text(0, 0.0, "")


def _most_shared(places: list[Support | None]) -> tuple[int, Support] | None:
    """The place whose sentence shares most with the question, and its index; first of equals."""
    known = [(i, place) for i, place in enumerate(places) if place is not None]
    return max(known, key=lambda item: item[1].shared, default=None)


# ---- citations of each status --------------------------------------------------------------------


def _unknown(label: str) -> Citation:
    """The citation of a label that no passage has."""
    return Citation(
        label=label,
        document="",
        path="",
        first_page=0,
        last_page=0,
        start=0,
        end=0,
        quote="",
        status="unknown_label",
    )


def _unsupported(
    label: str, hit: Hit, document: Document | None, closest: tuple[int, int] | None = None
) -> Citation:
    """An unverified citation; `closest` is the passage's sentence to quote, if there is one."""
    chunk = hit.chunk
    start, end = closest or (0, 0)
    citation = _at(
        label=label,
        hit=hit,
        document=document if _holds(document, chunk) else None,
        text=chunk.text,
        origin=chunk.start,
        start=start,
        end=end,
    )
    return replace(citation, status="unverified", answer_start=None, answer_end=None)


def _at(
    label: str,
    hit: Hit,
    document: Document | None,
    text: str,
    origin: int,
    start: int,
    end: int,
) -> Citation:
    """Cite `text[start:end]` and the sentences around it; `text[0]` is `origin` in the document.

    Without a document the pages are the hit's.
    """
    begin, stop = quote_span(text, start, end) if start < end else (start, end)
    citation = Citation(
        label=label,
        document=hit.document,
        path=hit.path,
        first_page=hit.chunk.first_page,
        last_page=hit.chunk.last_page,
        start=origin + begin,
        end=origin + stop,
        quote=text[begin:stop],
        status="verified",
        answer_start=origin + start,
        answer_end=origin + end,
        unit=unit_of(hit.document),
    )
    return _with_pages(citation, document) if document is not None else citation


def _with_pages(citation: Citation, document: Document) -> Citation:
    """The citation with the pages that its quote touches, and their labels."""
    first = document.page_of(citation.start).number
    last = document.page_of(max(citation.start, citation.end - 1)).number
    pages = [page for page in document.pages if first <= page.number <= last]
    return replace(
        citation,
        first_page=first,
        last_page=last,
        page_labels=tuple(page.label for page in pages),
        ocr=any(page.status == "ocr" for page in pages),
    )


def quote_span(text: str, start: int, end: int, limit: int = QUOTE_CHARACTERS) -> tuple[int, int]:
    """The sentences around `text[start:end]`, at most `limit` characters, always with all of it.

    Sentences that are longer are cut between words on both sides of the span.

    >>> text = "It rained. The dog slept all day. We left."
    >>> text[slice(*quote_span(text, 15, 18))], text[slice(*quote_span(text, 15, 18, limit=14))]
    ('The dog slept all day.', 'The dog slept')
    """
    while start < end - 1 and text[start].isspace():
        start += 1
    while end > start + 1 and text[end - 1].isspace():
        end -= 1
    # Only the surroundings are split into sentences: the text may be a whole manual.
    low, high = max(0, start - limit), min(len(text), end + limit)
    begin, stop = sentence_around(text[low:high], start - low, end - low)
    begin, stop = min(low + begin, start), max(low + stop, end)
    if stop - begin <= max(limit, end - start):
        return begin, stop
    spare = max(0, limit - (end - start))
    left = max(begin, start - max(spare // 2, spare - (stop - end)))
    right = min(stop, end + spare - (start - left))
    return _whole_word_start(text, left, start), _whole_word_end(text, end, right)


def _whole_word_start(text: str, left: int, start: int) -> int:
    """The first word start at or after `left`, but not after `start`."""
    if left == 0 or text[left - 1].isspace():
        return left
    gap = re.compile(r"\s+").search(text, left, start)
    return gap.end() if gap else start


def _whole_word_end(text: str, end: int, right: int) -> int:
    """The last word end at or before `right`, but not before `end`."""
    if right == len(text) or text[right].isspace():
        return end + len(text[end:right].rstrip())
    kept = text[end:right]
    while kept and not kept[-1].isspace():
        kept = kept[:-1]
    return end + len(kept.rstrip())
