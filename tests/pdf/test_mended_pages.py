"""Pages that were read wrong, each mended as a kind: narrow justified columns, stamps, forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table

from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Row
from ragctx.pdf.tagged import in_tagged_order
from tests.support.pdf_files import lines, write

TEXT = (
    "The harbour office has told the masters of all ships that the northern channel is closed in "
    "winter, because the buoys are taken ashore before the first ice. Whoever wants to go to the "
    "upper quays has to take the longer way round the islands and must ask for a pilot two days "
    "ahead. Smaller boats may still pass under the old bridge at high water, though not at night, "
    "and the office will not pay for damage that is done there. In spring the buoys are laid out "
    "again, and notices at each of the quays will tell from which day the channel is open."
)
SIZE = 11


def _set_in_columns(path: Path, columns: int, story: list[Paragraph | Table | Spacer]) -> Path:
    width = (A4[0] - 100 - 12 * (columns - 1)) / columns
    frames = [
        Frame(50 + k * (width + 12), 50, width, A4[1] - 100, 0, 0, 0, 0) for k in range(columns)
    ]
    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates(PageTemplate(frames=frames))
    document.build(story)
    return path


def _justified(text: str) -> Paragraph:
    style = ParagraphStyle("s", fontSize=SIZE, leading=1.2 * SIZE, alignment=TA_JUSTIFY)
    return Paragraph(text, style)


@pytest.mark.parametrize("columns", [4, 5])
def test_a_narrow_justified_column_is_no_table(tmp_path: Path, columns: int) -> None:
    """Its gaps are as wide as a table's: "the  masters  of  all" became four cells."""
    page = _set_in_columns(tmp_path / "page.pdf", columns, [_justified(TEXT), _justified(TEXT)])
    assert read_pdf(page).text.split("\n") == [TEXT, TEXT]


def test_a_table_in_a_narrow_justified_column_keeps_its_cells(tmp_path: Path) -> None:
    rows = [["Harbour", "Open", "Depth"], ["Aalsund", "yes", "deep"], ["Bremvik", "no", "shallow"]]
    width = (A4[0] - 100 - 24) / 3
    table = Table(rows, colWidths=[width * share for share in (0.45, 0.25, 0.3)])
    story = [_justified(TEXT), table, _justified(TEXT)]
    said = read_pdf(_set_in_columns(tmp_path / "page.pdf", 3, story)).text
    assert "Harbour\tOpen\tDepth\nAalsund\tyes\tdeep\nBremvik\tno\tshallow" in said


@pytest.mark.parametrize("is_first", [True, False])
def test_a_draft_below_all_text_is_no_title(tmp_path: Path, is_first: bool) -> None:
    """It is the largest text of a first page that is half empty, whenever it is drawn."""
    mark = b"0.8 g " + lines("DRAFT", x=150, y=250, size=60) + b"0 g "
    said = lines("Minutes of the council", y=740) + lines(
        "The council met in the new hall on the first of May.",
        "It was agreed that the road to the quay will be closed.",
        "The mayor thanked all members for their work in winter.",
        y=700,
    )
    page = write(tmp_path / "page.pdf", [mark + said if is_first else said + mark])
    document = read_pdf(page)
    assert document.title == ""
    assert "DRAFT" in document.text


def test_spaces_of_a_page_that_was_scaled_are_measured_in_what_is_seen(tmp_path: Path) -> None:
    """Programs that make PDFs of web pages scale the page: "of" and "deposit" became one word."""
    words = b"-260".join(b"(%s)" % word for word in b"Certificates of deposit in April".split())
    figures = b"-850".join(b"(%d)" % (k % 10) for k in range(30))  # the page's other gaps
    rows = b"".join(b"1 0 0 1 90 %d Tm [%s] TJ " % (700 - 20 * k, figures) for k in range(8))
    content = (
        b"0.667 0 0 0.667 0 0 cm BT /F1 12 Tf 1 0 0 1 90 900 Tm [%s] TJ " % words + rows + b"ET"
    )
    said = read_pdf(write(tmp_path / "page.pdf", [content])).text
    assert said.startswith("Certificates of deposit in April\n")


@pytest.mark.parametrize(("left", "order"), [(50, [0, 2, 1]), (300, [0, 1, 2])])
def test_what_was_chosen_from_a_list_follows_its_label(left: float, order: list[int]) -> None:
    """Chromium puts it in no block, and draws it last; but what stands farther off is no value."""

    def piece(text: str, left: float, top: float, block: int) -> Row:
        right, bottom = left + 5 * len(text), top + 10
        place = {"left": left, "top": top, "right": right, "bottom": bottom, "size": 10}
        return Row(text=text, block=block, role="P" * (block > 0), **place)

    pieces = [piece("Country:", 0, 0, 1), piece("City:", 0, 20, 2), piece("Sweden", left, 0, 0)]
    read = in_tagged_order(pieces, lambda rows: list(rows))
    assert [row.text for row in read] == [pieces[i].text for i in order]


def test_an_address_that_was_wrapped_in_code_is_whole(tmp_path: Path) -> None:
    """But a line of code after an address that had room for it is a line of its own."""
    code = (
        "def send_the_first_message_to(receiver, harbour):",
        '    link = "<a href=https://www.example.org/',
        'guide/part/of/the/harbour.html>"',
        "    # https://www.example.org/",
        "os.send(link)",
        "os.wait(3)",
        "os.close()",
    )
    content = lines(*code).replace(b"/F1", b"/F2")
    font = b"/Resources<</Font<</F2<</Type/Font/Subtype/Type1/BaseFont/Courier>>>>>>"
    said = read_pdf(write(tmp_path / "page.pdf", [content], page=font)).text
    assert "https://www.example.org/guide/part/of/the/harbour.html" in said
    assert "# https://www.example.org/\nos.send(link)" in said
