"""Probabilities as logarithms, in float32 arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def log_sum_exp(scores: Floats, axis: int = -1) -> Floats:
    """The logarithm of the sum of exponentials along an axis.

    >>> round(float(log_sum_exp(np.zeros(2, dtype=np.float32))), 3)  # log 2
    0.693
    """
    highest = scores.max(axis, keepdims=True)
    summed: Floats = np.exp(scores - highest).sum(axis, keepdims=True)
    logged: Floats = np.log(summed) + highest
    return logged.squeeze(axis)


def log_softmax(scores: Floats, axis: int = -1) -> Floats:
    """Log-probabilities in proportion to the exponentials of `scores` along an axis."""
    shifted: Floats = scores - np.expand_dims(log_sum_exp(scores, axis), axis)
    return shifted


def likeliest_first(scores: Floats) -> NDArray[np.intp]:
    """The indices of `scores` along the last axis, highest first; of equals the first comes first.

    >>> likeliest_first(np.array([1.0, 5.0, 5.0], dtype=np.float32))
    array([1, 2, 0])
    """
    return np.argsort(-scores, axis=-1, kind="stable")
