"""Confidence intervals: Wilson for shares, order statistics for medians, or bootstrap. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

CONFIDENCE = 0.95
"""The confidence of intervals: the usual convention."""
RESAMPLES = 2000
"""Resamples of a bootstrap and permutations of a test; chosen by hand."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float


def wilson(right: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a share of `right` out of `n` (Wilson 1927); (0, 1) for n = 0.

    Unlike p ± z·√(p(1-p)/n) it does not shrink to a point when all or none were right.

    >>> interval = wilson(45, 50)
    >>> interval.value, round(interval.low, 3), round(interval.high, 3)
    (0.9, 0.786, 0.957)
    """
    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def bootstrap_mean(
    values: Values, *, seed: int, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """The percentile bootstrap interval of a mean over questions (Efron 1979); (0, 1) for none.

    `values` is (questions,).

    >>> import numpy as np
    >>> interval = bootstrap_mean(np.array([0.0, 0.5, 1.0] * 30), seed=0)
    >>> interval.value, 0.35 < interval.low < interval.value < interval.high < 0.65
    (0.5, True)
    """
    if not len(values):
        return Interval(0.0, 0.0, 1.0)
    means = _resampled(len(values), resamples, seed) @ values
    low, high = _percentiles(means, confidence)
    return Interval(float(values.mean()), low, high)


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The difference of two accuracies on the same questions, with its bootstrap interval.

    `first` and `second` are (questions,): was each question right? Questions are resampled, so the
    pairing stays. Two made-up questions, one that only the first and one that only the second got
    right, are added before resampling (the smoothing of Bonett and Price 2012 for paired shares):
    without them five questions on which both agree would "prove" a difference of exactly 0.

    >>> import numpy as np
    >>> interval = paired_difference(np.ones(8, dtype=bool), np.ones(8, dtype=bool), seed=0)
    >>> interval.value, interval.low < 0 < interval.high
    (0.0, True)
    """
    observed = first.astype(np.float64) - second
    smoothed = np.concatenate((observed, (1.0, -1.0)))
    means = _resampled(len(smoothed), resamples, seed) @ smoothed
    low, high = _percentiles(means, confidence)
    value = float(observed.mean()) if len(observed) else 0.0
    return Interval(value, min(low, value), max(high, value))


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """The median, and an interval for the true one whatever the distribution of the values.

    It reaches from the r-th smallest value to the r-th largest, with the largest r for which
    2 P(X < r) ≤ 1 - confidence, X ~ Binomial(n, 1/2): each value is above the true median with
    probability 1/2 (Thompson 1936, "On confidence ranges for the median"). None where there are too
    few values for any such interval: fewer than 6 at 95 %.

    >>> median_interval([3.0, 1.0, 2.0, 9.0, 4.0, 5.0])
    Interval(value=3.5, low=1.0, high=9.0)
    >>> median_interval([3.0, 1.0, 2.0, 9.0, 4.0])
    """
    n, ordered = len(values), sorted(values)
    below, r = 0, 0  # below: the number of the 2**n ways in which X < r
    while 2 * (below + math.comb(n, r)) <= (1 - confidence) * 2**n:
        below, r = below + math.comb(n, r), r + 1
    return Interval(median(ordered), ordered[r - 1], ordered[n - r]) if r else None


def spread_interval(
    outcomes: NDArray[np.bool_],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Best minus worst accuracy over the columns, with an interval for the true one.

    `outcomes` is (questions, conditions): was question i right under condition j?

    Max - min is biased upwards, in the bootstrap once more than in the data, so its percentiles
    would nearly never hold the truth where nothing differs. But whatever the columns' errors are,
    it is off by no more than *their* max - min; so the interval is the observed value ± the
    confidence quantile of the bootstrap errors' own range, within 0 and 1 (Tukey's range procedure,
    with the bootstrap in place of the studentised range). It begins at 0 unless the best and the
    worst column can be told apart, and covers at least as often as its confidence. As for
    `paired_difference`, one made-up question for each column, which it alone got right, is added
    before resampling. The errors are then scaled by (n + k) / n, for n questions and k columns:
    the made-up ones add doubt, and must not also dilute the errors of a mean over n. Unscaled, the
    interval covered down to never where 20 columns differ by nothing on 5 questions; of six
    corrections tried in 360 simulated settings this is the one that covered in all of them.

    >>> import numpy as np
    >>> coin = np.random.default_rng(0).random((100, 5)) < 0.5
    >>> interval = spread_interval(coin, seed=0)
    >>> round(interval.value, 2), interval.low
    (0.16, 0.0)
    """
    accuracies = outcomes.mean(axis=0)
    observed = float(np.ptp(accuracies))
    smoothed = np.concatenate((outcomes, np.eye(outcomes.shape[1]))).astype(np.float64)
    errors = _resampled(len(smoothed), resamples, seed) @ smoothed - smoothed.mean(axis=0)
    diluted = len(smoothed) / max(1, len(outcomes))
    error = diluted * float(np.quantile(np.ptp(errors, axis=1), confidence))
    return Interval(observed, max(0.0, observed - error), min(1.0, observed + error))


def _resampled(n: int, resamples: int, seed: int) -> Values:
    """The weight of each of n questions in each resample, (resamples, n); rows sum to 1."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights: Values = counts / n
    return weights


def _percentiles(values: Values, confidence: float) -> tuple[float, float]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)
