"""What searches: the segments of one state of an index, and what is in none of them yet.

The answer is the same wherever a chunk is held. Segments of up to `CLUSTERED_FROM` chunks are
compared one by one with the question, larger ones by the clusters near it; what is found is scored
again in float64, so that equal vectors have equal scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import InputError
from ragctx.index.checks import wrong_norms
from ragctx.index.clusters import PROBED
from ragctx.index.database import Meta
from ragctx.index.segment import NO_ROWS, Ints, Mask, Segment
from ragctx.index.segment_file import SegmentError

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

FEW = 50_000
"""Up to this many chunks that a filter leaves of a segment are compared one by one."""

_PER_HIT = 256
"""Chunks that the clusters read hold for each of the k best, at least: 16. Chosen by hand."""

IdsOf = Callable[[Sequence[int]], Mapping[int, str]]
"""The ids of chunks by their rows."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Engine:
    """The segments of one state; `allowed` masks are one a segment, in their order."""

    meta: Meta  # of the state
    segments: tuple[Segment, ...]
    dropped: Ints  # rows that are in a segment, and were deleted since
    notes: tuple[str, ...] = ()  # what is wrong with files, for whoever can repair them

    def __len__(self) -> int:
        """How many chunks can be found."""
        return sum(int(alive.sum()) for alive in self.alive)

    @cached_property
    def alive(self) -> tuple[Mask, ...]:
        """bool (n,) of each segment: which of its chunks were not deleted."""
        masks = []
        for segment in self.segments:
            mask = np.ones(len(segment), np.bool_)
            if len(self.dropped):
                mask[segment.positions(self.dropped)] = False
            masks.append(mask)
        return tuple(masks)

    @cached_property
    def _whole(self) -> tuple[bool, ...]:
        """Of each segment whether none of its chunks was deleted."""
        return tuple(bool(alive.all()) for alive in self.alive)

    def mask(self, documents: set[int] | None, pages: tuple[int, int]) -> tuple[Mask, ...]:
        """Which chunks belong to these documents (None: all) and touch these pages."""
        return masks(self.segments, self.alive, documents, pages)

    def nearest(
        self,
        vector: Vectors,
        k: int,
        ids_of: IdsOf,
        allowed: Sequence[Mask] | None = None,
        *,
        exact: bool = False,
    ) -> list[tuple[int, float]]:
        """The k best (chunk row, inner product) of a unit vector, best first, ties by chunk id.

        Args:
            vector: float32 (dim,).
            k: how many; fewer come back if there are fewer.
            ids_of: gives the ids of chunks that tie.
            allowed: which chunks of each segment to search; by default all that are alive.
            exact: compare with every chunk, also of large segments.

        Raises:
            SegmentError: a segment holds a vector that is none.
        """
        query = np.ascontiguousarray(vector, dtype=np.float32)
        if not np.isfinite(query).all():
            raise InputError("the vector of the question holds numbers that are none (nan or inf)")
        with np.errstate(all="ignore"):  # what a damaged file gives is met in `_best`
            parts = [
                _near(segment, query, self._mask_of(i, allowed), exact=exact, k=k)
                for i, segment in enumerate(self.segments)
            ]
        positions = self._best(parts, k, 2 * _error(len(query)))
        rows = np.concatenate([s.rows[at] for s, at in self._each(positions)] or [NO_ROWS])
        scores = np.concatenate(
            [_exact(s, at, vector) for s, at in self._each(positions)] or [np.empty(0)]
        )
        return ranked(rows, scores, k, ids_of)

    def _mask_of(self, i: int, allowed: Sequence[Mask] | None) -> Mask | None:
        if allowed is not None:
            return allowed[i]
        return None if self._whole[i] else self.alive[i]

    def _each(self, positions: Sequence[Ints]) -> list[tuple[Segment, Ints]]:
        return list(zip(self.segments, positions, strict=True))

    def _best(self, parts: Sequence[tuple[Ints, Floats]], k: int, slack: float) -> list[Ints]:
        """Positions in each segment that certainly include the k best of `parts`, and ties."""
        for segment, (_, some) in zip(self.segments, parts, strict=True):
            if not np.isfinite(some).all():
                raise SegmentError(_NO_UNIT, name=segment.name)
        scores = np.concatenate([scores for _, scores in parts] or [np.empty(0, np.float32)])
        if len(scores) <= k:
            return [positions for positions, _ in parts]
        least = np.partition(scores, len(scores) - k)[len(scores) - k] - slack
        return [positions[scores >= least] for positions, scores in parts]


_NO_UNIT = "a vector is not of length 1"


def masks(
    segments: Sequence[Segment],
    alive: Sequence[Mask],
    documents: set[int] | None,
    pages: tuple[int, int],
) -> tuple[Mask, ...]:
    """Which chunks of each segment belong to these documents (None: all) and touch these pages."""
    wanted = None if documents is None else np.array(sorted(documents), np.int64)
    return tuple(
        mask & segment.touching(wanted, pages)
        for segment, mask in zip(segments, alive, strict=True)
    )


def _error(dim: int) -> float:
    """How far a float32 inner product of unit vectors may be off: less than dim * 2^-24."""
    return dim * 2.0**-24


def _near(
    segment: Segment, query: Vectors, mask: Mask | None, *, k: int, exact: bool
) -> tuple[Ints, Floats]:
    """Positions and inner products of the chunks that may be among the best."""
    left = len(segment) if mask is None else int(np.count_nonzero(mask))
    if not left:
        return NO_ROWS, np.empty(0, np.float32)
    if mask is not None and left <= FEW:
        positions = np.flatnonzero(mask)
        return positions, _products(segment.vectors[positions], query)
    # The fewer a filter leaves, and the more are wanted, the more clusters have to be read.
    share = PROBED * max(len(segment), min(k, left) * _PER_HIT) / left
    if segment.clusters is None or exact or share >= 1:
        places = [slice(0, len(segment))]
    else:
        places = segment.clusters.nearest(query, share)
    positions = np.concatenate([np.arange(place.start, place.stop) for place in places])
    scores = np.concatenate([_products(segment.vectors[place], query) for place in places])
    if mask is not None:
        kept = mask[positions]
        positions, scores = positions[kept], scores[kept]
    return positions, scores


def _products(vectors: Vectors, query: Vectors) -> Floats:
    """Inner products in float32, (n,).

    Not by BLAS: memory is what they wait for, and its threads spin while they wait for each other,
    which takes six times the processor time, and on a busy machine ten times as long.
    """
    products: Floats = np.einsum("ij,j->i", vectors, query)
    return products


def _exact(segment: Segment, positions: Ints, vector: Vectors) -> NDArray[np.float64]:
    """Inner products in float64, computed one by one: equal vectors have equal ones."""
    vectors = segment.vectors[positions]
    if segment.name and len(wrong_norms(vectors)):
        raise SegmentError(_NO_UNIT, name=segment.name)
    products: NDArray[np.float64] = (
        vectors.astype(np.float64) * np.asarray(vector, dtype=np.float64)
    ).sum(1)
    return products


def ranked(
    rows: Ints, scores: NDArray[np.float64], k: int, ids_of: IdsOf
) -> list[tuple[int, float]]:
    """The k best (row, score), ties by chunk id."""
    best_first = np.argsort(-scores)
    sorted_scores = scores[best_first]
    # not by `np.unique`, whose first call imports numpy.ma, in every new process that searches
    has_ties = (sorted_scores[1:] == sorted_scores[:-1]).any()
    if not has_ties:
        order = best_first[:k].tolist()
    else:
        ids = ids_of(rows.tolist())
        keys = [
            (-score, ids.get(row, ""))
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)[:k]
    return [(int(rows[i]), float(scores[i])) for i in order]
