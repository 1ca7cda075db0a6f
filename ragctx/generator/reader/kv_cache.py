"""What was read so far, ready to be attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Past:
    """Keys, rotated, and values of all that was read; never changed, so many may go on from it."""

    keys: tuple[Tensor, ...]  # per layer (B, heads, N, head_width)
    values: tuple[Tensor, ...]
    mask: Tensor | None = None  # (B, N), True where there is a token; None where all are

    @property
    def length(self) -> int:
        """Number of positions, padding included."""
        return self.keys[0].shape[2] if self.keys else 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values with new ones behind them."""
        if not self.keys:
            return keys, values
        return (
            torch.cat((self.keys[layer], keys), 2),
            torch.cat((self.values[layer], values), 2),
        )

    def grown(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Past:
        """The past with what `extend` gave for every layer."""
        return Past(tuple(keys), tuple(values), self.mask)
