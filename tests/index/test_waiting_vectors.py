"""Laws of documents whose text is stored before their vectors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ragctx.errors import InputError
from ragctx.index.database import DATABASE, FORMAT_VERSION
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from ragctx.index.waiting import Lacking
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import as_version, index_with, made_of

PAGES = ["Tin melts at 232 degrees.", "Lead melts later.", "Iron rusts."]
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Gold has its vectors; tin waits for all three of its own."""
    index = index_with(tmp_path / "index", {"gold": ["Gold does neither."]})
    document, chunks, _ = made_of("tin", *PAGES)
    with index.writer() as writer:
        writer.put_text("tin.pdf", document, chunks, recipe="r")
    return index


def keep(index: Index, count: int) -> None:
    """Keep the vectors of some chunks of tin."""
    with index.writer() as writer:
        lacking = writer.lacking("tin", count)
        vectors = HashEmbedder().encode([chunk.text for chunk in lacking.values()])
        writer.keep(dict(zip(lacking, vectors, strict=True)))


def settle(index: Index) -> bool:
    with index.writer() as writer:
        return writer.settle("tin")


def tables(folder: Path) -> Rows:
    """All that an index holds but times and names of states."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return {
            "documents": connection.execute(
                "SELECT row, id, title, outline, status, reader, warnings, recipe, checksum "
                "FROM documents ORDER BY row"
            ).fetchall(),
            **{
                name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
                for name in ("pages", "chunks", "vectors", "waiting", "sources")
            },
            "words": connection.execute("SELECT * FROM words_data ORDER BY id").fetchall(),
        }


def test_text_then_vectors_is_the_same_as_both_at_once(index: Index, tmp_path: Path) -> None:
    keep(index, 2)
    assert not settle(index)
    keep(index, 2)
    assert settle(index)
    at_once = index_with(tmp_path / "at once", {"gold": ["Gold does neither."], "tin": PAGES})
    assert tables(index.path) == tables(at_once.path)
    assert tables(index.path)["waiting"] == []


def test_a_document_is_found_by_its_words_before_it_has_vectors(index: Index) -> None:
    with index.snapshot() as snapshot:
        (hit,) = snapshot.hits(snapshot.matching('"rusts"', 5, Filter()))
        assert (hit.document, hit.chunk.text) == ("tin.pdf", "Iron rusts.")
        (vector,) = HashEmbedder().encode(["Iron rusts."])
        near = snapshot.hits(snapshot.nearest(vector, 9, Filter()))
        assert [hit.document for hit in near] == ["gold.pdf"]
        assert not snapshot.is_complete
        assert snapshot.lacking() == Lacking(chunks=3, paths=("tin.pdf",))
        with pytest.raises(InputError, match=r"not all vectors.*ragctx ingest"):
            snapshot.vectors_of([hit.chunk.id])
    assert (index.info().chunks, index.info().unembedded) == (4, 3)


def test_its_vectors_become_visible_in_one_step(index: Index) -> None:
    (vector,) = HashEmbedder().encode(["Iron rusts."])
    for kept in (1, 1, 1):
        with index.snapshot() as snapshot:
            assert len(snapshot.nearest(vector, 9, Filter())) == 1
        keep(index, kept)
    assert index.info().unembedded == 0
    with index.snapshot() as before:
        assert settle(index)
        assert len(before.nearest(vector, 9, Filter())) == 1  # a reader's state does not change
    with index.snapshot() as snapshot:
        assert len(snapshot.nearest(vector, 9, Filter())) == 4
        assert snapshot.is_complete


@pytest.mark.parametrize("kept", [0, 2, 3])
def test_what_is_half_done_is_sound_and_survives_a_repair(index: Index, kept: int) -> None:
    keep(index, kept)
    before = tables(index.path)
    assert verify_index(index.path) == ()
    assert repair_index(index.path).quarantined == ()
    after = tables(index.path)
    assert after["waiting"] == before["waiting"] and after["chunks"] == before["chunks"]
    assert verify_index(index.path) == ()


def change(index: Index, statement: str) -> None:
    with closing(sqlite3.connect(index.path / DATABASE)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_a_kept_vector_that_is_damaged_is_computed_again(index: Index) -> None:
    keep(index, 3)
    row = tables(index.path)["waiting"][1][0]
    change(index, f"UPDATE waiting SET vector = zeroblob(32) WHERE row = {row}")
    assert not settle(index)
    with index.writer() as writer:
        assert [chunk.text for chunk in writer.lacking("tin").values()] == ["Lead melts later."]
    keep(index, 1)
    assert settle(index)
    assert verify_index(index.path) == ()


def test_a_vector_kept_for_another_row_is_none_of_this_one(index: Index) -> None:
    keep(index, 3)
    first, second, _ = (row for row, *_ in tables(index.path)["waiting"])
    change(
        index,
        "UPDATE waiting SET (vector, checksum) = (SELECT vector, checksum FROM waiting w "
        f"WHERE w.row = {first}) WHERE row = {second}",
    )
    assert not settle(index)


def test_text_that_was_damaged_meanwhile_is_found_out(index: Index) -> None:
    keep(index, 3)
    change(index, "UPDATE pages SET text = 'Tin boils.' WHERE text LIKE 'Tin%'")
    (problem,) = verify_index(index.path)
    assert problem.part == "document" and problem.message.startswith("tin")


@pytest.mark.parametrize(
    "vectors", [np.zeros((1, 8), np.float32), np.eye(1, 4, dtype=np.float32), [[np.nan] * 8]]
)
def test_only_unit_vectors_of_the_index_are_kept(index: Index, vectors: object) -> None:
    with index.writer() as writer:
        (row,) = writer.lacking("tin", 1)
        with pytest.raises(InputError):
            writer.keep({row: np.array(vectors, np.float32)[0]})
        assert writer.count_lacking("tin") == 3


def test_a_document_that_waits_can_be_replaced_and_removed(index: Index) -> None:
    keep(index, 2)
    document, chunks, vectors = made_of("tin", *PAGES)
    with index.writer() as writer:
        writer.put("tin.pdf", document, chunks, vectors, recipe="r")
        assert writer.waiting_documents() == set()
        writer.put_text("tin.pdf", document, chunks, recipe="r")
        assert writer.waiting_documents() == {"tin"}
        writer.remove("tin.pdf")
    assert tables(index.path)["waiting"] == []
    assert verify_index(index.path) == ()


def test_an_index_of_version_1_is_read_as_it_is_and_brought_up_to_date_when_written(
    tmp_path: Path,
) -> None:
    index = index_with(tmp_path, {"gold": ["Gold does neither."]})
    as_version(tmp_path, 1)
    known = Index.open(tmp_path, embedder=HashEmbedder())
    assert (known.info().format_version, known.info().unembedded) == (1, 0)
    assert verify_index(tmp_path) == ()
    with known.snapshot() as snapshot:
        assert snapshot.is_complete
        (vector,) = HashEmbedder().encode(["Gold"])
        assert len(snapshot.nearest(vector, 9, Filter())) == 1
    document, chunks, _ = made_of("tin", *PAGES)
    with index.writer() as writer:
        writer.put_text("tin.pdf", document, chunks, recipe="r")
    assert (index.info().format_version, index.info().unembedded) == (FORMAT_VERSION, 3)
    assert verify_index(tmp_path) == ()


def test_a_damaged_database_gives_back_the_text_of_what_waits(index: Index) -> None:
    keep(index, 2)
    with closing(sqlite3.connect(index.path / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'chunks_of_document'"
        ).fetchone()
    with (index.path / DATABASE).open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(bytes(4096))
    assert repair_index(index.path).quarantined == ()
    saved = Index.open(index.path)
    assert (saved.info().documents, saved.info().unembedded) == (2, 3)
    assert [chunk.text for chunk in saved.chunks("tin")] == PAGES
    assert verify_index(index.path) == ()
