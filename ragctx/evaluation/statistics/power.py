"""How large a difference a number of questions can show: power of McNemar's exact test. Pure.

Two conditions disagree on a share `discordant` of the questions, and their accuracies differ by
`difference`; so a share (discordant + difference) / 2 of the questions favours one of them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import InputError

TARGET = 0.8
"""The power usually asked for (Cohen 1988)."""
_MOST_QUESTIONS = 100_000  # where the search for a number of questions gives up; chosen by hand
_REACH = 6  # standard deviations of a binomial count, beyond which less than 1e-8 of it is


def mcnemar_power(n: int, difference: float, discordant: float, alpha: float = 0.05) -> float:
    """Probability that `significance.mcnemar` gives p ≤ alpha for n questions.

    Exact: the number m of discordant questions is Binomial(n, discordant), and of those the number
    that favours the better condition Binomial(m, (1 + difference / discordant) / 2). A difference
    cannot exceed `discordant`, which is raised to it where it does.

    >>> round(mcnemar_power(500, 0.05, 0.15), 2)
    0.8
    """
    _require(n, difference, discordant)
    discordant = min(1.0, max(discordant, difference))
    if not discordant:
        return 0.0
    favour = (1 + difference / discordant) / 2
    deviation = math.sqrt(n * discordant * (1 - discordant))
    reach = _REACH * deviation + _REACH  # the constant part is for counts of few questions
    first, last = n * discordant - reach, n * discordant + reach
    shares = _binomial(n, discordant)
    return math.fsum(
        float(shares[m]) * _rejects(m, favour, alpha)
        for m in range(max(0, math.floor(first)), min(n, math.ceil(last)) + 1)
    )


def detectable_difference(
    n: int, discordant: float, *, alpha: float = 0.05, power: float = TARGET
) -> float | None:
    """The least difference, as a share, that n questions show with `power`, to a tenth of a point.

    None where n questions do not even show the largest possible one.

    >>> round(detectable_difference(300, 0.1), 3)
    0.053
    """
    low, high = 0, 1000  # in thousandths: tenths of a percentage point
    if mcnemar_power(n, 1.0, discordant, alpha) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(n, middle / 1000, discordant, alpha) < power:
            low = middle
        else:
            high = middle
    return high / 1000


def questions_needed(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = TARGET
) -> int | None:
    """The least number of questions that shows `difference` with `power`; None beyond 100,000.

    An exact test's power moves in saw teeth: this number reaches it, one more may just miss it.

    >>> 400 < questions_needed(0.05, 0.15) < 520
    True
    """
    high = 8
    while mcnemar_power(high, difference, discordant, alpha) < power:
        high *= 2
        if high > _MOST_QUESTIONS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle, difference, discordant, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def _rejects(m: int, favour: float, alpha: float) -> float:
    """P(p ≤ alpha) for m discordant questions that each favour one condition with `favour`."""
    few = _critical(m, alpha)
    if few < 0:
        return 0.0
    shares = _binomial(m, favour)
    return float(shares[: few + 1].sum() + shares[m - few :].sum())


@lru_cache(maxsize=65536)
def _critical(m: int, alpha: float) -> int:
    """The largest count b with 2 P(X ≤ b) ≤ alpha, X ~ Binomial(m, 1/2); -1 where there is none."""
    tails = 2 * np.cumsum(_binomial(m, 0.5)[: m // 2 + 1])
    rounded_up = alpha * (1 + 1e-12)  # so that a tail of exactly alpha counts in floating point
    return int(np.searchsorted(tails, rounded_up, side="right")) - 1


def _binomial(n: int, share: float) -> NDArray[np.float64]:
    """P(X = k) for k = 0 … n, X ~ Binomial(n, share)."""
    k = np.arange(n + 1)
    if share in (0.0, 1.0):
        return np.asarray(k == n * share, dtype=np.float64)
    ways = _log_factorials(n)[n] - _log_factorials(n)[k] - _log_factorials(n)[n - k]
    logs: NDArray[np.float64] = ways + k * math.log(share) + (n - k) * math.log1p(-share)
    return np.exp(logs)


def _log_factorials(n: int) -> NDArray[np.float64]:
    """log k! for k = 0 … n at least: of lengths that are powers of two, so that few are cached."""
    return _log_factorials_below(1 << (n + 1).bit_length())


@lru_cache(maxsize=32)
def _log_factorials_below(size: int) -> NDArray[np.float64]:
    logs = np.zeros(size)
    logs[1:] = np.cumsum(np.log(np.arange(1, size)))
    return logs


def _require(n: int, difference: float, discordant: float) -> None:
    if n < 0 or not 0 <= difference <= 1 or not 0 <= discordant <= 1:
        raise InputError(
            f"n is {n}, difference {difference} and discordant {discordant}: give 0 or more "
            "questions, and shares from 0 to 1"
        )
