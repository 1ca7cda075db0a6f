"""A page as a picture, and where on it a quote is."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError, PdfError
from ragctx.pdf.geometry import Box, Frame, along_line, on_page
from ragctx.pdf.messages import MAX_PICTURE_PIXELS
from ragctx.pdf.page_image import PageImage, page_image, quote_boxes
from ragctx.pdf.png import png_of
from ragctx.pdf.process import Limits
from ragctx.pdf.reading import event_of
from tests.support.paths import SAMPLES
from tests.support.pdf_files import document, lines

PAPER = SAMPLES / "tidal-energy-paper.pdf"

edges = st.integers(-1000, 1000)
boxes = st.tuples(edges, edges, edges, edges).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)


def pixel(image: PageImage, x: float, y: float) -> tuple[int, int, int]:
    """The colour at a point of the page."""
    data, start = image.png, image.png.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    rows = zlib.decompress(data[start + 4 : start + 4 + length])
    at = int(y * image.scale) * (1 + 3 * image.width) + 1 + 3 * int(x * image.scale)
    red, green, blue = rows[at : at + 3]
    return red, green, blue


def of(content: bytes, folder: Path, **more: bytes) -> Path:
    path = folder / "page.pdf"
    path.write_bytes(document([content], **more))
    return path


# --- geometry


@given(boxes, boxes, st.integers(0, 3))
def test_as_shown_and_back(shown: Box, box: Box, turn: int) -> None:
    frame = Frame(shown=shown, turn=turn)
    assert frame.from_shown(frame.as_shown(box)) == box
    left, top, right, bottom = frame.as_shown(shown)
    assert (left, top, right, bottom) == (0, 0, frame.width, frame.height)


@given(boxes, st.integers(0, 3))
def test_along_a_line_and_back(box: Box, turn: int) -> None:
    assert on_page(along_line(box, turn), turn) == box


# --- quotes on pages


def test_a_quote_is_where_it_was_drawn(tmp_path: Path) -> None:
    path = of(lines("The pump is oiled", "every two weeks.", size=10), tmp_path)
    (first, second) = quote_boxes(path, 1, "oiled every two")
    assert 72 < first[0] < first[2] < 200 and first[1] < 92 < first[3]  # 792 - 700: its baseline
    assert second[0] == pytest.approx(72, abs=1) and second[1] < 104 < second[3]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_quote_on_a_turned_page_is_where_it_is_shown(tmp_path: Path, turn: int) -> None:
    path = of(lines("The pump", size=10), tmp_path, page=b"/Rotate %d" % turn)
    ((left, top, right, bottom),) = quote_boxes(path, 1, "pump")
    x, y = (left + right) / 2, (top + bottom) / 2  # about (105, 697) of 612 x 792 points
    expected = {90: (697, 105), 180: (612 - 105, 697), 270: (792 - 697, 612 - 105)}[turn]
    assert (x, y) == pytest.approx(expected, abs=12)
    assert pixel(page_image(path, 1, quote="pump"), left + 1, top + 1) != (255, 255, 255)


def test_a_quote_is_marked_within_the_crop_box(tmp_path: Path) -> None:
    path = of(lines("The pump"), tmp_path, page=b"/CropBox[50 600 300 750]")
    image = page_image(path, 1, quote="pump", scale=2)
    ((left, top, right, bottom),) = image.boxes
    assert (image.width, image.height) == (500, 300)
    assert pixel(image, (left + right) / 2, top + 0.5) == (255, 236, 80)
    assert pixel(image, left, bottom + 10) == (255, 255, 255)


def test_a_hyphen_that_reading_joined_is_no_hindrance() -> None:
    boxes = quote_boxes(PAPER, 1, "with spring currents of up to 3.4 metres per second")
    assert len(boxes) == 2 and boxes[0][1] < boxes[1][1]


def test_a_quote_that_is_not_there_marks_nothing() -> None:
    image = page_image(PAPER, 1, quote="the strait of nowhere", scale=0.5)
    assert image.boxes == () and image.png.startswith(b"\x89PNG")


# --- limits


def test_a_huge_page_makes_no_huge_picture(tmp_path: Path) -> None:
    wide = document([lines("Poster")]).replace(b"[0 0 612 792]", b"[0 0 14400 14400]")
    (tmp_path / "poster.pdf").write_bytes(wide)
    image = page_image(tmp_path / "poster.pdf", 1, scale=8)
    assert image.width * image.height <= 1.01 * MAX_PICTURE_PIXELS
    assert image.scale == pytest.approx(image.width / 14400)


def test_errors_name_the_page_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"paper.pdf has no page 99; its pages are 1 to "):
        page_image(PAPER, 99)
    with pytest.raises(InputError, match="page is 0"):
        page_image(PAPER, 0)
    with pytest.raises(InputError, match="scale is 0"):
        page_image(PAPER, 1, scale=0)
    (tmp_path / "a.pdf").write_bytes(b"nothing")
    with pytest.raises(PdfError, match="not a PDF"):
        page_image(tmp_path / "a.pdf", 1)
    with pytest.raises(PdfError, match="more than the 10 allowed"):
        page_image(PAPER, 1, limits=Limits(max_file_bytes=10))


def test_pictures_that_are_none_are_no_messages() -> None:
    png = base64.b64encode(png_of(bytes(3), 1, 1, 3)).decode()
    message = {"kind": "picture", "page": 0, "width": 1, "height": 1, "scale": 1.0, "png": png}
    assert event_of(json.dumps(message).encode()) is not None
    for change in ({"png": "AAAA"}, {"png": "?"}, {"width": 0}, {"scale": "NaN"}, {"page": None}):
        assert event_of(json.dumps({**message, **change}).encode()) is None
    sheet = {"kind": "sheet", "page": 0, "shown": [0, 0, 9, 9], "turn": 0, "lines": []}
    assert event_of(json.dumps(sheet).encode()) is not None
    line = {"text": ["a"], "boxes": []}
    for change in ({"turn": 7}, {"shown": [0, 0, 9]}, {"lines": [line]}, {"lines": 3}):
        assert event_of(json.dumps({**sheet, **change}).encode()) is None
