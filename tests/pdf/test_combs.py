"""Letters in the boxes of a comb are one word; those of tables and choices stay apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.combs import with_combs_whole
from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Cell, Row
from tests.support.pdf_files import lines, write


def boxes(letters: str, y: float, *, x: float = 150, step: float = 16) -> bytes:
    """Content: a letter in each box of a row."""
    drawn = (
        b"%g %g %g %g re S\n" % (x + step * k - 5, y - 4, step, step)
        + lines(letter, x=x + step * k, y=y)
        for k, letter in enumerate(letters)
    )
    return b"".join(drawn)


def text_of(content: bytes, folder: Path) -> str:
    return read_pdf(write(folder / "a.pdf", [content])).text


def test_a_number_with_a_digit_to_a_box_is_one_number(tmp_path: Path) -> None:
    # "What is the IBAN?" had no answer: it was a row of 22 cells.
    iban, born = "DE89370400440532013000", "12051987"
    content = lines("IBAN:", y=700) + boxes(iban, 700) + lines("Date of birth:", y=640)
    said = text_of(content + boxes(born, 640, step=18), tmp_path)
    assert said.split() == ["IBAN:", iban, "Date", "of", "birth:", born]


@pytest.mark.parametrize("letters", ["12345", "54321", "ABCDE", "1 3", "80"])
def test_choices_and_a_few_letters_stay_apart(letters: str, tmp_path: Path) -> None:
    said = text_of(lines("How good was it?", y=700) + boxes(letters, 700, x=250), tmp_path)
    assert said.split() == ["How", "good", "was", "it?", *letters.replace(" ", "")]


def test_a_table_of_single_figures_keeps_its_cells(tmp_path: Path) -> None:
    rows = ("MTWTFSS", "3107204", "5190086")
    said = text_of(
        b"".join(boxes(row, 700 - 16 * i, step=22) for i, row in enumerate(rows)), tmp_path
    )
    assert said.split("\n") == ["\t".join(row) for row in rows]


WORDS = st.lists(
    st.tuples(st.integers(1, 30), st.text("aZ19.", min_size=1, max_size=2)), max_size=9
)


@given(st.lists(WORDS, max_size=5))
def test_no_letter_is_lost(drawn: list[list[tuple[int, str]]]) -> None:
    rows = []
    for i, words in enumerate(drawn):
        cells, x = [], 0.0
        for gap, text in words:
            cells.append(Cell(x, x + 5 * len(text), text))
            x += 5 * len(text) + gap
        text = " ".join(cell.text for cell in cells)
        place = {"left": 0.0, "right": x, "top": 12.0 * i, "bottom": 12.0 * i + 9}
        rows.append(Row(text=text, size=9, cells=tuple(cells), **place))
    for before, after in zip(rows, with_combs_whole(rows), strict=True):
        assert after.text.replace(" ", "") == before.text.replace(" ", "")
        assert after.text == " ".join(cell.text for cell in after.cells)
