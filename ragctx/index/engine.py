"""The vector engine: FAISS inner products over all chunks, made from the database, kept beside it.

`vectors.faiss` is an ordinary FAISS file (an IndexFlatIP in an IndexIDMap2 whose ids are chunk
rows) with a stamp after its end: the index it belongs to, the state, a SHA-256. It is only a
copy. Whatever it lacks, or has wrong, is read from the database.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from ragctx.index.checks import wrong_norms
from ragctx.index.database import Meta
from ragctx.index.store import ChunkTable, read_chunk_table, read_vectors
from ragctx.paths import open_regular, replacing, sha256_of_stream, unfinished_files

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

VECTORS = "vectors.faiss"
_MAGIC = b"ragctx01"
_HEADER = struct.Struct("<4siqqqBi")  # kind, dim, rows, two unused, whether trained, metric
_SMALL = 2048
"""Up to this many rows are multiplied in numpy, without FAISS. Chosen by hand."""
_SPARE = 16
"""Rows asked for beyond k, to see whether the last ones tie. Chosen by hand."""

Mask = NDArray[np.bool_]
T = TypeVar("T")
Flat = Any  # faiss.IndexFlatIP


class VectorFileError(Exception):
    """`vectors.faiss` is absent or damaged; the database still has all vectors."""


@dataclass(frozen=True)
class Engine:
    """The vectors of one state of an index; `index` holds row i of `table` at position i."""

    meta: Meta
    table: ChunkTable  # in the order of chunk ids, so that ties go by position
    index: Flat

    def __len__(self) -> int:
        return len(self.table.rows)

    @property
    def vectors(self) -> Vectors:
        """float32 (n, dim), a view into FAISS's memory."""
        return _view(self.index)

    def mask(self, documents: set[int] | None, pages: tuple[int, int]) -> Mask:
        """bool (n,): which chunks belong to these documents (None: all) and touch these pages."""
        first, last = pages
        allowed = (self.table.last_pages >= first) & (self.table.first_pages <= last)
        if documents is not None:
            allowed &= np.isin(self.table.documents, sorted(documents))
        return allowed

    def nearest(
        self, vector: Vectors, k: int, mask: Mask | None = None, *, small: int = _SMALL
    ) -> list[tuple[int, float]]:
        """The k best (chunk row, inner product) of a unit vector, best first, ties by chunk id.

        FAISS finds the candidates; their products are then computed in float64, one by one, so that
        equal vectors have equal scores wherever they are. Only positions in `mask`, bool (n,), are
        searched; up to `small` of them are all candidates, without asking FAISS.
        """
        allowed = np.flatnonzero(mask) if mask is not None else np.arange(len(self))
        if len(allowed) <= max(small, 0):
            candidates = allowed
        else:
            candidates = self._candidates(vector, min(k, len(allowed)), mask)
        scores = (self.vectors[candidates].astype(np.float64) * vector.astype(np.float64)).sum(1)
        order = np.lexsort((candidates, -scores))[:k]
        rows = self.table.rows[candidates[order]].tolist()
        return list(zip(rows, scores[order].tolist(), strict=True))

    def _candidates(self, vector: Vectors, k: int, mask: Mask | None) -> NDArray[np.int64]:
        """Positions that certainly include the k best, and whatever ties with the last of them."""
        faiss = _faiss()

        parameters = None
        if mask is not None:
            selector = faiss.IDSelectorBatch(np.flatnonzero(mask).astype(np.int64))
            parameters = faiss.SearchParameters(sel=selector)
        query = np.ascontiguousarray(vector, dtype=np.float32)[None]
        wanted = min(k + _SPARE, len(self))
        scores, positions = self.index.search(query, wanted, params=parameters)
        # A float32 inner product of unit vectors is off by less than dim * 2^-24; twice for two.
        least = float(scores[0, k - 1]) - self.index.d * 2.0**-23
        if positions[0, -1] < 0 or scores[0, -1] < least:  # -1: there were fewer
            found = positions[0][(positions[0] >= 0) & (scores[0] >= least)]
        else:
            _, _, found = self.index.range_search(query, least, params=parameters)
        return np.sort(found.astype(np.int64))


def load_engine(connection: sqlite3.Connection, meta: Meta, known: Engine | None) -> Engine:
    """The engine for the state of the index that `connection` sees.

    Vectors that `known` has (of an earlier state of this very index) are not read again: as long as
    an index only goes forward, a chunk row's vector never changes. A database that was put back
    from an older copy numbers its next rows like those that were lost, but then `known` is of a
    state that it never had.
    """
    faiss = _faiss()

    table = read_chunk_table(connection)
    if known is not None and known.meta.state in meta.states:
        if np.array_equal(known.table.rows, table.rows):
            return Engine(meta, table, known.index)
        known_rows, known_vectors = known.table.rows, known.vectors
    else:
        known_rows, known_vectors = np.empty(0, np.int64), np.empty((0, meta.dim), np.float32)
    is_known = np.isin(table.rows, known_rows)
    order = np.argsort(known_rows)
    sorted_at = np.searchsorted(known_rows, table.rows[is_known], sorter=order)
    vectors = np.empty((len(table.rows), meta.dim), np.float32)
    vectors[is_known] = known_vectors[order[sorted_at]]
    vectors[~is_known] = fresh = read_vectors(connection, table.rows[~is_known].tolist(), meta.dim)
    if (wrong := wrong_norms(fresh)).size:
        row = table.rows[~is_known][wrong[0]]
        raise sqlite3.DatabaseError(f"the vector of row {row} is not of length 1")
    index = faiss.IndexFlatIP(meta.dim)
    index.add(vectors)
    return Engine(meta, table, index)


# ---- The file --------------------------------------------------------------------------------


def save_engine(engine: Engine, folder: Path) -> None:
    """Write `vectors.faiss`, whole or not at all. The caller holds the write lock."""
    faiss = _faiss()

    mapped = faiss.IndexIDMap2(faiss.IndexFlatIP(engine.meta.dim))
    mapped.add_with_ids(engine.vectors, engine.table.rows)
    stamp = json.dumps(
        {"store": engine.meta.store, "state": engine.meta.state, "rows": len(engine)}
    ).encode()
    for leftover in unfinished_files(folder / VECTORS):  # of a writer that was killed
        leftover.unlink(missing_ok=True)
    with replacing(folder / VECTORS) as unfinished, unfinished.open("wb") as stream:
        digest = hashlib.sha256()

        def write(block: bytes) -> int:
            digest.update(block)
            return stream.write(block)

        faiss.write_index(mapped, faiss.PyCallbackIOWriter(write))
        write(stamp)
        stream.write(digest.digest() + len(stamp).to_bytes(4, "big") + _MAGIC)
        stream.flush()
        os.fsync(stream.fileno())


def read_stamp(folder: Path) -> str | None:
    """The state of the index that a sound `vectors.faiss` was made of.

    Raises:
        VectorFileError: it is absent or damaged.
    """
    return _with_file(folder, lambda stream: _checked_stamp(stream)[1])


def load_file(folder: Path, meta: Meta) -> Engine:
    """The vectors in `vectors.faiss`, perhaps of an earlier state; its pages are not known.

    Raises:
        VectorFileError: it is absent, damaged, or belongs to another index.
    """
    return _with_file(folder, lambda stream: _load(stream, meta))


_BAD_FILE = (OSError, ValueError, KeyError, TypeError, RuntimeError, struct.error)
"""What reading a damaged or forged file raises; a RecursionError is a RuntimeError."""


def _with_file(folder: Path, work: Callable[[BinaryIO], T]) -> T:
    try:
        with open(open_regular(folder / VECTORS), "rb") as stream:
            return work(stream)
    except _BAD_FILE as error:
        raise VectorFileError(f"{VECTORS}: {error}") from error


def _checked_stamp(stream: BinaryIO) -> tuple[str, str | None, int]:
    """The index a file is of, its state, and the bytes that are FAISS's.

    Reads the whole file once, and leaves it at its beginning. Raises ValueError.
    """
    tail = 32 + 4 + len(_MAGIC)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - tail))
    end = stream.read()
    if len(end) != tail or not end.endswith(_MAGIC):
        raise ValueError("cut off, or not made by ragctx")
    length = int.from_bytes(end[32:36], "big")
    stream.seek(0)
    if sha256_of_stream(stream, size - tail) != end[:32].hex():
        raise ValueError("its SHA-256 is wrong")
    stream.seek(size - tail - length)
    stamp = json.loads(stream.read(length))
    stream.seek(0)
    return stamp["store"], stamp.get("state"), size - tail - length


def _require_flat(stream: BinaryIO, size: int, dim: int) -> None:
    """Check that FAISS's bytes are what `save_engine` lets it write, before FAISS reads them.

    FAISS takes whatever kind of index the file names, and memory as the file says. Anybody can make
    a file with a right SHA-256. Leaves the stream at its beginning; raises ValueError.
    """
    outer, dim_1, rows, *_ = _HEADER.unpack(stream.read(_HEADER.size))
    inner, dim_2, rows_2, *_ = _HEADER.unpack(stream.read(_HEADER.size))
    stream.seek(0)
    expected = 2 * _HEADER.size + 8 + rows * dim * 4 + 8 + rows * 8
    kinds, dims = (outer, inner), (dim_1, dim_2)
    if kinds != (b"IxM2", b"IxFI") or dims != (dim, dim) or rows != rows_2 or size != expected:
        raise ValueError("it does not hold what ragctx writes")


def _load(stream: BinaryIO, meta: Meta) -> Engine:
    """Check the file, then let FAISS read the same open file, so that nobody can replace it."""
    faiss = _faiss()
    store, state, size = _checked_stamp(stream)
    if store != meta.store:
        raise ValueError("it belongs to another index")
    _require_flat(stream, size, meta.dim)
    mapped = faiss.read_index(faiss.PyCallbackIOReader(stream.read))
    flat = faiss.downcast_index(mapped.index)
    if not isinstance(flat, faiss.IndexFlatIP) or flat.d != meta.dim:
        raise ValueError(f"it holds a {type(flat).__name__} of dim {flat.d}, not {meta.dim}")
    rows = faiss.vector_to_array(mapped.id_map).astype(np.int64)
    if flat.ntotal != len(rows):
        raise ValueError(f"it holds {flat.ntotal} vectors and {len(rows)} rows")
    flat.referenced_objects = [mapped]  # whose memory it is
    none = np.zeros_like(rows)
    return Engine(
        replace(meta, states=() if state is None else (state,)),
        ChunkTable(rows=rows, documents=none, first_pages=none, last_pages=none),
        flat,
    )


def _view(flat: Flat) -> Vectors:
    faiss = _faiss()

    if not flat.ntotal:
        return np.empty((0, flat.d), np.float32)
    vectors: Vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    return vectors.reshape(flat.ntotal, flat.d)


def _faiss() -> ModuleType:
    """FAISS, imported when needed: that takes a while, and its type hints are incomplete."""
    import faiss

    return faiss
