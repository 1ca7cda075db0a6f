"""Pages as users meet them, invoices, pleadings, scans with stamps: one small page a situation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from ragctx.pdf.layout import in_reading_order
from ragctx.pdf.pdfium_from_right import text_from_right, unturned
from ragctx.pdf.pdfium_runs import Before, Run
from ragctx.pdf.read import read_pdf
from ragctx.pdf.right_to_left import with_brackets_turned
from ragctx.pdf.row import Row
from ragctx.pdf.tables import with_cells_apart
from tests.support.pdf_files import lines, write

PLEADING = (
    *("", "", "IN THE DISTRICT COURT OF THE FIRST DISTRICT", "", "ANNA EXAMPLE,", "Plaintiff,"),
    *("vs.", "BERNARD SAMPLE,", "Defendant.", "", "Plaintiff Anna Example states her claim:"),
    *("1. Plaintiff owns the house at 14 Quay Street, which", "she lets.", ""),
    "Dated: 1 July 2021",
)
COURT = "Case 2:21-cv-00123-ABC   Document 14-2   Filed 05/03/21   Page 1 of 2"


def text_of(content: bytes, folder: Path) -> str:
    return read_pdf(write(folder / "page.pdf", [content])).text


def test_the_numbers_of_a_pleading_go_though_its_lines_are_short(tmp_path: Path) -> None:
    content = b"".join(
        lines(str(k), x=50, y=720 - 24 * k) + (lines(line, x=80, y=720 - 24 * k) if line else b"")
        for k, line in enumerate(PLEADING, start=1)
    )
    said = text_of(content, tmp_path)
    assert said.startswith("IN THE DISTRICT COURT") and "\n1. Plaintiff owns the house" in said
    assert said.count("1") == 4  # in "1.", "14 Quay Street" and "1 July 2021"


def test_the_numbers_of_a_list_that_is_not_filled_in_stay(tmp_path: Path) -> None:
    names = ("Anna", "Bernard", "Carol", "Dana", "", "", "", "", "")
    content = b"".join(
        lines(str(k), x=50, y=720 - 24 * k) + (lines(name, x=80, y=720 - 24 * k) if name else b"")
        for k, name in enumerate(names, start=1)
    )
    assert "1 Anna" in text_of(content, tmp_path).replace("\t", " ")


@pytest.mark.parametrize("share", [0.65, 0.83, 0.88])
def test_a_raised_digit_is_set_off_however_little_smaller_it_is(
    tmp_path: Path, share: float
) -> None:
    """Browsers set `<sup>` at 0.83 of the size, word processors at 0.65."""
    raised = b"4 Ts /F1 %.1f Tf (%s) Tj 0 Ts /F1 12 Tf "
    content = b"BT /F1 12 Tf 72 700 Td (In 2019) Tj " + raised % (12 * share, b"12")
    content += b"( it cost 4,700) Tj " + raised % (12 * share, b"3") + b"( euros.) Tj ET"
    assert text_of(content, tmp_path) == "In 2019 12 it cost 4,700 3 euros."


def test_what_a_foot_says_on_each_page_is_said_once(tmp_path: Path) -> None:
    foot = "City Water Ltd - IBAN DE12 5001 0517 5407 3249 31 - Page {0}"
    pages = [
        lines(f"Invoice {4700 + 7 * k}", f"Amount due: {3 * k}.50 EUR", y=760)
        + lines("Please pay within 30 days.", y=80)
        + lines(foot.format(k), y=40, size=7)
        for k in range(1, 9)
    ]
    said = read_pdf(write(tmp_path / "invoices.pdf", pages)).text
    assert said.count("IBAN DE12 5001 0517 5407 3249 31") == 1
    assert said.count("Please pay within 30 days.") == 1


@pytest.mark.parametrize("y", [28, 775])
def test_a_scan_with_a_stamp_at_its_edge_needs_ocr(tmp_path: Path, y: float) -> None:
    assert _status(tmp_path, y) == "scanned"


def test_a_picture_with_words_on_it_is_no_scan(tmp_path: Path) -> None:
    assert _status(tmp_path, 400) == "ok"


def _status(folder: Path, y: float) -> str:
    canvas = Canvas(str(folder / "page.pdf"), pagesize=(612, 792))
    canvas.drawInlineImage(Image.effect_noise((85, 110), 90), 0, 0, 612, 792)
    canvas.drawString(100, y, COURT)
    canvas.save()
    (page,) = read_pdf(folder / "page.pdf").pages
    assert COURT[:22] in page.text
    return page.status


def test_facts_beside_an_address_are_lines(tmp_path: Path) -> None:
    address = lines("Harbor Tools Ltd", "14 Quay Street", "Bristol BS1 4XX", "United Kingdom", x=60)
    facts = lines("Invoice no.: 2024-0117", "Date: 3 May 2024", "Due: 2 June 2024", x=360)
    said = text_of(address + facts, tmp_path)
    assert said.endswith("\nInvoice no.: 2024-0117\nDate: 3 May 2024\nDue: 2 June 2024")


def test_choices_beside_a_mark_are_lines() -> None:
    """In a tagged file the mark of a question is a block of its own, beside all its lines."""
    choices = ("4 Tick one box.", "☐ The pressure rises.", "☑ It stays the same.")
    rows = [_row(choice, 60, 11.0 * k) for k, choice in enumerate(choices)]
    mark = _row("[1]", 500, 22)
    assert [row.text for row in with_cells_apart([*rows, mark])] == [*choices, "[1]"]


def _row(text: str, left: float, top: float) -> Row:
    return Row(text=text, left=left, top=top, right=left + 90, bottom=top + 10, size=10)


def test_items_with_dashes_stay_lines_though_no_clause_ends(tmp_path: Path) -> None:
    items = ("The box holds one bag of screws and of rings, in which there are:",)
    content = lines(*items, y=700) + lines("- ten of 4 mm", "- six of 6 mm", x=90, y=688)
    assert text_of(content, tmp_path).endswith("\n- ten of 4 mm\n- six of 6 mm")


def test_headings_of_a_document_of_one_page_are_no_part_of_its_title(tmp_path: Path) -> None:
    prose = ("Staff may take leave of 28 days in each year, and must", "tell their office before.")
    content = lines("Handbook", y=760, size=24)
    for y, heading in ((720, "1. Leave"), (640, "2. Expenses"), (560, "Closing words")):
        content += lines(heading, y=y, size=18) + lines(*prose, y=y - 24)
    document = read_pdf(write(tmp_path / "handbook.pdf", [content]))
    assert document.title == "Handbook"
    assert [section.title for section in document.sections] == [
        "1. Leave",
        "2. Expenses",
        "Closing words",
    ]


def test_what_is_printed_across_the_page_is_no_title(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "draft.pdf"), pagesize=A4)
    canvas.saveState()
    canvas.translate(300, 420)
    canvas.rotate(40)
    canvas.setFont("Helvetica", 90)
    canvas.drawCentredString(0, 0, "DRAFT")
    canvas.restoreState()
    canvas.setFont("Helvetica", 10)
    for k in range(40):
        canvas.drawString(70, 780 - 14 * k, "The pump must be oiled every month with light oil.")
    canvas.save()
    assert "DRAFT" not in read_pdf(tmp_path / "draft.pdf").title


@pytest.mark.parametrize("label", ["FROM", "DUE", "INVOICE NO."])
def test_a_short_label_set_wide_is_a_word_also_before_its_value(tmp_path: Path, label: str) -> None:
    value = b" 0 Tc 14 0 Td /F1 11 Tf (2024-0117) Tj ET"
    content = b"BT /F1 9 Tf 2 Tc 72 700 Td (%s) Tj" % label.encode()
    width = 9.4 * len(label)
    alone, beside = content + b" ET", content + value.replace(b"14", b"%d" % width)
    assert text_of(alone, tmp_path) == label
    assert text_of(beside, tmp_path).split() == [*label.split(), "2024-0117"]


def test_capitals_that_stand_as_words_apart_stay_apart(tmp_path: Path) -> None:
    content = b"BT /F1 10 Tf 72 700 Td [(A) -450 (B) -450 (C)] TJ ET"
    assert text_of(content, tmp_path) == "A B C"


def test_words_of_a_browsers_arabic_are_read_forwards() -> None:
    """Of one line, pdfium gave some words from left to right, and the others as they are read."""
    row = [*_letters("سنوات", 500, -8), *_letters("36", 440, 6), *_letters("رهش", 400, 8)]
    assert text_from_right(unturned(row)) == "سنوات 36 شهر"
    assert with_brackets_turned("سنوات)36 شهر ( تبدأ") == "سنوات (36 شهر) تبدأ"


def test_a_stop_to_the_left_of_a_number_comes_after_it_in_hebrew() -> None:
    row = [*_letters("עד", 500, -8), *_letters(".12", 430, 6, "drawn")]
    assert text_from_right(unturned(row)) == "עד 12."


def _letter(text: str, left: float, before: Before = "") -> Run:
    box = (left, 0.0, left + 7.6, 10.0)
    return Run(text=text, box=box, last_left=left, size=10, turn=0, before=before, at=0)


def _letters(word: str, left: float, step: float, before: Before = "drawn") -> list[Run]:
    return [_letter(c, left + step * k, "" if k else before) for k, c in enumerate(word)]


def test_the_letter_of_a_note_is_no_part_of_a_figure_or_word(tmp_path: Path) -> None:
    raised = b" 4 Ts /F1 6 Tf (%s) Tj 0 Ts /F1 10 Tf "
    content = b"BT /F1 10 Tf 72 700 Td (Lead melts at 327) Tj" + raised % b"b"
    content += b"( as Smith) Tj" + raised % b"a" + b"( found, on the 2) Tj" + raised % b"nd"
    content += b"( of May, the 1) Tj" + raised % b"er" + b"( mai, in cm) Tj" + raised % b"c"
    assert text_of(content + b"ET", tmp_path) == (
        "Lead melts at 327 b as Smith a found, on the 2nd of May, the 1er mai, in cmc"
    )


def test_the_letter_of_a_note_stands_before_its_text(tmp_path: Path) -> None:
    content = b"BT 72 700 Td 4 Ts /F1 6 Tf (b) Tj 0 Ts /F1 9 Tf (Of the pure metal.) Tj ET"
    assert text_of(content, tmp_path) == "b Of the pure metal."


@pytest.mark.parametrize(
    "foot, left", [("Confidential   Page {0} of 3", 1), ("Seite {0} von 3", 0), ("{0}/3", 0)]
)
def test_pages_that_count_themselves_do_so_in_short_documents_too(
    tmp_path: Path, foot: str, left: int
) -> None:
    pages = [
        lines(f"Clause {k} is about the rent of the {k}. year.", y=700)
        + lines(foot.format(k), y=40, size=8)
        for k in (1, 2, 3)
    ]
    document = read_pdf(write(tmp_path / "short.pdf", pages))
    said = [page.text for page in document.pages]
    assert said[1:] == [f"Clause {k} is about the rent of the {k}. year." for k in (2, 3)]
    assert said[0].count("Confidential") == left and ("3" in said[0]) == bool(left)


def test_a_share_at_the_foot_of_a_page_is_no_count_of_pages(tmp_path: Path) -> None:
    pages = [lines(f"Test of pupil {k}.", y=700) + lines("Marks: 2/3", y=40) for k in (1, 2, 3)]
    document = read_pdf(write(tmp_path / "marks.pdf", pages))
    assert all("Marks: 2/3" in page.text for page in document.pages)


def test_names_beside_a_count_of_pages_stay(tmp_path: Path) -> None:
    names = ("Anna", "Bernard", "Carol")
    pages = [
        lines("A letter.") + lines(f"{n}, page {k + 1} of 3", y=40) for k, n in enumerate(names)
    ]
    said = read_pdf(write(tmp_path / "letters.pdf", pages)).text
    assert all(name in said for name in names)


def test_boxes_that_a_browser_tags_side_by_side_are_one_line() -> None:
    """The label, the leader and the price of a dish are blocks of their own in the tree."""
    texts = (("Leek soup", 60.0, 0.0), ("4.50", 300.0, 0.0), ("with bread and butter", 60.0, 14.0))
    rows = [
        replace(_row(text, left, top), block=k, role="P")
        for k, (text, left, top) in enumerate(texts, start=1)
    ]
    said = [row.text.replace("\t", " ") for row in in_reading_order(rows)]
    assert said == ["Leek soup 4.50", "with bread and butter"]


def test_labels_and_values_that_were_drawn_by_columns_are_rows(tmp_path: Path) -> None:
    labels = ("Account holder", "Account number", "Sort code", "Currency")
    values = ("Anna Example", "43918272", "20-11-43", "GBP")
    content = lines(*labels, x=60, step=15) + lines(*values, x=200, step=15)
    said = text_of(content, tmp_path).replace("\t", " ").split("\n")
    assert said == [f"{label} {value}" for label, value in zip(labels, values, strict=True)]


def test_a_chain_of_words_keeps_its_hyphens(tmp_path: Path) -> None:
    content = lines("This is a pump of the most expensive kind, and the state-of-the-", "art one.")
    assert text_of(content, tmp_path).endswith("the state-of-the-art one.")
