"""Pages that OCR reads, in the ledger and in what the index remembers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ragctx.errors import InputError, MissingExtraError
from ragctx.index.index import Index
from ragctx.ingest_ledger import IngestRow
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings, Recipe
from ragctx.pdf.names import OcrUse
from ragctx.views import is_plain
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.scans import FakeEngine, found, scan

TIN = found("Tin melts at 232 degrees.", (100, 200, 800, 240))


def run(folder: Path, ocr: OcrUse | None, *, rebuild: bool = False) -> IngestRow:
    settings = IngestSettings(ocr=ocr, ocr_engine=FakeEngine(TIN))
    index = folder / "index"
    (row,) = ingest(folder / "scan.pdf", index, HashEmbedder(), settings=settings, rebuild=rebuild)
    return row


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scan(tmp_path / "scan.pdf", pages=3, text=(2,))
    return tmp_path


def test_the_row_tells_how_many_pages_ocr_read(folder: Path) -> None:
    row = run(folder, "auto")
    assert (row.outcome, row.status, row.page_problems) == ("added", "ocr", ())
    assert row.message == "2 of 3 pages were read by OCR"
    assert not is_plain(row)  # so that it is listed
    document = Index.open(folder / "index").document(row.document_id)
    assert document is not None
    assert [page.status for page in document.pages] == ["ocr", "ok", "ocr"]
    assert "confidence of 0.90" in document.warnings[0]


def test_the_index_remembers_that_ocr_is_used(folder: Path) -> None:
    assert run(folder, "auto").outcome == "added"
    assert run(folder, None).outcome == "unchanged"
    with pytest.raises(InputError, match=r"--ocr auto, not never; .* --ocr never --rebuild"):
        run(folder, "never")
    assert run(folder, "never", rebuild=True).status == "partial"


def test_an_index_without_ocr_reads_its_scans_again_with_it(folder: Path) -> None:
    assert run(folder, None).status == "partial"
    with pytest.raises(InputError, match=r"--ocr never, not auto; .* --ocr auto --rebuild"):
        run(folder, "auto")
    assert run(folder, "auto", rebuild=True).status == "ocr"


def test_recipes_of_before_are_read_and_written_as_they_were() -> None:
    old = "reader=auto chunk_tokens=180 overlap_tokens=0 embedder=m@1"
    recipe = Recipe.parsed(old)
    assert recipe is not None and recipe.ocr == "never" and str(recipe) == old
    new = old.replace("embedder", "ocr=always embedder")
    recipe = Recipe.parsed(new)
    assert recipe is not None and recipe.ocr == "always" and str(recipe) == new
    assert Recipe.parsed(old.replace("embedder", "ocr=sometimes embedder")) is None


def test_without_the_extra_the_error_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ragctx\[ocr\]'"):
        ingest(
            folder / "scan.pdf",
            folder / "index",
            HashEmbedder(),
            settings=IngestSettings(ocr="auto"),
        )
    monkeypatch.chdir(folder)
    code, _, err = said(capsys, "ingest", "scan.pdf", "--ocr", "auto")
    assert code == 1 and err == "error: OCR needs rapidocr. Install it: pip install 'ragctx[ocr]'\n"


@pytest.mark.slow
def test_the_engine_of_the_extra_reads_a_drawn_page(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason="the extra ragctx[ocr] is not installed")
    image = pytest.importorskip("PIL.Image")
    from ragctx.pdf.ocr import Ocr
    from ragctx.pdf.page_image import page_image
    from ragctx.pdf.rapidocr_engine import RapidOcr
    from ragctx.pdf.read import read_pdf
    from tests.support.pdf_files import document, lines

    (tmp_path / "a.pdf").write_bytes(document([lines("Tin melts at 232 degrees.", size=14)]))
    (tmp_path / "a.png").write_bytes(page_image(tmp_path / "a.pdf", 1, scale=200 / 72).png)
    engine = RapidOcr()
    for degrees in (0, 90, 180, 270):
        picture = image.open(tmp_path / "a.png").convert("RGB").rotate(degrees, expand=True)
        picture.save(tmp_path / "scan.pdf", resolution=200)
        read = read_pdf(tmp_path / "scan.pdf", ocr=Ocr(engine=engine))
        assert (read.status, read.text) == ("ocr", "Tin melts at 232 degrees.")
