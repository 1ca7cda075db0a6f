"""Outcomes of one condition as a few numbers: accuracy, refusals, citations and cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from ragctx.evaluation.results import Outcome, QuestionRecord, Summary
from ragctx.evaluation.statistics.intervals import Interval, bootstrap_mean, wilson


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a model, in currency per million tokens of the prompt and of the answer."""

    prompt: float
    answer: float

    def of(self, outcome: Outcome) -> float:
        """The cost of one question, in the currency of the prices."""
        tokens = self.prompt * outcome.prompt_tokens + self.answer * outcome.answer_tokens
        return tokens / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Summariser:
    """Sums outcomes up, with the same seed and confidence for all of a comparison."""

    seed: int
    resamples: int
    confidence: float
    prices: Prices | None
    answerable: frozenset[str]  # ids of the questions that have an answer

    def summary(self, condition: str, label: str, outcomes: Sequence[Outcome]) -> Summary:
        """The summary of a condition's outcomes; `condition` is its name, `label` is for people."""
        scored = [outcome for outcome in outcomes if outcome.question in self.answerable]
        answered = [outcome for outcome in outcomes if not outcome.abstained]
        refused = [outcome for outcome in outcomes if outcome.abstained]
        without_gold = [outcome for outcome in outcomes if outcome.gold_in_prompt is False]
        return Summary(
            condition=condition,
            label=label,
            n=len(outcomes),
            correct=self._share(outcome.correct for outcome in outcomes),
            best_subspan_em=self._share(outcome.best_subspan_em == 1.0 for outcome in scored),
            exact_match=self._share(outcome.exact_match == 1.0 for outcome in scored),
            token_f1=self._mean([outcome.token_f1 for outcome in scored]),
            abstention_rate=len(refused) / max(1, len(outcomes)),
            abstention_precision=_share(outcome.gold_in_prompt is False for outcome in refused),
            abstention_recall=_share(outcome.abstained for outcome in without_gold),
            gold_in_prompt=_share(outcome.gold_in_prompt is True for outcome in scored),
            citation_verified=_share(_cites_verified(outcome) for outcome in answered),
            citation_correct=_share(_cites_gold(outcome) for outcome in answered),
            mean_prompt_tokens=_mean(outcome.prompt_tokens for outcome in outcomes),
            mean_answer_tokens=_mean(outcome.answer_tokens for outcome in outcomes),
            mean_reused_tokens=_mean(outcome.reused_tokens for outcome in outcomes),
            mean_cost=_mean(map(self.prices.of, outcomes)) if self.prices else None,
        )

    def _share(self, hits: Iterable[bool]) -> Interval:
        values = list(hits)
        return wilson(sum(values), len(values), self.confidence)

    def _mean(self, values: Sequence[float]) -> Interval:
        return bootstrap_mean(
            np.array(values), seed=self.seed, resamples=self.resamples, confidence=self.confidence
        )


def recall_at(questions: Sequence[QuestionRecord], ranks: Sequence[int]) -> tuple[float, ...]:
    """For each rank, the share of answerable questions with a gold passage up to that rank."""
    answerable = [question for question in questions if question.answerable]
    if not answerable:
        return tuple(0.0 for _ in ranks)
    first_golds = [
        math.inf if question.first_gold_rank is None else question.first_gold_rank
        for question in answerable
    ]
    return tuple(fmean(first <= rank for first in first_golds) for rank in ranks)


def _cites_verified(outcome: Outcome) -> bool:
    """Whether an answer has a verified citation."""
    return any(citation.status == "verified" for citation in outcome.citations)


def _cites_gold(outcome: Outcome) -> bool:
    """Whether an answer has a verified citation of a passage that holds the right answer."""
    return any(c.status == "verified" and c.is_gold for c in outcome.citations)


def _share(hits: Iterable[bool]) -> float | None:
    values = list(hits)
    return fmean(values) if values else None


def _mean(values: Iterable[float]) -> float:
    return fmean([*values] or [0.0])
