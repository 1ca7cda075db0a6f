"""Matrices as 8-bit integers, with a scale for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rounded(
    matrix: NDArray[np.float32], *, steps: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix as whole numbers of -steps to steps (rows, columns), and each row's scale (rows,).

    A row times its scale is the row that was, to within half a scale.

    >>> rounded(np.array([[1.0, -0.5], [0.0, 0.25]], np.float32), steps=2)[0].tolist()
    [[2, -1], [0, 2]]
    """
    highest = np.maximum(matrix.max(1), -matrix.min(1))
    scale = (highest.clip(min=1e-12) / steps).astype(np.float32)  # clipped: a row may be all zeros
    scaled = matrix / scale[:, None]
    return np.rint(scaled, out=scaled).astype(np.int8), scale
