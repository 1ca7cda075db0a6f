"""What runs on the cluster: reading one file, and an embedder that stays loaded.

Whatever it needs is sent to it: nothing but ragctx must be on the machine, and the embedder's
files, unless ragctx brings them.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragctx import __version__
from ragctx.errors import ClusterError
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reading import FileFound, FileRead, FileReader, ocr_of
from ragctx.ingestion.settings import IngestSettings, Recipe
from ragctx.ingestion.workers import Embedded
from ragctx.threads import THREADS

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrder:
    """A file to read. `version` is the ragctx of whoever asks for it."""

    path: str
    document_id: str
    settings: IngestSettings
    recipe: Recipe
    version: str


def read_file(order: ReadOrder, content: NDArray[np.uint8], tokenizer: Tokenizer) -> FileRead:
    """Read and cut a file of this content, as `FileReader.read` does.

    Raises:
        ClusterError: another version of ragctx is here.
        MissingExtraError: what reads pictures is not installed here.
    """
    _require_version(order.version)
    path = Path(order.path)
    reader = FileReader(
        tokenizer=tokenizer,
        settings=order.settings,
        recipe=order.recipe,
        ocr=_ocr_of(order.recipe, order.settings),
        progress=Progress(),
        made={},
        ids={},
    )
    with tempfile.TemporaryDirectory(prefix="ragctx-") as folder:
        copy = Path(folder) / path.name  # messages and titles may tell the name
        copy.write_bytes(content.data)
        read = reader.read(FileFound(path=copy, document_id=order.document_id, is_new=True))
    document = read.document and replace(read.document, path=str(path))
    return replace(read, path=path, document=document)


_ocr_of = lru_cache(maxsize=1)(ocr_of)
"""Loading takes two seconds, and one process reads many files by the same settings."""


class RemoteEmbedder:
    """An embedder in a process of its own, loaded once. `load` loads it there."""

    def __init__(self, load: Callable[[], Embedder], embedder_id: str, version: str) -> None:
        self._load, self._id, self._version = load, embedder_id, version
        self._embedder: Embedder | None = None

    def prepare(self) -> None:
        """Load the embedder.

        Raises:
            ClusterError: it is another one here, or of another version of ragctx.
            ModelError, MissingExtraError: it is not here.
        """
        _require_version(self._version)
        os.environ.setdefault(THREADS, "1")  # there is one such process for each processor
        self._embedder = self._load()
        if self._embedder.id != self._id:
            raise ClusterError(
                f"the embedder on {_here()} is {self._embedder.id}, and here it is {self._id}; "
                "put the same files there"
            )

    def encode(self, texts: Sequence[str]) -> Embedded:
        """The vectors of texts that are embedded together."""
        assert self._embedder is not None
        began = time.perf_counter()
        vectors = np.asarray(self._embedder.encode(texts), np.float32)
        return Embedded(vectors=vectors, seconds=time.perf_counter() - began)


def _require_version(wanted: str) -> None:
    if wanted != __version__:
        raise ClusterError(
            f"{_here()} has ragctx {__version__}, and this is ragctx {wanted}; install the same "
            f"there: {sys.executable} -m pip install 'ragctx[ray]=={wanted}'"
        )


def _here() -> str:
    return f"the Ray node {socket.gethostname()}"
