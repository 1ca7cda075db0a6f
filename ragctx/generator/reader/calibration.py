"""How sure an answer is: a probability fitted on questions whose passage was there, or was not."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragctx.generator.reader.passes import Reading
from ragctx.generator.reader.proximity import rarities


class Evidence(NamedTuple):
    """What speaks for the answer standing in the passages."""

    again: float  # log-odds against null at the second look, and
    first: float  # at the first
    lead: float  # of the likeliest passage over the next at the first, as log-odds, up to 20
    likely: float  # log-probability of the answer's span
    covered: float  # share of the question's words in the passage that the answer is taken from,
    others: float  # and on average in all but the one that holds most, 0 where there are none
    near: float  # how near they stand to the answer,
    nearest: float  # and to the place that they are nearest to
    alone: float  # 1 for a single passage, else 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression from `Evidence` to P(the answer stands there).

    `weights` are those of 1 and the pieces of evidence in their order.

    >>> calibration = Calibration((0.0, 1.0, *[0.0] * 8))
    >>> evidence = Evidence(math.log(4), 0.0, 1.5, -0.1, 0.5, 0.2, 0.3, 0.5, 0.0)
    >>> round(calibration.confidence(evidence), 3)
    0.8
    """

    weights: tuple[float, ...]

    def confidence(self, evidence: Evidence) -> float:
        """Probability that the answer stands in the passages."""
        pieces = (1.0, *evidence)
        return _sigmoid(sum(w * piece for w, piece in zip(self.weights, pieces, strict=True)))


def evidence_of(
    reading: Reading,
    passages: Sequence[Collection[int]],
    answered_by: int,
    question: Collection[int],
) -> Evidence:
    """The evidence of a reading of `passages` (their tokens), one of which gave its best span."""
    shares = [covered(question, passage) for passage in passages]
    others = len(shares) - 1
    return Evidence(
        again=_log_odds(reading.null),
        first=_log_odds(reading.first_null),
        lead=_lead(reading.passages),
        likely=reading.spans[0].log_probability,
        covered=shares[answered_by],
        others=(sum(shares) - max(shares)) / others if others else 0.0,
        near=reading.spans[0].near,
        nearest=reading.nearest,
        alone=float(not others),
    )


def covered(question: Collection[int], passage: Collection[int]) -> float:
    """Share of the question's words that stand in the passage, rare ones counting more: 0 to 1.

    >>> covered([2054, 8271], [8271]) > covered([2054, 8271], [2054])
    True
    """
    counts = rarities(question)
    total = sum(counts.values())
    return sum(counts[token] for token in counts if token in passage) / total if total else 0.0


def _lead(likely: Sequence[float]) -> float:
    """Of the first of several over the second; 0 where there is one."""
    first, second = (*sorted(likely, reverse=True), -math.inf)[:2]
    return min(20.0, first - second) if len(likely) > 1 else 0.0


def calibration_of(about: Mapping[str, Sequence[float]]) -> Calibration:
    """From `reader.json`."""
    return Calibration(tuple(map(float, about["weights"])))


def _log_odds(null: float) -> float:
    """Of the answer being there, from the log-probability that it is not; within ±20."""
    if null >= -1e-9:
        return -20.0
    return max(-20.0, min(20.0, math.log(-math.expm1(null)) - null))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
