"""Who reads files and embeds chunks while a run writes the index: the threads of this process.

Others can do the same work elsewhere (`ragctx.ingestion.on_ray`). What they return is the same, and
so is the index: which chunks are embedded together does not depend on who does it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ragctx.ingestion.reading import cores

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, OnProgress, Vectors
    from ragctx.ingestion.reading import FileFound, FileRead, FileReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The vectors of some texts, float32 (n, dim), and how long they took."""

    vectors: Vectors
    seconds: float


class Embedding(Protocol):
    """Some texts whose vectors are on their way."""

    def is_ready(self) -> bool:
        """Whether `result` need not wait."""
        ...

    def result(self) -> Embedded:
        """Their vectors, row i of text i, once they are there."""
        ...


class Workers(Protocol):
    """Who reads files and embeds chunks."""

    @property
    def readers(self) -> int:
        """How many threads may call `read` at once."""
        ...

    @property
    def groups(self) -> int:
        """How many groups of texts may be on their way to their vectors at once, at least 1."""
        ...

    def read(self, reader: FileReader, found: FileFound) -> FileRead:
        """What `reader.read(found)` returns. Nobody waits for it once `reader.stopped` is set."""
        ...

    def embed(self, texts: Sequence[str], on_progress: OnProgress) -> Embedding:
        """Begin with texts that are embedded together, as by one `Embedder.encode`."""
        ...


class LocalWorkers:
    """Threads of this process read, as many as it has cores; its own embedder embeds."""

    groups = 1

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.readers = cores()

    def read(self, reader: FileReader, found: FileFound) -> FileRead:
        return reader.read(found)

    def embed(self, texts: Sequence[str], on_progress: OnProgress) -> Embedding:
        return _Later(self._embedder, texts, on_progress)


@dataclass(frozen=True, slots=True)
class _Later:
    """Texts that are embedded when their vectors are asked for."""

    embedder: Embedder
    texts: Sequence[str]
    on_progress: OnProgress

    def is_ready(self) -> bool:
        return False

    def result(self) -> Embedded:
        began = time.perf_counter()
        vectors = self.embedder.encode(self.texts, on_progress=self.on_progress)
        seconds = time.perf_counter() - began
        return Embedded(vectors=np.asarray(vectors, np.float32), seconds=seconds)
