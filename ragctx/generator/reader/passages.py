"""What a chunk leaves behind once it was read."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a chunk of T tokens leaves behind once it was read; never changed afterwards."""

    keys: Tensor  # (layers, heads, T, head_width), turned from the chunk's own first token
    values: Tensor  # (layers, heads, T, head_width)
    early: Tensor  # (T, width): after the first layers, where the second look begins
    states: Tensor  # (T, width): before the last layer, where the first look points

    @property
    def length(self) -> int:
        """Number of tokens."""
        return self.states.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes it occupies."""
        return sum(part.nbytes for part in (self.keys, self.values, self.early, self.states))
