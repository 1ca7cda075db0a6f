"""Whether the segments of an index hold what its database does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from ragctx.index import membership, store
from ragctx.index.database import Meta
from ragctx.index.loading import not_in, open_segments
from ragctx.index.segment import Ints, Segment
from ragctx.index.segment_file import SegmentError, read_arrays

_BLOCK = 2**13


def wrong_segments(connection: sqlite3.Connection, folder: Path, meta: Meta) -> list[str]:
    """What is wrong with the files of an index's segments, and with what they hold.

    Raises:
        sqlite3.DatabaseError: the database lacks a vector.
    """
    facts = []
    for told in meta.segments:
        try:
            read_arrays(folder / told.name, sha256=told.sha256, size_bytes=told.bytes)
        except SegmentError as error:
            facts.append(str(error))
    segments, notes = open_segments(folder, meta)
    if facts or notes:
        return facts or list(notes)
    facts += _wrong_lists(connection, segments)
    return facts or _wrong_vectors(connection, segments, meta.dim)


def _wrong_lists(connection: sqlite3.Connection, segments: list[Segment]) -> list[str]:
    """What is wrong with which segment holds which chunks: every one is in one place."""
    unsealed, dropped = membership.read_unsealed(connection), membership.read_dropped(connection)
    sealed = np.concatenate([segment.rows for segment in segments] or [unsealed[:0]])
    held = np.concatenate([sealed[~np.isin(sealed, dropped)], unsealed])
    rows = membership.read_vector_rows(connection)
    if len(held) != len(rows) or not np.array_equal(np.sort(held), rows):
        return [f"segments hold {len(held)} vectors, and the database {len(rows)} others"]
    return (
        [f"{len(lost)} deleted rows are in no segment"]
        if len(lost := not_in(segments, dropped))
        else []
    )


def _wrong_vectors(connection: sqlite3.Connection, segments: list[Segment], dim: int) -> list[str]:
    """What is wrong with what segments hold of each chunk."""
    dropped = membership.read_dropped(connection)
    for segment in segments:
        order = np.argsort(segment.rows, kind="stable")
        order = order[~np.isin(segment.rows[order], dropped)]
        for at in range(0, len(order), _BLOCK):
            if not _agree(connection, segment, order[at : at + _BLOCK], dim):
                return [f"{segment.name} does not hold the vectors of the database"]
    return []


def _agree(connection: sqlite3.Connection, segment: Segment, at: Ints, dim: int) -> bool:
    rows = segment.rows[at]
    stored = store.read_vectors(connection, rows.tolist(), dim)
    _, documents, first_pages, last_pages = membership.read_chunk_table(connection, rows)
    return (
        np.array_equal(segment.vectors[at], stored)
        and np.array_equal(segment.documents[at], documents)
        and np.array_equal(segment.first_pages[at], first_pages)
        and np.array_equal(segment.last_pages[at], last_pages)
    )


def changes_lost(connection: sqlite3.Connection, folder: Path, meta: Meta) -> list[str]:
    """What segments tell of passages that this database never had, though they are of it.

    Rows are numbered upwards and no number is given twice, so a higher one than any that was given
    is of a change that is gone: with a damaged log, or because an older copy was put back.
    """
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
    last = found[0] if found else 0
    lost: set[int] = set()
    for path in folder.glob("vectors-*.safetensors"):
        try:
            file = read_arrays(path, sha256="")
            rows = file.arrays["rows"]
        except (SegmentError, KeyError):
            continue
        if file.about.get("store") == meta.store:
            lost.update(rows[rows > last].tolist())
    fact = f"the database has lost {len(lost)} passages that its segments have; ingest their files "
    return [f"{fact}again"] if lost else []
