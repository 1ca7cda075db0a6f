"""What is kept of a passage once the reader has encoded it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPassage:
    """A passage of T tokens as the reader's layers left it; never changed afterwards.

    It depends on the passage's own tokens and on the model, on nothing else.
    """

    keys: Tensor  # (layers, heads, T, head_width), rotated from the passage's own first token
    values: Tensor  # (layers, heads, T, head_width)
    early: Tensor  # (T, width): states after the layers both passes share; the second starts here
    states: Tensor  # (T, width): states before the last layer; the first pass points at these

    @property
    def length(self) -> int:
        """Number of tokens."""
        return self.states.shape[0]

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        return sum(part.nbytes for part in (self.keys, self.values, self.early, self.states))
