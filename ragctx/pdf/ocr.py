"""Pages without sound text are read from their picture (OCR), by an engine of your choice.

A page is drawn by the process that reads PDFs, under its limits; the engine sees a picture of
bounded size, and never the file. What it gives are lines with places, which are put in order as
those of any other page are.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

from ragctx.arguments import require_kind
from ragctx.errors import PdfError
from ragctx.pdf.columns import IN_NO_ORDER, in_columns
from ragctx.pdf.document import gives_no_text
from ragctx.pdf.geometry import Box, Frame, along_line
from ragctx.pdf.looking import look_at
from ragctx.pdf.process import Limits
from ragctx.pdf.reading import GlyphLine, Line, OnPage, PageText, Picture, Reading
from ragctx.pdf.row import Row

SCALE = 200 / 72
"""Pixels a point of the picture that an engine reads: 200 an inch, as scanners have."""
LEAST_SIDE = 1000
"""Pixels: the longer side of the picture of a page that is told to be very small."""
MAX_SCALE = 400.0
_LEAST_CONFIDENCE = 0.5
"""Lines that are less certain are specks and ornaments more often than words. Chosen by hand."""
_HEIGHT_OF_TYPE = 0.8
"""The font size, as a share of the height of a line's box."""
_AS_TALL, _SHIFTS = 0.12, 3
"""A share of a line's height: others that differ by less may be of the same size of type; and how
often their mean is taken in its place. Chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrLine:
    """A line of text in a picture: its box in pixels (left, top, right, bottom), how certain it is.

    `turn` counts quarter turns, counter-clockwise, against the picture.
    """

    text: str
    box: Box
    confidence: float  # 0 to 1
    turn: int = 0


class OcrEngine(Protocol):
    """Reads text in pictures."""

    def read(self, png: bytes) -> Sequence[OcrLine]:
        """The lines of text in a PNG file, in any order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ocr:
    """Which engine reads pages, and whether also those that have sound text."""

    engine: OcrEngine
    every_page: bool = False


def with_ocr(
    reading: Reading,
    ocr: Ocr,
    path: Path,
    *,
    only: int | None = None,
    password: str | None = None,
    limits: Limits,
    on_page: OnPage | None = None,
) -> Reading:
    """The reading with the pages that OCR is for, or `only` one of them, as the engine read them.

    A page of which the engine makes nothing stays as it is; so do those left when
    `Limits.ocr_timeout_s` is over. `on_page` is called for each page that was tried.
    """
    require_kind("ocr", ocr, Ocr, "give Ocr(engine=ragctx.pdf.rapidocr_engine.RapidOcr())")
    deadline = time.monotonic() + limits.ocr_timeout_s
    for i, page in sorted(reading.pages.items()):
        if only not in (None, i) or not (ocr.every_page or gives_no_text(page)):
            continue
        if time.monotonic() > deadline:
            reading.warnings.append(
                f"OCR took longer than the {limits.ocr_timeout_s:g} s it may take; the pages from "
                f"{i + 1} on were not read by it"
            )
            break
        try:
            seen = _read_by_ocr(path, page, ocr.engine, password, limits)
        except PdfError as error:
            reading.warnings.append(f"page {i + 1}: no OCR: {error}")
            continue
        if seen is not None:
            reading.pages[i] = seen
        if on_page is not None:
            on_page(i + 1, reading.count)
    return reading


def glyph_lines(
    ocr: Ocr,
    path: str | Path,
    page: int,
    *,
    password: str | None = None,
    limits: Limits | None = None,
) -> tuple[GlyphLine, ...]:
    """The lines that OCR reads on a page, from 1, in reading order, and about where each sign is.

    Raises PdfError and InputError as `page_image.page_image` does.
    """
    _, picture = _picture(path, page, password, limits)
    return tuple(
        _glyph_line(line, picture.scale) for line in _by_columns(_certain(ocr.engine, picture))
    )


def _glyph_line(line: OcrLine, scale: float) -> GlyphLine:
    """The line's box in points, shared out among its signs as print does, about."""
    widths = [_width(sign) for sign in line.text]
    edges = [done / max(1, sum(widths)) for done in accumulate(widths, initial=0)]
    left, top, right, bottom = (edge / scale for edge in _along(line))
    wide = right - left
    boxes = (
        _in_picture((left + a * wide, top, left + b * wide, bottom), line.turn)
        for a, b in pairwise(edges)
    )
    return GlyphLine(text=tuple(line.text), boxes=tuple(boxes))


def _width(sign: str) -> float:
    """How wide a sign is, beside a small letter of most faces."""
    if unicodedata.east_asian_width(sign) in "WF":
        return 2.2
    if sign in "iljtfrI.,;:'!|()[] ":
        return 0.6
    if sign in "mwMW—":
        return 1.7
    return 1.35 if sign.isupper() else 1.0


def _certain(engine: OcrEngine, picture: Picture) -> list[OcrLine]:
    return [line for line in engine.read(picture.png) if line.confidence >= _LEAST_CONFIDENCE]


def _read_by_ocr(
    path: Path, page: PageText, engine: OcrEngine, password: str | None, limits: Limits
) -> PageText | None:
    """The page as the engine reads it; None if it finds nothing there."""
    frame, picture = _picture(path, page.page + 1, password, limits)
    lines = _certain(engine, picture)
    if not lines:
        return None
    letters = [len(line.text) for line in lines]
    certain = sum(line.confidence * n for line, n in zip(lines, letters, strict=True))
    return replace(
        page,
        reader="ocr",
        text=None,
        lines=tuple(_lines(lines, picture.scale, frame)),
        lost_lines=(),
        lost=0,
        pictures=False,
        stamped=False,
        glyphs_only=False,
        doubtful=False,
        confidence=certain / max(1, sum(letters)),
    )


def _picture(
    path: str | Path, number: int, password: str | None, limits: Limits | None
) -> tuple[Frame, Picture]:
    """The page's picture, larger for a page that is told to be tiny."""
    look = look_at(path, number, scale=SCALE, password=password, limits=limits)
    side = max(look.picture.width, look.picture.height)
    if side < LEAST_SIDE:
        scale = min(MAX_SCALE, SCALE * LEAST_SIDE / side)
        look = look_at(path, number, scale=scale, password=password, limits=limits)
    return look.frame, look.picture


def _lines(lines: Sequence[OcrLine], scale: float, frame: Frame) -> Iterator[Line]:
    """The engine's lines as a program would draw them, along the line of text, in points."""
    ordered = _by_columns(lines)
    for line, height in zip(ordered, even_heights(ordered), strict=True):
        left, top, right, bottom = (edge / scale for edge in line.box)
        turn = (line.turn + frame.turn) % 4
        x0, y0, x1, y1 = along_line(frame.from_shown((left, top, right, bottom)), turn)
        yield Line(
            text=line.text,
            turn=line.turn,
            left=x0,
            top=y0,
            right=x1,
            bottom=y1,
            size=_HEIGHT_OF_TYPE * height / scale,
        )


def even_heights(lines: Sequence[OcrLine]) -> list[float]:
    """The heights of lines of type, in pixels: those of lines of one size of type are about equal.

    A box is as tall as the letters in it, and a line without tall ones would be of smaller type: it
    is told to be as tall as the mean letter of lines nearly as tall (a few steps of mean shift).

    >>> def line(text: str, tall: float) -> OcrLine:
    ...     return OcrLine(text=text, box=(0, 0, 9, tall), confidence=1)
    >>> even_heights([line("Heading", 50), line("some lines", 28), line("do more so", 26)])
    [50.0, 27.0, 27.0]
    """
    heights = [bottom - top for _, top, _, bottom in map(_along, lines)]
    known = [(tall, len(line.text) + 1) for tall, line in zip(heights, lines, strict=True)]
    even = {tall: tall for tall in heights}
    for tall in even:
        for _ in range(_SHIFTS):
            low, high = even[tall] * (1 - _AS_TALL), even[tall] * (1 + _AS_TALL)
            near = [(one, letters) for one, letters in known if low <= one <= high]
            if near:
                total = sum(one * letters for one, letters in near)
                even[tall] = total / sum(letters for _, letters in near)
    return [even[tall] for tall in heights]


def _by_columns(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """The lines column by column, those turned one way together: as a program would draw them."""
    ordered: list[OcrLine] = []
    for turn in sorted({line.turn for line in lines}):
        rows = [(_row(line), line) for line in lines if line.turn == turn]
        line_of = {id(row): line for row, line in rows}
        ordered += [line_of[id(row)] for row in in_columns(_by_rows(rows), IN_NO_ORDER)]
    return ordered


def _by_rows(lines: Sequence[tuple[Row, OcrLine]]) -> list[Row]:
    """The lines row by row, and from left to right."""
    rows: list[list[Row]] = []
    for row in sorted((row for row, _ in lines), key=lambda row: row.top + row.bottom):
        if rows and row.top + row.bottom < 2 * rows[-1][0].bottom:
            rows[-1].append(row)
        else:
            rows.append([row])
    return [row for beside in rows for row in sorted(beside, key=lambda row: row.left)]


def _row(line: OcrLine) -> Row:
    left, top, right, bottom = _along(line)
    return Row(
        text=line.text,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        size=max(1.0, _HEIGHT_OF_TYPE * (bottom - top)),
    )


def _along(line: OcrLine) -> Box:
    """The line's box, right and down along its text."""
    left, top, right, bottom = line.box
    turned: tuple[Box, ...] = (
        line.box,
        (-bottom, left, -top, right),
        (-right, -bottom, -left, -top),
        (top, -right, bottom, -left),
    )
    return turned[line.turn % 4]


def _in_picture(box: Box, turn: int) -> Box:
    """A box along a line that is turned so, in the picture: `_along` undone."""
    left, top, right, bottom = box
    turned: tuple[Box, ...] = (
        box,
        (top, -right, bottom, -left),
        (-right, -bottom, -left, -top),
        (-bottom, left, -top, right),
    )
    return turned[turn % 4]
