"""The checksum under which a document is stored, and by which it is recognised afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np

from ragctx.records import Chunk, Document

if TYPE_CHECKING:
    from ragctx.embedding import Vectors


def checksum_of(document: Document, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> str:
    """SHA-256 over everything stored of a document but its path, for a file may be moved.

    Without vectors it is that of a document that does not have all of them yet.
    """
    about = [
        document.id,
        document.title,
        [astuple(h) for h in document.outline],
        document.status,
        document.reader,
        document.warnings,
        [astuple(p) for p in document.pages],
        [_told_of(chunk) for chunk in sorted(chunks, key=lambda chunk: (chunk.start, chunk.end))],
    ]
    digest = hashlib.sha256(json.dumps(about).encode())
    if vectors is not None:
        for i in sorted(range(len(chunks)), key=lambda i: (chunks[i].start, chunks[i].end)):
            digest.update(to_blob(vectors[i]))
    return digest.hexdigest()


def _told_of(chunk: Chunk) -> tuple[object, ...]:
    """What is stored of a chunk. What it belongs to counts only if it is known.

    Indexes of ragctx 0.2 and before have nothing of it, and checksums without it.
    """
    own, belongs = astuple(chunk)[:_OWN_FIELDS], (chunk.title, chunk.section, chunk.lead_in)
    return (*own, *belongs) if any(belongs) else own


_OWN_FIELDS = 8  # of a chunk: from its id to its token count


def to_blob(vector: Vectors) -> bytes:
    """A vector as it is stored: float32, little endian."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()
