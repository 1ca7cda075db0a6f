"""From "the passages hold the answer" to "this answer is right", on documents as users have them.

`calibration` was fitted where the reader was trained: on prose, with the answer's passage there or
not. How often its answers are right is another question, and depends on the documents: in tables
and manuals it often picks the wrong one of several. So a logistic regression is fitted to answers
that were looked up, on little evidence, so that a hundred questions are enough; and two thresholds
on it tell a sure answer from a guess, and a guess from none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.records import SURE

Floats = NDArray[np.float64]

PRECISION = 0.85
"""Share of sure answers that are to be right. Chosen by hand, as for refusals in training."""

MISSED = 0.9
"""Share of refused guesses that are to be wrong. Chosen by hand: a guess that is shown as one costs
the user a look, a refusal of a right one the answer."""

FEWEST = 30
"""Questions to fit from; with fewer the thresholds are luck. Chosen by hand."""

_STEPS = 50  # of Newton's method, which needs about ten
_RIDGE = 1.0  # on the weights of standardised signs; chosen by hand, so that few questions do
_LIMIT = 7.0  # of log-odds: beyond 0.999 an agreement tells no more; chosen by hand


NAMED = 0.9
"""Probability that a cell is right which the question names by row and column, in a passage that is
read alone: 159 of 176 were, of 917 questions of a held-out set about tables (training/LOG.md),
taken as 160 of 178."""

NAMED_AMONG = 0.6
"""The same where several passages were read: other tables have such a row and year, too. 60 of 100
were right of the same set's training part, with five passages as a search brings them
(training/LOG.md). Below `SURE`."""

UNDECIDED = 0.69
"""The most that is said of a sentence that bears on a question for yes or no, and says neither: 62
of 90 such sentences were the right ones (training/LOG.md). Below `SURE`."""


class Signs(NamedTuple):
    """What tells whether the best guess is right."""

    held: float  # probability, by the calibration, that the passages hold the answer
    agreement: float  # F1, 0 to 1, that the guess has with the likely spans, weighed by how likely
    named: float = 0.0  # probability that it is right as the cell that is named; 0 if none is
    undecided: bool = False  # whether it bears on a question for yes or no (`yes_or_no`)

    def inputs(self) -> tuple[float, ...]:
        """What the regression is over: the log-odds of both."""
        return log_odds(self.held), log_odds(self.agreement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """Probability that a guess is right, by logistic regression over `Signs.inputs`.

    `weights` are the intercept and one for each sign. An answer is given from `answer_from` on, and
    is sure from `sure_from` on; both are probabilities. The default leaves the calibration's own.

    >>> round(Certainty().of(Signs(0.8, 0.5)), 6)
    0.8
    """

    weights: tuple[float, ...] = (0.0, 1.0, 0.0)
    answer_from: float = 0.0
    sure_from: float = SURE

    def of(self, signs: Signs) -> float:
        """The probability that the guess is right."""
        if signs.named:
            return signs.named
        if signs.held <= 0:
            return 0.0  # a rule, not a measure: the question is about something else
        pieces = (1.0, *signs.inputs())
        x = sum(w * piece for w, piece in zip(self.weights, pieces, strict=True))
        said = 1 / (1 + math.exp(-x))
        return min(said, UNDECIDED) if signs.undecided else said


def certainty_of(about: Mapping[str, Any], threshold: float) -> Certainty:
    """Read a certainty from its entry in `reader.json`; without one `threshold` is the least."""
    if not about:
        return Certainty(answer_from=threshold)
    return Certainty(
        weights=tuple(map(float, about["weights"])),
        answer_from=float(about["answer_from"]),
        sure_from=float(about["sure_from"]),
    )


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), limited to ±7.

    >>> round(log_odds(0.8), 3), log_odds(1.0)
    (1.386, 7.0)
    """
    if not 0 < probability < 1:
        return math.copysign(_LIMIT, probability - 0.5)
    return max(-_LIMIT, min(_LIMIT, math.log(probability / (1 - probability))))


def fit_certainty(signs: Sequence[Signs], right: Sequence[bool]) -> Certainty:
    """The certainty that fits questions whose answers are known.

    `signs` are those of each best guess, refused or not, and `right` whether that was right: never
    for a question that the documents do not answer.

    >>> signs = [Signs(p, p) for p in (0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 0.95)] * 5
    >>> right = [False, False, False, False, True, False, True, True] * 5
    >>> fitted = fit_certainty(signs, right)
    >>> [fitted.of(signs[i]) >= fitted.answer_from for i in (0, 3, 7)]
    [False, False, True]
    """
    read = [
        (one.inputs(), is_right)
        for one, is_right in zip(signs, right, strict=True)
        if not one.named
    ]
    inputs, targets = zip(*read, strict=True)
    weights = _logistic(np.array(inputs, np.float64), np.array(targets, np.float64))
    fitted = Certainty(weights=weights)
    said = [fitted.of(one) for one in signs]
    return Certainty(
        weights=weights, answer_from=_answer_from(said, right), sure_from=_sure_from(said, right)
    )


def _logistic(inputs: Floats, right: Floats) -> tuple[float, ...]:
    """Intercept and weights (n, k) -> k + 1 of a logistic regression, by Newton's method.

    The inputs are standardised for the ridge to weigh them alike. The targets are moved off 0 and 1
    by one question of each kind, as in Platt, "Probabilistic Outputs for Support Vector Machines",
    1999.
    """
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-9
    x = np.column_stack([np.ones(len(inputs)), (inputs - mean) / spread])
    hits = right.sum()
    target = np.where(right > 0, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    ridge = _RIDGE * np.diag([0.0, *np.ones(inputs.shape[1])])
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - target) + ridge @ weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge
        weights = weights - np.linalg.solve(curvature, gradient)
    slopes = weights[1:] / spread
    return tuple(round(float(w), 4) for w in (weights[0] - slopes @ mean, *slopes))


def _sure_from(said: Sequence[float], right: Sequence[bool]) -> float:
    """The lowest probability from which on `PRECISION` of the guesses are right; at least `SURE`.

    1.0, which no guess reaches, where there is none.
    """
    least, hits = 1.0, 0
    ranked = sorted(zip(said, right, strict=True), reverse=True)
    for count, (probability, is_right) in enumerate(ranked, start=1):
        hits += is_right
        is_last = count == len(ranked) or ranked[count][0] < probability  # of equal ones
        if is_last and hits >= PRECISION * count:
            least = probability
    return max(SURE, least)


def _answer_from(said: Sequence[float], right: Sequence[bool]) -> float:
    """The highest probability below which `MISSED` of the guesses are wrong; 0.0 without one."""
    most, wrong = 0.0, 0
    ranked = sorted(zip(said, right, strict=True))
    for count, (probability, is_right) in enumerate(ranked, start=1):
        wrong += not is_right
        following = ranked[count][0] if count < len(ranked) else 1.0
        if following > probability and wrong >= MISSED * count:
            most = following
    return most
