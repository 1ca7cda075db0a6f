"""Looking at one page: where its glyphs are, and its picture.

Like reading, drawing is done by another process, under limits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ragctx.arguments import require_number, require_whole
from ragctx.errors import InputError, PdfError
from ragctx.pdf.geometry import Box, Frame
from ragctx.pdf.messages import MarkMessage
from ragctx.pdf.opening import first_bytes, require_pdf, why_unread
from ragctx.pdf.process import Limits, Request, read
from ragctx.pdf.reading import Picture, Reading, Sheet

SCALE = 2.0
"""Pixels a point unless told otherwise: 144 an inch, sharp on any screen."""


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


def page_sheet(
    path: str | Path, page: int, *, password: str | None = None, limits: Limits | None = None
) -> Sheet:
    """Where the glyphs of a page are. Arguments and errors: see `page_image.page_image`."""
    reading = look(path, page, password=password, limits=limits)
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
    """A page as it looks, with marks over it. Arguments and errors: see `page_image.page_image`."""
    require_number("scale", scale)
    if not scale > 0:
        raise InputError(f"scale is {scale}. Give pixels a point, above 0; 2 is 144 an inch.")
    reading = look(path, page, marks, scale=scale, password=password, limits=limits)
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
    """A page's picture and what is shown of it.

    Arguments and errors: see `page_image.page_image`.
    """
    reading = look(path, page, scale=scale, password=password, limits=limits)
    _require(page - 1 in reading.pictures, reading, Path(path), page)
    return Look(reading.sheets[page - 1].frame, reading.pictures[page - 1])


def look(
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
