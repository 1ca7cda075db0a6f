"""What is wrong with an index in PostgreSQL: documents by checksum, words by the texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragctx.index.checksums import checksum_of
from ragctx.index.postgres import reading
from ragctx.index.postgres.index import PostgresIndex
from ragctx.index.postgres.texts import told
from ragctx.index.postgres.words import passage_of, postings_of

if TYPE_CHECKING:
    from ragctx.index.address import PostgresAddress
    from ragctx.index.postgres.connection import Connection
    from ragctx.records import Chunk


def problems_of(address: PostgresAddress) -> Iterator[tuple[str, str]]:
    """(part of the index, what is wrong with it), of one state of it; changes nothing.

    Whether pages on the server's disk are damaged is told by PostgreSQL's own checksums.
    """
    with PostgresIndex.open(address).snapshot() as snapshot:
        connection, dim = snapshot.connection, snapshot.dim
        found = connection.execute("SELECT id, row, checksum FROM documents ORDER BY id").fetchall()
        held = {row for (row,) in connection.execute("SELECT DISTINCT document FROM sources")}
        for held_id, row, checksum in found:
            document_id = told(held_id)
            document = reading.read_document(connection, document_id)
            numbered = reading.read_chunks_of(connection, document_id)
            rows, chunks = [row for row, _ in numbered], [chunk for _, chunk in numbered]
            waits = bool(rows) and reading.read_waiting(connection, rows) == set(rows)
            vectors = None if waits else reading.read_vectors(connection, rows, dim)
            if document is None or checksum_of(document, chunks, vectors) != checksum:
                yield "document", f"{document_id}: its checksum is wrong"
            elif row not in held:
                yield "document", f"{document_id}: no path holds it"
            elif _words_differ(connection, rows, chunks):
                yield "words", f"{document_id}: its words are not those of its passages"


def _words_differ(connection: Connection, rows: list[int], chunks: list[Chunk]) -> bool:
    own = postings_of([passage_of(chunk) for chunk in chunks])
    wanted = {(posting.term, rows[posting.place], posting.count, posting.length) for posting in own}
    found = connection.execute(
        "SELECT term, row, count, length FROM postings WHERE row = ANY(%s)", (rows,)
    )
    return set(found.fetchall()) != wanted
