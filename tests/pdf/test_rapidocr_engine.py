"""What RapidOCR finds, as lines: straight, and with the turned ones marked."""

from __future__ import annotations

import io
import math
from types import SimpleNamespace

import pytest

from ragctx.pdf.ocr import Ocr, OcrLine
from ragctx.pdf.rapidocr_engine import RapidOcr, _lines, _turned
from ragctx.pdf.read import read_pdf
from tests.support.paths import SHARED

SCAN = SHARED / "data" / "pdf" / "scanned" / "jbig2-scan.pdf"
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


def test_a_picture_in_which_nothing_is_found_is_read_at_half_its_size() -> None:
    pytest.importorskip("rapidocr", reason="the extra ragctx[ocr] is not installed")
    image = pytest.importorskip("PIL.Image")
    seen: list[tuple[int, int]] = []

    def model(png: bytes, use_cls: bool) -> SimpleNamespace:
        size = image.open(io.BytesIO(png)).size
        seen.append(size)
        if size[0] > 99:
            return SimpleNamespace(boxes=None, txts=None, scores=None)
        return SimpleNamespace(boxes=[corners(10, 20, 40, 30)], txts=["help"], scores=[0.9])

    engine = RapidOcr()
    engine.__dict__["_model"] = model
    picture = io.BytesIO()
    image.new("L", (120, 200), 255).save(picture, "PNG")
    (line,) = engine.read(picture.getvalue())
    assert line.box == pytest.approx((20, 40, 80, 60)) and seen == [(120, 200), (60, 100)]


@pytest.mark.slow
@pytest.mark.skipif(not SCAN.is_file(), reason="needs the real PDFs in ../shared/data/pdf")
def test_a_few_words_on_a_large_page_are_found() -> None:
    """Of a caricature: the detector finds nothing in it, but does when it is half as large."""
    pytest.importorskip("rapidocr", reason="the extra ragctx[ocr] is not installed")
    read = read_pdf(SCAN, ocr=Ocr(engine=RapidOcr()))
    assert read.status == "ocr" and "Doesn't" in read.text
