"""`ragctx page` for a document that has sections instead of pages."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ragctx.cli.output import console, write_json
from ragctx.errors import InputError, RagctxError
from ragctx.records import file_name
from ragctx.text.display import escape_unsafe, one_line
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.formats.section_view import SectionView

_SHOWN = 200  # characters of a text that was left out, and of a quote in a message


def show_section(
    path: str, number: str, *, quote: str | None, as_json: bool, is_drawn: bool
) -> None:
    """Print a section by its number or headings, or where a quote is in it.

    Raises:
        InputError: there is no such section, or a picture is wanted.
        RagctxError: the file cannot be read, or the quote is not in the section.
    """
    from ragctx.formats.section_view import quote_in, section_view

    if is_drawn:
        raise InputError(
            f"{file_name(path)} has no pages that could be drawn, only sections of text; leave out "
            "--png"
        )
    view = section_view(path, number)
    span = None if quote is None else quote_in(view.page.text, quote)
    if quote is not None and span is None:
        command = shlex.join(["ragctx", "page", path, str(view.page.number)])
        raise RagctxError(
            f"section {view.page.number} of {file_name(path)} does not contain the quote "
            f"“{one_line(quote, _SHOWN)}”; see what is read there: {command}"
        )
    if as_json:
        write_json(_as_json(view, quote, span))
    elif span is not None:
        start, end = span
        console().print(f"{_where(view)}: the quote is characters {start}–{end}", soft_wrap=True)
        console().print(f"  {one_line(view.page.text[start:end])}", soft_wrap=True)
    else:
        _print(view)


def _print(view: SectionView) -> None:
    screen, page = console(), view.page
    lines = counted(len(page.text.splitlines()), "line")
    status = "" if page.status == "ok" else f", {page.status}"
    heading = f"{_where(view)}{status}: {lines}, read as {view.reader}"
    screen.print(heading, style="bold", soft_wrap=True)
    screen.print()
    if page.text.strip():
        screen.print(escape_unsafe(page.text.strip("\n")), soft_wrap=True)
        screen.print()
    if view.left_out:
        screen.print("left out:", style="bold")
    for text in view.left_out:
        screen.print(f"  hidden: {one_line(text, _SHOWN)}", style="dim", soft_wrap=True)


def _where(view: SectionView) -> str:
    page = view.page
    number = f" (section {page.number})" if page.label != str(page.number) else ""
    return f"{one_line(file_name(view.path))}, {page.place('section')}{number}"


def _as_json(
    view: SectionView, quote: str | None, span: tuple[int, int] | None
) -> dict[str, object]:
    """The JSON object of `ragctx page --json`; what only a page has is null."""
    page = view.page
    return {
        "document": file_name(view.path),
        "path": view.path,
        "unit": "section",
        "page": page.number,
        "label": page.label,
        "status": page.status,
        "reader": view.reader,
        "width": None,
        "height": None,
        "text": page.text,
        "lines": [{"text": line, "box": None} for line in page.text.splitlines() if line.strip()],
        "left_out": [{"text": text, "why": "hidden", "box": None} for text in view.left_out],
        "quote": quote,
        "quote_boxes": None,
        "quote_start": None if span is None else span[0],
        "quote_end": None if span is None else span[1],
        "png": None,
    }
