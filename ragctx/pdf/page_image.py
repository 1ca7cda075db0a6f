"""A page as a picture, with a quote marked on it: what a person checks an answer against.

Like reading, drawing is done by another process, under limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragctx.arguments import require_kind
from ragctx.pdf.geometry import Box
from ragctx.pdf.looking import SCALE, Mark, draw_page, look, page_sheet
from ragctx.pdf.ocr import Ocr, glyph_lines
from ragctx.pdf.process import Limits
from ragctx.pdf.quotes import boxes_of

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


def page_image(
    path: str | Path,
    page: int,
    *,
    quote: str | None = None,
    scale: float = SCALE,
    password: str | None = None,
    limits: Limits | None = None,
    ocr: Ocr | None = None,
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
        ocr: what reads the page from its picture, where its text does not hold the quote.

    Raises:
        PdfError: the file cannot be read, or the page not be drawn; its `status` tells why.
        InputError: there is no such page, or an argument is of another kind.

    >>> image = page_image("manual.pdf", 3, quote="every two weeks")  # doctest: +SKIP
    >>> Path("page.png").write_bytes(image.png)  # doctest: +SKIP
    """
    boxes: tuple[Box, ...] = ()
    if quote is not None:
        boxes = quote_boxes(path, page, quote, password=password, limits=limits, ocr=ocr)
    return marked_page(path, page, boxes, scale=scale, password=password, limits=limits)


def marked_page(
    path: str | Path,
    page: int,
    boxes: Sequence[Box],
    *,
    scale: float = SCALE,
    password: str | None = None,
    limits: Limits | None = None,
) -> PageImage:
    """A page as it looks, with boxes marked on it. Arguments and errors: see `page_image`."""
    marks = [Mark(box, "", _YELLOW, filled=True) for box in boxes]
    picture = draw_page(path, page, marks, scale=scale, password=password, limits=limits)
    return PageImage(
        png=picture.png,
        width=picture.width,
        height=picture.height,
        scale=picture.scale,
        boxes=tuple(boxes),
    )


def quote_boxes(
    path: str | Path,
    page: int,
    quote: str,
    *,
    password: str | None = None,
    limits: Limits | None = None,
    ocr: Ocr | None = None,
) -> tuple[Box, ...]:
    """Where a quote is on its page: a box for each line; none if it is not there.

    Boxes are left, top, right, bottom, in points from the upper left corner of the page as shown;
    of text that OCR reads they are near: it tells where a line is, not where its letters are.
    Arguments and errors: see `page_image`.
    """
    require_kind("quote", quote, str, "give a text that is on the page")
    sheet = page_sheet(path, page, password=password, limits=limits)
    boxes = boxes_of(quote, sheet.lines)
    if boxes:
        return boxes
    mended = look(path, page, password=password, limits=limits, mend_fonts=True)
    boxes = boxes_of(quote, mended.sheets[page - 1].lines) if mended.sheets else ()
    if boxes or ocr is None:
        return boxes
    return boxes_of(quote, glyph_lines(ocr, path, page, password=password, limits=limits))
