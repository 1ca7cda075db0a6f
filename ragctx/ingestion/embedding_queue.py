"""Documents whose text is stored and whose chunks wait for their vectors.

Chunks are taken in the order of the documents, a window of some hundred at a time, whatever
document they are of, and embedded in groups of similar length. A window is taken when it is full,
or when no more documents come: so which chunks are embedded together depends on the documents
alone, not on how fast they were read, and with it the last bits of their vectors.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ragctx.embedding import text_tokens
from ragctx.headers import fitted, indexed_text

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.protocol import IndexWriter
    from ragctx.ingestion.workers import Embedded, Embedding, Workers
    from ragctx.records import Chunk

    Group = dict[str, dict[int, Chunk]]  # chunks by row, by their text as indexed

WINDOW = 512
"""Chunks among which those of similar length are looked for. Chosen by hand."""
GROUP = 64
"""Chunks embedded between two writes: what a break loses at most. Chosen by hand."""


class EmbeddingQueue:
    """Lets `workers` embed what was added; `writer` keeps each group, and settles each document.

    `on_embedded` is called with the chunks that have vectors and the chunks in all, of every
    document that was added.
    """

    def __init__(
        self,
        writer: IndexWriter,
        embedder: Embedder,
        workers: Workers,
        *,
        on_embedded: Callable[[int, int], None] = lambda done, chunks: None,
    ) -> None:
        self.dim = embedder.dim
        self._writer = writer
        self._count, self._limit_tokens = embedder.tokenizer.count, text_tokens(embedder)
        self._workers = workers
        self._on_embedded = on_embedded
        self._lacking: dict[str, int] = {}  # chunks that are in no window yet, by document, in turn
        self._taken: dict[int, str] = {}  # the documents of those in windows, by row
        self._taken_of: Counter[str] = Counter()  # how many these are, by document
        self._groups: deque[Group] = deque()  # of the window
        self._sent: deque[tuple[Group, Embedding]] = deque()  # on their way, the oldest first
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

    def send(self, *, flush: bool) -> None:
        """Let as many groups be embedded at once as may be.

        Without `flush` a window is begun only if it is full.
        """
        while len(self._sent) < self._workers.groups:
            if not self._groups and (flush or self.lacking >= WINDOW):
                self._next_window()
            if not self._groups:
                return
            group = self._groups.popleft()
            first = (next(iter(same.values())) for same in group.values())
            texts = [fitted(chunk, self._count, self._limit_tokens) for chunk in first]
            self._sent.append((group, self._workers.embed(texts, self._on_progress)))

    def is_ready(self) -> bool:
        """Whether a step need not wait for vectors."""
        return bool(self._sent) and self._sent[0][1].is_ready()

    def step(self, *, flush: bool) -> bool:
        """Keep the vectors of one group, once they are there; False if there is none to embed."""
        self.send(flush=flush)
        if not self._sent:
            return False
        group, embedding = self._sent[0]
        self._keep(group, embedding.result())
        self._sent.popleft()
        return True

    def _on_progress(self, texts: int) -> None:
        self._on_embedded(self._done + texts, self._chunks)

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
        by_text: Group = {}
        room = WINDOW
        while self._lacking and room:
            document_id = next(iter(self._lacking))
            # Those that are on their way lack their vectors, too: they are its first.
            found = self._writer.lacking(document_id, self._taken_of[document_id] + room)
            taken = {row: chunk for row, chunk in found.items() if row not in self._taken}
            for row, chunk in taken.items():
                by_text.setdefault(indexed_text(chunk), {})[row] = chunk
                self._taken[row] = document_id
            self._taken_of[document_id] += len(taken)
            room -= len(taken)
            self.lacking -= len(taken)
            self._lacking[document_id] -= len(taken)
            if self._lacking[document_id] > 0:
                break
            del self._lacking[document_id]
        # The longest first, as the embedder wants its batches: of texts of similar length.
        texts = sorted(by_text, key=len, reverse=True)
        for first in range(0, len(texts), GROUP):
            self._groups.append({text: by_text[text] for text in texts[first : first + GROUP]})

    def _keep(self, group: Group, embedded: Embedded) -> None:
        kept = {
            row: vector
            for same, vector in zip(group.values(), embedded.vectors, strict=True)
            for row in same
        }
        self._writer.keep(kept)
        documents = Counter(self._taken.pop(row) for row in kept)
        for document_id, count in documents.items():
            self._seconds[document_id] += embedded.seconds * count / len(kept)
        self._done += len(kept)
        self._on_embedded(self._done, self._chunks)
        self._taken_of -= documents  # which forgets those that have none left
        for document_id in documents:
            self._settle(document_id)

    def _settle(self, document_id: str) -> None:
        """Give a document its vectors if all are there."""
        is_whole = document_id not in self._taken_of and document_id not in self._lacking
        if is_whole and not self._take_up(document_id):
            self._waiting.discard(document_id)
