"""What is said of the spans that were found likely: the answer, its other places, and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragctx.generator.reader.spans import is_echo
from ragctx.generator.reader.whole_list import whole_list
from ragctx.generator.reader.whole_span import whole_span
from ragctx.records import CopiedGuess, CopiedSpan, Prompt
from ragctx.text.words import words_of

ALTERNATIVES = 2
"""Other answers that are shown beside an unsure one. Chosen by hand: a person compares three."""

LOOKED_AT = 20
"""Spans of other passages that are considered: those after them are far less likely. Chosen by
hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer, the places where it stands (one a document), and other answers."""

    text: str
    spans: tuple[CopiedSpan, ...]
    alternatives: tuple[CopiedGuess, ...]


def choose(prompt: Prompt, located: Sequence[CopiedSpan]) -> Choice:
    """The first of the located spans as the answer, and what the others say; there must be one.

    Another document with the same words is a further place of the answer. The best span of another
    passage that says something else is an alternative.
    """
    best = _listed(prompt, located[0]) or _guess(prompt, located[0])
    spans: list[CopiedSpan] = [best.span]
    alternatives: list[CopiedGuess] = []
    documents = {_document(prompt, best.span)}
    elsewhere = [span for span in located if span.passage != best.span.passage]
    for other in (_guess(prompt, span) for span in elsewhere[:LOOKED_AT]):
        if words_of(other.text) == words_of(best.text):
            if _document(prompt, other.span) not in documents:
                documents.add(_document(prompt, other.span))
                spans.append(other.span)
        elif len(alternatives) < ALTERNATIVES and _is_another(other, best, alternatives, prompt):
            alternatives.append(other)
    return Choice(text=best.text, spans=tuple(spans), alternatives=tuple(alternatives))


def _guess(prompt: Prompt, span: CopiedSpan) -> CopiedGuess:
    own_text = prompt.passages[span.passage].own_text
    start, end = whole_span(own_text, span.start, span.end)
    # where the page broke its lines is no part of the answer
    return CopiedGuess(" ".join(own_text[start:end].split()), CopiedSpan(span.passage, start, end))


def _listed(prompt: Prompt, span: CopiedSpan) -> CopiedGuess | None:
    """The whole list of which the span is a part, where the question asks for one."""
    own_text = prompt.passages[span.passage].own_text
    found = whole_list(own_text, span.start, span.end, prompt.question)
    if found is None:
        return None
    return CopiedGuess(found.text, CopiedSpan(span.passage, found.start, found.end))


def _is_another(
    guess: CopiedGuess, best: CopiedGuess, known: Sequence[CopiedGuess], prompt: Prompt
) -> bool:
    """Whether a guess says something that is not said yet, from a passage of its own."""
    passages = {alternative.span.passage for alternative in known}
    return (
        guess.span.passage not in passages
        and not is_echo(guess.text, prompt.question)
        and not any(_is_same(guess.text, other.text) for other in (best, *known))
    )


def _is_same(one: str, other: str) -> bool:
    """Whether one text only says more words than the other: "May 1990" and "in May 1990"."""
    these, those = set(words_of(one)), set(words_of(other))
    return these <= those or those <= these


def _document(prompt: Prompt, span: CopiedSpan) -> str:
    hit = prompt.passages[span.passage].hit
    return "" if hit is None else hit.chunk.document_id
