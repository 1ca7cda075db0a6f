"""Relevance: any retriever's scores on one scale, missing and infinite scores included. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

from ragctx.records import Hit

RELEVANCE_UNIT = 2**30
"""Relevance 1 in fixed point. Relevances are added as whole numbers, so that sums, and with them
ties, are exact in any order; 2**30 leaves 33 bits of an int64 for summing."""

_LOWEST_REAL = RELEVANCE_UNIT // 100
"""The lowest real score counts 0.01: little, but more than nothing, so that it is still chosen
where there is room. Chosen by hand."""

_MISSING = _LOWEST_REAL // 2
"""A missing score counts half of the lowest real one, so that it is always below it."""


def relevances(hits: Sequence[Hit]) -> tuple[float, ...]:
    """The relevance of each hit, in (0, 1], from its score among these hits.

    The finite scores are mapped linearly: the lowest to 0.01, the highest to 1 (all equal: all 1),
    whatever their sign or scale. +inf counts as the highest, -inf as 0.01. A missing score (None
    or NaN) counts 0.005: below every real score, negative ones included.

    >>> scores = [-0.5, -3.0, None, float("nan"), float("inf")]
    >>> hits = [Hit.from_text(rank, score, "text") for rank, score in enumerate(scores, 1)]
    >>> [round(relevance, 3) for relevance in relevances(hits)]
    [1.0, 0.01, 0.005, 0.005, 1.0]
    """
    values = fixed_point_relevances([hit.score for hit in hits])
    return tuple(value / RELEVANCE_UNIT for value in values)


def fixed_point_relevances(scores: Sequence[float | None]) -> list[int]:
    """`relevances` as whole numbers of 1 / RELEVANCE_UNIT, for summing them exactly."""
    finite = [score for score in scores if is_real(score) and math.isfinite(score)]
    lowest, highest = min(finite, default=0.0), max(finite, default=0.0)
    half_span = highest / 2 - lowest / 2  # halves, because 1e308 - (-1e308) is infinite
    if len(finite) == len(scores) and half_span > 0:  # the usual case, made fast
        half_lowest, steps = lowest / 2, RELEVANCE_UNIT - _LOWEST_REAL
        return [
            _LOWEST_REAL + round((score / 2 - half_lowest) / half_span * steps) for score in finite
        ]
    return [_fixed_point(score, lowest, half_span) for score in scores]


def is_real(score: float | None) -> TypeGuard[float]:
    """Whether there is a score: neither None nor NaN.

    >>> is_real(-3.0), is_real(None), is_real(float("nan"))
    (True, False, False)
    """
    return score is not None and not math.isnan(score)


def _fixed_point(score: float | None, lowest: float, half_span: float) -> int:
    if not is_real(score):
        return _MISSING
    if math.isinf(score):
        return RELEVANCE_UNIT if score > 0 else _LOWEST_REAL
    share = (score / 2 - lowest / 2) / half_span if half_span > 0 else 1.0
    return _LOWEST_REAL + round(share * (RELEVANCE_UNIT - _LOWEST_REAL))
