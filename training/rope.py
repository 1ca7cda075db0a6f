"""Rotary position embeddings (Su et al. 2021, arXiv 2104.09864).

The dot product of a query at position p and a key at position s depends on p - s only. So the keys
of a passage are computed once, rotated from the passage's own start, and can be used wherever the
passage comes in a prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor

THETA = 10000.0
"""Base of the wavelengths, which run from 2 pi to 2 pi * THETA tokens. The paper's value."""


def angles(positions: Tensor, head_width: int, theta: float = THETA) -> tuple[Tensor, Tensor]:
    """Compute the cosines and sines for `rotate`, each (*positions.shape, head_width), float32.

    The first half of the sines is negated, as the rotation needs it. The angles are computed in
    float64: in float32 the error at position 128,000 is 1e-2.
    """
    steps = torch.arange(0, head_width, 2, dtype=torch.float64, device=positions.device)
    angle = positions.double()[..., None] * theta ** (-steps / head_width)
    cos, sin = angle.cos().float(), angle.sin().float()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each vector of `x` (..., T, head_width) by the angles of its position.

    >>> x = torch.randn(5, 8)
    >>> at_zero = rotate(x, *angles(torch.zeros(5), 8))
    >>> torch.equal(at_zero, x)
    True
    """
    swapped = x.roll(x.shape[-1] // 2, -1)
    return torch.addcmul(x * cos.to(x.dtype), swapped, sin.to(x.dtype))
