"""What ragctx does with a question, step by step, and what it would do if a step were perfect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.answer_judge import holds, is_right
from benchmarks.dev_set import DevQuestion
from ragctx.assembly import Assembly, assemble
from ragctx.embedding import Embedder
from ragctx.generator.reader.context import locate
from ragctx.generator.reader.reader import BundledReader
from ragctx.index.index import Index
from ragctx.index.protocol import Snapshot
from ragctx.pipeline import answer_prompt, ask, fit_generator
from ragctx.records import Answer, Hit, Prompt
from ragctx.retrieval import Retrieval, retrieve

CUTS = (1, 5, 20)
"""Ranks at which the recall of candidates is measured."""

READ = 5
"""Passages that are read: the default of `ragctx ask`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What became of one question; None where it was not looked at.

    `rank` is that of the first hit which holds the answer, 0 where none of the first 20 does.
    `guess` is the answer where it may not refuse, and `confidence` how sure that is.
    """

    id: str
    text: str  # "" where it refused
    outcome: str  # sure, unsure, not_in_documents; of older revisions "answered"
    confidence: float | None
    right: bool
    page_right: bool  # right, and a verified citation is of the right page
    selected: bool  # a passage in the prompt holds the answer
    seconds: float
    rank: int | None = None
    guess: str | None = None
    guess_right: bool | None = None
    any_span_right: bool | None = None  # of all that the reader weighed
    with_candidates: bool | None = None  # the guess, the passage surely among those read
    with_passage: bool | None = None  # the guess from that passage alone
    with_passage_any_span: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All that answering needs, loaded once."""

    index: Index
    embedder: Embedder
    reader: BundledReader
    retrieval: Retrieval

    def observe(self, question: DevQuestion) -> Observation:
        """Ask a question as a user does, then once more with each step made perfect."""
        reader, threshold = self.reader, self.reader.threshold
        answer = ask(question.question, self.index, self.embedder, reader, retrieval=self.retrieval)
        reader.threshold = -1.0  # from here on it may not refuse
        try:
            with self.index.snapshot() as snapshot:
                return self._observed(question, answer, snapshot)
        finally:
            reader.threshold = threshold

    def _observed(self, question: DevQuestion, answer: Answer, snapshot: Snapshot) -> Observation:
        deep = replace(self.retrieval, k=max(CUTS))
        hits = retrieve(question.question, snapshot, self.embedder, deep)
        guess = answer_prompt(answer.prompt, self.reader, snapshot.document)
        gold = self._gold(question, snapshot)
        among = self._prompt(question, _with(gold, hits[:READ]), snapshot) if gold else None
        alone = self._prompt(question, [gold], snapshot) if gold else None
        text = "" if answer.abstained else answer.text
        right = is_right(text, question)
        return Observation(
            id=question.id,
            rank=next((hit.rank for hit in hits if holds_answer(hit, question)), 0),
            selected=any(holds_answer(p.hit, question) for p in answer.prompt.passages if p.hit),
            outcome=answer.outcome,
            confidence=guess.confidence,
            text=text,
            right=right,
            page_right=right and cites(answer, question),
            guess=guess.text,
            guess_right=is_right(guess.text, question),
            any_span_right=self._any_right(question, [answer.prompt]),
            with_candidates=among is not None and is_right(self._guess(among), question),
            with_passage=alone is not None and is_right(self._guess(alone), question),
            with_passage_any_span=alone is not None and self._any_right(question, [alone]),
            seconds=dict(answer.timing)["total_s"],
        )

    def _guess(self, prompt: Prompt) -> str:
        return self.reader.generate(prompt).text

    @torch.inference_mode()
    def _any_right(self, question: DevQuestion, prompts: Iterable[Prompt]) -> bool:
        """Whether one of the spans that the reader weighed is a right answer."""
        reader = self.reader
        for prompt in prompts:
            passages, asked = reader.parts(prompt)
            if not passages:
                continue
            cached, _ = reader.cache.fetch(passages, reader.encode)
            result = reader.read_twice(prompt, cached, reader.read_question(asked, cached))
            located = locate(prompt, result.spans, reader.tokenizer)
            if any(is_right(" ".join(text.split()), question) for _, text in located):
                return True
        return False

    def _prompt(self, question: DevQuestion, hits: Sequence[Hit], snapshot: Snapshot) -> Prompt:
        return assemble(
            question.question,
            hits,
            self.reader.tokenizer,
            context_window=self.reader.context_window,
            assembly=fit_generator(Assembly(), self.reader),
            get_document=snapshot.document,
        )

    def _gold(self, question: DevQuestion, snapshot: Snapshot) -> Hit | None:
        """The passage that holds the answer, as a search would have brought it; None without."""
        [vector] = self.embedder.encode([question.question])
        for source in snapshot.sources():
            if source.path.replace("\\", "/").rpartition("/")[2] != question.document:
                continue
            hits = [
                Hit(rank=1, score=1.0, chunk=chunk, document=question.document, path=source.path)
                for chunk in snapshot.chunks(source.document_id)
            ]
            found = [hit for hit in hits if holds_answer(hit, question)]
            if found:
                # the one that holds most of the quote, and of equals the first
                best = max(found, key=lambda hit: _shared(hit.chunk.text, question.quote))
                cosine = snapshot.vectors_of([best.chunk.id])[0] @ vector
                return replace(best, similarity=float(cosine))
        return None


def holds_answer(hit: Hit, question: DevQuestion) -> bool:
    """Whether a hit is of the right page and holds an accepted answer."""
    chunk = hit.chunk
    return (
        hit.document == question.document
        and touches(chunk.first_page, chunk.last_page, question)
        and any(holds(chunk.text, form) for form in question.answers)
    )


def cites(answer: Answer, question: DevQuestion) -> bool:
    """Whether a verified citation is of the right document and page."""
    return any(
        citation.status == "verified"
        and citation.document == question.document
        and touches(citation.first_page, citation.last_page, question)
        for citation in answer.citations
    )


def _with(gold: Hit, hits: Sequence[Hit]) -> list[Hit]:
    """The hits with the gold one among them: in the place of the last where it is missing."""
    if any(hit.chunk.id == gold.chunk.id for hit in hits):
        return list(hits)
    rank = len(hits) if len(hits) == READ else len(hits) + 1
    return [*hits[: rank - 1], replace(gold, rank=rank)]


def touches(first: int | None, last: int | None, question: DevQuestion) -> bool:
    """Whether one of the question's pages is among the pages `first` to `last`."""
    return any((first or 0) <= page <= (last or 0) for page in question.pages)


def _shared(text: str, quote: str) -> int:
    words = set(text.split())
    return sum(word in words for word in quote.split())
