"""Laws of ingesting: every file its row, nothing twice, nothing lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import ragctx.index.folder
import ragctx.ingestion.cached
import ragctx.ingestion.run
from ragctx.errors import InputError
from ragctx.index.index import Index
from ragctx.ingest_ledger import IngestRow
from ragctx.ingestion import (
    IngestSettings,
    Progress,
    find_files,
    find_pdfs,
    ingest,
    open_cached,
)
from ragctx.ingestion.run import ingest_files
from ragctx.pdf.read import file_id, read_pdf
from tests.support import pdf_files
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write

TIN = "Tin melts at 232 degrees. It is soft."
IRON = "Iron melts at 1538 degrees. It is hard."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "pdfs" / "tin.pdf", TIN)
    write(tmp_path / "pdfs" / "iron.pdf", IRON, "Rust is iron oxide.")
    return tmp_path / "pdfs"


@pytest.fixture
def index(tmp_path: Path, reader: TextReader) -> Index:
    return Index.create(tmp_path / "index", embedder=HashEmbedder())


def run(
    index: Index, *paths: Path, prune: bool = False, **settings: object
) -> dict[str, IngestRow]:
    """Rows by file name."""
    chosen = replace(IngestSettings(), **settings)
    rows = ingest(paths, index, HashEmbedder(), settings=chosen, prune=prune)
    return {Path(row.path).name: row for row in rows}


def outcomes(rows: dict[str, IngestRow]) -> dict[str, str]:
    return {name: row.outcome for name, row in rows.items()}


def names(index: Index) -> list[str]:
    return [Path(source.path).name for source in index.sources()]


# --- what is in the index afterwards


def test_every_file_has_its_row_and_is_in_the_index(index: Index, folder: Path) -> None:
    rows = run(index, folder)
    assert outcomes(rows) == {"iron.pdf": "added", "tin.pdf": "added"}
    assert (rows["iron.pdf"].pages, rows["iron.pdf"].reader) == (2, "text")
    document = index.document(rows["iron.pdf"].document_id)
    assert document is not None and document.pages[1].text == "Rust is iron oxide."
    chunks = index.chunks(document.id)
    assert len(chunks) == rows["iron.pdf"].chunks > 0
    assert all(document.text[chunk.start : chunk.end] == chunk.text for chunk in chunks)


def test_ingesting_twice_changes_nothing(index: Index, folder: Path, reader: TextReader) -> None:
    run(index, folder)
    before, info = index.sources(), index.info()
    assert set(outcomes(run(index, folder)).values()) == {"unchanged"}
    assert (index.sources(), index.info()) == (before, info)
    assert sorted(reader.read) == ["iron.pdf", "tin.pdf"]


def test_a_changed_file_replaces_its_chunks(index: Index, folder: Path) -> None:
    old = run(index, folder)["tin.pdf"]
    write(folder / "tin.pdf", "Tin is a metal.")
    rows = run(index, folder)
    assert outcomes(rows) == {"iron.pdf": "unchanged", "tin.pdf": "replaced"}
    assert index.document(old.document_id) is None
    assert [chunk.text for chunk in index.chunks(rows["tin.pdf"].document_id)] == [
        "Tin is a metal."
    ]


def test_equal_files_are_stored_once_and_both_named(
    index: Index, folder: Path, reader: TextReader
) -> None:
    write(folder / "tin copy.pdf", TIN)
    rows = run(index, folder)
    assert outcomes(rows) == {"iron.pdf": "added", "tin copy.pdf": "added", "tin.pdf": "duplicate"}
    assert index.info().documents == 2
    assert names(index) == ["iron.pdf", "tin copy.pdf", "tin.pdf"]
    assert "tin.pdf" not in reader.read


def test_a_vanished_file_stays_until_pruned(index: Index, folder: Path) -> None:
    run(index, folder)
    (folder / "tin.pdf").unlink()
    assert outcomes(run(index, folder)) == {"iron.pdf": "unchanged", "tin.pdf": "vanished"}
    assert names(index) == ["iron.pdf", "tin.pdf"]
    rows = run(index, folder, prune=True)
    assert outcomes(rows) == {"iron.pdf": "unchanged", "tin.pdf": "removed"}
    assert names(index) == ["iron.pdf"]


# --- what goes wrong


@pytest.mark.parametrize("status", ["encrypted", "corrupt", "timeout", "too_large"])
def test_a_bad_file_costs_its_row_only(index: Index, folder: Path, status: str) -> None:
    write(folder / "bad.pdf", f"!{status}")
    rows = run(index, folder)
    assert outcomes(rows) == {"bad.pdf": "failed", "iron.pdf": "added", "tin.pdf": "added"}
    assert rows["bad.pdf"].status == status
    assert "do something" in rows["bad.pdf"].message
    assert names(index) == ["iron.pdf", "tin.pdf"]


def test_what_was_read_before_stays_when_its_file_goes_bad(index: Index, folder: Path) -> None:
    run(index, folder)
    write(folder / "tin.pdf", "!corrupt")
    assert outcomes(run(index, folder, prune=True))["tin.pdf"] == "failed"
    assert names(index) == ["iron.pdf", "tin.pdf"]


def test_a_password_opens_what_was_encrypted(index: Index, folder: Path) -> None:
    write(folder / "bad.pdf", "!encrypted")
    run(index, folder)
    assert outcomes(run(index, folder, password="open"))["bad.pdf"] == "added"


def test_a_file_without_text_is_kept_and_says_what_to_do(index: Index, folder: Path) -> None:
    write(folder / "scan.pdf", "", "")
    row = run(index, folder)["scan.pdf"]
    assert (row.outcome, row.status, row.chunks) == ("added", "no_text", 0)
    assert "ocrmypdf" in row.message
    assert row.page_problems == ((1, "scanned"), (2, "scanned"))
    assert outcomes(run(index, folder))["scan.pdf"] == "unchanged"


def test_a_partly_read_file_says_how_many_pages_are_missing(index: Index, folder: Path) -> None:
    write(folder / "half.pdf", "Text.", "")
    row = run(index, folder)["half.pdf"]
    assert (row.status, row.message) == ("partial", "1 of 2 pages gave no text")


def test_a_run_cut_off_keeps_what_was_done_and_goes_on(
    index: Index, folder: Path, reader: TextReader
) -> None:
    write(folder / "middle.pdf", "!interrupt")
    with pytest.raises(KeyboardInterrupt):
        run(index, folder)
    assert names(index) == ["iron.pdf"]
    write(folder / "middle.pdf", "Now it can be read.")
    rows = run(index, folder)
    assert outcomes(rows) == {"iron.pdf": "completed", "middle.pdf": "added", "tin.pdf": "added"}


def test_what_is_no_file_costs_its_row_and_no_time(index: Index, folder: Path) -> None:
    # A pipe that nobody writes to would be waited for without end.
    os.mkfifo(folder / "pipe.pdf")
    row = run(index, folder / "pipe.pdf", folder / "tin.pdf")["pipe.pdf"]
    assert (row.outcome, row.status) == ("failed", "unreadable")


def test_a_name_that_is_not_unicode_costs_its_row(index: Index, folder: Path) -> None:
    # The database holds text; a lone surrogate in a path once ended the whole run.
    bad = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.pdf"))
    write(bad, TIN)
    row = run(index, folder)[bad.name]
    assert (row.outcome, "rename" in row.message) == ("failed", True)
    assert "tin.pdf" in names(index)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_costs_its_row(index: Index, folder: Path) -> None:
    (folder / "tin.pdf").chmod(0)
    row = run(index, folder)["tin.pdf"]
    assert (row.status, "permissions" in row.message) == ("unreadable", True)


@pytest.mark.parametrize(
    ("name", "value"), [("chunk_tokens", 8), ("chunk_tokens", 255), ("overlap_tokens", 91)]
)
def test_a_setting_that_cannot_be_is_named_with_its_range(
    index: Index, folder: Path, name: str, value: int
) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}.* to "):
        run(index, folder, **{name: value})


# --- how much work it is


@pytest.mark.parametrize("what", ["unchanged", "duplicate", "moved", "removed", "added"])
def test_what_a_file_costs_the_database_does_not_grow_with_the_index(
    what: str, tmp_path: Path, reader: TextReader
) -> None:
    # With every new path all documents were looked through for some that no path held any more.
    def steps(sources: int) -> int:
        """Of SQLite's machine, in tens, for one file beside so many others."""
        folder = tmp_path / str(sources)
        for number in range(sources):
            write(folder / "pdfs" / f"{number}.pdf", f"Number {number}.")
        file = write(folder / "one" / "a.pdf", "One.")
        run(Index.create(folder / "index", embedder=HashEmbedder()), folder / "pdfs", file)
        if what == "duplicate":
            shutil.copy(file, folder / "one" / "b.pdf")
        elif what == "moved":
            file.rename(folder / "one" / "b.pdf")
        elif what == "removed":
            file.unlink()
        elif what == "added":
            write(folder / "one" / "b.pdf", "Another.")
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        writing = ragctx.index.folder.writing

        @contextmanager
        def watched(path: Path) -> Iterator[sqlite3.Connection]:
            with writing(path) as connection:
                connection.set_progress_handler(count, 10)
                yield connection

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ragctx.index.folder, "writing", watched)
            rows = ingest_files(
                sorted((folder / "one").iterdir()), Index.open(folder / "index"), HashEmbedder()
            )
            if what == "removed":
                assert rows == ()
                with Index.open(folder / "index").writer() as writer:
                    writer.remove(str(file))
            else:
                assert what in [row.outcome for row in rows]
        return counted

    few, many = steps(10), steps(160)
    assert many < few + 60, (few, many)


# --- which files


def test_a_folder_stands_for_its_documents_at_any_depth(tmp_path: Path) -> None:
    deep = write(tmp_path / "a" / "b" / "deep.PDF", "x")
    notes = write(tmp_path / "a" / "notes.Md", "x")
    write(tmp_path / "a" / "notes.rst", "x")
    assert find_files([tmp_path]) == [deep, notes]


def test_a_folder_does_not_stand_for_texts_that_are_about_programs(tmp_path: Path) -> None:
    apart = [
        ".git/x.md",
        "node_modules/a/README.md",
        ".x.txt",
        "._a.docx",
        "~$a.docx",
        "b/.c/d.htm",
    ]
    for name in apart:
        write(tmp_path / name, "x")
    kept = [write(tmp_path / name, "x") for name in (".scans/a.pdf", "a.docx")]
    assert find_files([tmp_path]) == kept
    named = tmp_path / ".git" / "x.md"
    assert find_files([named]) == [named]
    assert find_files([tmp_path / ".git"]) == [named]


def test_the_former_name_of_finding_files_still_works(tmp_path: Path) -> None:
    file = write(tmp_path / "a.pdf", "x")
    with pytest.warns(DeprecationWarning, match="find_files"):
        assert find_pdfs([tmp_path]) == [file]


def test_a_file_counts_whatever_its_name_and_once(tmp_path: Path) -> None:
    file = write(tmp_path / "download", "x")
    assert find_files([file, file, tmp_path / "down*"]) == [file]


def test_a_pattern_reaches_into_folders(tmp_path: Path) -> None:
    file = write(tmp_path / "a" / "b" / "x.pdf", "x")
    assert find_files([str(tmp_path / "**" / "*.pdf")]) == [file]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    file = write(tmp_path / "report [2].pdf", "x")
    assert find_files([file]) == [file]


@pytest.mark.parametrize(
    "pattern",
    ["report [final]/*.pdf", "report [final]/**/*.pdf", "**/report [final]/*.pdf", "r*/a.pdf"],
)
def test_a_pattern_takes_a_folder_with_brackets_in_its_name_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    # "report [final]/*.pdf" was one pattern, in which "[final]" stands for a single letter: the
    # folder that everyone saw "did not exist".
    file = write(tmp_path / "report [final]" / "a.pdf", "x")
    write(tmp_path / "report f" / "b.pdf", "x")
    monkeypatch.chdir(tmp_path)
    assert find_files([pattern]) == [file]
    assert find_files([tmp_path / pattern]) == [file]


def test_brackets_that_are_no_name_are_still_a_pattern(tmp_path: Path) -> None:
    files = [write(tmp_path / f"year {digit}" / "a.pdf", "x") for digit in "12"]
    write(tmp_path / "year 3" / "a.pdf", "x")
    assert find_files([tmp_path / "year [12]" / "*.pdf"]) == files


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.pdf.*does not exist"):
        find_files([tmp_path / "nothing.pdf"])


def test_a_folder_without_documents_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"no document \(\.pdf, .*{tmp_path.name}"):
        find_files([tmp_path])


# --- callbacks and ids


def test_progress_tells_of_every_file_page_and_row(index: Index, folder: Path) -> None:
    seen: list[object] = []
    progress = Progress(
        on_files=lambda count: seen.append(count),
        on_file=lambda path: seen.append(Path(path).name),
        on_page=lambda path, page, pages: seen.append((Path(path).name, page, pages)),
        on_read=lambda path: seen.append(f"{Path(path).name} read"),
        on_embedded=lambda done, chunks: seen.append((done, chunks)),
        on_row=lambda row: seen.append(row),
    )
    rows = ingest([folder], index, HashEmbedder(), progress=progress)
    iron, tin = rows
    of_iron = ["iron.pdf", ("iron.pdf", 1, 2), ("iron.pdf", 2, 2), "iron.pdf read"]
    of_tin = ["tin.pdf", ("tin.pdf", 1, 1), "tin.pdf read"]
    for events in ([*of_iron, iron], [*of_tin, tin], ["iron.pdf read", "tin.pdf read", iron, tin]):
        assert [event for event in seen if event in events] == events  # files are read at once
    assert seen[-3:] == [(2, 2), iron, tin]


def test_a_new_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Twice by `ingest` and three times by `ask "…" a.pdf` it was: by whoever needed its id.
    file = tmp_path / "a.pdf"
    pdf_files.write(file, [pdf_files.lines("Tin melts at 232 degrees.")])
    hashed = counted_hashes(monkeypatch)
    index = Index.create(tmp_path / "index", embedder=HashEmbedder())
    assert [row.outcome for row in ingest([file], index, HashEmbedder())] == ["added"]
    assert hashed(file) == 1
    open_cached([file], HashEmbedder(), folder=tmp_path / "cache")
    assert hashed(file) == 2
    read_pdf(file)
    assert hashed(file) == 3


def counted_hashes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """How often a file's bytes were hashed from now on."""
    digests = []
    sha256 = hashlib.sha256

    def remembering(data: bytes = b"") -> hashlib._Hash:
        digests.append(sha256(data))
        return digests[-1]

    monkeypatch.setattr(hashlib, "sha256", remembering)
    return lambda path: [digest.hexdigest() for digest in digests].count(
        sha256(path.read_bytes()).hexdigest()
    )


def test_files_are_looked_up_once(
    tmp_path: Path, reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "pdfs" / "tin.pdf", TIN)
    looked_up = []
    find = ragctx.ingestion.cached.find_files

    def remembering(paths: Iterable[str | Path]) -> list[Path]:
        looked_up.append(list(paths))
        return find(looked_up[-1])

    monkeypatch.setattr(ragctx.ingestion.cached, "find_files", remembering)
    open_cached([tmp_path / "pdfs"], HashEmbedder(), folder=tmp_path / "cache")
    assert looked_up == [[tmp_path / "pdfs"]]


def test_an_id_is_the_head_of_the_sha256(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", TIN)
    assert file_id(path) == hashlib.sha256(TIN.encode()).hexdigest()[:16]
