"""Keys and values of everything read so far, ready to be attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KVCache:
    """Rotated keys and values of N positions in every layer.

    It is never changed in place, so several continuations can start from the same one.
    """

    keys: tuple[Tensor, ...]  # per layer (B, heads, N, head_width)
    values: tuple[Tensor, ...]
    mask: Tensor | None = None  # (B, N), True where there is a token; None if there is no padding

    @property
    def length(self) -> int:
        """Number of positions, padding included."""
        return self.keys[0].shape[2] if self.keys else 0

    def followed_by(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of one layer, with those of new tokens appended."""
        if not self.keys:
            return keys, values
        return (
            torch.cat((self.keys[layer], keys), 2),
            torch.cat((self.values[layer], values), 2),
        )

    def replaced(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> KVCache:
        """The longer cache whose layers are what `followed_by` returned for each."""
        return KVCache(tuple(keys), tuple(values), self.mask)
