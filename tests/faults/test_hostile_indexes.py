"""An index may come from anybody: whatever its rows say, one line of error, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ragctx.errors import IndexDamagedError
from ragctx.index.database import DATABASE
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from ragctx.index.segment import OF_A_CHUNK
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, segment_of

DEEP = "[" * 100_000 + "]" * 100_000
[VECTOR] = HashEmbedder().encode(["tin"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index_with(tmp_path / "index", {"a": ["Tin melts.", "At 232 degrees."], "b": ["Zinc, too."]})
    return tmp_path / "index"


def changed(folder: Path, statement: str, *values: object) -> None:
    segment_of(folder).unlink()  # so that the vectors are read from the database
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        database.execute(statement, values)


def near(folder: Path) -> object:
    with Index.open(folder).snapshot() as snapshot:
        return snapshot.hits(snapshot.nearest(VECTOR, 3, Filter()))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dim", "100000000000"),
        ("dim", "0"),
        ("dim", "-8"),
        ("states", "[" * 100_000),
        ("states", DEEP),
        ("states", "5"),
        ("format_version", "9" * 6000),
        ("generation", "9" * 300),
    ],
)
def test_what_meta_says_of_itself_is_checked(folder: Path, key: str, value: str) -> None:
    # A dim of 10 ** 11 took 745 GiB, or ended in a traceback, of `verify` and `repair` as well.
    changed(folder, "UPDATE meta SET value = ? WHERE key = ?", value, key)
    with pytest.raises(IndexDamagedError, match="index repair") as caught:
        near(folder)
    assert len(str(caught.value)) < 700
    assert [problem.part for problem in verify_index(folder)] == ["database"]
    assert "saved 2 of 2 documents into a new database" in repair_index(folder).done
    assert verify_index(folder) == () and near(folder)


@pytest.mark.parametrize(
    ("statement", "work"),
    [
        (f"UPDATE documents SET outline = '{DEEP}'", lambda index: index.document("a")),
        ("UPDATE vectors SET vector = hex(randomblob(16))", lambda index: near(index.path)),
        ("UPDATE vectors SET vector = zeroblob(32)", lambda index: near(index.path)),
        ("UPDATE chunks SET start = -5, \"end\" = 9223372036854775807", lambda i: near(i.path)),
        ("UPDATE chunks SET first_page = -9223372036854775808", lambda index: near(index.path)),
        ("UPDATE chunks SET document = 3 - document", lambda index: near(index.path)),
        ("UPDATE chunks SET text = replace(text, 'Tin', 'Gin')", lambda index: near(index.path)),
        ("UPDATE pages SET text = replace(text, 'Tin', 'Gin')", lambda index: near(index.path)),
        ("UPDATE pages SET text = CAST(text AS BLOB)", lambda index: near(index.path)),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_are_one_line_of_error(
    folder: Path, statement: str, work: Callable[[Index], object]
) -> None:
    changed(folder, statement)
    with pytest.raises(IndexDamagedError, match="index repair"):
        work(Index.open(folder))
    assert verify_index(folder)


def forged(folder: Path, content: bytes) -> None:
    """Let a segment of this index hold any bytes, and the index list it as if it were its own."""
    with Index.open(folder).snapshot() as snapshot:
        (told,) = snapshot.meta.segments
    (folder / told.name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = asdict(replace(told, bytes=max(1, len(content)), sha256=digest))
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'segments'", (json.dumps([entry]),))


def header_of(**changes: object) -> bytes:
    """A file of arrays whose header says something else than ragctx writes, and some bytes."""
    arrays = {
        name: {"dtype": "I64", "shape": [3], "data_offsets": [24 * i, 24 * i + 24]}
        for i, name in enumerate(OF_A_CHUNK)
    }
    arrays["vectors"] = {"dtype": "F32", "shape": [3, 8], "data_offsets": [96, 192]}
    text = json.dumps({**arrays, **changes}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(192)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        len(DEEP).to_bytes(8, "little") + DEEP.encode(),
        header_of()[:-1],
        header_of(vectors={"dtype": "F32", "shape": [3, 2**60], "data_offsets": [96, 192]}),
        header_of(vectors={"dtype": "F32", "shape": [3, 8], "data_offsets": [-96, 0]}),
        header_of(vectors={"dtype": "I64", "shape": [3, 4], "data_offsets": [96, 192]}),
        header_of(vectors={"dtype": "O", "shape": [3, 8], "data_offsets": [96, 192]}),
        header_of(rows={"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}),
        header_of(rows=5),
        header_of(centers={"dtype": "F32", "shape": [1, 8], "data_offsets": [96, 128]}),
        header_of(
            centers={"dtype": "F32", "shape": [2, 8], "data_offsets": [96, 160]},
            bounds={"dtype": "I64", "shape": [3], "data_offsets": [0, 24]},
        ),
        header_of(keys={"dtype": "I64", "shape": [3], "data_offsets": [0, 24]}),
        header_of(),  # all vectors are zero
    ],
)
def test_a_segment_that_anybody_made_is_no_more_than_a_damaged_one(
    folder: Path, content: bytes
) -> None:
    # FAISS, which read the vectors before, took as much memory as a file of 90 bytes asked for.
    forged(folder, content)
    assert near(folder)  # from the database
    assert [problem.part for problem in verify_index(folder)] == ["vectors"]
    repair_index(folder)
    assert verify_index(folder) == () and near(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "../../etc/passwd", "rows": 3, "bytes": 5, "sha256": "0" * 64},
        {"name": "vectors-0123456789abcdef.safetensors", "rows": 0, "bytes": 5, "sha256": "0" * 64},
        {"name": "vectors-0123456789abcdef.safetensors", "rows": 2**32, "bytes": 5, "sha256": ""},
        {"name": 5},
        "name",
        None,
    ],
)
def test_a_list_of_segments_that_cannot_be_is_one_line_of_error(
    folder: Path, entry: object
) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'segments'", (json.dumps([entry]),))
    with pytest.raises(IndexDamagedError, match="index repair"):
        near(folder)
    assert "saved 2 of 2 documents into a new database" in repair_index(folder).done
    assert verify_index(folder) == () and near(folder)
