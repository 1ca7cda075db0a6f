"""Headings: what looks like one and is, what looks like one and is not, and how deep each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ragctx.pdf.headings import find_headings, sections_of
from ragctx.pdf.row import Row
from ragctx.records import Document, Heading, Page

PROSE = "Tin is a soft metal that melts at a low temperature and is used for cans and solder."


def row(text: str, top: float, size: float = 10, *, bold: bool = False, left: float = 50) -> Row:
    wide = 0.5 * size * len(text)
    return Row(
        text=text, left=left, top=top, right=left + wide, bottom=top + size, size=size, bold=bold
    )


def page(*texts: str | Row) -> list[Row]:
    """Rows one below the other; a text is a line of the body, "# …" is set in bold type."""
    rows: list[Row] = []
    top = 0.0
    for text in texts:
        made = text if isinstance(text, Row) else row(text.lstrip("# "), 0, bold=text[0] == "#")
        rows.append(replace(made, top=top, bottom=top + made.size))
        top += made.size + (12 if made.bold or made.size > 10 else 2)
    return rows


def found(pages: Sequence[Sequence[Row]], outline: Sequence[Heading] = ()) -> list[tuple[int, str]]:
    return [(heading.depth, heading.title) for heading in find_headings(pages, outline).found]


def test_larger_type_and_bold_type_make_headings_and_larger_ones_stand_above() -> None:
    pages = [
        page(row("Metals", 0, 16), PROSE, "# Tin", PROSE, PROSE),
        page("# Lead", PROSE, PROSE, row("Woods", 0, 16), PROSE),
    ]
    assert found(pages) == [(0, "Metals"), (1, "Tin"), (1, "Lead"), (0, "Woods")]


def test_numbers_tell_the_depth_of_headings_in_one_type() -> None:
    pages = [
        page("# 1 Results", PROSE, "# 1.1 Tin", PROSE, "# 1.1.2 Cans", PROSE, "# 2 Notes", PROSE)
    ]
    assert found(pages) == [(0, "1 Results"), (1, "1.1 Tin"), (2, "1.1.2 Cans"), (0, "2 Notes")]


def test_a_heading_of_two_rows_is_one() -> None:
    long = [row("The melting points of metals", 0, 16), row("and what they are good for", 18, 16)]
    rows = [*long, row(PROSE, 60), row(PROSE, 72)]
    pages = [rows, page(row("Woods", 0, 16), PROSE)]
    assert found(pages)[0] == (0, "The melting points of metals and what they are good for")


@pytest.mark.parametrize(
    "text",
    [
        "# Table 3: Melting points",  # a caption
        "# Figure 2. A can of tin",
        "# for (i = 0; i < n; i++) {",  # code
        "# x = solve(A, b)",
        "# Tin must never be heated above this temperature.",  # a sentence set in bold
        "# Note:",  # the label of a line
        "# 12.50",  # a figure
        "# and further metals",  # a line that goes on
        "# • Tin",  # an item
        "# Results .......... 12",  # an entry of a table of contents
    ],
)
def test_what_is_no_heading_though_it_is_bold(text: str) -> None:
    assert found([page(PROSE, text, PROSE, PROSE)]) == []


def test_a_line_of_its_own_in_the_bodys_type_is_no_heading() -> None:
    assert found([page(PROSE, "Kept for later", PROSE)]) == []


def test_a_bold_paragraph_is_no_heading() -> None:
    bold = [row("Tin is a soft metal that melts", 20 + 11 * k, bold=True) for k in range(5)]
    assert found([[row(PROSE, 0), *bold, row(PROSE, 100), row(PROSE, 112)]]) == []


def test_cells_beside_each_other_are_no_headings() -> None:
    cells = [row(name, 20, bold=True, left=left) for left, name in ((50, "Metal"), (200, "Melts"))]
    assert found([[row(PROSE, 0), *cells, row(PROSE, 40), row(PROSE, 52)]]) == []


def test_the_head_of_a_table_is_no_heading() -> None:
    head = replace(row("Metal\tMelts", 20, bold=True), in_table=True)
    assert found([[row(PROSE, 0), head, row(PROSE, 40), row(PROSE, 52)]]) == []


def test_what_stands_on_every_page_is_a_running_head() -> None:
    pages = [page("# The Metals Company", PROSE, f"# Part of {name}", PROSE) for name in "ABCDEF"]
    assert {title for _, title in found(pages)} == {f"Part of {name}" for name in "ABCDEF"}


def test_an_outline_is_believed_where_its_titles_stand_on_their_pages() -> None:
    pages = [page("Preface", PROSE), page("1 METALS", PROSE), page("Tin", PROSE)]
    outline = [Heading("Preface", 1), Heading("1 Metals", 2), Heading("Tin", 3, 1)]
    # The page has capitals, the outline has not: its spelling is shown.
    assert found(pages, outline) == [(0, "Preface"), (0, "1 Metals"), (1, "Tin")]


def test_a_wrong_outline_is_not_believed() -> None:
    # shared/data/pdf/outlines/mistitled-outlines.pdf: every title names another page.
    pages = [page("# Tin", PROSE, PROSE), page("# Lead", PROSE), page("# Zinc", PROSE)]
    outline = [Heading("Lead", 1), Heading("Zinc", 2), Heading("Tin", 3), Heading("Gold", 1)]
    assert found(pages, outline) == [(0, "Tin"), (0, "Lead"), (0, "Zinc")]


def test_headings_that_an_outline_lacks_stand_below_its_own() -> None:
    pages = [page("Metals", PROSE, "# Tin", PROSE), *[page(PROSE) for _ in range(9)]]
    assert found(pages, [Heading("Metals", 1)]) == [(0, "Metals"), (1, "Tin")]


def test_entries_of_a_table_of_contents_are_no_headings() -> None:
    contents = page("# 1 Tin 3", "# 2 Lead 7", "# 3 Zinc 9")
    pages = [contents, page("# 1 Tin", PROSE, PROSE), page("# 2 Lead", PROSE, PROSE)]
    assert found(pages) == [(0, "1 Tin"), (0, "2 Lead")]


def test_the_largest_words_of_the_first_page_are_the_title_and_no_section() -> None:
    pages = [
        page(row("Annual Report", 0, 24), row("Metals Inc.", 0, 20), PROSE, "# Tin", PROSE),
        page("# Lead", PROSE, PROSE),
    ]
    headings = find_headings(pages, [])
    assert headings.title == "Annual Report Metals Inc."
    assert [heading.title for heading in headings.found] == ["Tin", "Lead"]


def test_a_section_begins_where_its_heading_stands_in_the_text() -> None:
    rows = [page("# Tin", PROSE, PROSE), page("# Lead and", row("zinc", 0, bold=True), PROSE)]
    pages = (
        Page(number=1, label="1", text=f"Of Tin\nTin\n\n{PROSE}"),
        Page(number=2, label="2", text=f"Lead and zinc\n\n{PROSE}"),
    )
    document = Document(id="d", path="d.pdf", pages=pages)
    sections = sections_of(pages, find_headings(rows, []).found)
    for section in sections:
        assert document.text[section.start :].startswith(section.title)
        assert section.start == 0 or document.text[section.start - 1] == "\n"
    assert sections[0].title == "Tin"


def test_a_page_without_rows_has_no_headings() -> None:
    assert find_headings([[], []], [Heading("Tin", 1)]).found == ()
