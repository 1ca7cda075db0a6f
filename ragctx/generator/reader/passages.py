"""What is kept of a passage once the reader has encoded it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]
Array = NDArray[Any]
"""Numbers in the precision that passages are kept in: float16, or float32 in tests."""
Mask = NDArray[np.bool_]
"""Of tokens, those that count: True at a passage's own text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPassage:
    """A passage of T tokens as the reader's layers left it; never changed afterwards.

    It depends on the passage's own tokens and on the model, on nothing else.
    """

    keys: Array  # (layers, heads, T, head_width), rotated from the passage's own first token
    values: Array  # (layers, heads, T, head_width)
    early: Array  # (T, width): states after the layers both passes share; the second starts here
    states: Array  # (T, width): states before the last layer; the first pass points at these

    @property
    def length(self) -> int:
        """Number of tokens."""
        length: int = self.states.shape[0]
        return length

    @property
    def nbytes(self) -> int:
        """Size of all arrays in bytes."""
        return sum(part.nbytes for part in (self.keys, self.values, self.early, self.states))
