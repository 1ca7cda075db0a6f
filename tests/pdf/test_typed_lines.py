"""Lines of code are lines, however long; typed prose is put together as other prose is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from tests.support.pdf_files import lines, write

TEXT = (
    "The plot, set and unset commands may have an iteration clause, which has the effect of",
    "executing the basic command several times, each time with another value of the variable.",
)
CODE = (
    'plot for [name in "A.dat B.dat C.dat"] name using 1:2 with lines',
    'plot for [base in "A B C"] base.".dat" using 1:2 with lines',
    "{",
    'set for [i = 1:10] style line i lc rgb "blue"',
    "# see https://docs.example.org/reference/",
    "unset for [tag = 100:200] label tag",
)
PROSE = (
    "The above-entitled matter came on for oral argument before",
    "the court at one in the afternoon, and counsel were asked",
    "whether they had read the record that was sent to them in",
    "the week before. They had.",
)


def typed(content: bytes, folder: Path, name: bytes = b"Courier") -> str:
    """The text of a page on which /F2 is a typewriter's font."""
    path = write(folder / "typed.pdf", [content])
    font = b"/Font<</F2<</Type/Font/Subtype/Type1/BaseFont/%s>>/F1 3 0 R" % name
    path.write_bytes(path.read_bytes().replace(b"/Font<</F1 3 0 R", font))
    return read_pdf(path).text


def in_courier(*texts: str, x: float, y: float) -> bytes:
    return lines(*texts, x=x, y=y).replace(b"/F1", b"/F2")


@pytest.mark.parametrize("before", [TEXT, ()])
def test_lines_of_code_are_lines(before: tuple[str, ...], tmp_path: Path) -> None:
    # Two of nearly one length were joined, a brace to the line below it, a URL to its next line.
    page = lines(*before) + in_courier(*CODE, x=92, y=676)
    assert typed(page, tmp_path).split("\n")[-len(CODE) :] == list(CODE)


def test_a_line_of_code_that_had_no_room_goes_on(tmp_path: Path) -> None:
    long = "ragctx ask --index indexes/manuals --budget 2000 --grounded"
    page = lines(*TEXT) + in_courier(long, "--placement edges", "ragctx serve", x=72, y=676)
    said = typed(page, tmp_path).split("\n")
    assert said[-2].endswith(f"{long} --placement edges") and said[-1] == "ragctx serve"


def test_a_statement_that_fills_its_line_ends_there(tmp_path: Path) -> None:
    long = "unshift(@command, split(/,/, $ENV{GAIN_ROOT_COMMAND}), @options);"
    page = lines(*TEXT) + in_courier(long, "system(@cmd) == 0", "exit", x=72, y=640)
    assert typed(page, tmp_path).split("\n")[-3:] == [long, "system(@cmd) == 0", "exit"]


def test_typed_prose_is_put_together(tmp_path: Path) -> None:
    assert typed(in_courier(*PROSE, x=72, y=700), tmp_path) == " ".join(PROSE)


def test_a_typed_heading_of_two_lines_is_one(tmp_path: Path) -> None:
    heads = "Fields: Build-Depends, Build-Depends-Indep,", "Build-Conflicts-Indep"
    page = lines(*heads, y=740, size=14, step=17).replace(b"/F1", b"/F2") + lines(*TEXT)
    assert typed(page, tmp_path, b"Courier-Bold").startswith(" ".join(heads))
