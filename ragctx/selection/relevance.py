"""What a score is worth: any retriever's scores on one scale, missing and infinite ones included.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

from ragctx.records import Hit

GRAINS = 2**30
"""Relevance 1, in whole grains: sums of them, and so ties, are exact."""

_LEAST = GRAINS // 100  # the worst real score
_MISSING = _LEAST // 2  # no score at all


def relevances(hits: Sequence[Hit]) -> tuple[float, ...]:
    """What each hit is worth, in (0, 1], from its score among these hits.

    The finite scores are mapped linearly: the least to 0.01, the greatest to 1 (all equal: all 1),
    whatever their sign or scale. +inf counts as the greatest, -inf as 0.01. A missing score (None
    or NaN) counts 0.005: below every real score, negative ones included.

    >>> scores = [-0.5, -3.0, None, float("nan"), float("inf")]
    >>> hits = [Hit.from_text(rank, score, "text") for rank, score in enumerate(scores, 1)]
    >>> [round(relevance, 3) for relevance in relevances(hits)]
    [1.0, 0.01, 0.005, 0.005, 1.0]
    """
    return tuple(grains / GRAINS for grains in score_grains([hit.score for hit in hits]))


def score_grains(scores: Sequence[float | None]) -> list[int]:
    """`relevances` in whole grains, for those who add them up."""
    finite = [score for score in scores if is_real(score) and math.isfinite(score)]
    least, greatest = min(finite, default=0.0), max(finite, default=0.0)
    half_span = greatest / 2 - least / 2  # halves: 1e308 - (-1e308) is infinite
    if len(finite) == len(scores) and half_span > 0:
        low, span = least / 2, GRAINS - _LEAST
        return [_LEAST + round((score / 2 - low) / half_span * span) for score in finite]
    return [_grains(score, least, half_span) for score in scores]


def is_real(score: float | None) -> TypeGuard[float]:
    """Whether there is a score: neither None nor NaN.

    >>> is_real(-3.0), is_real(None), is_real(float("nan"))
    (True, False, False)
    """
    return score is not None and score == score


def _grains(score: float | None, least: float, half_span: float) -> int:
    if not is_real(score):
        return _MISSING
    if math.isinf(score):
        return GRAINS if score > 0 else _LEAST
    share = (score / 2 - least / 2) / half_span if half_span > 0 else 1.0
    return _LEAST + round(share * (GRAINS - _LEAST))
