"""Real PDFs, each as its collection's README says it should come out."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest

from ragctx.errors import PdfError
from ragctx.pdf.characters import garbled_share
from ragctx.pdf.read import read_pdf
from ragctx.records import Document
from tests.support.paths import SHARED

COLLECTION = SHARED / "data" / "pdf"
pytestmark = pytest.mark.skipif(
    not COLLECTION.is_dir(), reason="needs the real PDFs in ../shared/data/pdf, which are not here"
)
PASSWORDS = {
    "libreoffice-password": "openpassword",
    "rc4-40": "foo",
    "rc4-128": "foo",
    "aes-128": "foo",
    "aes-256": "foo",
    "aes-256-r6": "usersecret",
    "password-example": "test",
    "print-protection": "password",
}


@lru_cache(maxsize=4)
def read(name: str, password: str | None = None) -> Document:
    return read_pdf(COLLECTION / name, password=password)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "earlier", "later"),
    [
        ("papers/tracemonkey-pldi09.pdf", "client-side web programming", "and is used for the app"),
        (
            "papers/latex-multicolumn.pdf",
            "Nulla malesuada porttitor",
            "Quisque ullamcorper placerat",
        ),
        ("papers/mtrag-un-arxiv.pdf", "Abstract", "References"),
        ("papers/naacl06-shinyama.pdf", "Abstract", "References"),
        ("papers/qed-tacl.pdf", "1 Introduction", "3.1 Agreement Statistics"),
        ("papers/pasa-paper.pdf", "writing code (Xu et al., 2022)", "3.1 AutoScholarQuery"),
        (
            "reports/federal-register-2020-17221.pdf",
            "SUMMARY: The FAA proposes",
            "Examining the AD",
        ),
    ],
)
def test_columns_are_read_in_order(name: str, earlier: str, later: str) -> None:
    text = flat(read(name).text)
    assert 0 <= text.index(earlier) < text.index(later)


@pytest.mark.parametrize(
    "name", ["papers/tracemonkey-pldi09.pdf", "papers/latex-multicolumn.pdf", "papers/qed-tacl.pdf"]
)
def test_words_are_whole(name: str) -> None:
    text = read(name).text
    assert not re.search("[\ufb00-\ufb06\ufffe\xad\x02]", text)
    assert len(re.findall(r"[a-z]-\n[a-z]", text)) <= 3


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("reports/nics-background-checks.pdf", "Alabama 18,870 23,022 22,650"),
        ("rotated/nics-rotated.pdf", "Alabama 18,870 23,022 22,650"),
        ("reports/2023 Q3 AAPL.pdf", "Total net sales 81,797 82,959 293,787 304,182"),
        ("reports/senate-expenditures.pdf", "KISHI, DANIEL M LEGISLATIVE CORRESPONDENT FROM JUL"),
        ("reports/senate-expenditures.pdf", "ROBERT CLINTON INTERN FROM SEP. 10 1,260.00"),
        ("reports/ca-warn-report.pdf", "07/22/2015 Oakley, Inc. Lake Forest 22 Layoff"),
    ],
)
def test_a_row_label_stays_by_its_figures(name: str, row: str) -> None:
    lines = [" ".join(line.split()) for line in read(name).text.splitlines()]  # cells have tabs
    assert any(row in line for line in lines)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rotated/rotation.pdf", "This is my second page. It will have a landscape layout."),
        ("rotated/test-orient.pdf", "This is box text on left written vertically to starboard"),
        ("multilingual/arabic-habibi.pdf", "حَبيبي habibi حَبيبي"),
        ("rotated/arabic-rotated.pdf", "حَبيبي habibi حَبيبي"),
        ("multilingual/arabic-cid.pdf", "انواع الخطوط العربية"),
        ("multilingual/japanese-noembed-sjis.pdf", "あいうえお"),
        ("multilingual/japanese-noembed-eucjp.pdf", "あいうえお"),
        ("multilingual/french-diacritics.pdf", "à À â Â ä Ä ç Ç é É"),
        ("multilingual/german-umlaut.pdf", "ö„üä“Äß"),
        ("multilingual/korean-two-page.pdf", "보험계약자"),
        ("multilingual/vertical-layout.pdf", "Vertical"),
        ("papers/ligatures.pdf", "abcdeffffiflffifflſtstghijklmno"),
        ("scanned/siege-of-vicksburg-ocr.pdf", "VICKSBURG"),
        ("scanned/indirect-rotation.pdf", "International Council of Containership Operators"),
        ("forms/libreoffice-form.pdf", "Alice"),
        ("forms/acroform-filled.pdf", "AcroForm tests"),
        ("forms/irs-f1040-prefilled.pdf", "foobar"),
        ("forms/ca-std274.pdf", "Driver Rivera was operating a department-owned Ford Escape"),
        ("attachments/with-attachment.pdf", "Lorem"),
        ("malformed/helloworld-bad.pdf", "Hello"),
        ("malformed/zen-of-python-corrupted.pdf", "Beautiful is better than ugly"),
        ("plain/nfl-rulebook-extract.pdf", "JURISDICTION. The officials’ jurisdiction begins"),
    ],
)
def test_it_says_what_it_shows(name: str, said: str) -> None:
    assert flat(said) in flat(read(name).text)


def test_fake_bold_is_not_doubled() -> None:
    text = read("plain/duplicate-chars.pdf").pages[0].text
    assert text.count("Portable single gas detectors") == 1


def test_margin_numbers_do_not_fill_a_transcript() -> None:
    lines = read("reports/scotus-transcript-p1.pdf").text.splitlines()
    assert not [text for text in lines if re.fullmatch(r"\d+", text)]


@pytest.mark.parametrize(
    "name",
    ["ccitt-fax-image", "grayscale-image", "jbig2-scan", "non-text-searchable", "scan-bad"],
)
def test_a_scan_says_that_it_needs_ocr(name: str) -> None:
    document = read(f"scanned/{name}.pdf")
    assert document.status == "no_text" and "no text layer, OCR needed" in document.warnings


def test_glyphs_without_letters_are_no_text() -> None:
    for name in ("non-unicode-cmap", "arabic-thuluth", "japanese-kampo-vertical"):
        document = read(f"multilingual/{name}.pdf")
        assert (document.status, document.pages[0].status) == ("no_text", "garbled")
        assert document.text == "" and document.warnings


def test_labels_and_outlines() -> None:
    labels = [page.label for page in read("outlines/pagelabels.pdf").pages]
    assert labels[:2] == ["iii", "iv"] and "1" in labels
    blank = read("outlines/labelled-pages.pdf")
    assert (blank.status, blank.warnings) == ("no_text", ("every page is blank",))
    assert read("outlines/bad-pagelabels.pdf").pages[0].label == "X3"
    assert len(read("outlines/nested-outline.pdf").outline) == 9
    assert {heading.depth for heading in read("outlines/mistitled-outlines.pdf").outline} > {0}


def test_an_xfa_form_is_said_to_be_one() -> None:
    document = read("forms/xfa-imm1344e.pdf")
    assert document.status == "partial" and "XFA" in document.warnings[0]


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_locked_file_opens_with_its_password_alone(name: str) -> None:
    with pytest.raises(PdfError, match="--password") as caught:
        read(f"encrypted/{name}.pdf")
    assert caught.value.status == "encrypted"
    assert read(f"encrypted/{name}.pdf", PASSWORDS[name]).text.strip()


@pytest.mark.parametrize(
    "name", ["dmca-summary", "ntsb-rc4-128", "rc4-128-v4", "sec-handler-aes256"]
)
def test_an_empty_user_password_opens_without_asking(name: str) -> None:
    assert read(f"encrypted/{name}.pdf").status == "ok"


def test_every_malformed_file_ends_in_a_document_or_in_one_line() -> None:
    paths = sorted((COLLECTION / "malformed").glob("*.pdf"))
    assert len(paths) > 10
    for path in paths:
        try:
            document = read_pdf(path)
        except PdfError as error:
            assert error.status == "corrupt" and "\n" not in str(error)
        else:
            assert document.text.strip() or document.warnings, path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(COLLECTION.glob("m*al*/*.pdf")), ids=lambda path: path.stem)
def test_long_manuals_are_read_whole(path: Path) -> None:
    if path.parent.name == "malformed":
        pytest.skip("read above")
    document = read_pdf(path)
    shown = [page for page in document.pages if page.text]
    if len(document.pages) < 50:
        pytest.skip("no manual")
    assert document.status == "ok" and len(shown) > 0.9 * len(document.pages)
    assert document.outline and garbled_share(document.text) < 0.01
    assert _commonest_head(document) < 0.25 * len(document.pages), "running heads are left"


def test_sums_of_a_paper_are_sums() -> None:
    text = read("papers/naacl06-shinyama.pdf").text
    assert text.count("∑") >= 2, "TeX's font of large signs names no letters"


def _commonest_head(document: Document) -> int:
    """How often the commonest first line, digits apart, stands at the head of a page."""
    first = [re.sub(r"\d+", "#", page.text.split("\n")[0]) for page in document.pages if page.text]
    return max(first.count(line) for line in set(first))
