"""`ragctx page`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, write_json
from ragctx.cli.section import show_section
from ragctx.errors import IndexMissingError, InputError, RagctxError
from ragctx.file_formats import unit_of
from ragctx.pdf.names import READERS
from ragctx.records import file_name
from ragctx.text.display import escape_unsafe, one_line
from ragctx.text.wording import counted, pages_words

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace
    from ragctx.pdf.geometry import Box
    from ragctx.pdf.names import PdfReader
    from ragctx.pdf.ocr import Ocr
    from ragctx.pdf.page_view import PageView

_POINTS_AN_INCH = 72
_SHOWN = 200  # characters of a line that was left out, and of a quote in a message


@examples(
    "ragctx page manual.pdf 12",
    "ragctx page manual.pdf iv",
    "ragctx page notes.md 2",
    "ragctx page manual.pdf 12 --png page.png",
    "ragctx page scan.pdf 3 --ocr --png page.png",
    'ragctx page manual.pdf 12 --quote "every two weeks" --png quote.png',
)
@click.command("page", cls=Command)
@click.argument("file", metavar="FILE")
@click.argument("page", metavar="N")
@click.option(
    "--png",
    "png_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Write a picture of the page: each line that is read in a box, numbered in reading order, "
    "and what is left out in red; with --quote, only the quote marked.",
)
@click.option("--quote", metavar="TEXT", help="Find this text on the page, instead of reading it.")
@click.option(
    "--dpi",
    type=click.IntRange(min=10, max=600),
    default=144,
    show_default=True,
    metavar="N",
    help="Pixels an inch of the picture.",
)
@click.option(
    "--reader",
    type=click.Choice(READERS),
    default="auto",
    show_default=True,
    help="Library that reads the page.",
)
@click.option(
    "--ocr",
    "with_ocr",
    is_flag=True,
    help="Read the page from its picture, as ingest --ocr does. Needs the extra ragctx[ocr].",
)
@options.index_option
@options.password_option
@options.json_option
def page_command(
    file: str,
    page: str,
    png_path: Path | None,
    quote: str | None,
    dpi: int,
    reader: PdfReader,
    with_ocr: bool,
    index_path: IndexPlace,
    password: str | None,
    as_json: bool,
) -> None:
    """Show a page as it is read, or the place of a quote.

    FILE is a document on disk, or the name of one of the index, as citations print it. N is the
    page's number, or its label; of a document that is no PDF, that of a section, or its headings.
    What is left out of the text is listed after it: running heads, page numbers, and text that
    nobody sees on the page. The exit code is 1 if the quote is not there.
    """
    from ragctx.pdf.page_view import page_view

    path = _path_of(file, index_path)
    if unit_of(path) == "section":
        show_section(path, page, quote=quote, as_json=as_json, is_drawn=png_path is not None)
        return
    ocr = _ocr() if with_ocr else None
    view = page_view(path, page, password=password, reader=reader, ocr=ocr)
    shown = _Shown(view=view, quote=quote, password=password, ocr=ocr)
    boxes = shown.boxes()
    if png_path is not None:
        png_path.write_bytes(shown.png(boxes, dpi / _POINTS_AN_INCH))
        say(f"wrote {png_path}")
    if as_json:
        write_json(shown.as_json(boxes, png_path))
    elif boxes is not None:
        _print_boxes(view, boxes)
    elif png_path is None:
        _print(view)


def _ocr() -> Ocr:
    """What reads the page from its picture. Raises MissingExtraError if it is not installed."""
    from ragctx.pdf.ocr import Ocr
    from ragctx.pdf.rapidocr_engine import RapidOcr

    return Ocr(engine=RapidOcr(), every_page=True)


def _path_of(file: str, index_path: IndexPlace) -> str:
    """The path of a document that is on disk, or that the index knows by this name.

    Raises InputError for a name that is neither, or that several documents have.
    """
    from ragctx.index.filters import matching_ids
    from ragctx.index.index import Index

    if Path(file).exists():
        return file
    try:
        sources = Index.open(index_path).sources()
    except IndexMissingError:
        raise InputError(
            f"there is no file {file}, and no index in {index_path} that may know it; check the "
            "path, or name the index with --index"
        ) from None
    ids = matching_ids([file], sources)
    paths = sorted(source.path for source in sources if source.document_id in ids)
    if len(ids) > 1:
        raise InputError(f"{file} names {len(ids)} documents: {', '.join(paths[:5])}; name one")
    found = next((path for path in paths if Path(path).exists()), None)
    if found is None:
        raise InputError(f"{paths[0]} is in the index, but no longer on disk; name where it is now")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A page and, perhaps, a quote that is sought on it."""

    view: PageView
    quote: str | None
    password: str | None
    ocr: Ocr | None

    def boxes(self) -> tuple[Box, ...] | None:
        """Where the quote is; None without one. Raises RagctxError if it is not on the page."""
        from ragctx.pdf.page_image import quote_boxes

        if self.quote is None:
            return None
        path, number = self.view.path, self.view.page.number
        boxes = quote_boxes(path, number, self.quote, password=self.password, ocr=self.ocr)
        if not boxes:
            unread = self.view.page.status in ("scanned", "garbled")
            words = ["ragctx", "page", path, str(number), *(["--ocr"] if unread else [])]
            command = shlex.join(words)
            raise RagctxError(
                f"page {number} of {file_name(path)} does not contain the quote "
                f"“{one_line(self.quote, _SHOWN)}”; see what is read there: {command}"
            )
        return boxes

    def png(self, boxes: tuple[Box, ...] | None, scale: float) -> bytes:
        """The picture: with the quote marked if there is one, else with what is read."""
        from ragctx.pdf.page_image import marked_page
        from ragctx.pdf.page_view import view_image

        if boxes is None:
            return view_image(self.view, scale=scale, password=self.password).png
        path, number = self.view.path, self.view.page.number
        return marked_page(path, number, boxes, scale=scale, password=self.password).png

    def as_json(self, boxes: tuple[Box, ...] | None, png_path: Path | None) -> dict[str, object]:
        """The JSON object of `ragctx page --json`."""
        view, page = self.view, self.view.page
        return {
            "document": file_name(view.path),
            "path": view.path,
            "unit": "page",
            "page": page.number,
            "label": page.label,
            "status": page.status,
            "reader": view.reader,
            "width": view.width,
            "height": view.height,
            "text": page.text,
            "lines": [{"text": line.text, "box": _box_view(line.box)} for line in view.lines],
            "left_out": [
                {"text": line.text, "why": line.why, "box": _box_view(line.box)}
                for line in view.left_out
            ],
            "quote": self.quote,
            "quote_boxes": None if boxes is None else [_box_view(box) for box in boxes],
            "quote_start": None,
            "quote_end": None,
            "png": None if png_path is None else str(png_path),
        }


def _box_view(box: Box | None) -> dict[str, float] | None:
    if box is None:
        return None
    edges = zip(("left", "top", "right", "bottom"), box, strict=True)
    return {name: round(edge, 2) for name, edge in edges}


def _print(view: PageView) -> None:
    screen = console()
    page = view.page
    status = "" if page.status == "ok" else f", {page.status}"
    screen.print(f"{_where(view)}{status}: {_lines_words(view)}", style="bold", soft_wrap=True)
    screen.print()
    if page.text:
        screen.print(escape_unsafe(page.text), soft_wrap=True)
        screen.print()
    if view.left_out:
        screen.print("left out:", style="bold")
    for line in view.left_out:
        screen.print(f"  {line.why}: {one_line(line.text, _SHOWN)}", style="dim", soft_wrap=True)


def _lines_words(view: PageView) -> str:
    by = f", read by {view.reader}" if view.reader else ""
    return counted(len(view.lines), "line") + by


def _print_boxes(view: PageView, boxes: tuple[Box, ...]) -> None:
    screen = console()
    lines = counted(len(boxes), "line")
    screen.print(f"{_where(view)}: the quote is in {lines}", soft_wrap=True)
    for left, top, right, bottom in boxes:
        edges = f"left {left:.1f}, top {top:.1f}, right {right:.1f}, bottom {bottom:.1f}"
        screen.print(f"  {edges} (points)", soft_wrap=True)


def _where(view: PageView) -> str:
    pages = pages_words(view.page.number, view.page.number, (view.page.label,))
    return f"{one_line(file_name(view.path))}, {pages}"
