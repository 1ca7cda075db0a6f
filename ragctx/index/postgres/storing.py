"""Writes the rows of an index: documents, pages, chunks, vectors, words, sources.

Every function takes a connection within a transaction. Writers do not wait for each other unless
they change the same document or path: `lock` is what makes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from ragctx.index.checksums import checksum_of
from ragctx.index.database import utc_now
from ragctx.index.postgres import reading
from ragctx.index.postgres.texts import held, key
from ragctx.index.postgres.words import Posting, passage_of, postings_of
from ragctx.records import Chunk, Document

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.postgres.connection import Connection


def lock(connection: Connection, schema: str, names: Iterable[str]) -> None:
    """Wait until no other transaction changes these paths and documents, by id."""
    keys = sorted(
        int.from_bytes(hashlib.blake2b(f"{schema}\n{name}".encode(), digest_size=8).digest(), "big")
        - 2**63
        for name in names
    )
    for each in keys:  # always in the same order, so that two do not wait for each other
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (each,))


def put_document(
    connection: Connection,
    *,
    path: str,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: Vectors | None,
    recipe: str,
) -> None:
    """Store a document under a path, in place of what path and document held before.

    Without `vectors` its chunks wait for them.
    """
    checksum = checksum_of(document, chunks, vectors)
    known = connection.execute(
        "SELECT row, checksum FROM documents WHERE id = %s FOR UPDATE", (held(document.id),)
    ).fetchone()
    if known and known[1] == checksum:
        row = known[0]
        connection.execute(
            "UPDATE documents SET recipe = %s WHERE row = %s AND recipe <> %s",
            (held(recipe), row, held(recipe)),
        )
    else:
        postings = list(postings_of([passage_of(chunk) for chunk in chunks]))
        words = sum({posting.place: posting.length for posting in postings}.values())
        if known:
            delete_contents(connection, known[0])
        row = _write_document(
            connection,
            known[0] if known else None,
            document,
            {"recipe": recipe, "checksum": checksum, "chunks": len(chunks), "words": words},
        )
        _write_pages(connection, row, document)
        rows = _write_chunks(connection, row, chunks)
        _write_postings(connection, rows, postings)
        _write_vectors(
            connection,
            row,
            chunks,
            dict(zip(rows, vectors, strict=True)) if vectors is not None else dict.fromkeys(rows),
        )
    map_source(connection, path, row)


def _write_document(
    connection: Connection, row: int | None, document: Document, more: Mapping[str, object]
) -> int:
    values = {
        "id": key("document.id", document.id),
        "title": held(document.title),
        "outline": json.dumps([astuple(heading) for heading in document.outline]),
        "status": document.status,
        "reader": held(document.reader),
        "warnings": json.dumps(document.warnings),
        "stored": utc_now(),
        "pages": len(document.pages),
        **more,
        "recipe": held(str(more["recipe"])),
    }
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    statement = f"INSERT INTO documents ({names}) VALUES ({marks}) RETURNING row"
    if row is not None:
        statement = f"UPDATE documents SET ({names}) = ({marks}) WHERE row = %(row)s RETURNING row"
    (own,) = connection.execute(statement, {**values, "row": row}).fetchone() or (0,)
    return int(own)


def _write_pages(connection: Connection, row: int, document: Document) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY pages FROM STDIN") as copy:
        for i, page in enumerate(document.pages):
            values = (row, i, page.number, held(page.label), page.status, held(page.text))
            copy.write_row(values)


def _write_chunks(connection: Connection, document: int, chunks: Sequence[Chunk]) -> list[int]:
    """Write them; their rows."""
    rows = [
        row
        for (row,) in connection.execute(
            "SELECT nextval(pg_get_serial_sequence('chunks', 'row')) FROM generate_series(1, %s)",
            (len(chunks),),
        )
    ]
    with connection.cursor() as cursor, cursor.copy("COPY chunks FROM STDIN") as copy:
        for row, chunk in zip(rows, chunks, strict=True):
            copy.write_row(
                (
                    row,
                    key("the id of a chunk", chunk.id),
                    document,
                    chunk.start,
                    chunk.end,
                    chunk.first_page,
                    chunk.last_page,
                    chunk.token_count,
                    held(chunk.text),
                    held(chunk.title),
                    json.dumps(chunk.section),
                    held(chunk.lead_in),
                )
            )
    return rows


def _write_postings(
    connection: Connection, rows: Sequence[int], postings: Iterable[Posting]
) -> None:
    statement = "COPY postings (term, row, count, length) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for posting in postings:
            copy.write_row((posting.term, rows[posting.place], posting.count, posting.length))


def _write_vectors(
    connection: Connection,
    document: int,
    chunks: Sequence[Chunk],
    vectors: Mapping[int, Vectors | None],
) -> None:
    """Write the vectors of chunks, by row, or that they have none yet."""
    with connection.cursor() as cursor:
        if any(vector is None for vector in vectors.values()):
            cursor.executemany(
                "INSERT INTO waiting VALUES (%s, %s, NULL)", [(row, document) for row in vectors]
            )
            return
        cursor.executemany(
            "INSERT INTO vectors VALUES (%s, %s, %s, %s, %s::vector)",
            [
                (row, document, chunk.first_page, chunk.last_page, vector)
                for (row, vector), chunk in zip(vectors.items(), chunks, strict=True)
            ],
        )


def settle_document(connection: Connection, document_id: str, dim: int) -> bool:
    """Give a document the vectors that were kept for it; whether it has all of them now.

    Raises:
        ValueError: its text is no longer what was stored.
    """
    stored = connection.execute(
        "SELECT row, checksum FROM documents WHERE id = %s FOR UPDATE", (held(document_id),)
    ).fetchone()
    found = reading.read_chunks_of(connection, document_id)
    rows, chunks = [row for row, _ in found], [chunk for _, chunk in found]
    if not stored or not reading.read_waiting(connection, rows):
        return True
    document = reading.read_document(connection, document_id)
    if document is None or checksum_of(document, chunks) != stored[1]:
        raise ValueError(f"the text of document {document_id} has changed")
    kept = reading.read_kept(connection, rows)
    if not kept.keys() >= set(rows):
        return False
    connection.execute(
        """INSERT INTO vectors SELECT c.row, c.document, c.first_page, c.last_page, w.vector
        FROM waiting w JOIN chunks c USING (row) WHERE c.document = %s""",
        (stored[0],),
    )
    connection.execute("DELETE FROM waiting WHERE document = %s", (stored[0],))
    vectors = reading.read_vectors(connection, rows, dim)
    connection.execute(
        "UPDATE documents SET checksum = %s WHERE row = %s",
        (checksum_of(document, chunks, vectors), stored[0]),
    )
    return True


def keep(connection: Connection, vectors: Mapping[int, Vectors]) -> None:
    """Keep vectors (dim,) by the rows of their chunks; rows that no longer wait are passed over."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE waiting SET vector = %s::vector WHERE row = %s",
            [(vectors[row], row) for row in sorted(vectors)],
        )


# ---- Sources ---------------------------------------------------------------------------------


def map_source(connection: Connection, path: str, document: int) -> None:
    """Let a path hold a document, by row; the one it held before goes with its last path."""
    before = _held_by(connection, path)
    if before != document:
        connection.execute(
            """INSERT INTO sources VALUES (%s, %s)
            ON CONFLICT (path) DO UPDATE SET document = excluded.document""",
            (key("path", path), document),
        )
        if before is not None:
            _delete_orphan(connection, before)


def move_source(connection: Connection, old: str, new: str) -> None:
    """Let the path `new` hold what `old` held; what `new` held before goes with its last path."""
    document = _held_by(connection, old)
    if document is not None:
        connection.execute("DELETE FROM sources WHERE path = %s", (held(old),))
        map_source(connection, new, document)


def find_document(connection: Connection, document_id: str, recipe: str) -> int | None:
    """The row of a document that was made by this recipe, or None; it stays until the end."""
    found = connection.execute(
        "SELECT row FROM documents WHERE id = %s AND recipe = %s FOR KEY SHARE",
        (held(document_id), held(recipe)),
    ).fetchone()
    return found[0] if found else None


def remove_sources(connection: Connection, path_or_id: str) -> int:
    """Remove a path, or all paths of a document's id; returns how many were removed."""
    document = _held_by(connection, path_or_id)
    if document is not None:
        connection.execute("DELETE FROM sources WHERE path = %s", (held(path_or_id),))
        _delete_orphan(connection, document)
        return 1
    known = connection.execute(
        "SELECT row FROM documents WHERE id = %s FOR UPDATE", (held(path_or_id),)
    ).fetchone()
    if not known:
        return 0
    gone = connection.execute("DELETE FROM sources WHERE document = %s", known).rowcount
    _delete_document(connection, known[0])
    return gone


def _held_by(connection: Connection, path: str) -> int | None:
    found = connection.execute(
        "SELECT document FROM sources WHERE path = %s FOR UPDATE", (held(path),)
    ).fetchone()
    return found[0] if found else None


def _delete_orphan(connection: Connection, document: int) -> None:
    """Delete a document, by row, if no path holds it any more.

    Whoever gives it another path meanwhile is waited for, or waits.
    """
    connection.execute("SELECT 1 FROM documents WHERE row = %s FOR UPDATE", (document,))
    if not connection.execute(
        "SELECT 1 FROM sources WHERE document = %s LIMIT 1", (document,)
    ).fetchone():
        _delete_document(connection, document)


def _delete_document(connection: Connection, document: int) -> None:
    delete_contents(connection, document)
    connection.execute("DELETE FROM documents WHERE row = %s", (document,))


def delete_contents(connection: Connection, document: int) -> None:
    """Delete the pages and chunks of a document, by row, and what belongs to them."""
    connection.execute(
        "DELETE FROM postings WHERE row IN (SELECT row FROM chunks WHERE document = %s)",
        (document,),
    )
    connection.execute("DELETE FROM chunks WHERE document = %s", (document,))
    connection.execute("DELETE FROM pages WHERE document = %s", (document,))
