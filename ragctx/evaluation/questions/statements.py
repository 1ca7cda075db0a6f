"""Sentences of an index that can be understood by themselves: questions are made from them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ragctx.evaluation.questions.answer_spans import CLOSED_CLASS, AnswerSpan, answer_spans
from ragctx.evaluation.questions.do_support import Verbs, learned_verbs
from ragctx.index.index import Index
from ragctx.index.protocol import Snapshot
from ragctx.records import Chunk, Document
from ragctx.text.sentences import split_sentences

FEWEST_WORDS, MOST_WORDS = 8, 36
"""Words of a statement: with fewer it is too vague to be asked about, with more too involved.

Chosen by hand, as are the shares below.
"""
_LEAST_SMALL = 0.6  # share of words in lower case: with fewer it is a heading or a table
_RARE_SHARE = 0.03  # of the chunks: a word in fewer is rare
_ALWAYS_RARE = 3  # chunks: a word in so few is rare in a small index too

_OPENERS = frozenset(
    "it its this that these those they them their he she his her we our you your i my such here "
    "there so then thus therefore however but and or nor yet also hence instead otherwise moreover "
    "furthermore similarly likewise finally see note if both either another others".split()
)
"""Sentences that begin with these need the one before them."""
_NOT_PROSE = re.compile(
    r"[|=<>{}\\_@~^§•·→…\ufffd]|://|www\.|[a-z]{2}\.[A-Z][a-z]|\.\.|\bId\.|\bv\.|\bet al"
    r"|\barXiv\b|\bpreprint\b|\bpp\."
    r"|\b(?:Figure|Fig\.|Table|Equation) ?\d"
)
_RUN_IN = re.compile(
    r"[A-Z]{1,4}\d{1,4} [A-Z]|"  # the code in a table's first column: "E11 Radio module faulty"
    r"[A-Z][\w-]{1,30}(?: [\w-]{1,30}){0,3} "
    r"(?:We|The|This|These|In|It|For|To|Our|There|When|If|On|At|By|An)\b"
)
"""A heading that was read as the beginning of its first sentence: "Training We trained"."""
_INFINITIVE = re.compile(r"\w{1,30} to [a-z]+ ")  # "Pinpoint to send your events", half a sentence
_CALLED_ON = re.compile(r"\b(?:previous|next|preceding|above|below) (?:section|chapter|page)\b")
_CAPITAL_WITHIN = re.compile(r"(?<=[a-z] )[A-Z][a-z]+\b(?! [A-Z])")
_COMMAND_WITHIN = re.compile(r"(?<=[a-z\d] )[A-Z][a-z]+ (?:the|an?|your|this|all)\b")
_WORD = re.compile(r"[^\W_]+(?:[-’'][^\W_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence: `text` is `document.text[start:end]` with single blanks between words."""

    chunk: Chunk
    start: int
    end: int
    text: str
    spans: tuple[AnswerSpan, ...]

    def asked(self, span: AnswerSpan) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The statements of an index, with counts of the chunks that contain each word."""

    statements: tuple[Statement, ...]
    chunk_counts: Counter[str]
    chunks: int
    verbs: Verbs

    def is_common_word(self, word: str) -> bool:
        """Whether a word, in lower case, occurs in the index in that spelling."""
        return word in self.chunk_counts

    def is_rare(self, word: str) -> bool:
        """Whether few chunks contain a word: such words tell what a sentence is about."""
        return self.chunk_counts[word] <= max(_ALWAYS_RARE, _RARE_SHARE * self.chunks)


def read_corpus(index: Index | Snapshot) -> Corpus:
    """The statements of an index, in the order of paths. A repeated sentence is left out."""
    statements: list[Statement] = []
    counts: Counter[str] = Counter()
    texts: list[str] = []  # of all chunks
    with index.snapshot() as snapshot:
        for document_id in dict.fromkeys(source.document_id for source in snapshot.sources()):
            document = snapshot.document(document_id)
            chunks = snapshot.chunks(document_id)
            if document is None or not chunks:
                continue
            statements += statements_of(document, chunks)
            for chunk in chunks:
                texts.append(chunk.text)
                counts.update(set(content_words(chunk.text, keep_case=True)))
    times = Counter(statement.text for statement in statements)
    sound = [s for s in statements if times[s.text] == 1 and not _is_run_together(s.text, counts)]
    return Corpus(
        statements=tuple(sound), chunk_counts=counts, chunks=len(texts), verbs=learned_verbs(texts)
    )


def _is_run_together(sentence: str, counts: Counter[str]) -> bool:
    """Whether a sentence is really two, as when cells of a table are read as one.

    A sign of it is a capitalised word after one in lower case that is mostly written in lower case
    itself, or is followed by an article: "above 80 percent Renew the drying bag".
    """
    if _COMMAND_WITHIN.search(sentence):
        return True
    return any(counts[word.lower()] > counts[word] for word in _CAPITAL_WITHIN.findall(sentence))


def statements_of(document: Document, chunks: tuple[Chunk, ...]) -> Iterator[Statement]:
    """The sentences of a document that stand alone and are within one chunk and one page."""
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
    """Whether this is a whole sentence of prose that can be understood without the one before.

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
    if _RUN_IN.match(sentence) or _INFINITIVE.match(sentence) or _CALLED_ON.search(sentence):
        return False
    if not sentence[0].isupper() or words[0].lower().strip(",") in _OPENERS:
        return False
    if _NOT_PROSE.search(sentence) or any(
        sentence.count(opening) != sentence.count(closing)
        for opening, closing in ("()", "[]", "“”")
    ):
        return False
    small = sum(word[0].islower() for word in words)
    return small >= _LEAST_SMALL * len(words) and sentence.count('"') % 2 == 0


def content_words(text: str, *, keep_case: bool = False) -> list[str]:
    """The words of a text that are not function words, numbers included.

    They are in lower case unless `keep_case`.

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
    r"""The offsets in `raw` of `" ".join(raw.split())[start:end]`.

    `raw` must not begin with white space.

    >>> original_span("of New\n  York now", 3, 11)
    (3, 13)
    """
    places = [i for i, c in enumerate(raw) if not (c.isspace() and raw[i - 1].isspace())]
    return places[start], places[end - 1] + 1
