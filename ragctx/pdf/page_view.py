"""What is read on a page, line by line, and what is left out: to see what went wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ragctx.arguments import require_kind
from ragctx.pdf.document import document_from, labels_of, rows_of
from ragctx.pdf.geometry import Box, Frame
from ragctx.pdf.leaders import is_leader
from ragctx.pdf.line_joining import HYPHEN, clean_piece
from ragctx.pdf.looking import SCALE, Mark, draw_page, no_such_page, page_sheet
from ragctx.pdf.names import PdfReader
from ragctx.pdf.ocr import Ocr, with_ocr
from ragctx.pdf.opening import require_pdf
from ragctx.pdf.page_image import PageImage
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pages
from ragctx.pdf.reading import Line, PageText
from ragctx.pdf.row import Row
from ragctx.pdf.running_lines import drop_running_lines
from ragctx.records import Page

WhyLeftOut = Literal["running line", "hidden", "no letters", "button", "margin number or repeated"]
"""Why a line is not part of the text: it repeats from page to page; nobody sees it on the page; its
font does not say which letters its glyphs are; it is on a button; it counts lines, or is drawn
twice."""

MAX_LINES = 3000
"""Lines of a page that are compared with its rows: it takes time with their square."""
_READ, _LEFT_OUT = (0, 90, 200), (220, 0, 0)  # colours


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line as it is read, and its box: left, top, right, bottom, in points from the upper left.

    The box is None where the reader gives no places (pypdf).
    """

    text: str
    box: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A line that is not part of the text, and why."""

    text: str
    box: Box | None
    why: WhyLeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A page as it is read: its text, the lines of it in reading order, and what was left out.

    `width` and `height` are those of the page as shown, in points.
    """

    path: str
    page: Page
    reader: str  # the library that read it; "" if none could
    lines: tuple[ReadLine, ...]
    left_out: tuple[LeftOut, ...]
    width: float
    height: float


def page_view(
    path: str | Path,
    page: int | str,
    *,
    password: str | None = None,
    reader: PdfReader = "auto",
    limits: Limits | None = None,
    ocr: Ocr | None = None,
) -> PageView:
    """What is read on a page. All of the file is read: running lines show on many pages.

    Args:
        path: the PDF.
        page: its number, from 1, or its label ("iv"); a text that is both is the number.
        password: for encrypted files.
        reader: which library gives the text.
        limits: time, memory and size that the file may cost.
        ocr: what reads this page, if it has no sound text; None: nothing does.

    Raises:
        PdfError: the file cannot be read; its `status` tells why.
        InputError: there is no such page, or an argument is of another kind.

    >>> view = page_view("manual.pdf", "iv")  # doctest: +SKIP
    >>> [(line.why, line.text) for line in view.left_out]  # doctest: +SKIP
    [('running line', 'Pump manual')]
    """
    path, limits = require_pdf(path, password, limits)
    require_kind("page", page, (int, str), "give its number or its label")
    reading = read_pages(path, password=password, reader=reader, limits=limits)
    i = _index(path, str(page), labels_of(reading, min(reading.count, limits.max_pages)))
    if ocr is not None:
        reading = with_ocr(reading, ocr, path, only=i, password=password, limits=limits)
    document = document_from(reading, "", str(path), max_pages=limits.max_pages)
    text = reading.pages.get(i)
    ordered = rows_of(reading, len(document.pages))
    kept = drop_running_lines(ordered, labels_of(reading, len(document.pages)))[i]
    frame = page_sheet(path, i + 1, password=password, limits=limits).frame
    return PageView(
        path=str(path),
        page=document.pages[i],
        reader=text.reader if text else "",
        lines=tuple(ReadLine(text=_plain(row.text), box=_box(row, frame)) for row in kept),
        left_out=tuple(_left_out(ordered[i], kept, text, frame)),
        width=frame.width,
        height=frame.height,
    )


def view_image(
    view: PageView,
    *,
    scale: float = SCALE,
    password: str | None = None,
    limits: Limits | None = None,
) -> PageImage:
    """The page with a box around each line that is read, numbered in reading order.

    What was left out has a red box without a number.
    """
    read = [
        Mark(line.box, str(number), _READ)
        for number, line in enumerate(view.lines, 1)
        if line.box is not None
    ]
    out = [Mark(line.box, "", _LEFT_OUT) for line in view.left_out if line.box is not None]
    picture = draw_page(
        view.path,
        view.page.number,
        [*out, *read],
        scale=scale,
        password=password,
        limits=limits,
    )
    return PageImage(
        png=picture.png, width=picture.width, height=picture.height, scale=picture.scale
    )


def _index(path: Path, page: str, labels: Sequence[str]) -> int:
    """The index of the page with this number or label."""
    if page.isdecimal() and len(page) < 10 and 1 <= int(page) <= len(labels):
        return int(page) - 1
    folded = [label.casefold() for label in labels]
    if page.casefold() not in folded:
        raise no_such_page(path, page, len(labels))
    return folded.index(page.casefold())


def _left_out(
    ordered: Sequence[Row], kept: Sequence[Row], text: PageText | None, frame: Frame
) -> Iterator[LeftOut]:
    """Running lines, in reading order; then what does not even become a row."""
    known = {id(row) for row in kept}
    for row in ordered:
        if id(row) not in known:
            yield LeftOut(text=_plain(row.text), box=_box(row, frame), why="running line")
    if text is None:
        return
    for line in text.hidden:
        yield _line_left_out(line, "hidden", frame)
    for line in text.lost_lines:
        yield _line_left_out(line, "no letters", frame)
    for field in text.fields:
        if field.kind == "button" and field.value:
            box = frame.line_as_shown((field.left, field.top, field.right, field.bottom), 0)
            yield LeftOut(text=field.value, box=box, why="button")
    for line in text.lines[:MAX_LINES]:
        is_text = clean_piece(line.text) and not is_leader(line.text)
        if is_text and not any(
            _holds(row, line) or _goes_on_with(row, line) for row in ordered[:MAX_LINES]
        ):
            yield _line_left_out(line, "margin number or repeated", frame)


def _line_left_out(line: Line, why: WhyLeftOut, frame: Frame) -> LeftOut:
    return LeftOut(text=_plain(clean_piece(line.text)), box=_box(line, frame), why=why)


def _holds(row: Row, line: Line) -> bool:
    """Whether the middle of a line is in a row; a raised mark's may be a little above."""
    x, y = (line.left + line.right) / 2, (line.top + line.bottom) / 2
    near = 0.25 * (line.bottom - line.top)
    is_level = row.top - near <= y <= row.bottom + near
    return row.turn == line.turn and row.left <= x <= row.right and is_level


def _goes_on_with(row: Row, line: Line) -> bool:
    """Whether a line is a further line of a label, which is one row."""
    below = line.top - row.bottom
    is_below = row.turn == line.turn and -0.3 * row.height <= below < MAX_LABEL_LINES * row.height
    return is_below and row.left <= line.right and clean_piece(line.text) in row.text


MAX_LABEL_LINES = 6
"""Lines of one label, at most, in row heights."""


def _box(line: Row | Line, frame: Frame) -> Box | None:
    if isinstance(line, Row) and not line.is_placed:
        return None
    return frame.line_as_shown((line.left, line.top, line.right, line.bottom), line.turn)


def _plain(text: str) -> str:
    return text.replace(HYPHEN, "-")
