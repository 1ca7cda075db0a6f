"""Reads and writes the rows of an index: documents, pages, chunks, vectors, words, sources.

Every function takes an open connection (`ragctx.index.database`) and does one thing;
`ragctx.index.index` decides which of them form one transaction.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ragctx.file_formats import Unit, unit_of
from ragctx.headers import indexed_text
from ragctx.index import membership, waiting
from ragctx.index.checksums import checksum_of, to_blob
from ragctx.index.database import KEPT_STATES, utc_now
from ragctx.records import Chunk, Document, Heading, Page, PdfStatus
from ragctx.text.words import searchable

if TYPE_CHECKING:
    from ragctx.embedding import Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A file the index knows. `recipe` describes how its chunks and vectors were made."""

    path: str
    document_id: str
    recipe: str
    pages: int
    chunks: int
    status: PdfStatus
    title: str = ""
    stored: str = ""  # when its document was stored: UTC, ISO 8601
    unit: Unit = "page"  # what `pages` counts


class SourceName(NamedTuple):
    """A file the index knows, and the document that it holds."""

    path: str
    document_id: str


# ---- Writing ---------------------------------------------------------------------------------


def put_document(
    connection: sqlite3.Connection,
    *,
    path: str,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: Vectors | None,
    recipe: str,
) -> int:
    """Store a document under a path, in place of what path and document held before; its row.

    Without `vectors` its chunks wait for them.
    """
    checksum = checksum_of(document, chunks, vectors)
    known = connection.execute(
        "SELECT row, checksum FROM documents WHERE id = ?", (document.id,)
    ).fetchone()
    if known and known[1] == checksum:
        row = known[0]
        connection.execute(
            "UPDATE documents SET recipe = ? WHERE row = ? AND recipe <> ?", (recipe, row, recipe)
        )
    else:
        if known:
            _delete_contents(connection, known[0])
        row = _write_document(connection, known and known[0], document, recipe, checksum)
        _write_contents(connection, row, document, chunks, vectors)
    map_source(connection, path, row)
    return int(row)


def settle_document(connection: sqlite3.Connection, document_id: str, dim: int) -> bool:
    """Give a document the vectors that were kept for it; whether it has all of them now.

    Raises:
        sqlite3.DatabaseError: its text is no longer what was stored.
    """
    found = read_chunks_of(connection, document_id)
    rows, chunks = [row for row, _ in found], [chunk for _, chunk in found]
    if not waiting.read_waiting(connection, rows):
        return True
    document = read_document(connection, document_id)
    (checksum,) = connection.execute(
        "SELECT checksum FROM documents WHERE id = ?", (document_id,)
    ).fetchone()
    if document is None or checksum_of(document, chunks) != checksum:
        raise sqlite3.DatabaseError(f"the text of document {document_id} has changed")
    vectors = waiting.settle(connection, rows, dim)
    if vectors is not None:
        checksum = checksum_of(document, chunks, vectors)
        connection.execute(
            "UPDATE documents SET checksum = ? WHERE id = ?", (checksum, document_id)
        )
    return vectors is not None


def map_source(connection: sqlite3.Connection, path: str, document: int) -> None:
    """Let a path hold a document, by row; the one it held before goes with its last path."""
    held = connection.execute("SELECT document FROM sources WHERE path = ?", (path,)).fetchone()
    if held != (document,):
        connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (path, document))
        if held:
            _delete_orphan(connection, held[0])


def move_source(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Let the path `new` hold what `old` held; what `new` held before goes with its last path."""
    held = connection.execute("SELECT document FROM sources WHERE path = ?", (old,)).fetchone()
    if held:
        connection.execute("DELETE FROM sources WHERE path = ?", (old,))
        map_source(connection, new, held[0])


def _delete_orphan(connection: sqlite3.Connection, document: int) -> None:
    """Delete a document, by row, if no path holds it any more."""
    held = connection.execute("SELECT 1 FROM sources WHERE document = ?", (document,)).fetchone()
    if not held:
        delete_document(connection, document)


def delete_document(connection: sqlite3.Connection, document: int) -> None:
    """Delete a document, by row, with everything that belongs to it, its sources included."""
    _delete_contents(connection, document)
    connection.execute("DELETE FROM sources WHERE document = ?", (document,))
    connection.execute("DELETE FROM documents WHERE row = ?", (document,))


def remove_sources(connection: sqlite3.Connection, path_or_id: str) -> int:
    """Remove a path, or all paths of a document's id; returns how many were removed."""
    held = connection.execute(
        "SELECT document FROM sources WHERE path = ?", (path_or_id,)
    ).fetchone()
    if held:
        connection.execute("DELETE FROM sources WHERE path = ?", (path_or_id,))
        _delete_orphan(connection, held[0])
        return 1
    known = connection.execute("SELECT row FROM documents WHERE id = ?", (path_or_id,)).fetchone()
    if not known:
        return 0
    gone = connection.execute("DELETE FROM sources WHERE document = ?", known).rowcount
    delete_document(connection, known[0])
    return gone


def count_change(connection: sqlite3.Connection) -> None:
    """Record in meta that the index has changed, with a new state of its own name."""
    known = connection.execute("SELECT value FROM meta WHERE key = 'states'").fetchone()
    states = [*json.loads(known[0] if known else "[]"), secrets.token_hex(8)][-KEPT_STATES:]
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('states', ?)", (json.dumps(states),))
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'updated'", (utc_now(),))


def rebuild_words(connection: sqlite3.Connection) -> None:
    """Rebuild the lexical index from the passages."""
    for row, fresh, known in list(read_words(connection)):
        if fresh != known:
            connection.execute("UPDATE chunks SET spaced = ? WHERE row = ?", (fresh, row))
    connection.execute("INSERT INTO words(words) VALUES ('rebuild')")


def _write_document(
    connection: sqlite3.Connection, row: int | None, document: Document, recipe: str, checksum: str
) -> int:
    outline = json.dumps([astuple(heading) for heading in document.outline])
    cursor = connection.execute(
        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row,
            document.id,
            document.title,
            outline,
            document.status,
            document.reader,
            json.dumps(document.warnings),
            recipe,
            checksum,
            utc_now(),
        ),
    )
    return int(cursor.lastrowid or 0)


def _write_contents(
    connection: sqlite3.Connection,
    row: int,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: Vectors | None,
) -> None:
    connection.executemany(
        "INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?)",
        (
            (row, i, page.number, page.label, page.status, page.text)
            for i, page in enumerate(document.pages)
        ),
    )
    for i, chunk in enumerate(chunks):
        separated = words_or_none(chunk)
        cursor = connection.execute(
            "INSERT INTO chunks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chunk.id,
                row,
                chunk.start,
                chunk.end,
                chunk.first_page,
                chunk.last_page,
                chunk.token_count,
                chunk.text,
                separated,
            ),
        )
        key = cursor.lastrowid
        if chunk.title or chunk.section or chunk.lead_in:
            context = (key, chunk.title, json.dumps(chunk.section), chunk.lead_in)
            connection.execute("INSERT INTO contexts VALUES (?, ?, ?, ?)", context)
        if vectors is None:
            connection.execute("INSERT INTO waiting VALUES (?, NULL, NULL)", (key,))
        else:
            connection.execute("INSERT INTO vectors VALUES (?, ?)", (key, to_blob(vectors[i])))
        membership.note_new(connection, int(key or 0))
        words = separated or chunk.text
        connection.execute("INSERT INTO words(rowid, text) VALUES (?, ?)", (key, words))


def _delete_contents(connection: sqlite3.Connection, document: int) -> None:
    of_document = "(SELECT row FROM chunks WHERE document = ?)"
    connection.execute(  # FTS5 has to be given the texts it forgets, so before they are deleted
        "INSERT INTO words(words, rowid, text) "
        f"SELECT 'delete', row, text FROM passages WHERE row IN {of_document}",
        (document,),
    )
    membership.note_deleted(connection, document)
    for table in ("vectors", "contexts", "waiting"):
        connection.execute(f"DELETE FROM {table} WHERE row IN {of_document}", (document,))
    connection.execute("DELETE FROM chunks WHERE document = ?", (document,))
    connection.execute("DELETE FROM pages WHERE document = ?", (document,))


def words_or_none(chunk: Chunk) -> str | None:
    """What is indexed of a passage, with its header, if it differs from its text; None if not."""
    words = searchable(indexed_text(chunk))
    return None if words == chunk.text else words


def read_words(connection: sqlite3.Connection) -> Iterator[tuple[int, str | None, object]]:
    """(row, `words_or_none`, what is stored of it) of all passages whose text is one."""
    for row in connection.execute(_CHUNK.replace(_FIRST_PATH, "c.spaced")):
        yield row[0], words_or_none(_chunk(row)) if isinstance(row[7], str) else None, row[9]


# ---- Reading ---------------------------------------------------------------------------------


def read_sources(
    connection: sqlite3.Connection, *, path: str | None = None, document_id: str | None = None
) -> tuple[SourceInfo, ...]:
    """All sources sorted by path, or only those of one path or one document."""
    columns = ("path", "document_id", "recipe", "pages", "chunks", "status", "title", "stored")
    wanted = {"s.path = ?": path, "d.id = ?": document_id}
    conditions = [condition for condition, value in wanted.items() if value is not None]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return tuple(
        SourceInfo(**dict(zip(columns, row, strict=True)), unit=unit_of(row[0]))
        for row in connection.execute(
            f"""SELECT s.path, d.id, d.recipe,
                (SELECT count(*) FROM pages p WHERE p.document = d.row),
                (SELECT count(*) FROM chunks c WHERE c.document = d.row),
                d.status, d.title, d.stored
            FROM sources s JOIN documents d ON d.row = s.document
            {where} ORDER BY s.path""",
            [value for value in wanted.values() if value is not None],
        )
    )


def read_names(connection: sqlite3.Connection) -> tuple[SourceName, ...]:
    """The path and the document's id of all sources, sorted by path."""
    found = connection.execute(
        "SELECT path, id FROM sources s JOIN documents d ON d.row = s.document ORDER BY path"
    )
    return tuple(map(SourceName._make, found))


def read_document(connection: sqlite3.Connection, document_id: str) -> Document | None:
    """The document as it was put, or None. Its path is the first, by name, that holds it.

    Raises:
        sqlite3.DatabaseError: its outline or warnings cannot be decoded.
    """
    found = connection.execute(
        f"""SELECT row, id, {_FIRST_PATH}, title, outline, status, reader, warnings
        FROM documents d WHERE id = ?""",
        (document_id,),
    ).fetchone()
    if not found:
        return None
    row, id_, path, title, outline, status, reader, warnings = found
    pages = connection.execute(
        "SELECT number, label, text, status FROM pages WHERE document = ? ORDER BY position", (row,)
    )
    try:
        return Document(
            id=id_,
            path=path or "",
            pages=tuple(
                Page(number=number, label=label, text=text, status=page_status)
                for number, label, text, page_status in pages
            ),
            title=title,
            outline=tuple(Heading(*heading) for heading in json.loads(outline)),
            status=status,
            reader=reader,
            warnings=tuple(json.loads(warnings)),
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"document {id_} cannot be decoded: {error}") from error


def read_recipes(connection: sqlite3.Connection) -> dict[str, str]:
    """How each document was made, by its id."""
    return dict(connection.execute("SELECT id, recipe FROM documents").fetchall())


def read_recipe(connection: sqlite3.Connection) -> str | None:
    """The recipe that all documents were made by; None if there are several, or no documents."""
    found = connection.execute("SELECT DISTINCT recipe FROM documents LIMIT 2").fetchall()
    return found[0][0] if len(found) == 1 else None


def read_sound_vectors(
    connection: sqlite3.Connection, document_id: str, dim: int
) -> dict[str, Vectors]:
    """The vectors (dim,) of a document's chunks by their texts as they were indexed.

    Empty for a document that is not held, or no longer as it was stored.

    Raises:
        sqlite3.DatabaseError: it cannot be read.
    """
    stored = connection.execute(
        "SELECT checksum FROM documents WHERE id = ?", (document_id,)
    ).fetchone()
    if not stored:
        return {}
    try:
        document = read_document(connection, document_id)
        rows = read_chunks_of(connection, document_id)
        chunks = [chunk for _, chunk in rows]
        if document is None:
            return {}
        if checksum_of(document, chunks) == stored[0]:
            kept = waiting.read_kept(connection, [row for row, _ in rows], dim)
            return {indexed_text(chunk): kept[row] for row, chunk in rows if row in kept}
        vectors = read_vectors(connection, [row for row, _ in rows], dim)
        if checksum_of(document, chunks, vectors) != stored[0]:
            return {}
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return {}  # values of other types than were stored
    return {indexed_text(chunk): vector for chunk, vector in zip(chunks, vectors, strict=True)}


def find_document(connection: sqlite3.Connection, document_id: str, recipe: str) -> int | None:
    """The row of a document that was made by this recipe, or None."""
    found = connection.execute(
        "SELECT row FROM documents WHERE id = ? AND recipe = ?", (document_id, recipe)
    ).fetchone()
    return found[0] if found else None


def read_document_rows(connection: sqlite3.Connection, document_ids: Iterable[str]) -> set[int]:
    """Rows of documents by id; ids that are not in the index are left out."""
    found = connection.execute(
        "SELECT row FROM documents WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(document_ids)),),
    )
    return {row for (row,) in found}


def read_chunks_of(connection: sqlite3.Connection, document_id: str) -> list[tuple[int, Chunk]]:
    """A document's chunks in document order, each with its row."""
    rows = connection.execute(
        _CHUNK + " WHERE d.id = ? ORDER BY c.start, c.end", (document_id,)
    ).fetchall()
    return [(row[0], _chunk(row)) for row in rows]


def count_chunks(connection: sqlite3.Connection, document_id: str) -> int:
    """How many chunks a document has."""
    found = connection.execute(
        "SELECT count(*) FROM chunks WHERE document = (SELECT row FROM documents WHERE id = ?)",
        (document_id,),
    )
    return int(found.fetchone()[0])


def _chunk(row: tuple[Any, ...]) -> Chunk:
    """The chunk of a row that `_CHUNK` selects: its number, then the fields of `Chunk` in order."""
    title, section, lead_in = row[10:13]
    own = [field.name for field in fields(Chunk)][:8]
    try:
        return Chunk(
            **dict(zip(own, row[1:9], strict=True)),
            title=title or "",
            section=tuple(map(str, json.loads(section or "[]"))),
            lead_in=lead_in or "",
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"passage {row[1]!r:.80} cannot be decoded: {error}") from error


def read_chunks(
    connection: sqlite3.Connection, rows: Sequence[int]
) -> dict[int, tuple[Chunk, str]]:
    """Chunks by row, each with the first path (by name) of its document."""
    found = connection.execute(
        _CHUNK + " WHERE c.row IN (SELECT value FROM json_each(?))", (json.dumps(list(rows)),)
    )
    return {row[0]: (_chunk(row), row[9]) for row in found}


def read_chunk_rows(connection: sqlite3.Connection, chunk_ids: Sequence[str]) -> dict[str, int]:
    """Rows by chunk id; ids that are not in the index are left out."""
    return dict(
        connection.execute(
            "SELECT id, row FROM chunks WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(chunk_ids)),),
        ).fetchall()
    )


def read_vectors(connection: sqlite3.Connection, rows: Sequence[int], dim: int) -> Vectors:
    """The vectors of chunk rows, float32 (n, dim), in that order.

    Raises:
        sqlite3.DatabaseError: one is missing or has another length.
    """
    places: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        places.setdefault(int(row), []).append(i)
    vectors = np.full((len(rows), dim), np.nan, dtype=np.float32)
    for row, blob in _vector_blobs(connection, list(places)):
        if not isinstance(blob, bytes) or len(blob) != dim * 4:
            raise sqlite3.DatabaseError(f"the vector of row {row} has not {dim * 4} bytes")
        vectors[places.pop(row)] = np.frombuffer(blob, dtype="<f4")
    if places:
        raise sqlite3.DatabaseError(f"{len(places)} vectors are missing")
    return vectors


def search_words(
    connection: sqlite3.Connection,
    expression: str,
    k: int,
    documents: Iterable[int] | None,
    pages: tuple[int, int],
) -> list[tuple[int, float]]:
    """The k best (chunk row, BM25 score) for an FTS5 query; higher is better, ties by chunk id.

    Only chunks that touch `pages`, first to last, and belong to `documents` (rows; None means all).
    """
    wanted = None if documents is None else json.dumps(list(documents))
    found = connection.execute(
        """SELECT c.row, -bm25(words) AS score FROM words JOIN chunks c ON c.row = words.rowid
        WHERE words MATCH ? AND c.last_page >= ? AND c.first_page <= ?
            AND (? IS NULL OR c.document IN (SELECT value FROM json_each(?)))
        ORDER BY score DESC, c.id LIMIT ?""",
        (expression, *pages, wanted, wanted, k),
    )
    return [(row, score) for row, score in found]


_FIRST_PATH = "(SELECT min(path) FROM sources s WHERE s.document = d.row)"
_CHUNK = f"""SELECT c.row, c.id, d.id, c.start, c.end, c.first_page, c.last_page, c.text,
    c.token_count, {_FIRST_PATH}, x.title, x.section, x.lead_in
    FROM chunks c JOIN documents d ON d.row = c.document LEFT JOIN contexts x ON x.row = c.row"""


def _vector_blobs(
    connection: sqlite3.Connection, rows: Sequence[int]
) -> Iterator[tuple[int, object]]:
    yield from connection.execute(
        "SELECT row, vector FROM vectors WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
