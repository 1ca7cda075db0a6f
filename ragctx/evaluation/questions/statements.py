"""Sentences of an index that state something on their own: what questions can be made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ragctx.evaluation.questions.answer_spans import CLOSED_CLASS, AnswerSpan, answer_spans
from ragctx.evaluation.questions.do_support import Verbs, learned_verbs
from ragctx.index.index import Index
from ragctx.index.snapshot import Snapshot
from ragctx.records import Chunk, Document
from ragctx.text.sentences import split_sentences

FEWEST_WORDS, MOST_WORDS = 8, 36

_OPENERS = frozenset(
    "it its this that these those they them their he she his her we our you your i my such here "
    "there so then thus therefore however but and or nor yet also hence instead otherwise moreover "
    "furthermore similarly likewise finally see note if both either another others".split()
)
"""Sentences that begin with these lean on the one before."""
_NOT_PROSE = re.compile(
    r"[|=<>{}\\_@~^§•·→…\ufffd]|://|www\.|[a-z]{2}\.[A-Z][a-z]|\.\.|\bId\.|\bv\.|\bet al"
    r"|\b(?:Figure|Fig\.|Table|Equation) ?\d"
)
_CAPITAL_WITHIN = re.compile(r"(?<=[a-z] )[A-Z][a-z]+\b(?! [A-Z])")
_COMMAND_WITHIN = re.compile(r"(?<=[a-z\d] )[A-Z][a-z]+ (?:the|an?|your|this|all)\b")
_WORD = re.compile(r"[^\W_]+(?:[-’'][^\W_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence: `document.text[start:end]` with its white space made single blanks in `text`."""

    chunk: Chunk
    start: int
    end: int
    text: str
    spans: tuple[AnswerSpan, ...]

    def asked(self, span: AnswerSpan) -> str:
        """The words of a span."""
        return self.text[span.start : span.end]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The statements of an index, and how many of its chunks each word stands in."""

    statements: tuple[Statement, ...]
    chunk_counts: Counter[str]
    chunks: int
    verbs: Verbs

    def is_common_word(self, word: str) -> bool:
        """Whether a word is written small somewhere."""
        return word in self.chunk_counts

    def is_rare(self, word: str) -> bool:
        """Whether a word stands in few chunks: it tells what a sentence is about."""
        return self.chunk_counts[word] <= max(3, 0.03 * self.chunks)


def read_corpus(index: Index | Snapshot) -> Corpus:
    """What an index states, in the order of paths. A sentence that stands twice states nothing."""
    statements: list[Statement] = []
    counts: Counter[str] = Counter()
    read: list[str] = []
    with index.snapshot() as snapshot:
        for document_id in dict.fromkeys(source.document_id for source in snapshot.sources()):
            document = snapshot.document(document_id)
            chunks = snapshot.chunks(document_id)
            if document is None or not chunks:
                continue
            statements += statements_of(document, chunks)
            for chunk in chunks:
                read.append(chunk.text)
                counts.update(set(content_words(chunk.text, keep_case=True)))
    texts = Counter(statement.text for statement in statements)
    sound = [s for s in statements if texts[s.text] == 1 and not _is_run_together(s.text, counts)]
    return Corpus(
        statements=tuple(sound), chunk_counts=counts, chunks=len(read), verbs=learned_verbs(read)
    )


def _is_run_together(sentence: str, counts: Counter[str]) -> bool:
    """Whether a word in the middle begins something new: cells of a table read as one sentence.

    That is a word with a capital after one without, which is mostly written without itself or has
    an article after it: "above 80 percent Renew the drying bag".
    """
    if _COMMAND_WITHIN.search(sentence):
        return True
    return any(counts[word.lower()] > counts[word] for word in _CAPITAL_WITHIN.findall(sentence))


def statements_of(document: Document, chunks: tuple[Chunk, ...]) -> Iterator[Statement]:
    """The sentences of a document that lie in one chunk and on one page, and stand on their own."""
    position = 0
    for sentence in split_sentences(document.text):
        while position < len(chunks) and chunks[position].end < sentence.end:
            position += 1
        if position == len(chunks):
            return
        chunk = chunks[position]
        text = " ".join(document.text[sentence.start : sentence.end].split())
        on_one_page = document.page_of(sentence.start) is document.page_of(sentence.end - 1)
        if chunk.start <= sentence.start and on_one_page and stands_alone(text):
            yield Statement(
                chunk=chunk,
                start=sentence.start,
                end=sentence.end,
                text=text,
                spans=tuple(answer_spans(text)),
            )


def stands_alone(sentence: str) -> bool:
    """Whether this is a whole sentence of prose that a reader can take without the one before.

    >>> stands_alone("The boiler of the old hall holds 400 litres of water.")
    True
    >>> stands_alone("It was built by Roth in the spring of that year.")
    False
    >>> stands_alone("Table 4: 12 17 19 | 4.2 | n/a | total for all regions in 2023.")
    False
    """
    words = sentence.split()
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS or sentence[-1] != ".":
        return False
    if not sentence[0].isupper() or words[0].lower().strip(",") in _OPENERS:
        return False
    if _NOT_PROSE.search(sentence) or any(
        sentence.count(opening) != sentence.count(closing)
        for opening, closing in ("()", "[]", "“”")
    ):
        return False
    written_small = sum(word[0].islower() for word in words)
    return written_small >= 0.6 * len(words) and sentence.count('"') % 2 == 0


def content_words(text: str, *, keep_case: bool = False) -> list[str]:
    """The words that say something, numbers too; in small letters unless `keep_case`.

    >>> content_words("The boiler of the hall holds 400 litres.")
    ['boiler', 'hall', 'holds', '400', 'litres']
    """
    words = _WORD.findall(text)
    return [
        word if keep_case else word.lower()
        for word in words
        if word.lower() not in CLOSED_CLASS and (len(word) > 2 or word.isdigit())
    ]


def original_span(raw: str, start: int, end: int) -> tuple[int, int]:
    r"""Where `" ".join(raw.split())[start:end]` stands in `raw`, which begins with no white space.

    >>> original_span("of New\n  York now", 3, 11)
    (3, 13)
    """
    places = [i for i, c in enumerate(raw) if not (c.isspace() and raw[i - 1].isspace())]
    return places[start], places[end - 1] + 1
