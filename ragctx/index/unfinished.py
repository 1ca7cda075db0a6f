"""Vectors of a document that is not in the index yet, so that they are not computed again.

They wait in a file of their own beside the database, one record a vector, until the document is
stored. Every record has a checksum, so that a file cut off anywhere gives what is whole in it; the
file can be deleted at any time and costs only time.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.index.checksums import to_blob
from ragctx.paths import open_regular, write_whole

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors

UNFINISHED = "unfinished.vectors"
MAX_BYTES = 2**28
"""Of the file; more is not kept. 170,000 vectors of 384 numbers; chosen by hand."""
_STALE_S = 30 * 86400.0  # a run that was not taken up again in this time never will be; by hand
_KEY_BYTES, _CHECKSUM_BYTES = 16, 8


class UnfinishedVectors:
    """What is known of the vectors of unfinished documents. Its user holds the index's write lock.

    A file that cannot be read or written counts as empty, and nothing is kept.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._path = folder / UNFINISHED
        self._embedder = embedder
        self._blob_bytes = embedder.dim * 4
        self._kept = self._read()
        self._held = dict.fromkeys(self._kept)  # keys in the file
        with suppress(OSError):
            if self._path.stat().st_size != len(_packed(self._kept)):
                self._write()  # a record cut off would put all that follow it out of place

    def find(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The vectors (dim,) of those texts that an interrupted run computed."""
        found = ((text, self._kept.get(self._key(text))) for text in texts)
        return {text: np.frombuffer(blob, dtype="<f4") for text, blob in found if blob is not None}

    def keep(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add vectors, float32 (n, dim), one for each text, to the file."""
        records = {}
        for text, vector in zip(texts, vectors, strict=True):
            records[self._key(text)] = to_blob(vector)
        data = _packed(records)
        with suppress(OSError):
            descriptor = open_regular(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            with open(descriptor, "ab") as stream:
                if stream.tell() + len(data) <= MAX_BYTES:
                    stream.write(data)
                    self._held.update(dict.fromkeys(records))

    def forget(self, texts: Sequence[str]) -> None:
        """Remove the vectors of a document that is stored now."""
        gone = {self._key(text) for text in texts}
        if not gone & self._held.keys():
            return
        self._kept = {key: blob for key, blob in self._kept.items() if key not in gone}
        self._held = dict.fromkeys(self._kept)
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        if self._kept:
            write_whole(self._path, _packed(self._kept))
        else:
            self._path.unlink(missing_ok=True)

    def _key(self, text: str) -> bytes:
        about = f"{self._embedder.id}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(about, digest_size=_KEY_BYTES).digest()

    def _read(self) -> dict[bytes, bytes]:
        try:
            with open(open_regular(self._path), "rb") as stream:
                status = os.fstat(stream.fileno())
                if time.time() - status.st_mtime > _STALE_S or status.st_size > MAX_BYTES:
                    return {}
                data = stream.read()
        except OSError:
            return {}
        length = _KEY_BYTES + self._blob_bytes + _CHECKSUM_BYTES
        records = (data[i : i + length] for i in range(0, len(data) - length + 1, length))
        return {
            record[:_KEY_BYTES]: record[_KEY_BYTES:-_CHECKSUM_BYTES]
            for record in records
            if _checksum(record[:-_CHECKSUM_BYTES]) == record[-_CHECKSUM_BYTES:]
        }


def _packed(records: Mapping[bytes, bytes]) -> bytes:
    bodies = (key + blob for key, blob in records.items())
    return b"".join(body + _checksum(body) for body in bodies)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()
