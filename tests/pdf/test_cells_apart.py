"""Tables found by their white space: the tabs give back the grid that was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.layout import in_reading_order
from ragctx.pdf.row import Cell, Row

SIZE, WIDE = 9.0, 90.0


def piece(text: str, left: float, top: float, size: float = SIZE) -> Row:
    right = left + 0.5 * size * len(text)
    return Row(text=text, left=left, top=top, right=right, bottom=top + size, size=size)


def drawn(grid: Sequence[Sequence[str]], *, top: float = 0.0, by_column: bool = False) -> list[Row]:
    """The pieces of a grid, row by row or column by column; empty cells are not drawn."""
    cells = [
        (k if by_column else i, piece(text, WIDE * k, top + 12 * i))
        for i, row in enumerate(grid)
        for k, text in enumerate(row)
        if text
    ]
    return [made for _, made in sorted(cells, key=lambda cell: cell[0])]


def texts(pieces: Sequence[Row]) -> list[str]:
    return [row.text for row in in_reading_order(pieces)]


words = st.sampled_from(["Tin", "Lead", "232", "1,204", "30 %", "Melts at", "-265", "n/a"])
cells = words | st.just("")


@st.composite
def grids(draw: st.DrawFn) -> list[list[str]]:
    """Grids of two columns or more in which every row and column has enough to be seen."""
    width, height = draw(st.integers(2, 5)), draw(st.integers(3, 7))
    grid = [[draw(words), draw(words), *draw(_rest(width - 2))] for _ in range(height)]
    grid[0] = [draw(words) for _ in range(width)]
    grid[1] = [draw(words) for _ in range(width)]
    return grid


def _rest(width: int) -> st.SearchStrategy[list[str]]:
    return st.lists(cells, min_size=width, max_size=width)


@given(grids())
def test_a_grid_is_read_back_from_its_tabs(grid: list[list[str]]) -> None:
    assert texts(drawn(grid)) == ["\t".join(row).rstrip("\t") for row in grid]


def test_a_header_that_spans_columns_stands_over_the_first_of_them() -> None:
    over = [piece("Three months ended", WIDE + 20, 0), piece("Nine months", 3 * WIDE + 20, 0)]
    grid = [["", "2023", "2022", "2023", "2022"], ["Tin", "1.20", "1.10", "3.40", "3.30"]] * 2
    assert texts([*over, *drawn(grid, top=12)])[0] == "\tThree months ended\t\tNine months"


def test_lines_of_one_cell_become_one_line() -> None:
    # As in 10-Qs: "July 1," and below it "2023", drawn column by column.
    head = [
        made
        for k, name in enumerate(("July 1,", "June 25,"), 1)
        for made in (piece(name, WIDE * k, 0), piece("2023", WIDE * k, 10))
    ]
    rows = drawn([["Tin", "60,584", "63,355"], ["Lead", "21,213", "19,604"]], top=24)
    assert texts([*head, *rows]) == [
        "\tJuly 1, 2023\tJune 25, 2023",
        "Tin\t60,584\t63,355",
        "Lead\t21,213\t19,604",
    ]


def test_a_currency_sign_is_part_of_its_number() -> None:
    signs = [piece("$", WIDE - 14, 0), piece("$", 2 * WIDE - 14, 0)]
    rows = drawn([["Tin", "60", "63"], ["Lead", "21", "19"]])
    pieces = [rows[0], signs[0], rows[1], signs[1], *rows[2:]]
    assert texts(pieces) == ["Tin\t$ 60\t$ 63", "Lead\t21\t19"]


def test_a_label_between_rows_stays_a_line_of_its_own() -> None:
    rows = drawn([["Tin", "60", "63"], ["Net sales:"], ["Lead", "21", "19"]])
    assert texts(rows) == ["Tin\t60\t63", "Net sales:", "Lead\t21\t19"]


def test_items_and_numbered_headings_are_no_tables() -> None:
    items = [[piece("•", 0, 12 * i), piece("made of tin", 20, 12 * i)] for i in range(3)]
    assert texts([cell for row in items for cell in row]) == ["• made of tin"] * 3
    numbers = [[piece(f"1.{i}", 0, 40 * i), piece("Of tin", 30, 40 * i)] for i in range(3)]
    assert texts([cell for row in numbers for cell in row]) == [f"1.{i} Of tin" for i in range(3)]


def test_columns_of_prose_are_no_table() -> None:
    line = "Tin is a soft metal that melts at a low temperature, used for cans"
    rows = [piece(line, left, 12 * i) for i in range(4) for left in (0.0, 330.0)]
    assert not any("\t" in text for text in texts(rows))


def test_justified_lines_with_wide_gaps_are_no_table() -> None:
    # Two lines of a Korean contract became a table, for their spaces were wider than letters.
    def line(*words: str, top: float) -> list[Row]:
        length = sum(map(len, words)) * 0.5 * SIZE
        gap = (360 - length) / (len(words) - 1)
        left, pieces = 0.0, []
        for word in words:
            pieces.append(piece(word, left, top))
            left = pieces[-1].right + gap
        return pieces

    first = line(
        "an insurance contract between the insured person", "and", "the insurer covers", top=0
    )
    second = line(
        "the risk of an accident during the period for", "which", "premiums were paid", top=12
    )
    assert "\t" not in "".join(texts([*first, *second]))


def test_words_of_prose_never_get_a_tab() -> None:
    rows = [
        piece("Tin is a soft metal that melts at a low temperature", 0, 12 * i) for i in range(9)
    ]
    assert not any("\t" in text for text in texts(rows))


@given(grids(), st.integers(0, 3))
def test_nothing_is_lost_or_added(grid: list[list[str]], turn: int) -> None:
    pieces = [replace(made, turn=turn) for made in drawn(grid)]
    read = " ".join(texts(pieces)).split()
    assert sorted(read) == sorted(" ".join(made.text for made in pieces).split())


def test_leaders_are_gaps_between_cells() -> None:
    # A tax form set its dots so wide apart that each of them was a cell.
    label = [piece("23", 0, 0), piece("Educator expenses", 20, 0)]
    dots = [piece(".", 120 + 12 * i, 0) for i in range(8)]
    rows = drawn([["24", "Moving", "24"], ["25", "Savings", "25"]], top=12)
    assert texts([*label, *dots, piece("23", 2 * WIDE + 60, 0), *rows])[0].count(".") == 0
    names = ("1 Tin . . . . . . 3", "2 Tan . . . . . . 7")
    led = [piece(name, 0, 12 * i) for i, name in enumerate(names)]
    ends = [piece("x", 200, 12 * i) for i in range(2)]
    rows = [part for pair in zip(led, ends, strict=True) for part in pair]
    assert texts(rows)[0] == "1 Tin\t3\tx"


def test_three_dots_that_stand_for_words_stay() -> None:
    lines = (("spans words x . . . y of it", "a"), ("for x = 0, 1, 2, . . ..", "b"))
    rows = [
        piece(text, 200 * k, 12 * i) for i, line in enumerate(lines) for k, text in enumerate(line)
    ]
    assert [text.count(".") for text in texts(rows)] == [3, 4]


def test_a_cell_that_was_wrapped_is_one_row_with_its_figures() -> None:
    rows = [
        *[piece(text, left, -10) for text, left in (("2023", 3 * WIDE), ("2022", 4 * WIDE))],
        piece("Net income attributable to the", 0, 0),
        piece("common stockholders", 0, 10),
        piece("60", 3 * WIDE, 10),
        piece("63", 4 * WIDE, 10),
        *[piece(text, left, 20) for text, left in (("Tin", 0), ("7", 3 * WIDE), ("9", 4 * WIDE))],
    ]
    assert texts(rows)[1] == "Net income attributable to the common stockholders\t60\t63"
    commands = drawn([["ls", "lists"], ["cd", "changes"], ["mv", "moves"]])
    assert texts(commands) == ["ls\tlists", "cd\tchanges", "mv\tmoves"]


def _tight(*texts: str, top: float, left: float = 75.0) -> Row:
    """A piece that was drawn in one go, its words half an em apart."""
    parts = [Cell(left + 25 * k, left + 25 * k + 20, text) for k, text in enumerate(texts)]
    whole, right = " ".join(texts), parts[-1].right
    cells = (Cell(left, right, whole, tuple(parts)),)
    return replace(piece(whole, left, top), right=right, cells=cells)


def test_figures_that_stand_close_are_cells() -> None:
    # In a paper, the columns of a table two thirds of an em apart were one cell.
    head = [piece("Model", 0, 0), _tight("P", "R", "F1", top=0)]
    rows = [
        made
        for i, name in enumerate("abc", 1)
        for made in (piece(name, 0, 12 * i), _tight("0.62", "0.58", "–", top=12 * i))
    ]
    read = texts([*head, *rows])
    assert read == ["Model\tP\tR\tF1", *[f"{name}\t0.62\t0.58\t–" for name in "abc"]]


def test_words_that_stand_as_close_are_not() -> None:
    rows = [_tight("lines", "of", "text", "set", "wide", top=12 * i) for i in range(3)]
    assert not any("\t" in text for text in texts(rows))


def test_a_line_with_even_gaps_is_justified_and_a_head_over_its_columns_is_not() -> None:
    words = ("religious", "belief,", "practice,", "or", "observance”),", "available")
    left, line = 0.0, []
    for word in words:
        line.append(piece(word, left, 0))
        left = line[-1].right + 40
    other = drawn([["Tin", "232"], ["Lead", "327"]], top=40)
    assert texts([*line, *other])[0] == " ".join(words)
    under = [piece("1", cell.left, 12) for cell in line]
    assert texts([*line, *under])[0] == "\t".join(words)
