"""From "the passages hold the answer" to "this answer is right", on documents as users have them.

`calibration` was fitted where the reader was trained: on prose, with the answer's passage there or
not. How often its answers are right is another question, and depends on the documents: in tables
and manuals it often picks the wrong one of several. So a line through its log-odds is fitted to
answers that were looked up (Platt, "Probabilistic Outputs for Support Vector Machines", 1999), and
two thresholds on it tell a sure answer from a guess, and a guess from none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SURE = 0.7
"""Probability of being right from which an answer is called sure, unless the questions that a
certainty is fitted to allow to call more, or less, so (`PRECISION`)."""

PRECISION = 0.85
"""Share of sure answers that are to be right. Chosen by hand, as for refusals in training."""

MISSED = 0.9
"""Share of refused guesses that are to be wrong. Chosen by hand: a guess that is shown as one costs
the user a look, a refusal of a right one the answer."""

_STEPS = 50  # of Newton's method, which needs about ten
_RIDGE = 1.0  # on the slope, so that few questions cannot make it infinite; chosen by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """Probability that an answer is right: sigmoid(intercept + slope * log-odds of calibration).

    An answer is given from `answer_from` on, and is sure from `sure_from` on; both are
    probabilities. The default leaves the calibration's own.

    >>> Certainty().of(0.8), round(Certainty(slope=0.5, intercept=-1.0).of(0.8), 2)
    (0.8, 0.42)
    """

    slope: float = 1.0
    intercept: float = 0.0
    answer_from: float = 0.0
    sure_from: float = SURE

    def of(self, confidence: float) -> float:
        """The probability that the answer is right, of what the calibration gives."""
        if confidence <= 0 or (self.slope, self.intercept) == (1.0, 0.0):
            return confidence  # 0 is a rule, not a measure: the question is about something else
        return 1 / (1 + math.exp(-(self.intercept + self.slope * log_odds(confidence))))


def certainty_of(about: Mapping[str, float], threshold: float) -> Certainty:
    """Read a certainty from its entry in `reader.json`; without one `threshold` is the least."""
    return Certainty(**about) if about else Certainty(answer_from=threshold)


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), limited to ±20."""
    p = min(1 - 2e-9, max(2e-9, probability))
    return math.log(p / (1 - p))


def fit_certainty(confidences: Sequence[float], right: Sequence[bool]) -> Certainty:
    """The certainty that fits questions whose answers are known.

    `confidences` are what the calibration gave each best guess, refused or not, and `right` whether
    that was right: never for a question that the documents do not answer.

    >>> confidences = [0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 0.95] * 5
    >>> right = [False, False, False, False, True, False, True, True] * 5
    >>> fitted = fit_certainty(confidences, right)
    >>> fitted.of(0.95) > fitted.sure_from > fitted.of(0.6) > fitted.of(0.1)
    True
    """
    x = np.array([log_odds(confidence) for confidence in confidences])
    slope, intercept = _platt(x, np.array(right, float))
    line = Certainty(slope=slope, intercept=intercept)
    said = [line.of(confidence) for confidence in confidences]
    return Certainty(
        slope=slope,
        intercept=intercept,
        answer_from=_answer_from(said, right),
        sure_from=_sure_from(said, right),
    )


def _platt(x: Floats, right: Floats) -> tuple[float, float]:
    """Slope and intercept of a logistic regression, by Newton's method.

    The targets are moved off 0 and 1 as Platt does, by one question of each kind.
    """
    hits = right.sum()
    target = np.where(right > 0, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([0.0, math.log((hits + 1) / (len(right) - hits + 1))])
    ridge = np.diag([_RIDGE, 0.0])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (p - target) + ridge @ weights
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs + ridge + 1e-9 * np.eye(2)
        weights = weights - np.linalg.solve(curvature, gradient)
    slope, intercept = weights.tolist()
    return max(0.0, slope), intercept


def _sure_from(said: Sequence[float], right: Sequence[bool]) -> float:
    """The lowest probability from which on `PRECISION` of the answers are right; at least `SURE`.

    1.0, which no answer reaches, where there is none.
    """
    least = 1.0
    ranked = sorted(zip(said, right, strict=True), reverse=True)
    hits = 0
    for count, (probability, is_right) in enumerate(ranked, start=1):
        hits += is_right
        if hits >= PRECISION * count:
            least = probability
    return max(SURE, round(least, 4))


def _answer_from(said: Sequence[float], right: Sequence[bool]) -> float:
    """The highest probability below which `MISSED` of the guesses are wrong; 0.0 without one."""
    most, wrong = 0.0, 0
    ranked = sorted(zip(said, right, strict=True))
    for count, (_, is_right) in enumerate(ranked, start=1):
        wrong += not is_right
        if wrong >= MISSED * count:
            most = ranked[count][0] if count < len(ranked) else 1.0
    return round(most, 4)
