"""Keys and values of everything read so far, ready to be attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragctx.generator.reader.passages import Array, CachedPassage


@dataclass(frozen=True, slots=True, kw_only=True)
class KVCache:
    """Keys and values of N positions in every layer; never changed in place.

    Positions belong to segments: a passage, or question and answer. Keys are rotated from their
    segment's own first token; where the segment starts in the prompt, `starts`, is added when they
    are read. So putting passages together copies their keys and changes none.
    """

    keys: tuple[Array, ...]  # per layer (heads, N, head_width)
    values: tuple[Array, ...]  # per layer (heads, N, head_width)
    starts: NDArray[np.int64]  # (N,): position of the first token of each one's segment
    end: int  # position in the prompt that follows all of these

    @property
    def length(self) -> int:
        """Number of positions, N."""
        return len(self.starts)

    @property
    def nbytes(self) -> int:
        """Size of all keys and values in bytes: what decoding reads for each token, and holds."""
        return sum(part.nbytes for part in (*self.keys, *self.values))

    def followed_by(self, keys: Sequence[Array], values: Sequence[Array], start: int) -> KVCache:
        """The longer cache with new positions of the segment that starts at `start`."""
        new = keys[0].shape[1]
        return KVCache(
            keys=_joined(self.keys, keys),
            values=_joined(self.values, values),
            starts=np.concatenate((self.starts, np.full(new, start, dtype=np.int64))),
            end=self.end + new,
        )


def concatenate(passages: Sequence[CachedPassage], first: int = 0) -> KVCache:
    """Passages one after another from position `first` on; there is at least one."""
    lengths = [passage.length for passage in passages]
    starts = first + np.cumsum([0, *lengths[:-1]])
    layers = range(len(passages[0].keys))
    return KVCache(
        keys=tuple(np.concatenate([each.keys[i] for each in passages], axis=1) for i in layers),
        values=tuple(np.concatenate([each.values[i] for each in passages], axis=1) for i in layers),
        starts=np.repeat(starts, lengths),
        end=first + sum(lengths),
    )


def _joined(old: Sequence[Array], new: Sequence[Array]) -> tuple[Array, ...]:
    return tuple(np.concatenate(pair, axis=1) for pair in zip(old, new, strict=True))
