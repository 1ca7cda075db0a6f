"""An index may come from anybody: whatever its rows say, one line of error, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pytest

from ragctx.errors import IndexDamagedError
from ragctx.index.database import DATABASE
from ragctx.index.engine import _MAGIC, VECTORS, VectorFileError, load_file
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with

DEEP = "[" * 100_000 + "]" * 100_000
[VECTOR] = HashEmbedder().encode(["tin"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index_with(tmp_path / "index", {"a": ["Tin melts.", "At 232 degrees."], "b": ["Zinc, too."]})
    return tmp_path / "index"


def changed(folder: Path, statement: str, *values: object) -> None:
    (folder / VECTORS).unlink()  # so that the vectors are read from the database
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
    """A vector file of this index, with a right checksum, that holds any bytes for FAISS."""
    with Index.open(folder).snapshot() as snapshot:
        meta = snapshot.meta
    stamp = json.dumps({"store": meta.store, "state": meta.state, "rows": 3}).encode()
    whole = content + stamp
    end = hashlib.sha256(whole).digest() + len(stamp).to_bytes(4, "big") + _MAGIC
    (folder / VECTORS).write_bytes(whole + end)


def test_faiss_reads_nothing_but_what_ragctx_writes(folder: Path) -> None:
    # FAISS reads any kind of index, and takes as much memory as a file of 90 bytes asks for.
    with Index.open(folder).snapshot() as snapshot:
        meta = snapshot.meta
    mapped = faiss.IndexIDMap2(faiss.IndexFlatIP(8))
    mapped.add_with_ids(np.zeros((3, 8), np.float32), np.array([1, 2, 3]))
    sound = faiss.serialize_index(mapped).tobytes()
    forged(folder, sound)
    assert len(load_file(folder, meta)) == 3
    rows = sound.replace((3).to_bytes(8, "little"), (2**60).to_bytes(8, "little"))
    other = faiss.serialize_index(faiss.IndexHNSWFlat(8, 4)).tobytes()
    for content in (
        rows,
        other,
        sound[:-1],
        sound + b"\0",
        b"",
        b"IxM2",
        sound.replace(b"FI", b"F2"),
    ):
        forged(folder, content)
        with pytest.raises(VectorFileError):
            load_file(folder, meta)
        assert near(folder)  # from the database
        assert [problem.part for problem in verify_index(folder)] == ["vectors"]
