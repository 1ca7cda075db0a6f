"""Questions with known answers made from an index, without a model: the same ones for a seed.

They measure whether the one passage with the answer is found and read among others, whatever its
place in the prompt. They do not measure how people ask, questions that need two passages or a
conclusion, or whether a document is right. See `drafts` for the kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import zip_longest

from ragctx.errors import InputError
from ragctx.evaluation.questions.drafts import DRAFTS, Draft
from ragctx.evaluation.questions.kinds import KINDS
from ragctx.evaluation.questions.oddities import oddities
from ragctx.evaluation.questions.statements import Statement, original_span, read_corpus
from ragctx.evaluation.text_match import holds_any
from ragctx.index.filters import Filter
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index
from ragctx.index.protocol import Snapshot
from ragctx.records import Document, Hit

FOUND_WITHIN = 10
"""A question is kept only if its passage is among this many first hits of a lexical search for it:
otherwise it is too vague. Chosen by hand."""
PER_CHUNK = 2
"""The most questions made from one chunk; chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticQuestion:
    """A question with the passage that answers it.

    The answer is `document.text[start:end]` on `pages` (first and last). For an unanswerable
    question `answers` is empty, `passage` is only similar, and start and end are -1. `excluded` are
    the ids of chunks to keep out of the prompt: the one the question was made from, or those that
    would answer it.
    """

    kind: str
    question: str
    answers: tuple[str, ...]
    passage: Hit
    pages: tuple[int | None, int | None]
    start: int = -1
    end: int = -1
    excluded: tuple[str, ...] = ()
    distractors: tuple[Hit, ...] = ()  # without the answer, as a lexical search ranks them

    @property
    def answerable(self) -> bool:
        """Whether the passage holds the answer."""
        return bool(self.answers)

    @property
    def id(self) -> str:
        """16 hex digits, a hash of the question, its passage and the answer's place."""
        parts = (self.question, self.passage.chunk.id, str(self.start))
        return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def make_questions(
    index: Index,
    count: int = 100,
    *,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    distractors: int = 0,
    unanswerable: float = 0.0,
) -> list[SyntheticQuestion]:
    """Up to `count` questions about an index; fewer where it does not hold as many good ones.

    Args:
        index: where sentences and passages come from. No embedder is needed.
        count: how many, unanswerable ones included; at least 1.
        seed: another seed samples other questions.
        kinds: names in `KINDS`; they take turns, and where one has no more the others go on.
        distractors: how many passages without the answer to add to each, hardest first.
        unanswerable: the share, 0 to 1, asked of a similar passage that lacks the answer.

    Raises:
        InputError: an argument is out of range.
    """
    _require(count, kinds, distractors, unanswerable)
    with index.snapshot() as snapshot:
        corpus = read_corpus(snapshot)
        queues = [
            sorted(DRAFTS[kind](corpus), key=lambda draft: _hash_of(seed, draft)) for kind in kinds
        ]
        maker = _Maker(snapshot=snapshot, distractors=distractors, unanswerable=unanswerable)
        for draft in _in_turn(queues):
            if len(maker.questions) == count:
                break
            maker.consider(draft)
    return maker.questions


def question_row(question: SyntheticQuestion) -> dict[str, object]:
    """A question in ragctx's own layout, one line of a JSONL file; "synthetic" is always true."""
    passage, chunk = question.passage, question.passage.chunk
    row: dict[str, object] = {
        "id": question.id,
        "source": "ragctx questions make",
        "synthetic": True,
        "kind": question.kind,
        "title": passage.document,
        "context": chunk.text,
        "question": question.question,
        "answers": list(question.answers),
        "answerable": question.answerable,
        "document": passage.document,
        "document_id": chunk.document_id,
        "chunk": chunk.id,
        "pages": list(question.pages),
        "start": question.start,
        "end": question.end,
        "excluded": list(question.excluded),
    }
    if question.distractors:
        others = [_passage(hit, gold=False) for hit in question.distractors]
        row["ctxs"] = [_passage(passage, gold=question.answerable), *others]
    return row


def _passage(hit: Hit, *, gold: bool) -> dict[str, object]:
    """A passage in the layout of Lost in the Middle."""
    return {
        "id": hit.chunk.id,
        "title": hit.document,
        "text": hit.chunk.text,
        "isgold": gold,
        "hasanswer": gold,
    }


def _require(count: int, kinds: Sequence[str], distractors: int, unanswerable: float) -> None:
    if count < 1 or distractors < 0 or not 0 <= unanswerable <= 1:
        raise InputError(
            f"count={count}, distractors={distractors}, unanswerable={unanswerable} cannot be. "
            "Give count >= 1, distractors >= 0 and a share of unanswerable questions from 0 to 1."
        )
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(f"kinds={list(kinds)} cannot be. Name some of {', '.join(KINDS)}.")


def _hash_of(seed: int, draft: Draft) -> str:
    """A hash that puts drafts in a random order, the same one on every machine."""
    parts = (str(seed), draft.question, draft.gold.chunk.id)
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _in_turn(queues: Sequence[Sequence[Draft]]) -> Iterator[Draft]:
    """The first of every queue, then the second of every queue, and so on."""
    for turn in zip_longest(*queues):
        yield from (draft for draft in turn if draft is not None)


@dataclass(kw_only=True)
class _Maker:
    """Takes drafts one by one and keeps those that do not repeat what was kept before."""

    snapshot: Snapshot
    distractors: int
    unanswerable: float
    questions: list[SyntheticQuestion] = field(default_factory=list)
    _of_chunk: Counter[str] = field(default_factory=Counter)
    _used: set[tuple[str, int]] = field(default_factory=set)  # (document id, start) of sentences

    def consider(self, draft: Draft) -> None:
        """Keep a sound draft whose passage can be found and whose sentences were not used yet."""
        sentences = {(s.chunk.document_id, s.start) for s in (draft.source, draft.gold)}
        chunk = draft.gold.chunk.id
        if sentences & self._used or self._of_chunk[chunk] >= PER_CHUNK:
            return
        if oddities(draft.question):
            return
        question = self._question(draft)
        if question is not None:
            self._used |= sentences
            self._of_chunk[chunk] += 1
            self.questions.append(question)

    def _question(self, draft: Draft) -> SyntheticQuestion | None:
        excluded = self._holding(draft.source) if draft.source is not draft.gold else ()
        hits = [hit for hit in self._search(draft.question) if hit.chunk.id not in excluded]
        gold = next((h for h in hits[:FOUND_WITHIN] if h.chunk.id == draft.gold.chunk.id), None)
        if gold is None:
            return None
        others = [hit for hit in hits if not holds_any(hit.chunk.text, draft.answers)]
        if others and self._refusals_due():
            return self._unanswerable(draft, others, excluded)
        start, end, pages = _place(self._document(draft.gold), draft)
        return SyntheticQuestion(
            kind=draft.kind,
            question=draft.question,
            answers=draft.answers,
            passage=gold,
            pages=pages,
            start=start,
            end=end,
            excluded=excluded,
            distractors=tuple(others[: self.distractors]),
        )

    def _refusals_due(self) -> bool:
        """Whether one more unanswerable question keeps their share within `unanswerable`."""
        refused = sum(not question.answerable for question in self.questions)
        return refused + 1 <= self.unanswerable * (len(self.questions) + 1)

    def _unanswerable(
        self, draft: Draft, others: Sequence[Hit], excluded: tuple[str, ...]
    ) -> SyntheticQuestion:
        """The same question, asked of the best hit without the answer."""
        best, rest = others[0], others[1 : 1 + self.distractors]
        pages = (best.chunk.first_page, best.chunk.last_page)
        with_answer = tuple(dict.fromkeys((*self._holding(draft.gold), *excluded)))
        return SyntheticQuestion(
            kind=draft.kind,
            question=draft.question,
            answers=(),
            passage=best,
            pages=pages,
            excluded=with_answer,
            distractors=tuple(rest),
        )

    def _search(self, question: str) -> list[Hit]:
        """The hits of a lexical search, twice as many as are needed: some will be excluded."""
        expression = match_expression(question)
        depth = 2 * (FOUND_WITHIN + self.distractors)
        return self.snapshot.hits(self.snapshot.matching(expression, depth, Filter()))

    def _holding(self, statement: Statement) -> tuple[str, ...]:
        """The ids of the chunks that overlap a sentence."""
        chunks = self.snapshot.chunks(statement.chunk.document_id)
        return tuple(c.id for c in chunks if c.start < statement.end and statement.start < c.end)

    def _document(self, statement: Statement) -> Document:
        document = self.snapshot.document(statement.chunk.document_id)
        assert document is not None  # the snapshot holds it
        return document


def _place(document: Document, draft: Draft) -> tuple[int, int, tuple[int, int]]:
    """Start, end and pages of the answer in its document."""
    gold, span = draft.gold, draft.span
    first, last = original_span(document.text[gold.start : gold.end], span.start, span.end)
    start, end = gold.start + first, gold.start + last
    return start, end, (document.page_of(start).number, document.page_of(end - 1).number)
