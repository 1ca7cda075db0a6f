"""Pictures of pages, drawn by pdfium, with marks over them.

Marks are added to the page as objects of its own before it is drawn, so that pdfium also writes
their labels, and sees to it that text shows through.
"""

from __future__ import annotations

import base64
import ctypes
import math
from collections.abc import Sequence
from typing import Any

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Frame
from ragctx.pdf.messages import MAX_PICTURE_PIXELS, MarkMessage, PictureMessage
from ragctx.pdf.pdfium_page import frame_of
from ragctx.pdf.png import png_of

MAX_SIDE = 16_000
"""Pixels of the longer side: programs that show pictures refuse longer ones."""
LABEL_PT = 6.0
"""Font size of labels: smaller than text, and still read in a picture of 1.5 pixels a point."""
_LABEL_EM = 0.56
"""Em: the width of a figure in Helvetica."""
_OUTLINE_PT = 0.5


def draw(document: Any, i: int, scale: float, marks: Sequence[MarkMessage]) -> PictureMessage:
    """Page i, counted from 0, as a picture of at most `MAX_PICTURE_PIXELS`, with marks over it."""
    page = document[i]
    frame = frame_of(page)
    for mark in marks:
        _add_box(page, frame, mark)
        if mark["label"]:
            _add_label(document, page, frame, mark)
    width, height = (max(1.0, side) for side in page.get_size())
    most = min(math.sqrt(MAX_PICTURE_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    scale = min(scale, most)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    png = png_of(bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride)
    return {
        "kind": "picture",
        "page": i,
        "width": bitmap.width,
        "height": bitmap.height,
        "scale": bitmap.width / width,
        "png": base64.b64encode(png).decode("ascii"),
    }


def _add_box(page: Any, frame: Frame, mark: MarkMessage) -> None:
    x0, y0, x1, y1 = mark["box"]
    left, bottom, right, top = frame.from_shown((x0, y0, x1, y1))
    box = raw.FPDFPageObj_CreateNewRect(left, bottom, right - left, top - bottom)
    red, green, blue = mark["colour"]
    if mark["filled"]:
        raw.FPDFPageObj_SetFillColor(box, red, green, blue, 255)
        raw.FPDFPageObj_SetBlendMode(box, b"Multiply")  # as a marker does: what is dark stays
        raw.FPDFPath_SetDrawMode(box, raw.FPDF_FILLMODE_WINDING, 0)
    else:
        raw.FPDFPageObj_SetStrokeColor(box, red, green, blue, 255)
        raw.FPDFPageObj_SetStrokeWidth(box, _OUTLINE_PT)
        raw.FPDFPath_SetDrawMode(box, raw.FPDF_FILLMODE_NONE, 1)
    raw.FPDFPage_InsertObject(page, box)


def _add_label(document: Any, page: Any, frame: Frame, mark: MarkMessage) -> None:
    """Write the label to the left of the box, or within it at the page's edge, upright as shown."""
    left, top, _, bottom = mark["box"]
    x = max(0.0, left - LABEL_PT * (_LABEL_EM * len(mark["label"]) + 0.2))
    y = (top + bottom) / 2 + 0.35 * LABEL_PT
    at_x, at_y, _, _ = frame.from_shown((x, y, x, y))
    text = raw.FPDFPageObj_NewTextObj(document, b"Helvetica", LABEL_PT)
    units = ctypes.create_string_buffer(mark["label"].encode("utf-16-le") + b"\0")
    raw.FPDFText_SetText(text, ctypes.cast(units, ctypes.POINTER(ctypes.c_ushort)))
    raw.FPDFPageObj_SetFillColor(text, *mark["colour"], 255)
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[frame.turn % 4]
    raw.FPDFPageObj_Transform(text, *(cosine, sine, -sine, cosine), at_x, at_y)
    raw.FPDFPage_InsertObject(page, text)
