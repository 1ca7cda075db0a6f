"""Do conditions differ on the same questions? Paired tests, exact where that is cheap. Pure.

`outcomes` is always a boolean array (questions, conditions): was condition j right on question i?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import InputError

Outcomes = NDArray[np.bool_]


class CochranQ(NamedTuple):
    """The statistic, its degrees of freedom and its p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def cochran_q(outcomes: Outcomes) -> CochranQ:
    """Are k conditions equally often right? The McNemar test for more than two.

    Q = (k - 1) (k ΣC² - N²) / (k N - ΣR²), with C the conditions' totals, R the questions' and N
    the sum of all; under the null about χ² with k - 1 degrees of freedom (Cochran 1950, "The
    comparison of percentages in matched samples", Biometrika 37). Nothing differs: Q = 0, p = 1.

    Raises InputError for fewer than two conditions or no question.

    >>> import numpy as np
    >>> right = [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
    >>> q = cochran_q(np.array(right, dtype=bool))
    >>> round(q.statistic, 4), q.degrees_of_freedom, round(q.p_value, 4)
    (6.0, 2, 0.0498)
    """
    _require(outcomes)
    k = outcomes.shape[1]
    columns = [int(total) for total in outcomes.sum(axis=0)]
    rows = [int(total) for total in outcomes.sum(axis=1)]
    total = sum(rows)
    spread = k * sum(c * c for c in columns) - total * total
    informative = k * total - sum(r * r for r in rows)
    statistic = (k - 1) * spread / informative if informative else 0.0
    return CochranQ(statistic, k - 1, chi_squared_tail(statistic, k - 1))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two conditions are equally often right.

    Only the questions on which they disagree count: under the null each goes either way with
    probability 1/2, so p = 2 P(X ≤ min(b, c)), X ~ Binomial(b + c, 1/2), at most 1 (McNemar 1947,
    "Note on the sampling error of the difference between correlated proportions").

    >>> mcnemar(1, 5), mcnemar(0, 0)
    (0.21875, 1.0)
    """
    disagree = only_first + only_second
    tail = sum(math.comb(disagree, i) for i in range(min(only_first, only_second) + 1))
    return float(min(1.0, 2 * tail / 2**disagree))  # whole numbers: exact for any count


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values of a family of tests: below α, with at most α for any false one.

    The i-th smallest of m is multiplied by m - i + 1, and none is below one before it (Holm 1979,
    "A simple sequentially rejective multiple test procedure").

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[i]))
        adjusted[i] = largest
    return tuple(adjusted)


class SpreadNull(NamedTuple):
    """Best minus worst as chance alone gives it, and how often that is as much as was observed."""

    expected: float
    p_value: float


def spread_by_chance(outcomes: Outcomes, *, permutations: int, seed: int) -> SpreadNull:
    """How large best minus worst of the accuracies is when no condition matters.

    It is above zero for any finite number of questions, so zero is not the null hypothesis. Under
    "the condition does not matter" a question's outcomes are exchangeable: they are permuted within
    each question. p = (1 + #{permuted ≥ observed}) / (1 + permutations), never 0 (Phipson and Smyth
    2010, "Permutation p-values should never be zero").

    >>> import numpy as np
    >>> always = np.ones((50, 5), dtype=bool)
    >>> spread_by_chance(always, permutations=99, seed=0)
    SpreadNull(expected=0.0, p_value=1.0)
    """
    _require(outcomes)
    rng = np.random.default_rng(seed)
    observed = _max_min(outcomes.sum(axis=0))
    mixed = outcomes[~(outcomes.all(axis=1) | ~outcomes.any(axis=1))]  # the rest never changes
    spreads = np.array(
        [_max_min(rng.permuted(mixed, axis=1).sum(axis=0)) for _ in range(permutations)]
    )
    p_value = (1 + int((spreads >= observed).sum())) / (1 + permutations)
    return SpreadNull(float(spreads.mean() / len(outcomes)), p_value)


def _max_min(totals: NDArray[np.int_]) -> int:
    return int(totals.max() - totals.min())


def chi_squared_tail(value: float, degrees_of_freedom: int) -> float:
    """P(χ² ≥ value), exact for whole degrees of freedom.

    The upper incomplete gamma function by its recurrence Q(a + 1, x) = Q(a, x) + xᵃ e⁻ˣ / Γ(a + 1)
    (Abramowitz and Stegun 6.5.21), from Q(1/2, x) = erfc(√x) or Q(1, x) = e⁻ˣ; x = value / 2.

    >>> round(chi_squared_tail(3.841459, 1), 6), chi_squared_tail(0.0, 4)
    (0.05, 1.0)
    """
    x = value / 2
    if x <= 0:
        return 1.0
    odd = degrees_of_freedom % 2
    a, tail = (0.5, math.erfc(math.sqrt(x))) if odd else (1.0, math.exp(-x))
    while 2 * a < degrees_of_freedom:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, tail)


def _require(outcomes: Outcomes) -> None:
    if outcomes.ndim != 2 or outcomes.shape[0] < 1 or outcomes.shape[1] < 2:
        raise InputError(
            f"a comparison needs at least one question and two conditions, but the outcomes have "
            f"the shape {outcomes.shape}: name more strategies, slots or budgets"
        )
