"""Search by vectors: every one compared in a small index, HNSW (pgvector) in a large one.

What is found so is scored again in float64 by the vectors themselves, as in an index in a folder:
equal vectors have equal scores, and ties go by chunk id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ragctx.index.postgres.connection import vector_of
from ragctx.index.postgres.schema import MOST_NEAR_DIM

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.postgres.connection import Connection
    from ragctx.index.postgres.filtering import Where

NEAR_FROM = 50_000
"""From this many chunks on HNSW is used: as many as a folder compares one by one."""
_CANDIDATES, _PER_HIT = 200, 4
"""How many are found by HNSW and scored again, at least, and for each that is wanted. Chosen by
hand, for a recall@10 of 0.97 or more."""
_MOST_CANDIDATES = 1000  # which is pgvector's limit of `hnsw.ef_search`


def nearest(
    connection: Connection,
    vector: Vectors,
    k: int,
    where: Where,
    *,
    chunks: int,
    exact: bool = False,
) -> list[tuple[int, float]]:
    """The k best (chunk row, inner product) for a unit vector (dim,), ties by chunk id.

    Args:
        connection: in the transaction of a snapshot.
        vector: the question's.
        k: how many; fewer come back if there are fewer.
        where: which chunks to search.
        chunks: how many there are to search, about.
        exact: whether to compare all of them, however many there are.
    """
    candidates = max(_CANDIDATES, _PER_HIT * k)
    is_near = len(vector) <= MOST_NEAR_DIM and candidates <= _MOST_CANDIDATES
    if is_near and chunks >= NEAR_FROM and not exact:
        found = _by_graph(connection, vector, candidates, where)
        if len(found) >= k:  # else the filter leaves little, and all of that is compared
            return _ranked(found, vector, k)
    return _ranked(_by_comparing(connection, vector, k, where), vector, k)


def _by_comparing(
    connection: Connection, vector: Vectors, k: int, where: Where
) -> list[tuple[Any, ...]]:
    """All chunks that may be among the k best by float32, and those that tie with the last."""
    return connection.execute(
        f"""WITH scored AS MATERIALIZED (
            SELECT row, vector <#> %(vector)s::vector AS distance FROM vectors
            {_and(where)}
        ), most AS (
            SELECT distance FROM scored ORDER BY distance OFFSET %(k)s::bigint - 1 LIMIT 1
        )
        SELECT s.row, c.id, vector_send(v.vector) FROM scored s
        JOIN vectors v USING (row) JOIN chunks c USING (row)
        WHERE s.distance <= coalesce((SELECT distance FROM most), 'infinity'::float8)
            + %(slack)s::float8""",
        {"vector": vector, "k": k, "slack": 2 * len(vector) * 2.0**-24, **where.values},
        binary=True,
    ).fetchall()


def _by_graph(
    connection: Connection, vector: Vectors, candidates: int, where: Where
) -> list[tuple[Any, ...]]:
    connection.execute(f"SET LOCAL hnsw.ef_search = {candidates:d}")
    if where.sql:
        connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
    half = f"halfvec({len(vector):d})"
    return connection.execute(
        f"""WITH near AS MATERIALIZED (
            SELECT row, vector FROM vectors {_and(where)}
            ORDER BY vector::{half} <#> %(vector)s::vector::{half} LIMIT %(candidates)s
        )
        SELECT n.row, c.id, vector_send(n.vector) FROM near n JOIN chunks c USING (row)""",
        {"vector": vector, "candidates": candidates, **where.values},
        binary=True,
    ).fetchall()


def _and(where: Where) -> str:
    return f"WHERE {where.sql}" if where.sql else ""


def _ranked(
    found: Sequence[tuple[int, str, bytes]], vector: Vectors, k: int
) -> list[tuple[int, float]]:
    if not found:
        return []
    vectors = np.array([vector_of(sent) for _, _, sent in found])
    products = (vectors.astype(np.float64) * np.asarray(vector, np.float64)).sum(1)
    best = sorted(
        zip(products.tolist(), found, strict=True), key=lambda each: (-each[0], each[1][1])
    )
    return [(row, product) for product, (row, _, _) in best[:k]]
