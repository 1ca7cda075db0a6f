"""What passages belong to, in an index: stored, searched, checked; and indexes without it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.headers import indexed_text
from ragctx.index.database import DATABASE, FORMAT_VERSION
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from ragctx.index.sealing import OLD_VECTORS
from ragctx.records import Chunk
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import as_version, index_with, made_of, put, segment_of

PAGES = ("It is soft.", "It is heavy.")


def in_sections(chunks: list[Chunk]) -> list[Chunk]:
    known = [(("Metals", "Tin"), ""), (("Metals", "Lead"), "Metal\tMelts")]
    return [
        replace(chunk, title="On Metals", section=section, lead_in=lead_in)
        for chunk, (section, lead_in) in zip(chunks, known, strict=True)
    ]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index.create(tmp_path, embedder=HashEmbedder())
    document, chunks, vectors = made_of("d", *PAGES)
    with index.writer() as writer:
        writer.put("d.pdf", document, in_sections(chunks), vectors, recipe="r")
    return index


def test_passages_come_back_with_what_they_belong_to(index: Index) -> None:
    _, chunks, _ = made_of("d", *PAGES)
    assert list(index.chunks("d")) == in_sections(chunks)
    assert verify_index(index.path) == ()


@pytest.mark.parametrize("question", ["lead", "Metal melts"])
def test_words_of_section_and_lead_in_find_a_passage(index: Index, question: str) -> None:
    hit = search(index, HashEmbedder(), question, 1, retriever="lexical")[0]
    assert hit.chunk.text == "It is heavy." and hit.chunk.section == ("Metals", "Lead")


def test_a_document_that_is_removed_takes_it_along(index: Index) -> None:
    with index.writer() as writer:
        assert writer.remove("d.pdf") == 1
    assert search(index, HashEmbedder(), "lead", 1, retriever="lexical") == []
    assert verify_index(index.path) == ()


def test_repairing_keeps_it(index: Index) -> None:
    before = index.chunks("d")
    repair_index(index.path)
    assert Index.open(index.path).chunks("d") == before and verify_index(index.path) == ()


def test_changed_sections_are_damage(index: Index) -> None:
    with closing(sqlite3.connect(index.path / DATABASE)) as connection, connection:
        connection.execute("UPDATE contexts SET title = 'On Woods'")
    assert [problem.part for problem in verify_index(index.path)][:1] == ["document"]


def test_salvaging_a_damaged_database_keeps_it(index: Index) -> None:
    before = index.chunks("d")
    with closing(sqlite3.connect(index.path / DATABASE)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'chunks_of_document'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with (index.path / DATABASE).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    assert repair_index(index.path).quarantined == ()
    assert Index.open(index.path).chunks("d") == before


@pytest.mark.parametrize("version", [1, 2])
def test_an_index_of_an_earlier_version_is_read_and_searched(tmp_path: Path, version: int) -> None:
    index_with(tmp_path, {"d": PAGES})
    as_version(tmp_path, version)
    old = Index.open(tmp_path, embedder=HashEmbedder())
    assert [chunk.text for chunk in old.chunks("d")] == list(PAGES)
    assert {(chunk.title, chunk.section, chunk.lead_in) for chunk in old.chunks("d")} == {
        ("", (), "")
    }
    assert search(old, HashEmbedder(), "heavy", 1)[0].chunk.text == "It is heavy."
    assert old.info().format_version == version and verify_index(tmp_path) == ()


@pytest.mark.parametrize("version", [1, 2])
def test_writing_to_it_makes_it_the_version_of_today(tmp_path: Path, version: int) -> None:
    index_with(tmp_path, {"d": PAGES})
    as_version(tmp_path, version)
    old = Index.open(tmp_path, embedder=HashEmbedder())
    with old.writer() as writer:
        put(writer, "e", "Of zinc.")
    assert old.info().format_version == FORMAT_VERSION and verify_index(tmp_path) == ()
    assert segment_of(tmp_path).exists() and not (tmp_path / OLD_VECTORS).exists()
    assert len(old.chunks("d")) == 2 and len(old.chunks("e")) == 1


@pytest.mark.parametrize("version", [1, 2])
def test_repairing_it_makes_it_the_version_of_today(tmp_path: Path, version: int) -> None:
    index_with(tmp_path, {"d": PAGES})
    as_version(tmp_path, version)
    repair_index(tmp_path)
    assert Index.open(tmp_path).info().format_version == FORMAT_VERSION
    assert verify_index(tmp_path) == ()


def test_kept_vectors_are_lent_for_the_text_that_was_embedded(tmp_path: Path) -> None:
    """They were lent for the text alone: none fitted, or one that fitted a passage of no section.

    An ingest that was interrupted, or a question asked meanwhile, was then embedded again by the
    next index that read the same file.
    """
    embedder = HashEmbedder()
    index = Index.create(tmp_path, embedder=embedder)
    document, chunks, _ = made_of("d", *PAGES)
    with index.writer() as writer:
        writer.put_text("d.pdf", document, in_sections(chunks), recipe="r")
        lacking = writer.lacking("d", 1)
        texts = [indexed_text(chunk) for chunk in lacking.values()]
        writer.keep(dict(zip(lacking, embedder.encode(texts), strict=True)))
    with index.snapshot() as snapshot:
        lent = snapshot.sound_vectors("d")
    assert list(lent) == texts and lent[texts[0]].tolist() == embedder.encode(texts)[0].tolist()
