"""What was read so far, ready to be attended to: as a value, or as a buffer that grows in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

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


class Growing:
    """A past with room for `spare` more positions, written in place: a step copies nothing.

    For decoding token by token, where copying the past at every step would cost more than the
    step. `mask` is None: there is no padding in it.
    """

    mask: Tensor | None = None

    def __init__(self, past: Past, spare: int) -> None:
        if past.mask is not None:
            raise ValueError("a past with padding cannot grow in place")
        self.length = past.length
        self._keys = [
            torch.cat((k, k.new_empty(*k.shape[:2], spare, k.shape[3])), 2) for k in past.keys
        ]
        self._values = [
            torch.cat((v, v.new_empty(*v.shape[:2], spare, v.shape[3])), 2) for v in past.values
        ]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values behind the others; gives views of all."""
        end = self.length + keys.shape[2]
        self._keys[layer][:, :, self.length : end] = keys
        self._values[layer][:, :, self.length : end] = values
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def grown(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Growing:
        """Itself, what `extend` wrote now being part of it."""
        self.length = keys[0].shape[2]
        return self


PastT = TypeVar("PastT", Past, Growing)
