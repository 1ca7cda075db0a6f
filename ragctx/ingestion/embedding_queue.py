"""Documents whose text is stored and whose chunks wait for their vectors.

Chunks are taken in the order of the documents, a window of some hundred at a time, whatever
document they are of, and embedded in groups of similar length. A window is taken when it is full,
or when no more documents come: so which chunks are embedded together depends on the documents
alone, not on how fast they were read, and with it the last bits of their vectors.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ragctx.embedding import text_tokens
from ragctx.headers import fitted, indexed_text

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.protocol import IndexWriter
    from ragctx.records import Chunk

WINDOW = 512
"""Chunks among which those of similar length are looked for. Chosen by hand."""
GROUP = 64
"""Chunks embedded between two writes: what a break loses at most. Chosen by hand."""


class EmbeddingQueue:
    """Embeds what was added, step by step; `writer` keeps each group, and settles each document.

    `on_embedded` is called with the chunks that have vectors and the chunks in all, of every
    document that was added.
    """

    def __init__(
        self,
        writer: IndexWriter,
        embedder: Embedder,
        *,
        on_embedded: Callable[[int, int], None] = lambda done, chunks: None,
    ) -> None:
        self.dim = embedder.dim
        self._writer = writer
        self._embedder = embedder
        self._on_embedded = on_embedded
        self._lacking: dict[str, int] = {}  # chunks that are in no window yet, by document, in turn
        self._window: dict[int, str] = {}  # the documents of the window's chunks, by row
        self._groups: deque[dict[str, dict[int, Chunk]]] = deque()  # of the window, as indexed
        self._seconds: dict[str, float] = defaultdict(float)
        self._waiting: set[str] = set()
        self._done = self._chunks = self.lacking = 0

    def __contains__(self, document_id: object) -> bool:
        """Whether a document that was added does not have all of its vectors."""
        return document_id in self._waiting

    def add(self, document_id: str, chunks: int) -> None:
        """Take up a stored document that waits for vectors, and has this many chunks in all."""
        self._chunks += chunks
        self._done += chunks
        if self._take_up(document_id):
            self._waiting.add(document_id)
        self._on_embedded(self._done, self._chunks)

    def seconds_of(self, document_id: str) -> float:
        """How long the document's chunks took to be embedded, in their share."""
        return self._seconds.pop(document_id, 0.0)

    def step(self, *, flush: bool) -> bool:
        """Embed one group; False if there is none to embed.

        Without `flush` a window is begun only if it is full.
        """
        if not self._groups and (flush or self.lacking >= WINDOW):
            self._next_window()
        if not self._groups:
            return False
        group = self._groups.popleft()
        began, before = time.perf_counter(), self._done

        def on_progress(texts: int) -> None:
            self._on_embedded(before + texts, self._chunks)

        count, limit_tokens = self._embedder.tokenizer.count, text_tokens(self._embedder)
        texts = [fitted(next(iter(same.values())), count, limit_tokens) for same in group.values()]
        vectors = self._embedder.encode(texts, on_progress=on_progress)
        self._keep(group, np.asarray(vectors, np.float32), time.perf_counter() - began)
        if not self._groups:
            self._settle()
        return True

    def _take_up(self, document_id: str) -> bool:
        """Put what a document lacks into the queue; False if it has all of its vectors."""
        lacking = self._writer.count_lacking(document_id)
        if not lacking:
            if self._writer.settle(document_id):
                return False
            lacking = self._writer.count_lacking(document_id)  # what was kept was damaged
        self._lacking[document_id] = lacking
        self.lacking += lacking
        self._done -= lacking
        return True

    def _next_window(self) -> None:
        by_text: dict[str, dict[int, Chunk]] = {}
        while self._lacking and len(self._window) < WINDOW:
            document_id = next(iter(self._lacking))
            taken = self._writer.lacking(document_id, WINDOW - len(self._window))
            for row, chunk in taken.items():
                by_text.setdefault(indexed_text(chunk), {})[row] = chunk
                self._window[row] = document_id
            self.lacking -= len(taken)
            self._lacking[document_id] -= len(taken)
            if self._lacking[document_id] > 0:
                break
            del self._lacking[document_id]
        # The longest first, as the embedder wants its batches: of texts of similar length.
        texts = sorted(by_text, key=len, reverse=True)
        for first in range(0, len(texts), GROUP):
            self._groups.append({text: by_text[text] for text in texts[first : first + GROUP]})

    def _keep(self, group: dict[str, dict[int, Chunk]], vectors: Vectors, seconds: float) -> None:
        kept = {
            row: vector
            for same, vector in zip(group.values(), vectors, strict=True)
            for row in same
        }
        self._writer.keep(kept)
        for row in kept:
            self._seconds[self._window[row]] += seconds / len(kept)
        self._done += len(kept)
        self._on_embedded(self._done, self._chunks)

    def _settle(self) -> None:
        """Give the documents that are complete with this window their vectors."""
        for document_id in dict.fromkeys(self._window.values()):
            if document_id not in self._lacking and not self._take_up(document_id):
                self._waiting.discard(document_id)
        self._window.clear()
