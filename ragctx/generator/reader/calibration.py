"""How sure the reader is that the passages answer: a probability fitted on held-out questions.

In half of these questions the answering passage was among those read, in the others it was not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragctx.generator.reader.passes import PassResult
from ragctx.generator.reader.proximity import rarities


class Evidence(NamedTuple):
    """The inputs of the calibration: what speaks for an answer being in the passages.

    Log-odds are natural logarithms, limited to ±`MAX_LOG_ODDS`.
    """

    second_pass: float  # log-odds of an answer against none, by the second pass
    first_pass: float  # the same by the first pass
    lead: float  # first pass: log-odds of the likeliest passage over the next; 0 if there is none
    span: float  # log-probability of the answer's span
    covered: float  # share of the question's words that are in the answer's passage, 0 to 1
    others: float  # its mean over the passages but the one that covers most; 0 if there are none
    proximity: float  # term proximity of the answer's span, 0 to 1
    best_proximity: float  # term proximity of the token for which it is highest
    alone: float  # 1 for a single passage, else 0


MAX_LOG_ODDS = 20.0
"""Limit of every log-odds that counts as evidence: beyond e^20 they tell nothing more. Chosen by
hand."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression from `Evidence` to the probability that the passages hold the answer.

    `weights` are the intercept and then one weight for each piece of evidence, in its order.

    >>> calibration = Calibration((0.0, 1.0, *[0.0] * 8))
    >>> evidence = Evidence(math.log(4), 0.0, 1.5, -0.1, 0.5, 0.2, 0.3, 0.5, 0.0)
    >>> round(calibration.confidence(evidence), 3)
    0.8
    """

    weights: tuple[float, ...]

    def confidence(self, evidence: Evidence) -> float:
        """Probability that the passages hold the answer."""
        pieces = (1.0, *evidence)
        return _sigmoid(sum(w * piece for w, piece in zip(self.weights, pieces, strict=True)))


def evidence_of(
    result: PassResult,
    passages: Sequence[Collection[int]],
    answered_by: int,
    question: Collection[int],
) -> Evidence:
    """Collect the evidence of a result that has spans.

    `passages` are the token ids of each passage, `answered_by` is the number of the one that holds
    the best span.
    """
    shares = [covered(question, passage) for passage in passages]
    others = len(shares) - 1
    return Evidence(
        second_pass=_log_odds(result.second_null),
        first_pass=_log_odds(result.first_null),
        lead=_lead(result.passages),
        span=result.spans[0].log_probability,
        covered=shares[answered_by],
        others=(sum(shares) - max(shares)) / others if others else 0.0,
        proximity=result.spans[0].proximity,
        best_proximity=result.best_proximity,
        alone=float(not others),
    )


def covered(question: Collection[int], passage: Collection[int]) -> float:
    """Share of the question's words that the passage contains, rare ones counting more: 0 to 1.

    >>> covered([2054, 8271], [8271]) > covered([2054, 8271], [2054])
    True
    """
    counts = rarities(question)
    total = sum(counts.values())
    return sum(counts[token] for token in counts if token in passage) / total if total else 0.0


def _lead(log_probabilities: Sequence[float]) -> float:
    """How far the largest is above the second largest; 0 if there is only one."""
    if len(log_probabilities) < 2:
        return 0.0
    first, second = sorted(log_probabilities, reverse=True)[:2]
    return min(MAX_LOG_ODDS, first - second)


def calibration_of(about: Mapping[str, Sequence[float]]) -> Calibration:
    """Read a calibration from its entry in `reader.json`."""
    return Calibration(tuple(map(float, about["weights"])))


def _log_odds(null: float) -> float:
    """Log-odds that there is an answer, given the log-probability that there is none."""
    if null >= -1e-9:  # a probability of 1 but for rounding, whose log-odds would be infinite
        return -MAX_LOG_ODDS
    return max(-MAX_LOG_ODDS, min(MAX_LOG_ODDS, math.log(-math.expm1(null)) - null))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
