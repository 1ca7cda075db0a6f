"""Laws of reading PDFs: whatever a file is, it costs its own row, and what it says is kept."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject
from reportlab.pdfgen.canvas import Canvas

from ragctx.errors import InputError, PdfError
from ragctx.pdf.names import PdfReader
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pdf
from ragctx.records import Document

PATIENT = Limits(page_timeout_s=100, file_timeout_s=400)
"""For tests that are not about time, on machines that are busy."""

Draw = Callable[[Canvas], None]


def lines(*texts: str) -> Draw:
    """A page of these lines."""

    def draw(canvas: Canvas) -> None:
        for n, text in enumerate(texts):
            canvas.drawString(72, 760 - 14 * n, text)

    return draw


def picture(canvas: Canvas) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(Image.new("RGB", (60, 80), "gray")), 0, 0, 595, 842)


def drawn(path: Path, pages: Iterable[Draw], *, title: str = "") -> Path:
    canvas = Canvas(str(path), pagesize=(595, 842), invariant=True)
    canvas.setTitle(title)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def rewritten(path: Path, change: Callable[[pypdf.PdfWriter], object]) -> Path:
    writer = pypdf.PdfWriter(clone_from=path)
    change(writer)
    writer.write(path)
    return path


def status_of(path: Path, **kwargs: str) -> tuple[str, str]:
    """The status and message of the error that reading ends in."""
    with pytest.raises(PdfError) as caught:
        read_pdf(path, password=kwargs.get("password"), limits=PATIENT)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    return caught.value.status, message


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pages = [lines(f"Page {n} tells of tin.", "It melts at 232 degrees.") for n in range(1, 4)]
    return drawn(tmp_path_factory.mktemp("pdf") / "tin.pdf", pages, title="On tin")


# ---- what comes out --------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["auto", "pdfium", "pypdf"])
def test_text_title_and_pages_come_out(plain: Path, reader: PdfReader) -> None:
    seen: list[tuple[int, int]] = []
    document = read_pdf(
        plain, reader=reader, limits=PATIENT, on_page=lambda page, of: seen.append((page, of))
    )
    assert (document.status, document.title, document.warnings) == ("ok", "On tin", ())
    assert [page.label for page in document.pages] == ["1", "2", "3"]
    assert all(f"Page {p.number} tells of tin." in p.text for p in document.pages)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert document.reader == ("pdfium" if reader == "auto" else reader)


def test_equal_bytes_have_equal_ids_wherever_they_lie(plain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other name é.pdf"
    copy.write_bytes(plain.read_bytes())
    first, second = read_pdf(plain, limits=PATIENT), read_pdf(copy, limits=PATIENT)
    assert (first.id, first.pages) == (second.id, second.pages)


def test_labels_and_outline_are_kept(tmp_path: Path) -> None:
    def change(writer: pypdf.PdfWriter) -> None:
        writer.set_page_label(0, 1, style="/r")
        writer.set_page_label(2, 4, style="/D", prefix="A-")
        part = writer.add_outline_item(title="Part \ufb01ve", page_number=2)
        writer.add_outline_item(title="Chapter", page_number=3, parent=part)

    path = drawn(tmp_path / "book.pdf", [lines(f"Text of {n}.") for n in range(5)])
    document = read_pdf(rewritten(path, change), limits=PATIENT)
    assert [page.label for page in document.pages] == ["i", "ii", "A-1", "A-2", "A-3"]
    headings = [(heading.page, heading.depth) for heading in document.outline]
    assert headings == [(3, 0), (4, 1)]


def test_heads_and_feet_go_and_the_text_between_stays(tmp_path: Path) -> None:
    metals = ["tin", "iron", "lead", "zinc", "gold", "silver", "copper", "nickel"]
    pages = [
        lines(
            "Handbook of Metals",
            f"The ore of {m} is common here.",
            f"We dig {m} daily.",
            f"- {n} -",
        )
        for n, m in enumerate(metals, 11)
    ]
    document = read_pdf(drawn(tmp_path / "heads.pdf", pages), limits=PATIENT)
    assert document.text.count("Handbook of Metals") <= 1
    assert not re.search(r"^\W*1\d\W*$", document.text, re.M)
    for page, metal in zip(document.pages, metals, strict=True):
        assert f"The ore of {metal} is common here." in page.text
        assert f"We dig {metal} daily." in page.text


def test_words_broken_at_line_ends_are_whole(tmp_path: Path) -> None:
    page = lines("A trace tree is record-", "ed by the inter-", "preter while a program runs.")
    text = read_pdf(drawn(tmp_path / "broken.pdf", [page]), limits=PATIENT).text
    assert "recorded" in text and "interpreter" in text


def test_values_of_form_fields_are_read(tmp_path: Path) -> None:
    def form(canvas: Canvas) -> None:
        canvas.drawString(72, 760, "Name of the applicant:")
        canvas.acroForm.textfield(name="name", value="Ada Lovelace", x=72, y=700, width=200)

    text = read_pdf(drawn(tmp_path / "form.pdf", [form]), limits=PATIENT).text
    assert "Name of the applicant:" in text and "Ada Lovelace" in text


# ---- no text ---------------------------------------------------------------------------------


def test_a_scan_says_that_it_needs_ocr(tmp_path: Path) -> None:
    document = read_pdf(drawn(tmp_path / "scan.pdf", [picture, picture]), limits=PATIENT)
    assert document.status == "no_text" and "OCR" in document.warnings[0]
    assert [page.status for page in document.pages] == ["scanned", "scanned"]


def test_blank_pages_are_no_scan(tmp_path: Path) -> None:
    document = read_pdf(drawn(tmp_path / "blank.pdf", [lines(), lines()]), limits=PATIENT)
    assert document.status == "no_text" and "blank" in document.warnings[0]
    assert [page.status for page in document.pages] == ["empty", "empty"]


def test_a_cover_picture_is_no_fault_and_half_a_scan_is(tmp_path: Path) -> None:
    text = lines("There is text on this page.", "And there is more of it.")
    book = read_pdf(drawn(tmp_path / "book.pdf", [picture] + [text] * 12), limits=PATIENT)
    half = read_pdf(drawn(tmp_path / "half.pdf", [picture, text]), limits=PATIENT)
    assert (book.status, half.status) == ("ok", "partial")
    assert book.pages[0].status == half.pages[0].status == "scanned"


# ---- bad files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"%PDF-1.7", b"hello", b"PK\x03\x04" + b"z" * 400, b"<html>" + b"x" * 5000, bytes(3000)],
)
def test_what_is_no_pdf_is_said_to_be_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "not.pdf"
    path.write_bytes(content)
    assert status_of(path)[0] == "corrupt"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_an_error_or_what_is_left_of_it(
    plain: Path, tmp_path: Path, share: float
) -> None:
    content = plain.read_bytes()
    path = tmp_path / "cut.pdf"
    path.write_bytes(content[: int(len(content) * share)])
    try:
        document = read_pdf(path, limits=PATIENT)
    except PdfError as error:
        assert error.status == "corrupt"
    else:
        assert document.status != "ok" or "tin" in document.text


def test_a_folder_a_missing_file_and_a_closed_one_are_unreadable(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_of(tmp_path)[0] == "unreadable"
    assert status_of(tmp_path / "none.pdf")[0] == "unreadable"

    def closed(*_: object, **__: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    status, message = status_of(plain)
    assert status == "unreadable" and "Permission denied" in message


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_without_read_permission_is_unreadable(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "closed.pdf"
    path.write_bytes(plain.read_bytes())
    path.chmod(0)
    assert status_of(path)[0] == "unreadable"


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_locked_file_asks_for_its_password_and_opens_with_it(
    plain: Path, tmp_path: Path, algorithm: str
) -> None:
    path = tmp_path / "locked.pdf"
    path.write_bytes(plain.read_bytes())
    rewritten(path, lambda writer: writer.encrypt("sesame", "owner", algorithm=algorithm))
    status, message = status_of(path)
    assert status == "encrypted" and "--password" in message
    wrong, message = status_of(path, password="salami")
    assert wrong == "encrypted" and "salami" not in message
    assert "tin" in read_pdf(path, password="sesame", limits=PATIENT).text


def test_an_empty_user_password_is_not_asked_for(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "owned.pdf"
    path.write_bytes(plain.read_bytes())
    rewritten(path, lambda writer: writer.encrypt("", "owner", algorithm="AES-256"))
    assert "tin" in read_pdf(path, limits=PATIENT).text


def test_too_many_bytes_and_too_many_pages_are_said(plain: Path) -> None:
    with pytest.raises(PdfError) as caught:
        read_pdf(plain, limits=Limits(max_file_bytes=100))
    assert caught.value.status == "too_large"
    document = read_pdf(plain, limits=Limits(max_pages=2, page_timeout_s=100))
    assert (document.status, len(document.pages)) == ("partial", 2)
    assert any("first 2 of 3" in warning for warning in document.warnings)


def test_a_page_tree_that_is_its_own_child_ends(tmp_path: Path) -> None:
    def knot(writer: pypdf.PdfWriter) -> None:
        tree = writer.root_object["/Pages"]
        tree[NameObject("/Kids")] = ArrayObject(
            [*tree["/Kids"], writer.root_object.raw_get("/Pages")]
        )
        tree[NameObject("/Count")] = NumberObject(2)

    path = rewritten(drawn(tmp_path / "knot.pdf", [lines("The only page.")]), knot)
    try:
        assert "The only page." in read_pdf(path, limits=PATIENT).text
    except PdfError as error:
        assert error.status == "corrupt"


def test_broken_labels_fields_and_outlines_cost_no_text(tmp_path: Path) -> None:
    def spoil(writer: pypdf.PdfWriter) -> None:
        root = writer.root_object
        root[NameObject("/PageLabels")] = NumberObject(7)
        root[NameObject("/Outlines")] = ArrayObject([NumberObject(1)])
        root[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): NumberObject(3)})

    path = rewritten(drawn(tmp_path / "odd.pdf", [lines("Sound text.")]), spoil)
    document = read_pdf(path, limits=PATIENT)
    assert (document.pages[0].label, document.outline) == ("1", ())
    assert "Sound text." in document.text


def test_an_unknown_reader_is_named_with_the_valid_ones(plain: Path) -> None:
    with pytest.raises(InputError, match=r"'best'.*auto, pdfium, pypdf"):
        read_pdf(plain, reader="best")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_pages_are_read(tmp_path: Path) -> None:
    path = drawn(
        tmp_path / "long.pdf", (lines(f"Entry {n} of the register.") for n in range(10_000))
    )
    document = read_pdf(path, limits=PATIENT)
    assert (document.status, len(document.pages)) == ("ok", 10_000)
    assert "Entry 9999 of the register." in document.pages[-1].text


# ---- real files ------------------------------------------------------------------------------


def read_all(folder: Path, names: Sequence[str]) -> dict[str, Document]:
    return {name: read_pdf(folder / f"{name}.pdf", limits=PATIENT) for name in names}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "pages", "words"),
    [
        ("papers/tracemonkey-pldi09", 14, "specialization interpreter side exit"),
        ("papers/naacl06-shinyama", 8, "unannotated GLARF clustering"),
        ("papers/latex-multicolumn", 3, "fermentum Pellentesque"),
        ("papers/ligatures", 1, "fffiflffiffl"),
        ("manuals/bashref", 196, "histappend extglob"),
        ("manuals/octave", 1158, "Octave eigenvalues"),
        ("multilingual/debian-faq-ru", 75, "пакеты управления"),
        ("multilingual/korean-two-page", 2, "보험계약 피보험자"),
        ("multilingual/japanese-noembed-sjis", 1, "あいうえお"),
        ("multilingual/french-diacritics", 1, "é è ê"),
        ("multilingual/arabic-cid", 1, "العربية الخطوط"),
        ("reports/nics-background-checks", 1, "Alabama Connecticut"),
        ("reports/2023 Q3 NVDA", 52, "Stock-based"),
        ("rotated/rotation", 2, "landscape normal"),
        ("rotated/nics-rotated", 1, "Alabama Connecticut"),
        ("scanned/siege-of-vicksburg-ocr", 6, "Vicksburg"),
        ("encrypted/dmca-summary", 18, "copyright"),
        ("encrypted/ntsb-rc4-128", 3, "NTSB"),
        ("attachments/with-attachment", 1, ""),
        ("forms/text-widget", 1, "Lorem ipsum"),
        ("plain/google-doc", 1, ""),
    ],
)
def test_real_files_give_their_words(shared_data: Path, name: str, pages: int, words: str) -> None:
    document = read_pdf(shared_data / "pdf" / f"{name}.pdf", limits=PATIENT)
    assert (document.status, len(document.pages)) == ("ok", pages)
    assert [word for word in words.split() if word not in document.text] == []
    assert not re.search("[\ufb00-\ufb06\xad\x00-\x08]", document.text)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("libreoffice-password", "openpassword"),
        ("rc4-40", "foo"),
        ("rc4-128", "foo"),
        ("aes-128", "foo"),
        ("aes-256", "foo"),
        ("aes-256-r6", "usersecret"),
        ("aes-256-r6", "ownersecret"),
        ("password-example", "test"),
        ("print-protection", "password"),
        ("print-protection", "1234"),
    ],
)
def test_real_locked_files_open_with_their_password(
    shared_data: Path, name: str, password: str
) -> None:
    path = shared_data / "pdf" / "encrypted" / f"{name}.pdf"
    assert status_of(path)[0] == "encrypted"
    assert read_pdf(path, password=password, limits=PATIENT).pages


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_scans_are_not_taken_for_text(shared_data: Path) -> None:
    names = ["ccitt-fax-image", "grayscale-image", "jbig2-scan", "non-text-searchable", "scan-bad"]
    documents = read_all(shared_data / "pdf" / "scanned", names)
    assert {name: d.status for name, d in documents.items()} == dict.fromkeys(names, "no_text")
    assert all("OCR" in document.warnings[0] for document in documents.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_glyphs_without_meaning_are_not_taken_for_text(shared_data: Path) -> None:
    for name in (
        "multilingual/non-unicode-cmap",
        "multilingual/arabic-thuluth",
        "papers/tam-review",
    ):
        document = read_pdf(shared_data / "pdf" / f"{name}.pdf", limits=PATIENT)
        assert document.status in ("no_text", "partial"), name
        assert "garbled" in {page.status for page in document.pages}, name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_labels_are_kept(shared_data: Path) -> None:
    documents = read_all(shared_data / "pdf" / "outlines", ["pagelabels", "labelled-pages"])
    assert [page.label for page in documents["pagelabels"].pages] == ["iii", "iv", "1", "2", "1"]
    assert documents["labelled-pages"].status == "no_text"
    assert documents["labelled-pages"].pages[0].label == "i"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_real_malformed_file_ends_in_an_error_or_a_document(shared_data: Path) -> None:
    paths = sorted((shared_data / "pdf" / "malformed").glob("*.pdf"))
    assert len(paths) > 10
    for path in paths:
        try:
            document = read_pdf(path, limits=PATIENT)
        except PdfError as error:
            assert error.status in ("corrupt", "timeout", "too_large"), path.name
        else:
            assert document.text.strip() or document.status != "ok", path.name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_xfa_form_says_so(shared_data: Path) -> None:
    document = read_pdf(shared_data / "pdf" / "forms" / "xfa-imm1344e.pdf", limits=PATIENT)
    assert document.status == "partial" and "XFA" in " ".join(document.warnings)
