"""The passages a question is asked with: from its file, mined as hard negatives, or retrieved.

Three sources, one result: `QuestionCandidates`, in rank order, with what is known about which
passages hold the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from ragctx.errors import InputError
from ragctx.evaluation.bm25 import Bm25
from ragctx.evaluation.datasets import LabelledPassage, LabelledQuestion, QuestionSet
from ragctx.evaluation.text_match import holds_any
from ragctx.records import Chunk, Document, Hit
from ragctx.retrieval import Retrieval, as_retriever, retrieve

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCandidates:
    """A question's passages, best first. `gold` are the chunks that hold its answer.

    An unanswerable question has no gold passage. `keeps_gold` is true of a controlled set of
    passages, in which a gold one takes part whatever its rank.
    """

    question: LabelledQuestion
    hits: tuple[Hit, ...]
    gold: tuple[Chunk, ...]
    keeps_gold: bool = False

    def best(self, k: int) -> tuple[Hit, ...]:
        """The k best hits; if no gold one is among them but must be kept, it takes the last place.

        >>> hits = [Hit.from_text(rank, -rank, f"text {rank}", f"d{rank}") for rank in (1, 2, 3)]
        >>> question = LabelledQuestion(id="1", question="?", answers=("a",))
        >>> candidates = QuestionCandidates(
        ...     question=question, hits=tuple(hits), gold=(hits[2].chunk,), keeps_gold=True
        ... )
        >>> [hit.rank for hit in candidates.best(2)]
        [1, 3]
        """
        first, gold = self.hits[:k], self.gold_hits
        if not self.keeps_gold or not gold or gold[0] in first:
            return first
        return (*first[:-1], gold[0])

    @property
    def gold_hits(self) -> tuple[Hit, ...]:
        """The hits that hold the answer, in rank order."""
        return tuple(hit for hit in self.hits if self.is_gold(hit))

    @property
    def distractors(self) -> tuple[Hit, ...]:
        """The hits that do not hold the answer, in rank order."""
        return tuple(hit for hit in self.hits if not self.is_gold(hit))

    @property
    def first_gold_rank(self) -> int | None:
        """The best rank of a passage that holds the answer; None where no candidate does."""
        return min((hit.rank for hit in self.gold_hits), default=None)

    def is_gold(self, hit: Hit) -> bool:
        """Whether a hit is a gold chunk, or a span into which one was merged."""
        chunk = hit.chunk
        return any(
            gold.document_id == chunk.document_id
            and chunk.start <= gold.start
            and gold.end <= chunk.end
            for gold in self.gold
        )


class Source(Protocol):
    """Where candidates come from."""

    @property
    def name(self) -> str:
        """What the passages are, for people: a description or the index's path."""

    @property
    def retriever(self) -> str:
        """The name of what ranked the passages, e.g. "bm25"."""

    @property
    def knows_order(self) -> bool:
        """Whether passages have an order within their document."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The paths of the documents; empty where only passages are known."""

    def candidates(self, question: LabelledQuestion) -> QuestionCandidates:
        """The passages of a question, ranked."""

    def document(self, document_id: str) -> Document | None:
        """The document of a chunk; None where only passages are known."""


class _WithoutDocuments:
    """A source whose passages come from a question file: their documents are not at hand."""

    knows_order = False
    documents: tuple[str, ...] = ()

    def document(self, document_id: str) -> Document | None:
        """None: the document of a passage is not known."""
        return None


class FilePassages(_WithoutDocuments):
    """The passages that the file gives with each question.

    They are ranked by the file's scores if every passage has one, and by BM25 otherwise; never by
    their order in the file, which often has the gold passage first.
    """

    name = "passages of the file"

    def __init__(self, questions: QuestionSet) -> None:
        passages = [p for question in questions.questions for p in question.passages]
        self._scored = all(passage.score is not None for passage in passages)
        self.retriever = "scores of the file" if self._scored else "bm25"

    def candidates(self, question: LabelledQuestion) -> QuestionCandidates:
        """All the question's passages, ranked."""
        passages = question.passages
        if self._scored:
            scores = [passage.score or 0.0 for passage in passages]
        else:
            scores = Bm25([passage.text for passage in passages]).scores(question.question)
        return _ranked(question, passages, scores)


class MinedPassages(_WithoutDocuments):
    """The question's own passage among hard negatives from all the file's passages.

    Hard negatives are the passages that BM25 ranks highest for the question among those that hold
    none of its answers. Raises InputError where the file has fewer than two distinct passages.
    """

    name = "mined from the file's contexts"
    retriever = "bm25"

    def __init__(self, questions: QuestionSet, k: int) -> None:
        passages = (p for question in questions.questions for p in question.passages)
        self._corpus = list({passage.text: passage for passage in passages}.values())
        if len(self._corpus) < 2:
            raise InputError(
                f"{questions.path!r} holds {len(self._corpus)} distinct passages to mine "
                "distractors from; name an index with --index, or use a file with passages"
            )
        self._bm25 = Bm25([passage.text for passage in self._corpus])
        self.k = k

    def candidates(self, question: LabelledQuestion) -> QuestionCandidates:
        """The gold passage, if the question has an answer, and the k - 1 hardest negatives."""
        scores = self._bm25.scores(question.question)
        gold = {passage.text for passage in question.passages if passage.is_gold}
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        chosen = [i for i in order if self._corpus[i].text in gold]
        for i in order:
            if len(chosen) == self.k:
                break
            text = self._corpus[i].text
            if text not in gold and not holds_any(text, question.answers):
                chosen.append(i)
        passages = [replace(self._corpus[i], is_gold=self._corpus[i].text in gold) for i in chosen]
        return _ranked(question, passages, [scores[i] for i in chosen])


class IndexPassages:
    """The hits of a search in an index, whether a gold passage is among them or not.

    A passage is gold if it holds an answer and, where the question names a document or pages, comes
    from there. The chunks that a question excludes are looked up in `excluding`, by default the
    index itself: whatever overlaps one of them is excluded, however the index cuts its documents.
    """

    knows_order = True

    def __init__(
        self,
        index: Index,
        embedder: Embedder,
        retrieval: Retrieval,
        *,
        excluding: Index | None = None,
    ) -> None:
        self._index, self._embedder, self._retrieval = index, embedder, retrieval
        self._excluding = excluding
        self.name = str(index.path)
        retriever = getattr(as_retriever(retrieval.retriever), "__name__", "custom")
        reranker = retrieval.reranker
        named = "" if reranker is None else getattr(reranker, "name", "a function")
        self.retriever = f"{retriever}, reranked by {named}" if named else retriever

    def candidates(self, question: LabelledQuestion) -> QuestionCandidates:
        """The k hits of a search, without the chunks that the question excludes."""
        found = retrieve(question.question, self._index, self._embedder, self._retrieval)
        hits = tuple(hit for hit in found if not self._is_excluded(hit.chunk, question))
        gold = tuple(hit.chunk for hit in hits if _holds_answer(question, hit))
        return QuestionCandidates(
            question=question, hits=hits, gold=gold if question.answerable else ()
        )

    def document(self, document_id: str) -> Document | None:
        """The document of a chunk."""
        return self._index.document(document_id)

    @property
    def documents(self) -> tuple[str, ...]:
        """The paths of the PDFs in the index."""
        return tuple(source.path for source in self._index.sources())

    def _is_excluded(self, chunk: Chunk, question: LabelledQuestion) -> bool:
        if chunk.id in question.excluded:
            return True
        if self._excluding is None or not question.excluded:
            return False
        kept_out = map(self._elsewhere.get, question.excluded)
        return any(
            other is not None
            and other.document_id == chunk.document_id
            and other.start < chunk.end
            and chunk.start < other.end
            for other in kept_out
        )

    @cached_property
    def _elsewhere(self) -> dict[str, Chunk]:
        """The chunks of the index that questions' exclusions are about, by id."""
        assert self._excluding is not None
        with self._excluding.snapshot() as snapshot:
            documents = dict.fromkeys(source.document_id for source in snapshot.sources())
            return {chunk.id: chunk for id in documents for chunk in snapshot.chunks(id)}


def source_of(questions: QuestionSet, k: int) -> Source:
    """The file's own passages if any question has several, otherwise `k` mined ones each.

    Raises InputError where no question has a passage: such questions need an index.
    """
    most = max(len(question.passages) for question in questions.questions)
    if most == 0:
        raise InputError(
            f"the questions in {questions.path!r} come without passages; name the index of their "
            "documents with --index"
        )
    return FilePassages(questions) if most > 1 else MinedPassages(questions, k)


def _ranked(
    question: LabelledQuestion, passages: Sequence[LabelledPassage], scores: Sequence[float]
) -> QuestionCandidates:
    order = sorted(range(len(passages)), key=lambda i: -scores[i])
    hits = tuple(_hit(rank, scores[i], passages[i]) for rank, i in enumerate(order, start=1))
    gold = (
        hit.chunk
        for hit, i in zip(hits, order, strict=True)
        if passages[i].is_gold and question.answerable
    )
    return QuestionCandidates(question=question, hits=hits, gold=tuple(gold), keeps_gold=True)


def _hit(rank: int, score: float, passage: LabelledPassage) -> Hit:
    """A passage as a hit. Each is a document of its own: their order in documents is not known."""
    content = f"{passage.title}\0{passage.text}".encode("utf-8", "replace")
    identity = hashlib.sha256(content).hexdigest()[:16]
    chunk = Chunk(
        id=identity,
        document_id=identity,
        start=0,
        end=len(passage.text),
        first_page=None,
        last_page=None,
        text=passage.text,
        token_count=0,
    )
    return Hit(rank=rank, score=score, chunk=chunk, document=passage.title, path=passage.title)


def _touches(chunk: Chunk, first: int, last: int) -> bool:
    """Whether a chunk is on some of these pages, or its own are not known."""
    if chunk.first_page is None or chunk.last_page is None:
        return True
    return chunk.last_page >= first and chunk.first_page <= last


def _holds_answer(question: LabelledQuestion, hit: Hit) -> bool:
    """Whether a hit holds an answer, in the document and on the pages that are labelled."""
    first, last = question.pages
    chunk = hit.chunk
    if question.document and question.document not in (hit.document, hit.path):
        return False
    if first and not _touches(chunk, first, last):
        return False
    return holds_any(chunk.text, question.answers)
