"""Drafts of questions: every sentence and span of a corpus that a question could be made from.

Three kinds, from hard to easy for a reader that only matches strings:

- `recurring`: a span that occurs in two chunks, which tell about the same thing in other words. The
  question is made from one occurrence and answered by the other (as Ram et al., "Few-Shot Question
  Answering by Pretraining Span Selection", ACL 2021, made pretraining data);
- `turned`: a sentence turned round into a question (`phrasing.turned`);
- `cloze`: a sentence with a gap, in a passage with other spans that would fit the gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from ragctx.evaluation.questions.answer_spans import CLOSED_CLASS, AnswerSpan
from ragctx.evaluation.questions.phrasing import turned, with_gap
from ragctx.evaluation.questions.statements import Corpus, Statement, content_words
from ragctx.evaluation.text_match import copied_words, plain
from ragctx.text.words import words_of

# All chosen by hand.
_MOST_OCCURRENCES = 8  # statements that share a span; with more, all documents are about it
_FEWEST_CONTENT_WORDS = 4  # of a turned question
_FEWEST_RARE_WORDS = 2  # of a turned question: with fewer it could be about anything
_FEWEST_SHARED_WORDS = 3  # content words of two sentences about the same matter
_FEWEST_SHARED_RARE_WORDS = 2  # … of which are rare
_SHARED_RUN = 6  # words in a row from which two sentences are copies
_MOST_ALIKE = 0.6  # Jaccard of content words above which two sentences are copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A question that was not checked yet: made from `source`, answered by `span` in `gold`."""

    kind: str  # one of kinds.KINDS
    question: str
    source: Statement
    gold: Statement
    span: AnswerSpan
    answers: tuple[str, ...]


def turned_drafts(corpus: Corpus) -> Iterator[Draft]:
    """Questions from sentences whose grammar is plain enough to turn them round."""
    for statement in corpus.statements:
        for span in statement.spans:
            question = _turned(statement, span, corpus)
            if (
                question
                and _is_good(question, statement, corpus)
                and _is_specific(statement, span, corpus)
            ):
                yield Draft(
                    kind="turned",
                    question=question,
                    source=statement,
                    gold=statement,
                    span=span,
                    answers=_answers(statement, span),
                )


def cloze_drafts(corpus: Corpus) -> Iterator[Draft]:
    """Sentences with a gap that more than one span of the passage would fit."""
    rivals: dict[tuple[str, str], set[str]] = defaultdict(set)
    for statement in corpus.statements:
        for span in statement.spans:
            rivals[statement.chunk.id, span.kind].add(statement.asked(span))
    for statement in corpus.statements:
        for span in statement.spans:
            has_rivals = len(rivals[statement.chunk.id, span.kind]) > 1
            if has_rivals and _is_specific(statement, span, corpus):
                question = with_gap(statement.text, span)
                yield Draft(
                    kind="cloze",
                    question=question,
                    source=statement,
                    gold=statement,
                    span=span,
                    answers=_answers(statement, span),
                )


def recurring_drafts(corpus: Corpus) -> Iterator[Draft]:
    """Questions about spans that occur in two sentences about the same matter."""
    places: dict[tuple[str, str], list[tuple[Statement, AnswerSpan]]] = defaultdict(list)
    for statement in corpus.statements:
        for span in statement.spans:
            places[plain(statement.asked(span)), span.unit].append((statement, span))
    for occurrences in places.values():
        if len(occurrences) > _MOST_OCCURRENCES:
            continue
        for one, other in combinations(occurrences, 2):
            yield from _asked_across(one, other, corpus)
            yield from _asked_across(other, one, corpus)


def _asked_across(
    asked: tuple[Statement, AnswerSpan], answered: tuple[Statement, AnswerSpan], corpus: Corpus
) -> Iterator[Draft]:
    (source, blank), (gold, span) = asked, answered
    if _touch(source, gold) or not _is_specific(source, blank, corpus):
        return
    if not _same_matter(source, blank, gold, corpus):
        return
    question = _turned(source, blank, corpus)
    if question is None or not _is_good(question, source, corpus):
        question = with_gap(source.text, blank)
    answers = dict.fromkeys((*_answers(gold, span), *_answers(source, blank)))
    yield Draft(
        kind="recurring",
        question=question,
        source=source,
        gold=gold,
        span=span,
        answers=tuple(answers),
    )


def _turned(statement: Statement, span: AnswerSpan, corpus: Corpus) -> str | None:
    return turned(statement.text, span, corpus.is_common_word, corpus.verbs)


def _touch(one: Statement, other: Statement) -> bool:
    """Whether the chunk of `one` overlaps the sentence of `other`."""
    same = one.chunk.document_id == other.chunk.document_id
    return same and one.chunk.start < other.end and other.start < one.chunk.end


def _same_matter(source: Statement, blank: AnswerSpan, gold: Statement, corpus: Corpus) -> bool:
    """Whether two sentences are about the same thing, but not in the same words."""
    asked = set(content_words(source.asked(blank)))
    one, other = set(content_words(source.text)) - asked, set(content_words(gold.text)) - asked
    shared = one & other
    rare = sum(corpus.is_rare(word) for word in shared)
    if rare < _FEWEST_SHARED_RARE_WORDS or len(shared) < _FEWEST_SHARED_WORDS:
        return False
    alike = len(shared) > _MOST_ALIKE * len(one | other)
    return not alike and not _runs(source.text) & _runs(gold.text)


def _runs(text: str) -> set[tuple[str, ...]]:
    """Every run of `_SHARED_RUN` words."""
    words = text.lower().split()
    return {tuple(words[i : i + _SHARED_RUN]) for i in range(len(words) - _SHARED_RUN + 1)}


def _is_good(question: str, statement: Statement, corpus: Corpus) -> bool:
    """Whether the question is specific enough and not a copy of its sentence."""
    words = set(content_words(question, keep_case=True))
    rare = sum(corpus.is_rare(word) for word in words)
    enough = len(words) >= _FEWEST_CONTENT_WORDS and rare >= _FEWEST_RARE_WORDS
    return enough and not copied_words(question, statement.text)


def _is_specific(statement: Statement, span: AnswerSpan, corpus: Corpus) -> bool:
    """Whether the span needs to be read: it is rare, and not repeated in its sentence."""
    words = set(words_of(statement.asked(span))) - CLOSED_CLASS
    rest = words_of(f"{statement.text[: span.start]} {statement.text[span.end :]}")
    if not words or words.intersection(rest):
        return False
    if span.kind not in ("name", "term"):
        return True
    return any(
        corpus.is_rare(word) for word in content_words(statement.asked(span), keep_case=True)
    )


def _answers(statement: Statement, span: AnswerSpan) -> tuple[str, ...]:
    """The accepted answers: the span, alone and with its unit."""
    asked = statement.asked(span)
    return (asked, f"{asked} {span.unit}") if span.unit else (asked,)


DRAFTS: Mapping[str, Callable[[Corpus], Iterator[Draft]]] = MappingProxyType(
    {"recurring": recurring_drafts, "turned": turned_drafts, "cloze": cloze_drafts}
)
"""What makes the drafts of each of `kinds.KINDS`."""
