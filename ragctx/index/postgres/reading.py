"""Reads the rows of an index: documents, pages, chunks, sources. Every function does one thing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ragctx.headers import indexed_text
from ragctx.index.checksums import checksum_of
from ragctx.index.postgres.connection import vector_of
from ragctx.index.postgres.texts import held, told
from ragctx.index.store import SourceInfo, SourceName
from ragctx.index.waiting import Lacking
from ragctx.records import Chunk, Document, Heading, Page

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.postgres.connection import Connection

_FIRST_PATH = "(SELECT min(s.path) FROM sources s WHERE s.document = d.row)"
_CHUNK = f"""SELECT c.row, c.id, d.id, c.start, c."end", c.first_page, c.last_page, c.text,
    c.token_count, c.title, c.section, c.lead_in, {_FIRST_PATH}
    FROM chunks c JOIN documents d ON d.row = c.document"""


def read_sources(
    connection: Connection, *, path: str | None = None, document_id: str | None = None
) -> tuple[SourceInfo, ...]:
    """All sources sorted by path, or only those of one path or one document."""
    wanted = {"s.path = %s": path, "d.id = %s": document_id}
    given = {condition: held(text) for condition, text in wanted.items() if text is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    found = connection.execute(
        f"""SELECT s.path, d.id, d.recipe, d.pages, d.chunks, d.status, d.title, d.stored
        FROM sources s JOIN documents d ON d.row = s.document {where} ORDER BY s.path""",
        list(given.values()),
    )
    return tuple(
        SourceInfo(
            path=told(path),
            document_id=told(id_),
            recipe=told(recipe),
            pages=pages,
            chunks=chunks,
            status=status,
            title=told(title),
            stored=stored,
        )
        for path, id_, recipe, pages, chunks, status, title, stored in found
    )


def read_names(connection: Connection) -> tuple[SourceName, ...]:
    """The path and the document's id of all sources, sorted by path."""
    found = connection.execute(
        "SELECT path, id FROM sources s JOIN documents d ON d.row = s.document ORDER BY path"
    )
    return tuple(SourceName(told(path), told(id_)) for path, id_ in found)


def read_document(connection: Connection, document_id: str) -> Document | None:
    """The document as it was put, or None. Its path is the first, by name, that holds it."""
    found = connection.execute(
        f"""SELECT row, id, {_FIRST_PATH}, title, outline, status, reader, warnings
        FROM documents d WHERE id = %s""",
        (held(document_id),),
    ).fetchone()
    if not found:
        return None
    row, id_, path, title, outline, status, reader, warnings = found
    pages = connection.execute(
        "SELECT number, label, text, status FROM pages WHERE document = %s ORDER BY position",
        (row,),
    )
    return Document(
        id=told(id_),
        path=told(path or ""),
        pages=tuple(
            Page(number=number, label=told(label), text=told(text), status=page_status)
            for number, label, text, page_status in pages
        ),
        title=told(title),
        outline=tuple(Heading(*heading) for heading in json.loads(outline)),
        status=status,
        reader=told(reader),
        warnings=tuple(json.loads(warnings)),
    )


def read_recipes(connection: Connection) -> dict[str, str]:
    """How each document was made, by its id."""
    found = connection.execute("SELECT id, recipe FROM documents").fetchall()
    return {told(id_): told(recipe) for id_, recipe in found}


def read_recipe(connection: Connection) -> str | None:
    """The recipe that all documents were made by; None if there are several, or no documents."""
    found = connection.execute("SELECT DISTINCT recipe FROM documents LIMIT 2").fetchall()
    return told(found[0][0]) if len(found) == 1 else None


def read_document_rows(connection: Connection, document_ids: Iterable[str]) -> list[int]:
    """Rows of documents by id; ids that are not in the index are left out."""
    found = connection.execute(
        "SELECT row FROM documents WHERE id = ANY(%s) ORDER BY row",
        ([held(id_) for id_ in document_ids],),
    )
    return [row for (row,) in found]


def read_chunks_of(connection: Connection, document_id: str) -> list[tuple[int, Chunk]]:
    """A document's chunks in document order, each with its row."""
    found = connection.execute(
        _CHUNK + ' WHERE d.id = %s ORDER BY c.start, c."end"', (held(document_id),)
    )
    return [(row[0], _chunk(row)) for row in found]


def read_chunks(connection: Connection, rows: Sequence[int]) -> dict[int, tuple[Chunk, str]]:
    """Chunks by row, each with the first path (by name) of its document."""
    found = connection.execute(_CHUNK + " WHERE c.row = ANY(%s)", (list(rows),))
    return {row[0]: (_chunk(row), told(row[12])) for row in found}


def _chunk(row: tuple[Any, ...]) -> Chunk:
    return Chunk(
        id=told(row[1]),
        document_id=told(row[2]),
        start=row[3],
        end=row[4],
        first_page=row[5],
        last_page=row[6],
        text=told(row[7]),
        token_count=row[8],
        title=told(row[9]),
        section=tuple(json.loads(row[10])),
        lead_in=told(row[11]),
    )


def read_chunk_rows(connection: Connection, chunk_ids: Sequence[str]) -> dict[str, int]:
    """Rows by chunk id; ids that are not in the index are left out."""
    found = connection.execute(
        "SELECT id, row FROM chunks WHERE id = ANY(%s)", ([held(id_) for id_ in chunk_ids],)
    )
    return {told(id_): row for id_, row in found}


def read_chunk_ids(connection: Connection, rows: Sequence[int]) -> dict[int, str]:
    """The ids of chunks by their rows."""
    found = connection.execute("SELECT row, id FROM chunks WHERE row = ANY(%s)", (list(rows),))
    return {row: told(id_) for row, id_ in found}


# ---- Vectors ---------------------------------------------------------------------------------


def read_vectors(connection: Connection, rows: Sequence[int], dim: int) -> Vectors | None:
    """The vectors of chunk rows, float32 (n, dim), in that order; None if one is missing."""
    found = _vectors(connection, "vectors", rows)
    if not found.keys() >= set(rows):
        return None
    return np.array([found[row] for row in rows], np.float32).reshape(-1, dim)


def read_kept(connection: Connection, rows: Iterable[int]) -> dict[int, Vectors]:
    """The vectors (dim,) that are kept for chunks whose documents do not have all of theirs."""
    return _vectors(connection, "waiting", rows)


def _vectors(connection: Connection, table: str, rows: Iterable[int]) -> dict[int, Vectors]:
    found = connection.execute(
        f"SELECT row, vector_send(vector) FROM {table} WHERE row = ANY(%s) AND vector IS NOT NULL",
        (list(rows),),
        binary=True,
    )
    return {row: vector_of(sent) for row, sent in found}


def read_sound_vectors(connection: Connection, document_id: str, dim: int) -> dict[str, Vectors]:
    """The vectors (dim,) of a document's chunks by their texts as they were indexed.

    Empty for a document that is not held, or no longer as it was stored.
    """
    stored = connection.execute(
        "SELECT checksum FROM documents WHERE id = %s", (held(document_id),)
    ).fetchone()
    document = read_document(connection, document_id)
    if not stored or document is None:
        return {}
    found = read_chunks_of(connection, document_id)
    rows, chunks = [row for row, _ in found], [chunk for _, chunk in found]
    if checksum_of(document, chunks) == stored[0]:
        kept = read_kept(connection, rows)
        return {indexed_text(chunk): kept[row] for row, chunk in found if row in kept}
    vectors = read_vectors(connection, rows, dim)
    if vectors is None or checksum_of(document, chunks, vectors) != stored[0]:
        return {}
    return {indexed_text(chunk): vector for chunk, vector in zip(chunks, vectors, strict=True)}


# ---- What waits for its vectors --------------------------------------------------------------


def anything_waits(connection: Connection) -> bool:
    """Whether a document does not have all of its vectors."""
    return connection.execute("SELECT 1 FROM waiting LIMIT 1").fetchone() is not None


def read_waiting(connection: Connection, rows: Iterable[int]) -> set[int]:
    """Those of some rows of chunks whose documents do not have all of their vectors."""
    found = connection.execute("SELECT row FROM waiting WHERE row = ANY(%s)", (list(rows),))
    return {row for (row,) in found}


def read_waiting_documents(connection: Connection) -> dict[str, int]:
    """The rows, by id, of the documents that do not have all of their vectors."""
    found = connection.execute(
        "SELECT id, row FROM documents WHERE row IN (SELECT document FROM waiting)"
    )
    return {told(id_): row for id_, row in found}


def read_lacking(connection: Connection) -> Lacking:
    """How many chunks have no vector yet, and the paths of the documents that wait for some."""
    (chunks,) = connection.execute(
        "SELECT count(*) FROM waiting WHERE vector IS NULL"
    ).fetchone() or (0,)
    paths = connection.execute(
        "SELECT path FROM sources WHERE document IN (SELECT document FROM waiting) ORDER BY path"
    )
    return Lacking(chunks=chunks, paths=tuple(told(path) for (path,) in paths))


def read_lacking_rows(connection: Connection, document_id: str, limit: int) -> list[int]:
    """The rows of the first chunks of a document that have no vector yet; `limit` at most."""
    found = connection.execute(
        f'SELECT c.row {_LACKING} ORDER BY c.start, c."end" LIMIT %s', (held(document_id), limit)
    )
    return [row for (row,) in found]


def count_lacking(connection: Connection, document_id: str) -> int:
    """How many chunks of a document have no vector yet."""
    (count,) = connection.execute(
        f"SELECT count(*) {_LACKING}", (held(document_id),)
    ).fetchone() or (0,)
    return int(count)


_LACKING = """FROM chunks c JOIN waiting w ON w.row = c.row
    WHERE c.document = (SELECT row FROM documents WHERE id = %s) AND w.vector IS NULL"""
