"""Laws of the index that `ask` makes for a handful of PDFs."""

from __future__ import annotations

from pathlib import Path

import pytest

import ragctx.ingestion.run
from ragctx.index.index import Index
from ragctx.ingestion import IngestSettings, open_cached
from ragctx.records import IngestRow
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> TextReader:
    made = TextReader()
    monkeypatch.setattr(ragctx.ingestion.run, "read_pdf", made)
    return made


def opened(tmp_path: Path, *files: Path, chunk_tokens: int = 180) -> tuple[Index, list[IngestRow]]:
    settings = IngestSettings(chunk_tokens=chunk_tokens)
    index, rows = open_cached(files, HashEmbedder(), settings=settings, folder=tmp_path / "cache")
    return index, list(rows)


def test_the_second_time_nothing_is_read(tmp_path: Path, reader: TextReader) -> None:
    file = write(tmp_path / "a.pdf", "Tin.")
    first, rows = opened(tmp_path, file)
    second, none = opened(tmp_path, file)
    assert (len(rows), none, reader.read) == (1, [], ["a.pdf"])
    assert first.path == second.path
    assert second.sources()[0].path == str(file)


def test_the_order_in_which_files_are_named_does_not_matter(
    tmp_path: Path, reader: TextReader
) -> None:
    files = [write(tmp_path / f"{name}.pdf", name) for name in "ab"]
    assert opened(tmp_path, *files)[0].path == opened(tmp_path, *reversed(files))[0].path


def test_other_content_or_another_recipe_is_another_index(
    tmp_path: Path, reader: TextReader
) -> None:
    file = write(tmp_path / "a.pdf", "Tin.")
    paths = {opened(tmp_path, file)[0].path, opened(tmp_path, file, chunk_tokens=16)[0].path}
    write(file, "Iron.")
    assert len(paths | {opened(tmp_path, file)[0].path}) == 3


def test_a_renamed_file_is_not_read_again_and_bears_its_new_name(
    tmp_path: Path, reader: TextReader
) -> None:
    file = write(tmp_path / "a.pdf", "Tin.")
    opened(tmp_path, file)
    renamed = file.rename(tmp_path / "b.pdf")
    index, rows = opened(tmp_path, renamed)
    assert [row.outcome for row in rows] == ["moved"]
    assert [source.path for source in index.sources()] == [str(renamed)]
    assert reader.read == ["a.pdf"]


def test_a_file_that_failed_is_tried_again(tmp_path: Path, reader: TextReader) -> None:
    good, bad = write(tmp_path / "a.pdf", "Tin."), write(tmp_path / "b.pdf", "!encrypted")
    for _ in range(2):
        _, rows = opened(tmp_path, good, bad)
        assert rows[-1].status == "encrypted"
    assert reader.read == ["a.pdf", "b.pdf", "b.pdf"]


def test_a_damaged_cache_is_made_again(tmp_path: Path, reader: TextReader) -> None:
    file = write(tmp_path / "a.pdf", "Tin.")
    index, _ = opened(tmp_path, file)
    for part in index.path.iterdir():
        if part.is_file():
            part.write_bytes(b"not a database " * 100)
    again, rows = opened(tmp_path, file)
    assert [row.outcome for row in rows] == ["added"]
    assert len(again.sources()) == 1
