"""A small file cannot make work without end: what nobody can have written is left out, and told.

A PDF of 9,100 bytes, whose pages draw the same text again and again, took 113 s in the reading
process, then 243 s and 1.67 GB in the process that has no limits; its status was "ok". A sparse
file of 8 GB was hashed for 13.5 s before its size was asked for.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

import ragctx.ingestion.cached
import ragctx.ingestion.reading
from ragctx.index.index import Index
from ragctx.ingestion import IngestSettings, ingest, open_cached, page_problems
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS
from ragctx.pdf.process import MAX_CHARACTERS_PER_BYTE, Limits
from ragctx.pdf.read import read_pdf
from ragctx.records import IngestRow
from ragctx.views import with_cause
from tests.support import pdf_files
from tests.support.fakes import HashEmbedder


def bomb(path: Path, *, lines: int, pages: int) -> Path:
    """A file whose pages all have the same content: lines of text, compressed twice."""
    drawn = b"".join(
        b"BT /F1 2 Tf 0 %d Td (tin is soft and melts at 232 degrees) Tj ET\n" % (7 * i % 790)
        for i in range(lines)
    )
    content = zlib.compress(zlib.compress(drawn, 9), 9)
    kids = b" ".join(b"%d 0 R" % (5 + i) for i in range(pages))
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 3 0 R>>>>>>"
    )
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        pdf_files.stream(content, b"/Filter[/FlateDecode/FlateDecode]"),
        *[page] * pages,
    ]
    path.write_bytes(pdf_files.pdf_bytes(objects))
    return path


def test_many_pages_of_one_text_stop_at_what_a_person_could_have_written(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.pdf", lines=3000, pages=60)
    document = read_pdf(path, limits=Limits(page_timeout_s=60))
    allowed = max(MAX_PAGE_CHARACTERS, MAX_CHARACTERS_PER_BYTE * path.stat().st_size)
    assert len(document.text) < allowed + MAX_PAGE_CHARACTERS
    assert document.status == "partial" and document.pages[0].text
    assert any("nobody writes" in warning for warning in document.warnings)
    # The pages left out were "timeout", though no time was up.
    read = [page.status for page in document.pages if page.text]
    assert {page.status for page in document.pages[len(read) :]} == {"too_long"}
    left_out = tuple((i, "too_long") for i in range(len(read) + 1, 61))
    assert page_problems(document) == left_out
    row = IngestRow(
        path="bomb.pdf",
        outcome="added",
        status=document.status,
        pages=60,
        page_problems=left_out,
    )
    assert "beyond the characters that a file may hold (pages " in with_cause(row).message


def test_a_page_without_end_is_cut_and_the_ledger_tells(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.pdf", lines=12_000, pages=1)
    embedder = HashEmbedder()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    settings = IngestSettings(limits=Limits(page_timeout_s=60))
    (row,) = ingest([path], index, embedder, settings=settings)
    assert (row.outcome, row.status) == ("added", "partial")
    assert str(MAX_PAGE_CHARACTERS) in row.message
    assert row.chunks < MAX_PAGE_CHARACTERS / 100


def test_a_file_above_the_limit_is_refused_before_it_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sparse.pdf"
    path.touch()
    os.truncate(path, 8 * 2**30)
    for module in (ragctx.ingestion.reading, ragctx.ingestion.cached):
        monkeypatch.setattr(module, "id_of_file", lambda path: pytest.fail("it was hashed"))
    embedder = HashEmbedder()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    (row,) = ingest([path], index, embedder)
    assert (row.outcome, row.status) == ("failed", "too_large")
    _, (cached,) = open_cached([path], embedder, folder=tmp_path / "cache")
    assert (cached.outcome, cached.status) == ("failed", "too_large")
