"""Documents whose text is stored, and whose vectors are still to come.

A document is found by its words as soon as its text is stored. Its vectors come in batches: each
waits with its chunk in the table `waiting`, under a checksum of its own, until all are there; then
they become the document's, in one step. A run that ends in between loses no batch that was kept.

Every function takes an open connection, as those of `ragctx.index.store` do.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragctx.index.checksums import to_blob

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

_CHECKSUM_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What an index still lacks: how many chunks have no vector, and the files that they are of."""

    chunks: int = 0
    paths: tuple[str, ...] = ()  # sorted


def anything_waits(connection: sqlite3.Connection) -> bool:
    """Whether a document does not have all of its vectors."""
    return connection.execute("SELECT 1 FROM waiting LIMIT 1").fetchone() is not None


def read_waiting(connection: sqlite3.Connection, rows: Iterable[int]) -> set[int]:
    """Those of some rows of chunks whose documents do not have all of their vectors."""
    found = connection.execute(
        "SELECT row FROM waiting WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
    return {row for (row,) in found}


def read_waiting_rows(
    connection: sqlite3.Connection, documents: Iterable[int] | None, pages: tuple[int, int]
) -> list[int]:
    """All of them that touch `pages` and belong to `documents` (None: any), by chunk id."""
    wanted = None if documents is None else json.dumps(list(documents))
    found = connection.execute(
        """SELECT c.row FROM waiting w JOIN chunks c ON c.row = w.row
        WHERE c.last_page >= ? AND c.first_page <= ?
            AND (? IS NULL OR c.document IN (SELECT value FROM json_each(?))) ORDER BY c.id""",
        (*pages, wanted, wanted),
    )
    return [row for (row,) in found]


def read_lacking(connection: sqlite3.Connection) -> Lacking:
    """How many chunks have no vector yet, and the paths of the documents that wait for some."""
    chunks = connection.execute("SELECT count(*) FROM waiting WHERE vector IS NULL").fetchone()[0]
    paths = connection.execute(
        f"""SELECT path FROM sources WHERE document IN ({_DOCUMENTS})
        ORDER BY path"""
    )
    return Lacking(chunks=chunks, paths=tuple(path for (path,) in paths))


def read_waiting_documents(connection: sqlite3.Connection) -> dict[str, int]:
    """The rows, by id, of the documents that do not have all of their vectors."""
    found = connection.execute(f"SELECT id, row FROM documents WHERE row IN ({_DOCUMENTS})")
    return dict(found.fetchall())


def read_lacking_rows(connection: sqlite3.Connection, document_id: str, limit: int) -> list[int]:
    """The rows of the first chunks of a document that have no vector yet; `limit` at most."""
    found = connection.execute(
        f"SELECT c.row {_LACKING} ORDER BY c.start, c.end LIMIT ?", (document_id, limit)
    )
    return [row for (row,) in found]


def count_lacking(connection: sqlite3.Connection, document_id: str) -> int:
    """How many chunks of a document have no vector yet."""
    (count,) = connection.execute(f"SELECT count(*) {_LACKING}", (document_id,)).fetchone()
    return int(count)


def keep(connection: sqlite3.Connection, vectors: Mapping[int, Vectors]) -> None:
    """Keep vectors (dim,) by the rows of their chunks; rows that no longer wait are passed over."""
    blobs = ((row, to_blob(vector)) for row, vector in vectors.items())
    connection.executemany(
        "UPDATE waiting SET vector = ?, checksum = ? WHERE row = ?",
        [(blob, _checksum(row, blob), row) for row, blob in blobs],
    )


def read_kept(connection: sqlite3.Connection, rows: Iterable[int], dim: int) -> dict[int, Vectors]:
    """The vectors (dim,) that are kept for some rows of chunks, if they are as they were."""
    found = connection.execute(
        """SELECT row, vector, checksum FROM waiting WHERE vector IS NOT NULL
        AND row IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(rows)),),
    )
    return {
        row: np.frombuffer(blob, dtype="<f4")
        for row, blob, checksum in found
        if _is_sound(row, blob, checksum, dim)
    }


def settle(connection: sqlite3.Connection, rows: Sequence[int], dim: int) -> Vectors | None:
    """Make the kept vectors of all chunks of a document its own; None unless all are sound.

    What is kept and damaged is forgotten, to be computed again.

    Args:
        connection: in a transaction.
        rows: those of its chunks.
        dim: length of a vector.

    Returns:
        The vectors, float32 (n, dim), in the order of `rows`.
    """
    kept = read_kept(connection, rows, dim)
    lost = [(row,) for row in rows if row not in kept]
    if lost:
        connection.executemany(
            "UPDATE waiting SET vector = NULL, checksum = NULL WHERE row = ?", lost
        )
        return None
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?)", [(row, to_blob(kept[row])) for row in rows]
    )
    connection.executemany("DELETE FROM waiting WHERE row = ?", [(row,) for row in rows])
    return np.array([kept[row] for row in rows], np.float32).reshape(-1, dim)


_LACKING = """FROM chunks c JOIN waiting w ON w.row = c.row
    WHERE c.document = (SELECT row FROM documents WHERE id = ?) AND w.vector IS NULL"""
_DOCUMENTS = "SELECT c.document FROM waiting w JOIN chunks c ON c.row = w.row"


def _is_sound(row: int, blob: object, checksum: object, dim: int) -> bool:
    return isinstance(blob, bytes) and len(blob) == dim * 4 and checksum == _checksum(row, blob)


def _checksum(row: int, blob: bytes) -> bytes:
    """Of a vector and its place: one that was put into another row is no vector of that row."""
    about = row.to_bytes(8, "big", signed=True) + blob
    return hashlib.blake2b(about, digest_size=_CHECKSUM_BYTES).digest()
