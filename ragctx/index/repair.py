"""Checks whether an index is sound, and saves what can be saved if it is not.

Everything stored of a document is under a checksum; the words and the vector file can be rebuilt.
What fails its checksum is never dropped in silence: it goes to `quarantine/` in the index's folder
and into the report.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ragctx.errors import IndexDamagedError, IndexMissingError, StoreError
from ragctx.index import store, waiting
from ragctx.index.address import PostgresAddress, as_place
from ragctx.index.checksums import checksum_of
from ragctx.index.database import (
    DATABASE,
    Meta,
    create_database,
    explained,
    missing,
    read_meta,
    reading,
    transaction,
    writing,
)
from ragctx.index.lock import write_lock
from ragctx.index.salvage import UNREADABLE, read_remains, save_documents
from ragctx.index.sealing import Sealer
from ragctx.index.segment_checks import changes_lost, wrong_segments

QUARANTINE = "quarantine"
_SALVAGE = "repair.sqlite3"
_HALF = ".part"  # the end of a copy's name until it is complete


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an index: which part, and what."""

    part: str  # "database", "document", "words" or "vectors"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A document removed from an index because it is no longer what was stored."""

    document_id: str
    paths: tuple[str, ...]
    reason: str
    file: str  # where what is left of it was written


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did. Ingest the files of quarantined documents again to get them back."""

    done: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]


# ---- Verify ----------------------------------------------------------------------------------


def verify_index(path: str | Path | PostgresAddress) -> tuple[Problem, ...]:
    """Everything wrong with the index in `path`; empty when it is sound. Changes nothing.

    Checks the database's structure, every document against the checksum taken when it was put, the
    lexical index against the passages, and every segment against the database. A document that does
    not have all of its vectors yet is sound; `Index.info` counts what is missing. So is a file of
    vectors that is there and in no list, if it tells of nothing that the database has lost.

    Raises:
        IndexMissingError: there is no index.
        IndexMismatchError: it is of another format version, or another program's database.
    """
    folder = as_place(path)
    if isinstance(folder, PostgresAddress):
        from ragctx.index.postgres.checking import problems_of

        return tuple(Problem(part, fact) for part, fact in problems_of(folder))
    try:
        with reading(folder) as connection:
            meta = read_meta(connection, folder)
            structure = [Problem("database", fact) for fact in _structure(connection)]
            if structure:
                return tuple(structure)
            documents = [
                Problem("document", f"{document_id}: {reason}")
                for document_id, reason in _bad_documents(connection, meta.dim)
            ]
            words = [Problem("words", fact) for fact in _words(connection)]
            facts = [] if documents else _segments(connection, folder, meta)
            return (*documents, *words, *(Problem("vectors", fact) for fact in facts))
    except IndexDamagedError as error:
        return (Problem("database", str(error)),)


def _structure(connection: sqlite3.Connection) -> list[str]:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
    facts = [] if found == ["ok"] else found
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        facts.append(f"row {row} of {table} points to nothing in {parent}")
    return facts


def _bad_documents(connection: sqlite3.Connection, dim: int) -> Iterator[tuple[str, str]]:
    """(document id, what is wrong) of documents that differ from what was stored."""
    rows = connection.execute("SELECT id, checksum, row FROM documents ORDER BY id").fetchall()
    for document_id, checksum, row in rows:
        reason = _flaw(connection, document_id, checksum, dim)
        held = connection.execute("SELECT 1 FROM sources WHERE document = ?", (row,)).fetchone()
        if reason or not held:
            yield document_id, reason or "no path holds it"


def _flaw(connection: sqlite3.Connection, document_id: str, checksum: str, dim: int) -> str:
    """What is wrong with a document, or ""."""
    try:
        document = store.read_document(connection, document_id)
        found = store.read_chunks_of(connection, document_id)
        rows, chunks = [row for row, _ in found], [chunk for _, chunk in found]
        waits = waiting.read_waiting(connection, rows) == set(rows)
        vectors = None if waits else store.read_vectors(connection, rows, dim)
        sound = document is not None and checksum_of(document, chunks, vectors) == checksum
    except UNREADABLE as error:
        return f"cannot be read ({error})"
    return "" if sound else "its checksum is wrong"


def _words(connection: sqlite3.Connection) -> list[str]:
    """Compare the words with the passages, in a copy: FTS5 checks only what it may write."""
    stale = sum(fresh != known for _, fresh, known in store.read_words(connection))
    facts = [f"{stale} passages are cut into other words than they should be"] if stale else []
    with closing(sqlite3.connect("", isolation_level=None)) as copy:  # in a file, if it is large
        connection.backup(copy)
        try:
            copy.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            facts.append(f"the lexical index does not agree with the passages ({error})")
    return facts


def _segments(connection: sqlite3.Connection, folder: Path, meta: Meta) -> list[str]:
    """What is wrong with segments, or what they tell of changes that are lost."""
    return changes_lost(connection, folder, meta) or wrong_segments(connection, folder, meta)


# ---- Repair ----------------------------------------------------------------------------------


def repair_index(path: str | Path | PostgresAddress, *, embedder: str | None = None) -> Repair:
    """Repair the index in `path`: rebuild what can be rebuilt, put aside what is damaged.

    Of a database whose structure is damaged, a copy is kept in `quarantine/`, and every document
    whose own rows can still be read goes into a new database.

    Args:
        path: the index's folder.
        embedder: the id of the embedder it was made with, for the case that the index itself can
            no longer tell.

    Returns:
        What was done, and the documents that could not be saved.

    Raises:
        IndexMissingError, IndexMismatchError, IndexLockedError: as for writing.
        IndexDamagedError: not one document could be saved; the index is left as it was, and the
            message names the copy.
        StoreError: there is no room for what a repair writes; what there was is still there.
    """
    folder = as_place(path)
    if isinstance(folder, PostgresAddress):
        raise StoreError(
            f"{folder} is in PostgreSQL, which repairs itself after a crash. Restore what is "
            "damaged from a backup, or read the document again: ragctx index remove DOCUMENT, and "
            "ragctx ingest PATH"
        )
    if not (folder / DATABASE).is_file():
        raise missing(folder)
    with write_lock(folder):
        try:
            return _repaired(folder, embedder)
        except OSError as error:
            raise StoreError(
                f"The index {folder} could not be repaired ({error.strerror or error}); nothing is "
                f"lost by that. Make room for another copy of it, then: ragctx index repair "
                f"{folder}"
            ) from error


def _repaired(folder: Path, embedder: str | None) -> Repair:
    done: list[str] = []
    _remove_half_copies(folder)
    try:
        with reading(folder) as connection:
            done += changes_lost(connection, folder, read_meta(connection, folder))
        quarantined = _repair_in_place(folder)
    except (IndexDamagedError, IndexMissingError):
        quarantined = _salvage(folder, embedder, done)
    done.append("made the lexical index anew")
    with writing(folder) as connection:
        Sealer(connection, folder).rebuild()
    done.append("made the vector segments anew")
    return Repair(tuple(done), quarantined)


def _repair_in_place(folder: Path) -> tuple[Quarantined, ...]:
    """Quarantine bad documents, rebuild the words. Raises IndexDamagedError if that fails."""
    with writing(folder) as connection:
        meta = read_meta(connection, folder)
        facts = _structure(connection)
        if facts:
            raise IndexDamagedError(facts[0])
        quarantined = tuple(
            _quarantine(connection, folder, document_id, reason)
            for document_id, reason in list(_bad_documents(connection, meta.dim))
        )
        with transaction(connection):
            # The words first: deleting passages from a wrong lexical index makes it worse.
            store.rebuild_words(connection)
            for document in quarantined:
                rows = store.read_document_rows(connection, [document.document_id])
                store.delete_document(connection, rows.pop())
            store.count_change(connection)
    return quarantined


def _quarantine(
    connection: sqlite3.Connection, folder: Path, document_id: str, reason: str
) -> Quarantined:
    """Write down what can still be read of a document."""
    remains: dict[str, object] = {"document_id": document_id, "reason": reason}
    paths: list[str] = []
    with suppress(*UNREADABLE):
        found = connection.execute(
            """SELECT s.path FROM sources s JOIN documents d ON d.row = s.document
            WHERE d.id = ? ORDER BY s.path""",
            (document_id,),
        )
        paths += [path for (path,) in found]
    with suppress(*UNREADABLE):
        document = store.read_document(connection, document_id)
        remains["document"] = document and asdict(document)
    target = _free_name(folder / QUARANTINE, f"document-{_plain(document_id)}", ".json")
    remains["paths"] = paths
    target.write_text(json.dumps(remains, indent=1, default=repr), encoding="utf-8")
    return Quarantined(document_id=document_id, paths=tuple(paths), reason=reason, file=str(target))


def _salvage(folder: Path, embedder: str | None, done: list[str]) -> tuple[Quarantined, ...]:
    """Save what can be read into a new database, and let it take the old one's place."""
    copy = _keep_copy(folder)
    remains = read_remains(folder / DATABASE)
    if not remains.numbers():
        raise IndexDamagedError(
            f"No document can be read from {folder / DATABASE}; a copy is {copy}. Remove "
            f"{folder / DATABASE}, then: ragctx ingest PATH --index {folder}"
        )
    embedder = remains.meta.get("embedder") or embedder
    if not embedder:
        raise IndexDamagedError(
            f"{folder / DATABASE} no longer tells which embedder made its vectors. Name it: "
            f"ragctx index repair {folder} --embedder default, or int8 if it was made so (a copy "
            f"of the database is {copy})"
        )
    fresh = folder / _SALVAGE
    _remove_database(fresh)
    created = remains.meta.get("created", "")
    create_database(fresh, embedder, remains.dim, created=created)
    with explained(folder), closing(sqlite3.connect(fresh, isolation_level=None)) as new:
        with transaction(new):
            salvaged = save_documents(remains, new, remains.dim)
        # Closing would write the log into the file as well, but not tell that there is no room.
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if not salvaged.saved:
        _remove_database(fresh)
        raise IndexDamagedError(
            f"Not one of the {len(salvaged.lost)} documents found in {folder / DATABASE} could be "
            f"saved; a copy is {copy}. Remove {folder / DATABASE}, then: "
            f"ragctx ingest PATH --index {folder}"
        )
    known = salvaged.saved + len(salvaged.lost)
    done.append(f"copied the damaged database to {copy}")
    done.append(f"saved {salvaged.saved} of {known} documents into a new database")
    for suffix in ("-wal", "-shm"):
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    os.replace(fresh, folder / DATABASE)
    return tuple(
        Quarantined(
            document_id=lost.document_id, paths=lost.paths, reason=lost.reason, file=str(copy)
        )
        for lost in salvaged.lost
    )


def _keep_copy(folder: Path) -> Path:
    """Copy the database and its log to `quarantine/`, whole or not at all."""
    copy = _free_name(folder / QUARANTINE, "ragctx", ".sqlite3")
    for suffix in ("-wal", ""):  # the database last: with its name the copy is complete
        source = folder / f"{DATABASE}{suffix}"
        if source.exists():
            half = Path(f"{copy}{suffix}{_HALF}")
            shutil.copy2(source, half)
            os.replace(half, f"{copy}{suffix}")
    return copy


def _remove_half_copies(folder: Path) -> None:
    """Remove the unfinished files of a repair that was killed."""
    for half in (folder / QUARANTINE).glob(f"*{_HALF}"):
        half.unlink(missing_ok=True)
    _remove_database(folder / _SALVAGE)


def _remove_database(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def _free_name(folder: Path, stem: str, suffix: str) -> Path:
    folder.mkdir(exist_ok=True)
    number = 1
    while (folder / f"{stem}-{number}{suffix}").exists():
        number += 1
    return folder / f"{stem}-{number}{suffix}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)[:60]
