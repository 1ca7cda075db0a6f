"""The SQLite file of an index: its tables, how it is opened, and what its errors mean.

With write-ahead logging, a commit is whole or absent after `kill -9` or power loss, and readers see
the last commit without ever waiting for a writer. Connections are opened for one task and closed,
so none is shared between threads or survives a fork. (It does not work on network file systems.)
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ragctx import __version__
from ragctx.errors import (
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    StoreError,
)
from ragctx.paths import open_regular, require_regular
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace

DATABASE = "ragctx.sqlite3"
FORMAT_VERSION = 3
"""What is written. Version 1, of ragctx 0.2 and before, lacks the tables of `_NEW_IN_2`; it and
version 2, of ragctx 0.3, lack those of `_NEW_IN_3`. They are read as if the former were empty and
no passage were in a segment (`ragctx.index.sealing`), and brought up to date when next written."""
READ_VERSIONS = (1, 2, FORMAT_VERSION)
TOKENIZE = "unicode61 remove_diacritics 2"
"""How the full-text index splits texts into words."""
KEPT_STATES = 100
"""How many changes back the vectors of a file may still serve."""
LEXICON_FROM = 50_000
"""From this many chunks in segments on words are looked up in them (`lexicon`), not in FTS5, which
is fast with fewer. Chosen by hand, as `segment.CLUSTERED_FROM`."""
METRIC = "inner_product"
MAX_DIM = 2**16
"""Numbers of a vector. Embedders have some hundreds or thousands; memory is taken by this."""
_APPLICATION_ID = 0x72616763  # "ragc"
_SEGMENT = re.compile(r"vectors-[0-9a-f]{16}\.safetensors")
_FACT = 300  # characters of what SQLite says is wrong, which may quote whole passages; by hand
_TIMEOUT_S = 10.0  # seconds to wait for SQLite's own short locks (recovery after a crash); by hand

_NEW_IN_2 = (
    # What a passage belongs to; no row where nothing is known. `section` is a JSON list.
    """CREATE TABLE contexts (
        row INTEGER PRIMARY KEY REFERENCES chunks(row),
        title TEXT NOT NULL, section TEXT NOT NULL, lead_in TEXT NOT NULL)""",
    # Chunks of documents that do not have all of their vectors yet, see `ragctx.index.waiting`.
    """CREATE TABLE waiting (
        row INTEGER PRIMARY KEY REFERENCES chunks(row), vector BLOB, checksum BLOB)""",
)
_NEW_IN_3 = (
    # Chunks that are in no segment, see `ragctx.index.sealing`.
    "CREATE TABLE unsealed (row INTEGER PRIMARY KEY)",
    # Rows that are in a segment, and were deleted since.
    "CREATE TABLE dropped (row INTEGER PRIMARY KEY)",
)
TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE documents (
        row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL, outline TEXT NOT NULL, status TEXT NOT NULL, reader TEXT NOT NULL,
        warnings TEXT NOT NULL, recipe TEXT NOT NULL, checksum TEXT NOT NULL, stored TEXT NOT NULL)
    """,
    """CREATE TABLE pages (
        document INTEGER NOT NULL REFERENCES documents(row), position INTEGER NOT NULL,
        number INTEGER NOT NULL, label TEXT NOT NULL, status TEXT NOT NULL, text TEXT NOT NULL,
        UNIQUE (document, position))""",
    # Rows are never given twice (AUTOINCREMENT): a row's vector never changes.
    """CREATE TABLE chunks (
        row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        document INTEGER NOT NULL REFERENCES documents(row),
        start INTEGER NOT NULL, "end" INTEGER NOT NULL, first_page INTEGER NOT NULL,
        last_page INTEGER NOT NULL, token_count INTEGER NOT NULL,
        text TEXT NOT NULL, spaced TEXT)""",
    "CREATE INDEX chunks_of_document ON chunks (document, start, \"end\")",
    "CREATE TABLE vectors (row INTEGER PRIMARY KEY REFERENCES chunks(row), vector BLOB NOT NULL)",
    """CREATE TABLE sources (
        path TEXT PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(row)) WITHOUT ROWID
    """,
    "CREATE INDEX sources_of_document ON sources (document)",
    'CREATE VIEW passages AS SELECT row, coalesce(spaced, text) AS text FROM chunks',
    f"""CREATE VIRTUAL TABLE words USING fts5 (
        text, content='passages', content_rowid='row', tokenize='{TOKENIZE}')""",
    *_NEW_IN_2,
    *_NEW_IN_3,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """A segment of the present state (`ragctx.index.segment`): its file, and how to know it."""

    name: str
    rows: int
    bytes: int
    sha256: str

    @classmethod
    def listed(cls, text: str) -> tuple[SegmentName, ...]:
        """Those that meta lists. Raises ValueError, TypeError or KeyError for anything else."""
        names = tuple(cls(**entry) for entry in json.loads(text))
        for one in names:
            if not (_SEGMENT.fullmatch(one.name) and re.fullmatch("[0-9a-f]{64}", one.sha256)):
                raise ValueError(f"segments, where there is {one.name!r:.80}")
            if not (0 < int(one.rows) < 2**32 and 0 < int(one.bytes) < 2**62):
                raise ValueError(f"segments, where {one.name} has {one.rows!r:.80} rows")
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What an index records of itself.

    `store` is its own random name. `generation` counts its changes; `states` names each of the last
    of them by chance, so that two copies of an index that went different ways are told apart.
    """

    format_version: int
    ragctx_version: str
    embedder: str
    dim: int
    metric: str
    created: str  # UTC, ISO 8601
    updated: str
    store: str
    generation: int
    states: tuple[str, ...] = ()  # the present one last; none in an index of ragctx 0.1
    recipe: str | None = None  # how documents are to be made; None in an index of ragctx 0.1
    segments: tuple[SegmentName, ...] = ()

    @property
    def state(self) -> str | None:
        """The name of the present state, that no other state of any index has."""
        return self.states[-1] if self.states else None


def utc_now() -> str:
    """The date and time, UTC, to the second: "2024-05-01T12:00:00Z"."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- Creating --------------------------------------------------------------------------------


def create_database(file: Path, embedder: str, dim: int, *, created: str = "") -> None:
    """Create the tables, all or none. The caller holds the write lock."""
    now = utc_now()
    meta = {
        "format_version": FORMAT_VERSION,
        "ragctx_version": __version__,
        "embedder": embedder,
        "dim": dim,
        "metric": METRIC,
        "created": created or now,
        "updated": now,
        "store": secrets.token_hex(8),
        "generation": 0,
        "states": json.dumps([secrets.token_hex(8)]),
    }
    with explained(file.parent), closing(_connect(file, "rwc")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            for statement in TABLES:
                connection.execute(statement)
            rows = [(key, str(value)) for key, value in meta.items()]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)


# ---- Opening ---------------------------------------------------------------------------------


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one snapshot: the last commit before it was opened.

    Raises:
        IndexMissingError, IndexDamagedError, IndexMismatchError, StoreError: see `read_meta`.
    """
    _require_database(folder)
    with explained(folder), closing(_connect_reading(folder)) as connection:
        connection.execute("PRAGMA temp_store=MEMORY")  # for `_stand_in`
        connection.execute("BEGIN")
        _stand_in(connection)
        connection.execute("PRAGMA query_only=ON")
        yield connection
        connection.execute("COMMIT")


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection for `transaction`s. The caller holds the write lock."""
    _require_database(folder)
    with explained(folder), closing(_connect(folder / DATABASE, "rw")) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        _bring_up_to_date(connection)
        yield connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that the block changes, or nothing if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _stand_in(connection: sqlite3.Connection) -> None:
    """Let an index of an earlier version be read as if it had the tables that came later."""
    names = _names(connection)
    if "chunks" not in names:
        return
    if "waiting" not in names:
        for statement in _NEW_IN_2:
            connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
    if "unsealed" not in names:
        connection.execute("CREATE TEMP VIEW unsealed AS SELECT row FROM main.chunks")
        connection.execute("CREATE TEMP TABLE dropped (row INTEGER PRIMARY KEY)")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Give an index of an earlier version the tables that came later, in one step.

    What is no such index stays.
    """
    names = _names(connection)
    if "chunks" not in names or "unsealed" in names:
        return
    version = "SELECT 1 FROM meta WHERE key = 'format_version' AND value IN ('1', '2')"
    with suppress(sqlite3.OperationalError), transaction(connection):  # `read_meta` tells why
        if connection.execute(version).fetchone():
            for statement in (*(_NEW_IN_2 if "waiting" not in names else ()), *_NEW_IN_3):
                connection.execute(statement)
            connection.execute("INSERT INTO unsealed SELECT row FROM chunks")
            connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'format_version'", (str(FORMAT_VERSION),)
            )


def _names(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def holds_index(folder: Path) -> bool:
    """Whether there is an index in the folder.

    A file without tables, left by a process that was killed while creating it, does not count.
    """
    file = folder / DATABASE
    if not file.is_file():
        return False
    with explained(folder), closing(_connect_reading(folder)) as connection:
        return _has_tables(connection)


def read_meta(connection: sqlite3.Connection, folder: Path) -> Meta:
    """How the index was made.

    Raises:
        IndexMissingError: nothing was ever written to it.
        IndexMismatchError: it has another format version, is another program's database, or holds
            views or triggers, which are programs, that no index has.
        IndexDamagedError: entries are missing or have impossible values.
    """
    if not _has_tables(connection):
        raise missing(folder)
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise IndexMismatchError(
            f"{folder / DATABASE} is not a ragctx index. Choose another folder with --index."
        )
    _require_own_schema(connection, folder)
    values = dict(connection.execute("SELECT key, value FROM meta"))
    try:
        version = int(values["format_version"])
        if version not in READ_VERSIONS:
            raise IndexMismatchError(
                f"The index {folder} has format version {version} (written by ragctx "
                f"{values.get('ragctx_version', '?')}); ragctx {__version__} reads versions "
                f"{' and '.join(map(str, READ_VERSIONS))}. Make a new one: "
                "ragctx ingest PATH --index NEW_DIR"
            )
        return Meta(
            format_version=version,
            ragctx_version=values["ragctx_version"],
            embedder=values["embedder"],
            dim=_number(values, "dim", 1, MAX_DIM),
            metric=values["metric"],
            created=values["created"],
            updated=values["updated"],
            store=values["store"],
            generation=_number(values, "generation", 0, 2**62),
            states=tuple(map(str, json.loads(values.get("states", "[]")))),
            recipe=values.get("recipe"),
            segments=SegmentName.listed(values.get("segments", "[]")),
        )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise damaged(folder, f"its table meta is wrong at {error}") from error


def _number(values: Mapping[str, str], key: str, least: int, most: int) -> int:
    number = int(values[key])
    if not least <= number <= most:
        raise ValueError(f"{key}, which is {number}")
    return number


def require_same_embedder(place: IndexPlace, own: tuple[str, int], other: tuple[str, int]) -> None:
    """Refuse vectors of another embedder, (id, dim), than the index's own.

    Raises:
        IndexMismatchError: they differ; the message names both embedders and dimensions.
    """
    if own != other:
        from ragctx.embedding import bundled_name  # which needs numpy

        name = bundled_name(own[0])
        how = f" (--embedder {name}, or load_embedder({name!r}))" if name else ""
        raise IndexMismatchError(
            f"The index {place} was made with the embedder {own[0]} (dim {own[1]}), not with "
            f"{other[0]} (dim {other[1]}). Use that embedder{how}, or make another index: "
            "ragctx ingest PATH --index NEW_DIR"
        )


def _require_database(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise missing(folder)


def _require_own_schema(connection: sqlite3.Connection, folder: Path) -> None:
    """Refuse what is not in `TABLES`: a file may come from anybody, and a view never end.

    What is missing is another matter, that of whoever needs it.
    """
    own = _own_schema()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        known = own.get(name)
        if known is None and kind == "table" and str(name).startswith("sqlite_stat"):
            continue  # what ANALYZE counted
        is_program = kind not in ("table", "index") or "VIRTUAL" in str(sql).upper()
        if known is None or known[0] != kind or (is_program and known[1] != _plain(sql)):
            raise IndexMismatchError(
                f"{folder / DATABASE} holds the {kind!s:.20} {name!r:.80}, which is no part of a "
                "ragctx index. Do not use it unless you trust whoever made it; make another: "
                "ragctx ingest PATH --index NEW_DIR"
            )
        if known[1] != _plain(sql) and not str(name).startswith("words_"):  # FTS5's own, by version
            raise damaged(folder, f"the {kind} {name!r:.80} is not made as ragctx makes it")


@cache
def _own_schema() -> dict[str, tuple[str, str]]:
    """(Type, SQL) of everything that a new index holds, by name; FTS5's own tables included."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in TABLES:
            connection.execute(statement)
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {name: (kind, _plain(sql)) for kind, name, sql in rows}


def _plain(sql: object) -> str:
    return " ".join(str(sql).split())


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    for ending in ("", "-wal", "-shm", "-journal"):
        try:
            require_regular(file.with_name(file.name + ending))
        except OSError as error:
            raise StoreError(
                f"{error.filename} is {error.strerror}. Look who put it there, and remove it."
            ) from error
    if _size_of(file) == 0 < _size_of(file.with_name(f"{file.name}-wal")):
        # SQLite would delete the log, which may hold every document.
        raise damaged(file.parent, f"{file.name} is empty, and its log is not")
    if mode == "rwc":
        with suppress(OSError):  # which SQLite will meet, too
            os.close(open_regular(file, os.O_RDWR | os.O_CREAT))  # no more open than its folder
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_TIMEOUT_S,
        isolation_level=None,
    )
    connection.execute("PRAGMA trusted_schema=OFF")  # the file may come from anybody
    return connection


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _connect_reading(folder: Path) -> sqlite3.Connection:
    """Open for reading, also in a folder that cannot be written.

    SQLite then opens the file read-only by itself, but wants to create its `-shm` file. Where it
    cannot, and no `-wal` file shows that somebody writes, the file can be opened as immutable.
    """
    file = folder / DATABASE
    connection = _connect(file, "rw")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        wal = folder / f"{DATABASE}-wal"
        if _is_busy(error) or (wal.exists() and wal.stat().st_size):
            raise
        return _connect(file, "ro&immutable=1")
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    return connection


# ---- What errors mean ------------------------------------------------------------------------


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors in the block into `StoreError`s that tell what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise IndexLockedError(
                f"The index {folder} is locked by another program ({error}). Try again."
            ) from error
        if str(error).startswith(("no such", "Could not decode")):
            raise damaged(folder, str(error)) from error
        raise StoreError(
            f"The index {folder} cannot be used ({error}). Check the folder's permissions and the "
            "space left on the disk."
        ) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # a subclass: the statement is wrong, not the file
        raise damaged(folder, str(error)) from error
    except UnicodeDecodeError as error:  # of a message that quotes a damaged name
        raise damaged(folder, "its tables have names that are no text") from error


def missing(folder: Path) -> IndexMissingError:
    """The error for a folder without an index, with the command that creates one."""
    if folder.is_file():
        return IndexMissingError(
            f"{folder} is a file, and an index is a folder. Make one of documents: "
            f"ragctx ingest {quote(str(folder))} --index DIR"
        )
    return IndexMissingError(
        f"There is no index in {folder}. Make one: ragctx ingest PATH --index {quote(str(folder))}"
    )


def damaged(folder: Path, fact: str) -> IndexDamagedError:
    """The error for a damaged index, with the command that repairs it."""
    return IndexDamagedError(
        f"The index {folder} is damaged ({one_line(fact, _FACT)}). "
        f"Save what can be saved: ragctx index repair {folder}"
    )


def _is_busy(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)
