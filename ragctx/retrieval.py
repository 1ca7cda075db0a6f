"""From a question to ranked hits: dense, lexical, or both fused; optionally diversified.

A retriever is a function `(snapshot, query, k, filter) -> list[Hit]`, where the snapshot is one
state of the index (`Index.snapshot`); hits are ranked from 1, their scores are the retriever's own
(higher is better), ties go by chunk id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragctx.arguments import require_function, require_kind, require_number, require_whole
from ragctx.errors import InputError
from ragctx.index.database import require_same_embedder
from ragctx.index.filters import Filter
from ragctx.index.fts_query import match_expression
from ragctx.index.index import as_index
from ragctx.index.protocol import IndexState, SearchableIndex
from ragctx.records import Hit
from ragctx.reranking import CANDIDATES as RERANKED
from ragctx.reranking import Reranker, reranked
from ragctx.text.well_formed import well_formed
from ragctx.unembedded import Unembedded

if TYPE_CHECKING:
    from ragctx.embedding import Embedder

RRF_K = 60
"""The constant of reciprocal rank fusion: the larger, the less the first ranks count. 60 as in the
paper, see `fused`."""
CANDIDATES = 100
"""The fewest candidates that are fused or diversified, so that k does not change the first hits."""


@dataclass(frozen=True)
class Query:
    """A question, and its vector once a retriever asks for it."""

    text: str
    embedder: Embedder

    @cached_property
    def unembedded(self) -> Unembedded:
        """Gives the passages that have no vectors yet theirs, for this question."""
        return Unembedded(self.embedder)

    @cached_property
    def vector(self) -> NDArray[np.float32]:
        """The embedded question: float32 (dim,), a unit vector, computed at first use.

        Raises InputError when the question is longer than the embedder can read, or the embedder
        does not give one vector of its dimension.
        """
        vectors = np.asarray(self.embedder.encode([self.text]), dtype=np.float32)
        if vectors.shape != (1, self.embedder.dim):
            raise InputError(
                f"the embedder {self.embedder.id} gave vectors of shape {vectors.shape} for one "
                f"text; its dim {self.embedder.dim} promises (1, {self.embedder.dim})"
            )
        vector: NDArray[np.float32] = vectors[0]
        return vector


Retriever = Callable[[IndexState, Query, int, Filter], list[Hit]]
"""(snapshot, query, k, filter) -> at most k hits, ranked from 1.

One that knows the cosine of a passage to the question puts it into `Hit.similarity`.
"""


def search(
    index: str | Path | SearchableIndex,
    embedder: Embedder,
    question: str,
    k: int = 20,
    *,
    retriever: str | Retriever | None = None,
    filter: Filter | None = None,
    reranker: Reranker | None = None,
    mmr_lambda: float | None = None,
) -> list[Hit]:
    """The k best passages of the index for a question; fewer if it has fewer.

    Args:
        index: where to look: an index or its path, or a snapshot of one that the caller holds.
        embedder: the one the index was made with.
        question: anything but blank.
        k: how many hits, at least 1.
        retriever: `hybrid` (the default), `dense`, `lexical`, one of these names, or a function of
            your own.
        filter: which documents and pages; it works before the best k are taken.
        reranker: scores the 30 best candidates (k, if that is more) once more; the k best by its
            scores are the hits. See `ragctx.reranking`.
        mmr_lambda: from 0 (all for diversity) to 1 (all for relevance); None leaves the
            retriever's order. See `diversified`.

    Raises:
        InputError: the question is blank, k or mmr_lambda out of range, or the filter names a
            document that is not there.
        IndexMismatchError: the index was made with another embedder.
    """
    _require_arguments(question, k, mmr_lambda)
    index = as_index(index, embedder)
    require_same_embedder(index.path, (index.embedder, index.dim), (embedder.id, embedder.dim))
    retriever, filter = as_retriever(retriever or hybrid), filter or Filter()
    require_kind("filter", filter, Filter, "give Filter(('report.pdf',))")
    query = Query(well_formed(question), embedder)
    with index.snapshot() as snapshot:
        least = RERANKED if reranker else CANDIDATES if mmr_lambda is not None else k
        hits = retriever(snapshot, query, max(least, k), filter)
        if reranker is not None:
            hits = reranked(question, _with_similarity(hits, snapshot, query), reranker)
        if mmr_lambda is not None:
            vectors = query.unembedded.vectors_of(snapshot, [hit.chunk.id for hit in hits])
            hits = diversified(hits, vectors, k, mmr_lambda)
        hits = _with_similarity(hits[:k], snapshot, query)
    query.unembedded.keep(index.path)
    return hits


def _with_similarity(hits: list[Hit], snapshot: IndexState, query: Query) -> list[Hit]:
    """Give every hit its cosine to the question, if the retriever gave it to some of them.

    If it gave it to none (`lexical`), the question was never embedded, and is not for this.
    """
    unknown = [hit for hit in hits if hit.similarity is None]
    if len(unknown) == len(hits):
        return hits
    vectors = query.unembedded.vectors_of(snapshot, [hit.chunk.id for hit in unknown])
    cosines = vectors @ query.vector
    similarity = {hit.chunk.id: float(c) for hit, c in zip(unknown, cosines, strict=True)}
    return [replace(hit, similarity=similarity.get(hit.chunk.id, hit.similarity)) for hit in hits]


def dense(snapshot: IndexState, query: Query, k: int, filter: Filter) -> list[Hit]:
    """By inner product of unit vectors (cosine), from -1 to 1.

    Of passages that have no vectors yet, those that match the question's words best are embedded.
    """
    scored = snapshot.nearest(query.vector, k, filter)
    if not snapshot.is_complete:
        late = query.unembedded.nearest(snapshot, query.text, query.vector, filter)
        both = snapshot.hits([*scored, *late[:k]])
        both = [replace(hit, similarity=hit.score) for hit in both]
        best = sorted(both, key=lambda hit: (-(hit.similarity or 0.0), hit.chunk.id))[:k]
        return [replace(hit, rank=rank) for rank, hit in enumerate(best, 1)]
    hits = snapshot.hits(scored)
    return [replace(hit, similarity=hit.score) for hit in hits]


def lexical(snapshot: IndexState, query: Query, k: int, filter: Filter) -> list[Hit]:
    """By BM25 (Robertson and Zaragoza 2009) over the question's content words, any of which counts.

    Only passages with at least one of them are hits.
    """
    expression = match_expression(query.text)
    return snapshot.hits(snapshot.matching(expression, k, filter) if expression else [])


def hybrid(snapshot: IndexState, query: Query, k: int, filter: Filter) -> list[Hit]:
    """Dense and lexical fused by their ranks (`fused`), both counting the same.

    The default: of the retrievers measured by `benchmarks.retrieval` it misses the fewest passages
    within 20 hits (recall@20 0.926; dense 0.903, lexical 0.914; 1,478 questions of nine sets).
    """
    depth = max(CANDIDATES, k)
    if not snapshot.is_complete:
        rankings = [retriever(snapshot, query, depth, filter) for retriever in (dense, lexical)]
        return fused(rankings, k)
    # As above, but of the candidates only those that are hits are read.
    expression = match_expression(query.text)
    near = snapshot.nearest(query.vector, depth, filter)
    matching = snapshot.matching(expression, depth, filter) if expression else []
    best = _fused_rows(snapshot, (near, matching), k)
    cosines = dict(near)
    return [
        replace(hit, similarity=cosines.get(row))
        for (row, _), hit in zip(best, snapshot.hits(best), strict=True)
    ]


def _fused_rows(
    snapshot: IndexState, rankings: Sequence[Sequence[tuple[int, float]]], k: int
) -> list[tuple[int, float]]:
    """`fused` for rows of chunks: the k best, each with its fused score."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, (row, _) in enumerate(ranking, 1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RRF_K + rank)
    ids = snapshot.ids_of(list(scores))
    best = sorted(scores, key=lambda row: (-scores[row], ids.get(row, "")))[:k]
    return [(row, scores[row]) for row in best]


RETRIEVERS: Mapping[str, Retriever] = MappingProxyType(
    {"hybrid": hybrid, "dense": dense, "lexical": lexical}
)
"""The retrievers by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScale:
    """What a retriever's scores are, and how far they reach: `most` is inf where nothing bounds it.

    >>> SCORE_SCALES["hybrid"].require(0.3)
    Traceback (most recent call last):
    ragctx.errors.InputError: min_score is 0.3, but hybrid scores are RRF scores, from 0 to \
0.0328: they are made of ranks and do not tell how alike two texts are. Give a number in that \
range, or "auto" for a cosine near the best one, or choose the retriever dense, whose scores are \
cosines.
    """

    retriever: str
    name: str
    least: float
    most: float

    def require(self, min_score: float) -> None:
        """Raise InputError if `min_score` is not on this scale: all scores would pass, or none."""
        if self.least <= min_score <= self.most:
            return
        reach = f"from {self.least:g} to {self.most:.3g}"
        if math.isinf(self.most):
            reach = f"{self.least:g} or more"
        fused = self.retriever == "hybrid"
        raise InputError(
            f"min_score is {min_score:g}, but {self.retriever} scores are {self.name}s, {reach}"
            + (": they are made of ranks and do not tell how alike two texts are" if fused else "")
            + '. Give a number in that range, or "auto" for a cosine near the best one'
            + (", or choose the retriever dense, whose scores are cosines." if fused else ".")
        )


_MOST_FUSED = 0.0328
"""The score of the first in both rankings, 2 / (RRF_K + 1), as it is shown: rounded, and up."""

SCORE_SCALES: Mapping[str, ScoreScale] = MappingProxyType(
    {
        "hybrid": ScoreScale(retriever="hybrid", name="RRF score", least=0.0, most=_MOST_FUSED),
        "dense": ScoreScale(retriever="dense", name="cosine", least=-1.0, most=1.0),
        "lexical": ScoreScale(retriever="lexical", name="BM25 score", least=0.0, most=math.inf),
    }
)
"""What the scores of each of `RETRIEVERS` are."""

RERANK_SCALE = ScoreScale(retriever="reranker", name="rerank score", least=0.0, most=1.0)
"""What the scores of a cross-encoder are, whichever retriever found the candidates."""


def as_retriever(retriever: str | Retriever) -> Retriever:
    """`retriever`, looked up if it is a name. Raises InputError for an unknown one."""
    if not isinstance(retriever, str):
        require_function("retriever", retriever, f"valid: {', '.join(RETRIEVERS)}, or a function")
        return retriever
    if retriever not in RETRIEVERS:
        raise InputError(
            f"retriever is {retriever!r}. Valid: {', '.join(RETRIEVERS)}, or a function."
        )
    return RETRIEVERS[retriever]


def fused(
    rankings: Sequence[Sequence[Hit]], k: int, *, weights: Sequence[float] | None = None
) -> list[Hit]:
    """Reciprocal rank fusion: score = sum over rankings of weight / (60 + rank).

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods", SIGIR 2009. A hit that a ranking lacks gets nothing from it.

    >>> one, other = Hit.from_text(1, 9.0, "one", "a"), Hit.from_text(2, 8.0, "other", "b")
    >>> best = fused([[one, other], [replace(other, rank=1)]], k=1)[0]
    >>> best.chunk.text, round(best.score, 5)
    ('other', 0.03252)
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    require_whole("k", k)
    for ranking in rankings:
        require_kind("one of rankings", ranking, Sequence, "give a list of hits of each retriever")
    if len(weights) != len(rankings):
        raise InputError(f"There are {len(rankings)} rankings but {len(weights)} weights.")
    scores: dict[str, float] = {}
    hits: dict[str, Hit] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for hit in ranking:
            scores[hit.chunk.id] = scores.get(hit.chunk.id, 0.0) + weight / (RRF_K + hit.rank)
            hits.setdefault(hit.chunk.id, hit)
    best = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[:k]
    return [
        replace(hits[chunk_id], rank=rank, score=scores[chunk_id])
        for rank, chunk_id in enumerate(best, 1)
    ]


def diversified(
    hits: Sequence[Hit], vectors: NDArray[np.float32], k: int, mmr_lambda: float
) -> list[Hit]:
    """Maximal marginal relevance: k hits, each relevant and unlike those before it.

    The next hit is the one with the largest
    `mmr_lambda * relevance - (1 - mmr_lambda) * largest cosine with a hit already taken`
    (Carbonell and Goldstein, SIGIR 1998). Relevance is the score scaled to 0…1 over `hits`, so
    that any retriever's scores will do; with `mmr_lambda=1` the order stays. Scores are kept.

    Args:
        hits: candidates in rank order.
        vectors: float32 (n, dim), unit rows, row i for `hits[i]`.
        k: how many to take at most.
        mmr_lambda: from 0 to 1.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    scores = np.array([hit.score for hit in hits], dtype=np.float64)
    spread = float(np.ptp(scores)) if len(hits) else 0.0
    relevance = (scores - scores.min()) / spread if spread > 0 else np.ones(len(hits))
    likeness = np.full(len(hits), -np.inf)  # to the most similar hit taken
    free = np.ones(len(hits), dtype=bool)
    taken: list[int] = []
    while len(taken) < min(k, len(hits)):
        penalty = likeness if taken else np.zeros(len(hits))
        value = mmr_lambda * relevance - (1 - mmr_lambda) * penalty
        best = int(np.argmax(np.where(free, value, -np.inf)))  # of equal ones the better ranked
        taken.append(best)
        free[best] = False
        likeness = np.maximum(likeness, (vectors @ vectors[best]).astype(np.float64))
    return [replace(hits[i], rank=rank) for rank, i in enumerate(taken, 1)]


def _require_arguments(question: str, k: int, mmr_lambda: float | None) -> None:
    if not isinstance(question, str):
        raise InputError(
            f"question is a {type(question).__name__}, not a text; the order is "
            "search(index, embedder, question) and retrieve(question, index, embedder)"
        )
    if not question.strip():
        raise InputError(f"The question is {question!r}: there is nothing to look for. Ask one.")
    require_whole("k", k)
    if k < 1:
        raise InputError(f"k is {k}. Give at least 1: how many passages to find.")
    if mmr_lambda is None:
        return
    require_number("mmr_lambda", mmr_lambda)
    if not 0 <= mmr_lambda <= 1:
        raise InputError(
            f"mmr_lambda is {mmr_lambda}. Give 0 (all for diversity) to 1 (all for relevance)."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """How candidates are found: how many, by which retriever, in which documents.

    Few and good beats many: the bundled reader answers best from three to eight passages.
    """

    k: int = 5
    retriever: str | Retriever = hybrid
    filter: Filter = Filter()
    reranker: Reranker | None = None
    mmr_lambda: float | None = None

    @property
    def score_name(self) -> str:
        """What the scores of its hits are: "score" if nobody knows.

        >>> Retrieval().score_name, Retrieval(retriever="dense").score_name
        ('RRF score', 'cosine')
        """
        if self.reranker is not None:
            return RERANK_SCALE.name
        asked = as_retriever(self.retriever)
        names = (SCORE_SCALES[name].name for name, known in RETRIEVERS.items() if known is asked)
        return next(names, "score")


def retrieve(
    question: str,
    index: SearchableIndex,
    embedder: Embedder,
    retrieval: Retrieval | None = None,
) -> list[Hit]:
    """The passages of `index` most relevant to `question`, best first; see `search`."""
    retrieval = retrieval or Retrieval()
    require_kind("retrieval", retrieval, Retrieval, "give Retrieval(k=…, retriever=…)")
    return search(
        index,
        embedder,
        question,
        retrieval.k,
        retriever=retrieval.retriever,
        filter=retrieval.filter,
        reranker=retrieval.reranker,
        mmr_lambda=retrieval.mmr_lambda,
    )
