"""Laws of the index that `ask` makes for a handful of PDFs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragctx.index.index import Index
from ragctx.ingestion.cached import _key, open_cached
from ragctx.ingestion.settings import IngestSettings
from ragctx.records import IngestRow
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write


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


# --- passwords


def test_an_encrypted_document_is_not_opened_without_its_password(
    tmp_path: Path, reader: TextReader
) -> None:
    # The key was of the bytes alone: whoever asked after the owner had it without a password.
    file, other = write(tmp_path / "a.pdf", "!encrypted"), write(tmp_path / "b.pdf", "Tin.")
    settings = IngestSettings(password="open sesame")

    def statuses(settings: IngestSettings | None) -> tuple[list[str], int]:
        index, rows = open_cached(
            [file, other], HashEmbedder(), settings=settings, folder=tmp_path / "cache"
        )
        return [row.status for row in rows], len(index.sources())

    assert statuses(settings) == (["ok", "ok"], 2)
    assert statuses(settings) == ([], 2)
    assert statuses(None) == (["encrypted", "ok"], 1)
    assert statuses(settings) == ([], 2)
    names = b"".join(path.name.encode() for path in (tmp_path / "cache").rglob("*"))
    contents = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not any(b"sesame" in content for content in [names, *contents])


def test_a_key_holds_the_password_slowly_and_an_empty_one_is_none() -> None:
    keys = {password: _key(["id"], "recipe", password) for password in (None, "", "a", "b")}
    assert keys[None] == keys[""]
    assert len(set(keys.values())) == 3
    assert _key(["id"], "recipe", "a") == keys["a"]
    assert _key(["other"], "recipe", "a") != keys["a"]


def test_real_encryption_is_not_circumvented(tmp_path: Path, shared_data: Path) -> None:
    file = shared_data / "pdf" / "encrypted" / "libreoffice-password.pdf"
    if not file.is_file():
        pytest.skip("needs ../shared/data/pdf/encrypted/libreoffice-password.pdf")
    for password, status in (
        ("openpassword", "ok"),
        (None, "encrypted"),
        ("wrong", "encrypted"),
        ("openpassword", None),
    ):
        _, rows = open_cached(
            [file],
            HashEmbedder(),
            settings=IngestSettings(password=password),
            folder=tmp_path / "cache",
        )
        assert [row.status for row in rows] == ([status] if status else [])


# --- modes and bounds


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_every_file_in_the_cache_is_for_this_user_alone(
    umask: int, tmp_path: Path, reader: TextReader
) -> None:
    before = os.umask(umask)
    try:
        index, _ = opened(tmp_path, write(tmp_path / "a.pdf", "Tin."))
        with index.writer() as writer:  # SQLite's own files, too
            writer.remove("none")
            modes = {path: path.stat().st_mode & 0o777 for path in index.path.iterdir()}
    finally:
        os.umask(before)
    assert len(modes) >= 6
    assert set(modes.values()) == {0o600}, modes


def test_an_index_elsewhere_is_as_open_as_its_folder(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        (tmp_path / "shared").mkdir()
        index = Index.create(tmp_path / "shared", embedder=HashEmbedder())
        with index.writer():
            pass
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in index.path.iterdir()}
    assert set(modes.values()) == {"0o664"}, modes


def test_the_cache_is_bounded_but_for_what_is_in_use(
    tmp_path: Path, reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_BYTES", "0")
    first, _ = opened(tmp_path, write(tmp_path / "a.pdf", "Tin."))
    path = first.path
    second, _ = opened(tmp_path, write(tmp_path / "b.pdf", "Iron."))
    assert [len(index.sources()) for index in (first, second)] == [1, 1]
    del first
    third, _ = opened(tmp_path, write(tmp_path / "c.pdf", "Gold."))
    assert not path.exists()
    assert [len(index.sources()) for index in (second, third)] == [1, 1]
