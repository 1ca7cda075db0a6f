"""A segment: the vectors and words of some chunks, never changed once it is made.

It is a copy, made from the database, of what a search needs of many chunks at once; `sealing` makes
segments and `engine` searches them. Arrays are aligned by position: chunk `rows[i]` has vector
`vectors[i]`. In a large segment the positions are by cluster (`clusters`), in others by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragctx.index import postings
from ragctx.index.clusters import Clusters
from ragctx.index.database import SegmentName
from ragctx.index.postings import Postings
from ragctx.index.segment_file import SegmentError, read_arrays

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

CLUSTERED_FROM = 50_000
"""From this many rows on a segment's vectors are sorted into clusters, and searched by them."""
WORDS_FROM = 1024
"""From this many rows on a segment holds the words of its chunks. Those of few are soon split."""
HASHED_BYTES = 2**26
"""Files of up to this size are checked whole when they are opened: 64 MiB, in some 40 ms."""

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
NO_ROWS: Ints = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Segment:
    """Some chunks: their rows, and what a search needs of them."""

    name: str  # of its file; "" of one that is in memory only
    rows: Ints  # (n,)
    documents: Ints  # (n,): the row of each chunk's document
    first_pages: Ints  # (n,)
    last_pages: Ints  # (n,)
    vectors: Vectors  # float32 (n, dim), unit rows
    clusters: Clusters | None = None
    words: Postings | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _by_row(self) -> tuple[Ints, Ints]:
        """The rows in order, and the positions where they are."""
        order = np.argsort(self.rows, kind="stable")
        return self.rows[order], order

    def positions(self, rows: Ints) -> Ints:
        """Where some rows are, those that are here; in the order in which they are given."""
        known, order = self._by_row
        if not len(known):
            return known
        at = np.minimum(np.searchsorted(known, rows), len(known) - 1)
        found: Ints = order[at[known[at] == rows]]
        return found

    def touching(self, documents: Ints | None, pages: tuple[int, int]) -> Mask:
        """bool (n,): which chunks belong to these documents (None: all) and touch these pages."""
        first, last = pages
        found: Mask = (self.last_pages >= first) & (self.first_pages <= last)
        if documents is not None:
            found &= np.isin(self.documents, documents)
        return found


OF_A_CHUNK = ("rows", "documents", "first_pages", "last_pages")
_CENTERS, _BOUNDS = "centers", "bounds"


def cluster_arrays(clusters: Clusters) -> Mapping[str, NDArray[Any]]:
    """The arrays of clusters by the names they have in a file."""
    return {_BOUNDS: clusters.bounds, _CENTERS: clusters.centers}


def read_segment(folder: Path, told: SegmentName, dim: int) -> Segment:
    """The segment that an index lists, mapped into memory; a small one is checked whole.

    Raises:
        SegmentError: its file is absent or damaged.
    """
    sha256 = told.sha256 if told.bytes <= HASHED_BYTES else ""
    file = read_arrays(folder / told.name, sha256=sha256, size_bytes=told.bytes)
    try:
        segment = _segment(told.name, file.arrays)
        _require_shapes(segment, told.rows, dim)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        fact = f"it does not hold what ragctx writes ({error})"
        raise SegmentError(fact, name=told.name) from error
    return segment


def _segment(name: str, arrays: Mapping[str, NDArray[Any]]) -> Segment:
    clusters = words = None
    if _CENTERS in arrays:
        clusters = Clusters(centers=arrays[_CENTERS], bounds=arrays[_BOUNDS])
    if postings.NAMES[0] in arrays:
        words = Postings(**{part: arrays[part] for part in postings.NAMES})
    own = {part: arrays[part] for part in OF_A_CHUNK}
    return Segment(name=name, **own, vectors=arrays["vectors"], clusters=clusters, words=words)


def _require_shapes(segment: Segment, n: int, dim: int) -> None:
    """Check that arrays fit together, as far as that takes no reading of the large ones."""
    shapes = [getattr(segment, part).shape for part in OF_A_CHUNK]
    if shapes != [(n,)] * len(OF_A_CHUNK) or segment.vectors.shape != (n, dim):
        raise ValueError(f"{segment.vectors.shape} vectors of {n} chunks of dim {dim}")
    if segment.vectors.dtype != np.float32 or segment.rows.dtype != np.int64:
        raise ValueError(f"its vectors are {segment.vectors.dtype}")
    if (clusters := segment.clusters) is not None:
        bounds = clusters.bounds
        if clusters.centers.shape != (len(bounds) - 1, dim) or bounds[0] != 0 or bounds[-1] != n:
            raise ValueError("its clusters are not those of its vectors")
        if (np.diff(bounds) < 0).any():
            raise ValueError("its clusters overlap")
    if (words := segment.words) is not None:
        if words.lengths.shape != (n,) or words.starts.shape != (len(words.keys) + 1,):
            raise ValueError("its words are not those of its chunks")
        if words.places.shape != words.counts.shape or words.starts[-1] != len(words.places):
            raise ValueError("its words have no places")
