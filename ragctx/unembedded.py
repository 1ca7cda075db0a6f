"""Passages that have no vectors yet: found by their words, and embedded for one question.

The text of a document is in the index before its vectors (`ragctx ingest --lexical`, or while it is
being embedded). Until then those of its passages that match a question's words best are embedded
for that question. What was computed is kept in the index, if it can be written: the next question
and the next ingest need not compute it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragctx.embedding import text_tokens
from ragctx.errors import InputError, StoreError
from ragctx.headers import fitted
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.address import IndexPlace
    from ragctx.index.filters import Filter
    from ragctx.index.protocol import IndexState, Scored

FOR_ONE_QUESTION = 32
"""Passages without vectors that are embedded for one question, at most."""


@dataclass(frozen=True)
class Unembedded:
    """Computes the vectors that a snapshot lacks; `computed` has them by the chunk's row."""

    embedder: Embedder
    computed: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def nearest(
        self, snapshot: IndexState, question: str, vector: Vectors, filter: Filter
    ) -> Scored:
        """(chunk row, cosine) of the passages that wait for vectors, for a question and its vector.

        Only of those that match its words best, and of those that were embedded before. Best first,
        ties by chunk id.
        """
        expression = match_expression(question)
        if expression:
            likely = snapshot.waiting_among(expression, FOR_ONE_QUESTION, filter)
            self._compute(snapshot, [row for row, _ in likely])
        rows = snapshot.waiting_rows(filter)
        found = {**snapshot.kept_vectors(rows), **self.computed}
        known = [row for row in rows if row in found]
        vectors = np.array([found[row] for row in known], np.float64).reshape(-1, len(vector))
        cosines = (vectors * vector.astype(np.float64)).sum(1)  # as `Engine.nearest` does
        scored = zip(known, cosines.tolist(), strict=True)
        return sorted(scored, key=lambda each: -each[1])

    def vectors_of(self, snapshot: IndexState, chunk_ids: Sequence[str]) -> Vectors:
        """The vectors of chunks, float32 (n, dim), those that are lacking computed."""
        waiting = snapshot.waiting_among_ids(chunk_ids)
        if not waiting:
            return snapshot.vectors_of(chunk_ids)
        self._compute(snapshot, list(waiting.values()))
        found = {**snapshot.kept_vectors(waiting.values()), **self.computed}
        stored = [chunk_id for chunk_id in chunk_ids if chunk_id not in waiting]
        vectors = dict(zip(stored, snapshot.vectors_of(stored), strict=True))
        vectors |= {chunk_id: found[row] for chunk_id, row in waiting.items()}
        return np.array([vectors[id_] for id_ in chunk_ids], np.float32).reshape(-1, snapshot.dim)

    def keep(self, place: IndexPlace) -> None:
        """Keep what was computed in the index, if nobody else is writing to it and it can be."""
        if self.computed:
            with suppress(StoreError, InputError), Index.open(place).writer() as writer:
                writer.keep(self.computed)

    def _compute(self, snapshot: IndexState, rows: Sequence[int]) -> None:
        known = snapshot.kept_vectors(rows)
        lacking = [row for row in rows if row not in known and row not in self.computed]
        if lacking:
            chunks = snapshot.chunks_by_row(lacking)
            count, limit_tokens = self.embedder.tokenizer.count, text_tokens(self.embedder)
            texts = [fitted(chunks[row], count, limit_tokens) for row in lacking]
            encoded = self.embedder.encode(texts)
            vectors = np.asarray(encoded, np.float32)
            self.computed.update(zip(lacking, vectors, strict=True))
