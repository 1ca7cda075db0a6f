"""How sure an answer is: a probability fitted on questions whose passage was there, or was not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragctx.generator.looking import Reading


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression from what both looks and the search say to P(the answer stands there).

    `weights` are those of 1, the second look's and the first look's log-odds against null, and the
    best cosine of a passage to the question; `blind` those of the first three, for passages whose
    cosine is not known.

    >>> calibration = Calibration((0.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    >>> round(calibration.confidence(Reading((), math.log(0.5), math.log(0.2), ()), []), 3)
    0.8
    """

    weights: tuple[float, float, float, float]
    blind: tuple[float, float, float]

    def confidence(self, reading: Reading, similarities: Sequence[float]) -> float:
        """Probability that the answer stands in the passages; NaN cosines are not known."""
        known = [cosine for cosine in similarities if not math.isnan(cosine)]
        evidence = features(reading)
        if known:
            return _sigmoid(sum(map(_times, self.weights, (*evidence, max(known)))))
        return _sigmoid(sum(map(_times, self.blind, evidence)))


def features(reading: Reading) -> tuple[float, float, float]:
    """1 and the log-odds that the answer is there, at the second look and the first."""
    return 1.0, _log_odds(reading.null), _log_odds(reading.first_null)


def calibration_of(about: Mapping[str, Sequence[float]]) -> Calibration:
    """From `reader.json`."""
    a, b, c, d = map(float, about["weights"])
    e, f, g = map(float, about["blind"])
    return Calibration((a, b, c, d), (e, f, g))


def _times(a: float, b: float) -> float:
    return a * b


def _log_odds(null: float) -> float:
    """Of the answer being there, from the log-probability that it is not; within ±20."""
    if null >= -1e-9:
        return -20.0
    return max(-20.0, min(20.0, math.log(-math.expm1(null)) - null))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
