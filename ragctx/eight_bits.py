"""The linear layers of the default embedder in 8 bits: what its graph is given for each matrix.

A layer multiplies whole numbers: a byte for each feature of a token, 7 bits for each weight, so
that the sum of two products fits in 16 bits. Processors without instructions for such products
(VNNI) add two of them there: 2 x 255 x 63 always fits, weights of 8 bits would be cut off.

Rounded like that throughout, passages near each other change places. Two things cost most of it,
and each has its remedy, which needs no text to be measured on:

- Features that enter the feed-forward layer (`up`) differ in size by tens, and share one step. They
  come out of a normalisation, whose gain and offset tell how far each reaches; each is divided by
  that, and its weights multiplied by it (the idea of SmoothQuant, Xiao et al. 2023, section 4).
- The matrix that leads back (`down`) is given as the sum of two, the second holding what rounding
  the first left over. What enters it comes from GELU, which is nowhere below -0.17: moved up by
  that, bytes need no sign, and their steps are half as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.quantised import rounded
from ragctx.runtime import Weights

GELU_BELOW_ZERO = 0.17
"""GELU is never lower than minus this: its least value is -0.16997, at -0.75."""
_STEPS = 63
"""A weight is a whole number of -63 to 63."""
_REACH = 3.0
"""Standard deviations that nearly all values of a normalised feature are within."""

_UP, _DOWN = "intermediate.dense", "output.dense"
_NORM_BEFORE_UP = "attention.output.LayerNorm"


def in_8_bits(weights: Weights) -> dict[str, NDArray[Any]]:
    """The matrices of BERT's encoder as `training.graphs.embedder_8bit_graph` wants them.

    For each linear layer: `….rounded` (inputs, outputs), whole numbers, and `….scale` (outputs,).
    For those into the feed-forward layer also `….shrink` (inputs,), by which features are
    multiplied first; for those out of it `….rest` and `….rest_scale`, the second matrix, and
    `….moved` (outputs,), the bias for features that are higher by `GELU_BELOW_ZERO`.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, matrix in weights.items():
        if not name.startswith("encoder.") or matrix.ndim != 2:
            continue
        layer = name.removesuffix(".weight")
        if layer.endswith(_UP):
            reach = _reach(weights, layer.replace(_UP, _NORM_BEFORE_UP))
            found[f"{layer}.shrink"], matrix = 1 / reach, matrix * reach
        whole, scale = rounded(matrix, steps=_STEPS)
        found[f"{layer}.rounded"], found[f"{layer}.scale"] = np.ascontiguousarray(whole.T), scale
        if layer.endswith(_DOWN) and "attention" not in layer:
            rest, rest_scale = rounded(matrix - whole * scale[:, None], steps=_STEPS)
            found[f"{layer}.rest"] = np.ascontiguousarray(rest.T)
            found[f"{layer}.rest_scale"] = rest_scale
            sums = whole.sum(1, dtype=np.int64) * scale + rest.sum(1, dtype=np.int64) * rest_scale
            moved = weights[f"{layer}.bias"] - GELU_BELOW_ZERO * sums
            found[f"{layer}.moved"] = moved.astype(np.float32)
    return found


def _reach(weights: Weights, norm: str) -> NDArray[np.float32]:
    """How far from 0 each feature gets that a layer normalisation gives."""
    gain, offset = (np.abs(weights[f"{norm}.{part}"]) for part in ("weight", "bias"))
    return np.maximum(_REACH * gain + offset, 1e-6, dtype=np.float32)
