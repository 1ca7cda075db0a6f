"""What RapidOCR finds, as lines: straight, and with the turned ones marked."""

from __future__ import annotations

import math

import pytest

from ragctx.pdf.ocr import OcrLine
from ragctx.pdf.rapidocr_engine import _lines, _turned

Corners = list[tuple[float, float]]


def corners(left: float, top: float, right: float, bottom: float, degrees: float = 0) -> Corners:
    turn = math.radians(degrees)
    return [
        (math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y)
        for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]


@pytest.mark.parametrize("degrees", [-3, 0, 2])
def test_a_page_that_was_scanned_askew_is_set_straight(degrees: float) -> None:
    boxes = [corners(100, y, 700, y + 20, degrees) for y in (100, 140, 180)]
    lines = list(_lines(boxes, ["one line", "and", "another"], [0.9] * 3))
    assert [line.box for line in lines] == [
        pytest.approx((100, y, 700, y + 20), abs=1e-6) for y in (100, 140, 180)
    ]
    assert {line.turn for line in lines} == {0}


def test_a_line_that_runs_down_the_page_is_turned() -> None:
    (line,) = _lines([corners(10, 10, 30, 400)], ["downwards"], [0.9])
    assert line.turn == 3


def test_a_line_that_was_read_upside_down_is_where_it_is_in_the_picture() -> None:
    line = OcrLine(text="upwards", box=(10, 20, 60, 40), confidence=0.9)
    turned = _turned(line, 100, 200)
    assert (turned.box, turned.turn) == ((40, 160, 90, 180), 2)
    assert _turned(turned, 100, 200) == line
