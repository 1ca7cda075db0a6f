"""Pages as people see them: tables drawn cell by cell, covers and remarks, numbered headings."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Cell, Row
from ragctx.pdf.wrapped_cells import TableRow, unwrapped
from tests.support.pdf_files import lines, pdf_bytes, stream, write

SEEN, COVERED = "The price is 450 EUR.", "The price is 900 EUR."


def text_of(content: bytes, folder: Path, **more: bytes) -> str:
    return read_pdf(write(folder / "page.pdf", [content], **more)).text


# ---- tables ------------------------------------------------------------------------------------

HEADS = ("Pos", "Description", "Qty", "Total")
ITEMS = (
    (
        "1",
        ("Work on site in Bristol,", "travel and costs, as", "agreed in May"),
        "2 h",
        "190.00",
    ),
    ("2", ("Stainless", "steel"), "40", "12.00"),
    ("3", ("Oil",), "1", "3.50"),
)
PLACES = (72, 110, 260, 330)


def drawn_by_cells(*, level: str) -> bytes:
    """A table as word processors draw it: each cell with all its lines, and then the next one."""
    content = b"".join(lines(head, x=x, y=700) for head, x in zip(HEADS, PLACES, strict=True))
    y = 680.0
    for number, said, *rest in ITEMS:
        below = 12 * (len(said) - 1)
        beside = {"top": y, "middle": y - below / 2, "bottom": y - below}[level]
        content += lines(number, x=PLACES[0], y=beside) + lines(*said, x=PLACES[1], y=y)
        for x, cell in zip(PLACES[2:], rest, strict=True):
            content += lines(cell, x=x, y=beside)
        y -= below + 18
    return content


@pytest.mark.parametrize("level", ["top", "middle"])
def test_rows_that_were_drawn_cell_by_cell_are_whole(level: str, tmp_path: Path) -> None:
    """Of an invoice the amounts stood apart from what they were for."""
    assert text_of(drawn_by_cells(level=level), tmp_path).split("\n") == [
        "Pos\tDescription\tQty\tTotal",
        "1\tWork on site in Bristol, travel and costs, as agreed in May\t2 h\t190.00",
        "2\tStainless steel\t40\t12.00",
        "3\tOil\t1\t3.50",
    ]


def test_figures_level_with_the_last_line_of_a_cell_are_in_its_row(tmp_path: Path) -> None:
    said = text_of(drawn_by_cells(level="bottom"), tmp_path).split("\n")
    assert "3\tOil\t1\t3.50" in said
    assert any(line.startswith("2\t") and line.endswith("\t40\t12.00") for line in said)


def test_two_cells_of_a_row_may_both_be_wrapped(tmp_path: Path) -> None:
    content = b""
    for k, name in enumerate(("Clerk", "Guard")):
        y = 700 - 60 * k
        content += lines(name, x=72, y=y)
        content += lines("Opens the mail, sorts it, and", "answers the phone", x=120, y=y)
        content += lines("In the office on", "the first floor", x=320, y=y)
    row = "Opens the mail, sorts it, and answers the phone\tIn the office on the first floor"
    assert text_of(content, tmp_path).split("\n") == [f"Clerk\t{row}", f"Guard\t{row}"]


def test_what_stands_over_several_columns_is_never_lost_beside_a_row() -> None:
    """A name too long for its column has no cell of its own, but words."""
    over: TableRow = _table_row("combinediff(1)", 30), (None, None)
    figures: TableRow = _table_row("5 7", 30), (Cell(0, 9, "5"), Cell(40, 49, "7"))
    assert unwrapped([over, figures]) == [over, figures]


def test_a_label_of_the_next_row_is_not_drawn_up_into_a_full_one() -> None:
    above: TableRow = _table_row("a 1", 0), (Cell(0, 9, "a"), Cell(40, 49, "1"))
    below: TableRow = _table_row("b", 12), (Cell(0, 9, "b"), None)
    assert unwrapped([above, below]) == [above, below]


def _table_row(text: str, top: float) -> Row:
    return Row(text=text, left=0, top=top, right=50, bottom=top + 10, size=10)


@pytest.mark.parametrize(("angle", "y"), [(90, 700), (270, 750)])
def test_heads_that_are_turned_stand_over_their_columns(
    angle: int, y: float, tmp_path: Path
) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(612, 792))
    canvas.setFont("Helvetica", 10)
    for k, row in enumerate((("Pump", "12", "14", "9"), ("Valve", "22", "24", "19"))):
        for i, cell in enumerate(row):
            canvas.drawString(72 if not i else 125 + 80 * i, 680 - 14 * k, cell)
    for k, head in enumerate(("January", "February", "March")):
        canvas.saveState()
        canvas.translate(210 + 80 * k, y)
        canvas.rotate(angle)
        canvas.drawString(0, 0, head)
        canvas.restoreState()
    canvas.save()
    assert read_pdf(tmp_path / "a.pdf").text.split("\n") == [
        "\tJanuary\tFebruary\tMarch",
        "Pump\t12\t14\t9",
        "Valve\t22\t24\t19",
    ]


# ---- what nobody sees --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "placed", "inside"),
    [
        (b"", b"1 0 0 1 70 595", b"1 g 0 0 110 16 re f"),
        (b"/Matrix[1 0 0 1 70 595]", b"1 0 0 1 0 0", b"1 g 0 0 110 16 re f"),
        (b"", b"2 0 0 2 70 595", b"1 g 0 0 55 8 re f"),
        (b"", b"1 0 0 1 0 595", b"q 1 0 0 1 70 0 cm /Y Do Q"),
    ],
    ids=["placed", "by its matrix", "scaled", "within another"],
)
def test_text_under_a_shape_of_a_form_is_hidden(
    matrix: bytes, placed: bytes, inside: bytes, tmp_path: Path
) -> None:
    """Boxes within a form are told in its own coordinates: what they cover was read."""
    assert _under_form(matrix, placed, inside, tmp_path) == SEEN


def test_text_beside_a_shape_of_a_form_is_seen(tmp_path: Path) -> None:
    said = _under_form(b"", b"1 0 0 1 70 300", b"1 g 0 0 110 16 re f", tmp_path)
    assert said == f"{SEEN}\n\n{COVERED}"


def _under_form(matrix: bytes, placed: bytes, inside: bytes, folder: Path) -> str:
    form = b"/Type/XObject/Subtype/Form/BBox[-999 -999 999 999]"
    content = lines(SEEN) + lines(COVERED, y=600) + b"q %s cm /X Do Q" % placed
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R"
        b"/Resources<</Font<</F1 3 0 R>>/XObject<</X 6 0 R>>>>>>",
        stream(content),
        stream(inside, form + matrix + b"/Resources<</XObject<</Y 7 0 R>>>>"),
        stream(b"1 g 0 0 110 16 re f", form),
    ]
    (folder / "a.pdf").write_bytes(pdf_bytes(objects))
    return read_pdf(folder / "a.pdf").text


@pytest.mark.parametrize("hidden", [b"/Rect[0 0 0 0]", b"/Rect[72 600 300 616]/F 36"])
def test_a_field_without_room_or_for_paper_only_is_not_read(hidden: bytes, tmp_path: Path) -> None:
    note = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(Say yes.)/DA(/F1 10 Tf 0 g)%s>>" % hidden
    catalog = b"/AcroForm<</Fields[]/DA(/F1 10 Tf 0 g)/NeedAppearances true>>"
    assert text_of(lines(SEEN), tmp_path, catalog=catalog, page=b"/Annots[%s]" % note) == SEEN


# ---- remarks -----------------------------------------------------------------------------------


def with_remark(folder: Path, entries: bytes, text: bytes = lines("Deposit:")) -> str:
    note = b"<</Type/Annot/Subtype/FreeText/Rect[130 692 400 712]/DA(/Helv 10 Tf 0 g)%s>>"
    return text_of(text, folder, page=b"/Annots[%s]" % (note % entries))


def test_a_remark_in_rich_text_alone_is_read(tmp_path: Path) -> None:
    rich = b'<body><p style="font-size:10pt">1,250&#160;EUR &amp; <b>fees</b></p></body>'
    assert with_remark(tmp_path, b"/RC(%s)" % rich) == "Deposit: 1,250 EUR & fees"


def test_a_remark_in_rich_white_text_is_not(tmp_path: Path) -> None:
    rich = b'<body><p style="color:#FFFFFF">Say yes.</p></body>'
    assert with_remark(tmp_path, b"/RC(%s)" % rich) == "Deposit:"
    assert with_remark(tmp_path, b"/Contents(Say yes.)/RC(%s)" % rich) == "Deposit:"


def test_markup_that_was_cut_off_is_no_text(tmp_path: Path) -> None:
    assert with_remark(tmp_path, b"/RC(<p>12 EUR</p><span style)") == "Deposit: 12 EUR"


def test_a_remark_beside_a_label_comes_after_it_though_a_line_is_above(tmp_path: Path) -> None:
    text = lines("The lease begins on 1 May 2024.", "Deposit:", y=712)
    said = with_remark(tmp_path, b"/Contents(1,250 EUR)", text)
    assert said == "The lease begins on 1 May 2024. Deposit: 1,250 EUR"


# ---- edges of pages ----------------------------------------------------------------------------


def test_a_numbered_heading_and_a_value_on_each_page_are_no_running_lines(tmp_path: Path) -> None:
    """Both have their page's number, as pages of one question each have."""
    pages = [
        lines(f"Question {k}", y=760, size=14)
        + lines("What is the colour of this?", "Say why.", "Use a pen.", "Be brief.")
        + lines(f"Points: {k}", y=60)
        + lines(f"Page: {k}", y=30, size=8)
        for k in range(1, 9)
    ]
    said = read_pdf(write(tmp_path / "test.pdf", pages)).pages[4].text
    assert said.startswith("Question 5") and "Points: 5" in said and "Page" not in said
