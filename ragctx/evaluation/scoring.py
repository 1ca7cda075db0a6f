"""From an answered prompt to its row in the results: is the answer right, are its citations?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ragctx.citations.abstention import abstained
from ragctx.citations.labels import without_labels
from ragctx.citations.resolve import cite
from ragctx.evaluation.candidates import QuestionCandidates
from ragctx.evaluation.metrics import best_subspan_em, exact_match, token_f1
from ragctx.evaluation.prompts import ConditionPrompt
from ragctx.evaluation.results import CitationRecord, Outcome, PassageRecord, QuestionRecord
from ragctx.generator.thought import without_thought
from ragctx.records import Citation, Document, Generation, Hit, Segment


def prediction_of(answer: str) -> str:
    r"""The part of an answer that is scored: its first line, without citation labels.

    As in Lost in the Middle: otherwise a model could score by copying the whole context.

    >>> prediction_of("\n 232 degrees [1]\nDocument 2: ...")
    '232 degrees'
    """
    return " ".join(without_labels(answer.strip().split("\n")[0]).split())


@dataclass(slots=True, kw_only=True)
class Scorer:
    """Scores the answers to one question, and collects the passages that its prompts contain.

    `candidates` are those of the question; a prompt may bring others, found in another way.
    """

    candidates: QuestionCandidates
    get_document: Callable[[str], Document | None]
    _numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(Chunk id, rank) -> index into `_passages`: searches differ in how they rank a passage."""
    _passages: list[PassageRecord] = field(default_factory=list)

    def outcome(self, asked: ConditionPrompt, generation: Generation) -> Outcome:
        """The row of one answer in the results."""
        question, prompt = self.candidates.question, asked.prompt
        generation = without_thought(generation)
        is_refused = abstained(generation)
        prediction = "" if is_refused else prediction_of(generation.text)
        subspan, exact, f1 = (
            score(prediction, question.answers) if question.answerable else float(is_refused)
            for score in (best_subspan_em, exact_match, token_f1)
        )
        cited = () if is_refused else cite(generation, prompt, self.get_document)
        is_gold = asked.candidates.is_gold
        gold = [hit for segment in prompt.passages if (hit := segment.hit) and is_gold(hit)]
        return Outcome(
            condition=asked.condition.name,
            question=question.id,
            order=tuple(self._number(segment, asked.candidates) for segment in prompt.passages),
            passage_tokens=tuple(len(segment.token_ids) for segment in prompt.passages),
            answer="" if is_refused else generation.text,
            abstained=is_refused,
            correct=subspan == 1.0,
            best_subspan_em=subspan,
            exact_match=exact,
            token_f1=f1,
            gold_in_prompt=bool(gold),
            citations=tuple(_citation(citation, prompt.passages, is_gold) for citation in cited),
            confidence=generation.confidence,
            prompt_tokens=prompt.token_count,
            answer_tokens=len(generation.token_ids),
            reused_tokens=generation.reused_tokens,
            latency_s=generation.prefill_s + generation.decode_s,
            placement=prompt.placement,
            note=asked.note,
        )

    def record(self) -> QuestionRecord:
        """The question with the passages of all prompts scored so far."""
        question = self.candidates.question
        return QuestionRecord(
            id=question.id,
            question=question.question,
            answers=question.answers,
            answerable=question.answerable,
            synthetic=question.synthetic,
            passages=tuple(self._passages),
            first_gold_rank=self.candidates.first_gold_rank if question.answerable else None,
        )

    def _number(self, segment: Segment, candidates: QuestionCandidates) -> int:
        """The segment's passage as an index into `QuestionRecord.passages`."""
        hit = segment.hit or Hit.from_text(0, 0.0, "")
        chunk = hit.chunk
        rank = next((h.rank for h in candidates.hits if h.chunk.id == chunk.id), hit.rank)
        if (chunk.id, rank) not in self._numbers:
            self._numbers[chunk.id, rank] = len(self._passages)
            self._passages.append(
                PassageRecord(
                    document=hit.document,
                    first_page=chunk.first_page,
                    last_page=chunk.last_page,
                    rank=rank,
                    text=chunk.text,
                    is_gold=candidates.is_gold(hit),
                )
            )
        return self._numbers[chunk.id, rank]


def _citation(
    citation: Citation, passages: tuple[Segment, ...], is_gold: Callable[[Hit], bool]
) -> CitationRecord:
    cited = (segment.hit for segment in passages if segment.label == citation.label)
    holds = any(is_gold(hit) for hit in cited if hit is not None)
    return CitationRecord(citation.label, citation.status, holds)
