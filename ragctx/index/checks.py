"""What an index accepts: a document, its chunks and vectors must fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragctx.arguments import require_kind
from ragctx.errors import InputError
from ragctx.records import Chunk, Document
from ragctx.text.well_formed import well_formed

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

_NORM_TOLERANCE = 1e-3
"""How far a vector's norm may be from 1: float32 rounding gives 1e-6; chosen by hand above it."""


def require_storable(path: str, document: Document, chunks: Sequence[Chunk]) -> None:
    """Check that a document and its chunks can be stored.

    Raises:
        InputError: something does not fit; the message names it, and how to mend it.
    """
    require_kind("path", path, str, "give str(path)")
    require_kind("document", document, Document, "give what read_pdf returns")
    if not path or not document.id:
        raise InputError(f"path is {path!r} and document.id {document.id!r}; both must say which.")
    for name, text in (("path", path), *(_texts(document))):
        if well_formed(text) != text:
            raise InputError(
                f"{name} of {path!r} has a lone surrogate, which no file can hold. Replace it: "
                "text.encode('utf-8', 'replace').decode()"
            )
    _require_chunks(document, chunks)


def _texts(document: Document) -> Iterator[tuple[str, str]]:
    yield "document.id", document.id
    yield "document.title", document.title
    for page in document.pages:
        yield f"the label of page {page.number}", page.label
        yield f"the text of page {page.number}", page.text


def _require_chunks(document: Document, chunks: Sequence[Chunk]) -> None:
    seen: set[str] = set()
    spans: set[tuple[int, int]] = set()
    for i, chunk in enumerate(chunks):
        require_kind(f"chunks[{i}]", chunk, Chunk, "give what chunk_document returns")
        if chunk.document_id != document.id:
            raise InputError(f"chunks[{i}] is of {chunk.document_id!r}, not of {document.id!r}.")
        if chunk.id in seen or (chunk.start, chunk.end) in spans:
            raise InputError(f"chunks[{i}] ({chunk.id!r}) is there twice; give every chunk once.")
        if document.text[chunk.start : chunk.end] != chunk.text:
            raise InputError(
                f"chunks[{i}] ({chunk.id!r}) is not document.text[{chunk.start}:{chunk.end}]: "
                f"{chunk.text[:40]!r} is not {document.text[chunk.start : chunk.end][:40]!r}."
            )
        seen.add(chunk.id)
        spans.add((chunk.start, chunk.end))


def require_vectors(chunks: Sequence[Chunk], vectors: Vectors, dim: int) -> None:
    """Check that vectors are those of the chunks. Raises InputError, as `require_storable` does."""
    require_kind("vectors", vectors, np.ndarray, "give np.asarray(vectors, dtype=np.float32)")
    if vectors.shape != (len(chunks), dim) or vectors.dtype != np.float32:
        raise InputError(
            f"vectors are {vectors.dtype} {vectors.shape}; {len(chunks)} chunks in this index need "
            f"float32 ({len(chunks)}, {dim}), one row per chunk."
        )
    require_unit_rows(vectors, len(chunks), dim)


def require_unit_rows(vectors: Vectors, n: int, dim: int) -> None:
    """Check that vectors are (n, dim), and of length 1. Raises InputError."""
    if vectors.shape != (n, dim):
        raise InputError(f"vectors are {vectors.shape}, not ({n}, {dim}); give one row per chunk")
    wrong = wrong_norms(vectors)
    if len(wrong):
        norm = float(np.linalg.norm(vectors[wrong[0]].astype(np.float64)))
        raise InputError(
            f"vectors[{wrong[0]}] has norm {norm:.6g}, not 1. Give unit rows: "
            "vectors / np.linalg.norm(vectors, axis=1, keepdims=True)"
        )


def wrong_norms(vectors: Vectors) -> NDArray[np.int64]:
    """Which rows of float32 (n, dim) are not unit vectors."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE))  # NaN is wrong, too
