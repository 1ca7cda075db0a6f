"""A page as a picture, with a quote marked on it: what a person checks an answer against.

Like reading, drawing is done by another process, under limits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ragctx.arguments import require_kind, require_number, require_whole
from ragctx.errors import InputError, PdfError
from ragctx.pdf.geometry import Box, Frame
from ragctx.pdf.messages import MarkMessage
from ragctx.pdf.opening import first_bytes, require_pdf, why_unread
from ragctx.pdf.process import Limits, Request, read
from ragctx.pdf.quotes import boxes_of
from ragctx.pdf.reading import Picture, Reading, Sheet

SCALE = 2.0
"""Pixels a point unless told otherwise: 144 an inch, sharp on any screen."""
_YELLOW = (255, 236, 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """A picture of a page.

    `scale` is in pixels a point, less than was asked for where the picture would have been too
    large. `boxes` are the boxes of the quote, in points from the upper left corner: left, top,
    right, bottom. A point is at `scale` times as many pixels.
    """

    png: bytes = field(repr=False)
    width: int  # in pixels
    height: int
    scale: float
    boxes: tuple[Box, ...] = ()


class Mark(NamedTuple):
    """A box to draw over a page, with a label beside it or none, filled or only outlined."""

    box: Box
    label: str
    colour: tuple[int, int, int]  # red, green, blue: 0 to 255
    filled: bool = False

    def as_message(self) -> MarkMessage:
        """What the process that draws is told."""
        return {
            "box": list(self.box),
            "label": self.label,
            "colour": list(self.colour),
            "filled": self.filled,
        }


def page_image(
    path: str | Path,
    page: int,
    *,
    quote: str | None = None,
    scale: float = SCALE,
    password: str | None = None,
    limits: Limits | None = None,
) -> PageImage:
    """A page as it looks, with a quote from it marked.

    Args:
        path: the PDF.
        page: its number, from 1.
        quote: a text on the page, as `Citation.quote` is; one that runs on to the next page is to
            be given in two parts. If it is not there, the image has no `boxes`.
        scale: pixels a point, above 0; 2 is 144 an inch. Fewer for a page so large that the picture
            would have more than 10 million pixels.
        password: for encrypted files.
        limits: time, memory and size that the file may cost.

    Raises:
        PdfError: the file cannot be read, or the page not be drawn; its `status` tells why.
        InputError: there is no such page, or an argument is of another kind.

    >>> image = page_image("manual.pdf", 3, quote="every two weeks")  # doctest: +SKIP
    >>> Path("page.png").write_bytes(image.png)  # doctest: +SKIP
    """
    boxes: tuple[Box, ...] = ()
    if quote is not None:
        boxes = quote_boxes(path, page, quote, password=password, limits=limits)
    marks = [Mark(box, "", _YELLOW, filled=True) for box in boxes]
    picture = draw_page(path, page, marks, scale=scale, password=password, limits=limits)
    return PageImage(
        png=picture.png,
        width=picture.width,
        height=picture.height,
        scale=picture.scale,
        boxes=boxes,
    )


def quote_boxes(
    path: str | Path,
    page: int,
    quote: str,
    *,
    password: str | None = None,
    limits: Limits | None = None,
) -> tuple[Box, ...]:
    """Where a quote is on its page: a box for each line; none if it is not there.

    Boxes are left, top, right, bottom, in points from the upper left corner of the page as shown.
    Arguments and errors: see `page_image`.
    """
    require_kind("quote", quote, str, "give a text that is on the page")
    sheet = page_sheet(path, page, password=password, limits=limits)
    boxes = boxes_of(quote, sheet.lines)
    if boxes:
        return boxes
    mended = _look(path, page, password=password, limits=limits, mend_fonts=True)
    return boxes_of(quote, mended.sheets[page - 1].lines) if mended.sheets else ()


def page_sheet(
    path: str | Path, page: int, *, password: str | None = None, limits: Limits | None = None
) -> Sheet:
    """Where the glyphs of a page are. Arguments and errors: see `page_image`."""
    reading = _look(path, page, password=password, limits=limits)
    _require(page - 1 in reading.sheets, reading, Path(path), page)
    return reading.sheets[page - 1]


def draw_page(
    path: str | Path,
    page: int,
    marks: Iterable[Mark] = (),
    *,
    scale: float = SCALE,
    password: str | None = None,
    limits: Limits | None = None,
) -> Picture:
    """A page as it looks, with marks over it. Arguments and errors: see `page_image`."""
    require_number("scale", scale)
    if not scale > 0:
        raise InputError(f"scale is {scale}. Give pixels a point, above 0; 2 is 144 an inch.")
    reading = _look(path, page, marks, scale=scale, password=password, limits=limits)
    _require(page - 1 in reading.pictures, reading, Path(path), page)
    return reading.pictures[page - 1]


class Look(NamedTuple):
    """What is shown of a page, and its picture."""

    frame: Frame
    picture: Picture


def look_at(
    path: str | Path,
    page: int,
    *,
    scale: float,
    password: str | None = None,
    limits: Limits | None = None,
) -> Look:
    """A page's picture and what is shown of it. Arguments and errors: see `page_image`."""
    reading = _look(path, page, scale=scale, password=password, limits=limits)
    _require(page - 1 in reading.pictures, reading, Path(path), page)
    return Look(reading.sheets[page - 1].frame, reading.pictures[page - 1])


def _look(
    path: str | Path,
    page: int,
    marks: Iterable[Mark] = (),
    *,
    scale: float | None = None,
    password: str | None,
    limits: Limits | None,
    mend_fonts: bool = False,
) -> Reading:
    """Look at a page in another process, with `mend_fonts` at one of a copy, if that is of use.

    Raises PdfError if the file cannot be opened, InputError if there is no such page.
    """
    path, limits = require_pdf(path, password, limits)
    require_whole("page", page, least=1)
    head = first_bytes(path, limits)
    request = Request(
        path=path.absolute(),
        password=password,
        reader="pdfium",
        limits=limits,
        deadline=time.monotonic() + limits.file_timeout_s,
        only=(page - 1,),
        mend_fonts=mend_fonts,
        look={"scale": scale, "marks": [mark.as_message() for mark in marks]},
    )
    reading = read(request)
    if not reading.count and not mend_fonts:
        raise why_unread(reading, path, head)
    if page > reading.count > 0:
        raise no_such_page(path, str(page), reading.count)
    return reading


def _require(is_there: bool, reading: Reading, path: Path, page: int) -> None:
    """Raise PdfError if what was looked for on a page is not there."""
    if is_there:
        return
    status = reading.lost.get(page - 1, "corrupt")
    why = "; ".join(reading.warnings[:1]) or f"page {page}: it is damaged"
    raise PdfError(
        f"{path.name} has a page that cannot be drawn ({why}); open it in a viewer",
        status="timeout" if status == "timeout" else "corrupt",
    )


def no_such_page(path: Path, page: str, count: int) -> InputError:
    """The error for a page that a file does not have."""
    return InputError(f"{path.name} has no page {page}; its pages are 1 to {count}")
