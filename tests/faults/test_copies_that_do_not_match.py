"""An index is two files. One of them may come from a backup and the other not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ragctx.index.database import DATABASE
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, put, segment_of


@pytest.mark.parametrize("more", [1, 2, 3])
def test_a_database_put_back_beside_newer_vectors_finds_all_that_is_added_to_it(
    tmp_path: Path, more: int
) -> None:
    # The rows and the count of changes were then the same as in the newer file, its vectors were
    # taken for the new chunks', and none of them was found.
    folder, embedder = tmp_path / "index", HashEmbedder()
    index = index_with(folder, {"a": ["first text", "second text"]})
    backup = shutil.copy(folder / DATABASE, tmp_path / "backup.sqlite3")
    with index.writer() as writer:
        for i in range(more):
            put(writer, f"lost{i}", *(f"lost page {i} {page}" for page in range(6)))
    (folder / f"{DATABASE}-wal").unlink(missing_ok=True)
    (folder / f"{DATABASE}-shm").unlink(missing_ok=True)
    shutil.copy(backup, folder / DATABASE)
    pages = [f"quite another page {page}" for page in range(6)]
    with Index.open(folder).writer() as writer:
        for i in range(more):
            put(writer, f"new{i}", *(f"{page} of {i}" for page in pages))
    assert verify_index(folder) == ()
    with Index.open(folder).snapshot() as snapshot:
        for i in range(more):
            for page in pages:
                text = f"{page} of {i}"
                (vector,) = embedder.encode([text])
                ((row, score),) = snapshot.nearest(vector, 1, Filter())
                chunk = snapshot.hits([(row, score)])[0].chunk
                assert np.isclose(score, 1)  # a text of the same words, if not the text itself
                assert sorted(chunk.text.split()) == sorted(text.split())


def test_newer_vectors_beside_an_older_database_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = index_with(folder, {"a": ["first text"]})
    with index.writer() as writer:
        put(writer, "b", "second text")
    newer = segment_of(folder)
    kept = newer.read_bytes()
    with index.writer() as writer:
        writer.remove("b.pdf")
        put(writer, "c", "third text")
    newer.write_bytes(kept)
    assert verify_index(folder) == ()  # nothing that was stored is missing
    (vector,) = HashEmbedder().encode(["third text"])
    with Index.open(folder).snapshot() as snapshot:
        assert snapshot.hits(snapshot.nearest(vector, 1, Filter()))[0].chunk.text == "third text"


def test_a_database_that_lost_changes_is_told(tmp_path: Path) -> None:
    # A flipped bit in the log takes everything after it, and SQLite says nothing.
    folder = tmp_path / "index"
    index = index_with(folder, {"a": ["first text"]})
    backup = shutil.copy(folder / DATABASE, tmp_path / "backup.sqlite3")
    with index.writer() as writer:
        put(writer, "b", "second text", "third text")
    for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copy(backup, folder / DATABASE)
    told = "the database has lost 2 passages that its segments have; ingest their files again"
    assert [problem.message for problem in verify_index(folder)] == [told]
    assert repair_index(folder).done[0] == told
    assert verify_index(folder) == ()
