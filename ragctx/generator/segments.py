"""What a chunk leaves behind once it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
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


def padded(chunks: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Ids (B, T) and mask (B, T) of chunks of different length."""
    longest = max(map(len, chunks))
    ids = torch.zeros(len(chunks), longest, dtype=torch.long)
    mask = torch.zeros(len(chunks), longest, dtype=torch.bool)
    for row, tokens in enumerate(chunks):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = True
    return ids, mask
