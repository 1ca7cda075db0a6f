"""Vectors sorted into clusters, so that a search reads only those near the question.

An inverted file (Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI
2011) without the quantization: the vectors stay as they are, and those of a cluster stand together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

PROBED = 1 / 16
"""The share of clusters that a search reads. At a million vectors (`benchmarks.index`) recall@10
was 1.000 in one segment, as with 1/32, where 1/64 gave 0.991; 0.994 in five segments."""
_SAMPLE = 64  # vectors that a cluster's center is learned from, on average; by hand
_ROUNDS = 8  # of k-means; by hand: more change little
_BLOCK = 2**14


@dataclass(frozen=True, eq=False, kw_only=True)
class Clusters:
    """Where clusters are: the vectors at `bounds[i]` to before `bounds[i + 1]` are of cluster i."""

    centers: Vectors  # float32 (clusters, dim), unit rows
    bounds: NDArray[np.int64]  # (clusters + 1,)

    def nearest(self, vector: Vectors, share: float) -> list[slice]:
        """Where the clusters nearest to a unit vector (dim,) are, in order of place.

        `share` of them, from 0 to 1; neighbours in one piece.
        """
        probes = min(len(self.centers), max(1, round(share * len(self.centers))))
        products = np.einsum("ij,j->i", self.centers, vector)  # see `engine._products`
        near = np.sort(np.argpartition(-products, probes - 1)[:probes])
        breaks = np.flatnonzero(np.diff(near) > 1)
        first = near[np.concatenate([[0], breaks + 1])]
        last = near[np.concatenate([breaks, [probes - 1]])]
        return [
            slice(int(a), int(b))
            for a, b in zip(self.bounds[first], self.bounds[last + 1], strict=True)
        ]


def learned_centers(sample: Vectors, n: int) -> Vectors:
    """Centers of clusters for n vectors, float32 (clusters, dim), unit rows; by spherical k-means.

    `sample` is of them, float32 (m, dim): `sample_size(n)` or more.
    """
    import faiss

    clusters = cluster_count(n)
    means = faiss.Kmeans(
        sample.shape[1],
        clusters,
        niter=_ROUNDS,
        spherical=True,
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=2 * _SAMPLE,
    )
    means.train(np.ascontiguousarray(sample, dtype=np.float32))
    centers: Vectors = np.asarray(means.centroids, dtype=np.float32).reshape(clusters, -1)
    return centers


def cluster_count(n: int) -> int:
    """How many clusters n vectors are sorted into.

    >>> [cluster_count(n) for n in (1, 100, 1_000_000)]
    [2, 20, 2000]
    """
    return 2 * int(np.sqrt(n))


def sample_size(n: int) -> int:
    """How many of n vectors the centers are learned from."""
    return min(n, _SAMPLE * cluster_count(n))


def cluster_of(vectors: Vectors, centers: Vectors) -> NDArray[np.int64]:
    """The cluster of each of some vectors, (n,): that of the nearest center."""
    found = np.empty(len(vectors), np.int64)
    for at in range(0, len(vectors), _BLOCK):
        found[at : at + _BLOCK] = (vectors[at : at + _BLOCK] @ centers.T).argmax(axis=1)
    return found
