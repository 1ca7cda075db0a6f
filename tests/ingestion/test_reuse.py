"""Laws of reuse: what was embedded is not embedded again, and nobody's words leak by it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragctx.index.cache import IndexCache
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.ingestion import embedding_queue, reuse
from ragctx.ingestion.cached import open_cached
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reuse import KnownVectors
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write


class Counting(HashEmbedder):
    """Notes what it is asked, and stops after `stop_after` texts, as Ctrl-C would."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.stop_after = stop_after

    def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
        if self.stop_after is not None and len(self.asked) + len(texts) > self.stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        return super().encode(texts, **settings)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path, reader: TextReader) -> dict[str, Path]:
    return {name: write(tmp_path / f"{name}.pdf", *pages(name)) for name in ("a", "b")}


def pages(name: str, count: int = 6) -> list[str]:
    """Pages of few words, no two alike: the fake tokenizer looks every word up in a list."""
    words = [["one", "two", "three", "four"][i // 4**j % 4] for i in range(count) for j in range(6)]
    pages = [words[i : i + 6] for i in range(0, len(words), 6)]
    return [f"About {name}: " + " ".join([*page, *["and so on."] * 40]) for page in pages]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_queue, "GROUP", 8)


def cached(tmp_path: Path, *paths: Path, lenders: Sequence[Path] = ()) -> tuple[Index, list[str]]:
    embedder = Counting()
    index, _ = open_cached(paths, embedder, folder=tmp_path / "cache", lenders=lenders)
    return index, embedder.asked


def everything(index: Index) -> list[tuple[str, bytes]]:
    """Every chunk with its vector."""
    chunks = [c for s in index.sources() for c in index.chunks(s.document_id)]
    rows = index.vectors_of([chunk.id for chunk in chunks])
    return [(chunk.text, row.tobytes()) for chunk, row in zip(chunks, rows, strict=True)]


def test_asking_after_ingesting_embeds_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    # `ragctx ask "…" a.pdf` after `ragctx ingest a.pdf` took as long as without it.
    ingest(files["a"], tmp_path / "index", HashEmbedder())
    index, asked = cached(tmp_path, files["a"], lenders=[tmp_path / "index"])
    assert asked == []
    assert everything(index) == everything(Index.open(tmp_path / "index"))


def test_asking_two_after_asking_one_embeds_the_other(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    _, first = cached(tmp_path, files["a"])
    index, second = cached(tmp_path, files["a"], files["b"])
    assert first and second and not set(first) & set(second)
    alone = open_cached(files.values(), HashEmbedder(), folder=tmp_path / "fresh")[0]
    assert everything(index) == everything(alone)


def test_ingesting_after_asking_embeds_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    cached(tmp_path, files["a"])
    embedder = Counting()
    lenders = IndexCache(tmp_path / "cache").folders()
    ingest(files["a"], tmp_path / "index", embedder, lenders=lenders)
    assert embedder.asked == []


def test_a_rebuild_embeds_only_what_is_cut_otherwise(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    ingest(files["a"], tmp_path / "index", HashEmbedder())
    embedder = Counting()
    settings = IngestSettings(reader="pypdf")
    (row,) = ingest(files["a"], tmp_path / "index", embedder, settings=settings, rebuild=True)
    assert (row.outcome, embedder.asked) == ("replaced", [])


def test_equal_passages_are_embedded_once(tmp_path: Path, reader: TextReader) -> None:
    page = " ".join(["The same words on every page of this form."] * 18)
    file = write(tmp_path / "form.pdf", *[page] * 8)
    embedder = Counting()
    (row,) = ingest(file, tmp_path / "index", embedder)
    assert len(embedder.asked) == len(set(embedder.asked)) < row.chunks


def test_another_embedder_s_vectors_are_not_taken(tmp_path: Path, files: dict[str, Path]) -> None:
    for other in (HashEmbedder(id="hash@2"), HashEmbedder(dim=4)):
        ingest(files["a"], tmp_path / f"index{other.id}{other.dim}", other)
    lenders = [tmp_path / "indexhash@28", tmp_path / "indexhash@14"]
    assert all((path / DATABASE).exists() for path in lenders)
    embedder = Counting()
    ingest(files["a"], tmp_path / "index", embedder, lenders=lenders)
    assert embedder.asked


def test_a_damaged_lender_is_passed_over(tmp_path: Path, files: dict[str, Path]) -> None:
    lender = tmp_path / "lender"
    ingest(files["a"], lender, HashEmbedder())
    data = bytearray((lender / DATABASE).read_bytes())
    vector = everything(Index.open(lender))[3][1]
    at = data.index(vector)
    data[at : at + 4] = data[at + 4 : at + 8]
    (lender / DATABASE).write_bytes(data)
    embedder = Counting()
    ingest(files["a"], tmp_path / "one", embedder, lenders=[lender, tmp_path / "none"])
    assert embedder.asked
    (lender / DATABASE).write_bytes(b"no database" * 1000)
    embedder = Counting()
    ingest(files["a"], tmp_path / "two", embedder, lenders=[lender])
    assert embedder.asked


@pytest.mark.parametrize(
    "change",
    [
        "chunks SET text = CAST(text AS BLOB)",
        "chunks SET start = 'x' WHERE start = 0",
        'chunks SET "end" = 1e300',
        "chunks SET token_count = x'00'",
        "documents SET outline = '[[[['",
        "documents SET warnings = 7",
        "pages SET text = x'ff'",
        "vectors SET vector = x'00'",
    ],
)
def test_values_of_other_types_than_were_stored_are_not_lent(
    change: str, tmp_path: Path, files: dict[str, Path]
) -> None:
    lender = tmp_path / "lender"
    ingest(files["a"], lender, HashEmbedder())
    with closing(sqlite3.connect(lender / DATABASE)) as database, database:
        assert database.execute(f"UPDATE {change}").rowcount
    known = KnownVectors(Index.create(tmp_path / "own", embedder=HashEmbedder()), [lender])
    source = Index.open(lender).sources()[0]
    assert known.of(source.document_id, source.recipe) == {}


def test_an_encrypted_document_is_lent_to_nobody_without_its_password(
    tmp_path: Path, reader: TextReader
) -> None:
    secret = write(tmp_path / "secret.pdf", "!encrypted")
    settings = IngestSettings(password="open")
    ingest(secret, tmp_path / "index", HashEmbedder(), settings=settings)
    index, rows = open_cached(
        [secret], HashEmbedder(), folder=tmp_path / "cache", lenders=[tmp_path / "index"]
    )
    assert ([row.status for row in rows], index.sources()) == (["encrypted"], ())


# --- a run that is cut off


@pytest.fixture
def long_file(tmp_path: Path, reader: TextReader) -> Path:
    return write(tmp_path / "long.pdf", *pages("long", 50))


def test_what_was_embedded_of_a_long_document_is_not_embedded_again(
    tmp_path: Path, long_file: Path
) -> None:
    # Ctrl-C after an hour in one long PDF: the hour was lost.
    first, then = Counting(stop_after=20), Counting()
    with pytest.raises(KeyboardInterrupt):
        ingest(long_file, tmp_path / "index", first)
    assert len(first.asked) == 16
    (row,) = ingest(long_file, tmp_path / "index", then)
    assert not set(first.asked) & set(then.asked)
    assert len(first.asked) + len(then.asked) == row.chunks
    ingest(long_file, tmp_path / "whole", HashEmbedder())
    assert everything(Index.open(tmp_path / "index")) == everything(Index.open(tmp_path / "whole"))


def test_documents_done_in_between_do_not_cost_what_was_embedded(
    tmp_path: Path, long_file: Path, files: dict[str, Path]
) -> None:
    write(files["a"], *pages("a", 20))
    first, then = Counting(stop_after=20), Counting()
    with pytest.raises(KeyboardInterrupt):
        ingest(long_file, tmp_path / "index", first)
    ingest(files["a"], tmp_path / "index", HashEmbedder())
    ingest(long_file, tmp_path / "index", then)
    assert not set(first.asked) & set(then.asked)


def test_asking_takes_up_what_was_embedded_too(tmp_path: Path, long_file: Path) -> None:
    first, then = Counting(stop_after=20), Counting()
    with pytest.raises(KeyboardInterrupt):
        open_cached([long_file], first, folder=tmp_path / "cache")
    open_cached([long_file], then, folder=tmp_path / "cache")
    assert first.asked and then.asked and not set(first.asked) & set(then.asked)


def test_an_index_that_is_killed_and_one_that_is_not_are_the_same(
    tmp_path: Path, long_file: Path
) -> None:
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            ingest(long_file, tmp_path / "index", Counting(stop_after=8))
    embedder = Counting()
    ingest(long_file, tmp_path / "index", embedder)
    assert 0 < len(embedder.asked) < 20


def test_progress_counts_what_was_known(tmp_path: Path, long_file: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ingest(long_file, tmp_path / "index", Counting(stop_after=20))
    told: list[tuple[int, int]] = []
    progress = Progress(on_embedded=lambda done, chunks: told.append((done, chunks)))
    (row,) = ingest(long_file, tmp_path / "index", HashEmbedder(), progress=progress)
    assert told[0] == (16, row.chunks) and told[-1] == (row.chunks, row.chunks)


def test_many_cached_indexes_are_asked_within_a_bound(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, files["a"])
    os.utime(next((tmp_path / "cache").iterdir()) / "ragctx.use.lock", (1, 1))
    cached(tmp_path, files["b"])
    monkeypatch.setattr(reuse, "MAX_LENDERS", 2)
    folders = IndexCache(tmp_path / "cache").folders()
    embedder = Counting()
    ingest(files["a"], tmp_path / "one", embedder, lenders=folders)
    assert embedder.asked == []
    monkeypatch.setattr(reuse, "MAX_LENDERS", 1)
    ingest(files["a"], tmp_path / "two", embedder, lenders=folders)
    assert embedder.asked
