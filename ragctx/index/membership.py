"""Which chunks are in segments: the tables `unsealed` and `dropped`, and the list in meta.

Every chunk is in one segment of the list or in `unsealed`. A chunk of a segment that is deleted
goes into `dropped`, for the segment does not change. All of it changes in the transactions that
change the chunks, so that a reader's segments are always those of the state it sees.

Every function takes an open connection, as those of `ragctx.index.store` do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ragctx.index.database import SegmentName

Ints = NDArray[np.int64]


def note_new(connection: sqlite3.Connection, row: int) -> None:
    """A chunk was stored: it is in no segment."""
    connection.execute("INSERT INTO unsealed VALUES (?)", (row,))


def note_deleted(connection: sqlite3.Connection, document: int) -> None:
    """The chunks of a document, by row, are about to be deleted."""
    of_document = "(SELECT row FROM chunks WHERE document = ?)"
    connection.execute(
        f"""INSERT OR IGNORE INTO dropped SELECT row FROM chunks
        WHERE document = ? AND row NOT IN
            (SELECT row FROM unsealed WHERE row IN {of_document})""",
        (document, document),
    )
    connection.execute(f"DELETE FROM unsealed WHERE row IN {of_document}", (document,))


def note_sealed(connection: sqlite3.Connection, rows: Ints) -> None:
    """Chunks are in a segment now."""
    connection.executemany("DELETE FROM unsealed WHERE row = ?", _each(rows))


def note_unsealed(connection: sqlite3.Connection, rows: Ints) -> None:
    """Chunks were in a segment that is no longer listed."""
    connection.executemany("INSERT OR IGNORE INTO unsealed VALUES (?)", _each(rows))


def forget_dropped(connection: sqlite3.Connection, rows: Ints) -> None:
    """Deleted rows are no longer in any segment."""
    connection.executemany("DELETE FROM dropped WHERE row = ?", _each(rows))


def list_segments(connection: sqlite3.Connection, segments: Sequence[SegmentName]) -> None:
    """These are all segments."""
    listed = json.dumps([asdict(segment) for segment in segments])
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('segments', ?)", (listed,))


def forget_segments(connection: sqlite3.Connection) -> None:
    """No chunk is in a segment, and there are none."""
    connection.execute("INSERT OR IGNORE INTO unsealed SELECT row FROM chunks")
    connection.execute("DELETE FROM dropped")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('segments', '[]')")


def read_unsealed(connection: sqlite3.Connection) -> Ints:
    """The chunks that have vectors and are in no segment, in order."""
    return _rows(
        connection,
        """SELECT row FROM unsealed WHERE row NOT IN (SELECT row FROM waiting)
        ORDER BY row""",
    )


def read_dropped(connection: sqlite3.Connection) -> Ints:
    """The rows that are in a segment and were deleted, in order."""
    return _rows(connection, "SELECT row FROM dropped ORDER BY row")


def read_vector_rows(connection: sqlite3.Connection) -> Ints:
    """All chunks that have vectors, in order."""
    return _rows(connection, "SELECT row FROM vectors ORDER BY row")


def read_waiting_rows(connection: sqlite3.Connection) -> Ints:
    """All chunks whose documents do not have all of their vectors, in order."""
    return _rows(connection, "SELECT row FROM waiting ORDER BY row")


def read_chunk_table(connection: sqlite3.Connection, rows: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The rows given, in order, with the document and the first and last page of each chunk.

    Raises:
        sqlite3.DatabaseError: one of them is missing.
    """
    found = connection.execute(
        """SELECT row, document, first_page, last_page FROM chunks
        WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row""",
        (json.dumps(rows.tolist()),),
    ).fetchall()
    if len(found) != len(rows):
        raise sqlite3.DatabaseError(f"{len(rows) - len(found)} passages are missing")
    own, documents, first_pages, last_pages = (
        np.array(found, dtype=np.int64).reshape(-1, 4).T.copy()
    )
    return own, documents, first_pages, last_pages


def read_passages(connection: sqlite3.Connection, rows: Ints) -> dict[int, str]:
    """What is indexed of chunks by row, as the full-text index has it."""
    found = connection.execute(
        "SELECT row, text FROM passages WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(rows.tolist()),),
    )
    return {row: str(text) for row, text in found}


def read_chunk_ids(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, str]:
    """The ids of chunks by their rows."""
    found = connection.execute(
        "SELECT row, id FROM chunks WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
    return dict(found.fetchall())


def _rows(connection: sqlite3.Connection, query: str) -> Ints:
    return np.fromiter((row for (row,) in connection.execute(query)), np.int64)


def _each(rows: Ints) -> Iterable[tuple[int]]:
    return ((row,) for row in rows.tolist())
