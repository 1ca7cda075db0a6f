"""Runs of letters: the quick way gives what going from letter to letter gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ragctx.pdf.geometry import Frame
from ragctx.pdf.messages import quietly
from ragctx.pdf.pdfium_calls import address, is_made_up
from ragctx.pdf.pdfium_page import frame_of, with_fields_drawn
from ragctx.pdf.pdfium_reader import open_document
from ragctx.pdf.pdfium_runs import (
    Before,
    Run,
    Sheet,
    _boxes,
    _several_runs,
    _Word,
    codes_of,
    runs,
)
from ragctx.pdf.pdfium_text_objects import TextObjects

CASES = Path(__file__).parent / "cases"
SAMPLES = Path(__file__).parents[2] / "examples" / "samples"
FILES = sorted([*CASES.glob("*.pdf"), *SAMPLES.glob("*.pdf")])


def one_by_one(sheet: Sheet, codes: str) -> Iterator[Run]:
    """The runs, letter by letter, and what is before each, space by space."""
    textpage = address(sheet.textpage.raw)
    strengths: list[Before] = ["", "guessed", "drawn", "line"]
    before: Before = "line"
    for match in re.finditer(r"(\s*)(\S+)", codes):
        for k in range(match.start(1), match.end(1)):
            drawn: Before = "guessed" if is_made_up(textpage, k) == 1 else "drawn"
            found: Before = "line" if codes[k] in "\r\n" else drawn
            before = max(before, found, key=strengths.index)
        numbers = range(*match.span(2))
        boxes = _boxes(textpage, numbers, len(numbers))
        for run in _several_runs(sheet, _Word(match[2], numbers[0], boxes), before):
            yield run
            before = ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_runs_are_those_found_letter_by_letter(path: Path) -> None:
    document = open_document(str(path), None)
    for i in range(min(len(document), 8)):
        opened = quietly(partial(with_fields_drawn, document, i), None)
        if opened is None:  # a page that its file does not have
            continue
        page = opened.page
        textpage = page.get_textpage()
        codes = codes_of(textpage, textpage.count_chars())
        frame = frame_of(page)
        left, bottom, right, top = frame.shown
        smaller = left + 0.3 * (right - left), bottom, right, top - 0.2 * (top - bottom)
        for shown in (frame.shown, smaller):  # words outside, and words cut through
            whole = Frame(shown=shown, turn=frame.turn)
            quick = runs(Sheet(textpage, whole, TextObjects(textpage)), codes, 0)
            slow = list(one_by_one(Sheet(textpage, whole, TextObjects(textpage)), codes))
            assert quick == slow
