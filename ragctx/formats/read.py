"""Files without pages to Documents, safely: what parses them runs in another process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ragctx.arguments import require_kind
from ragctx.errors import DocumentError, InputError, missing_extra
from ragctx.file_formats import TEXT_SUFFIXES, TextFormat, text_format_of
from ragctx.formats.blocks import Content
from ragctx.formats.document import document_of
from ragctx.formats.encoding import EXTRA
from ragctx.formats.plain import read_plain
from ragctx.formats.process import read_content
from ragctx.paths import sha256_of
from ragctx.pdf.names import HIDDEN_TEXT, HiddenText
from ragctx.pdf.opening import require_size
from ragctx.pdf.process import MAX_CHARACTERS, Limits
from ragctx.pdf.read import file_id
from ragctx.records import Document

MAX_PARSED_BYTES = 4 * MAX_CHARACTERS
"""Of text: as many characters as a document may have, in four bytes each."""
_MODULES: dict[TextFormat, dict[str, str]] = {
    "text": {},
    "markdown": {
        "markdown_it": "markdown-it-py",
        "mdit_py_plugins": "mdit-py-plugins",
        "lxml": "lxml",
        "cssselect2": "cssselect2",
    },
    "html": {"lxml": "lxml", "cssselect2": "cssselect2"},
    "docx": {"docx": "python-docx"},
}
"""What each format needs: packages by the module that they are imported as."""
_NAMES: dict[TextFormat, str] = {
    "text": "plain text",
    "markdown": "Markdown",
    "html": "HTML",
    "docx": "a Word document",
}


def read_document(
    path: str | Path,
    *,
    format: TextFormat | None = None,
    document_id: str | None = None,
    hidden: HiddenText = "drop",
    limits: Limits | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Document:
    """Read a text, Markdown, HTML or Word file, section by section.

    Args:
        path: the file.
        format: its format; None: as the end of its name tells.
        document_id: its `text_file_id`, if that is known already; else it is hashed here.
        hidden: what becomes of text that nobody sees (`display: none`, white on white, hidden in
            Word): it is left out, or kept in lines of their own after the paragraph, as
            "[hidden: …]". `Document.warnings` tells how much there is in which sections.
        limits: time, memory and size that the file may cost; `max_pages` counts sections.
        is_wanted: asked while another process reads; when it says no, that is ended.

    Returns:
        A document whose pages are its sections, each labelled by the headings above it. Its
        `status` is "ok", "partial" (a limit was reached) or "no_text". Its `id` depends on the
        file's bytes and its format.

    Raises:
        DocumentError: no document comes of it; its `status` tells why ("encrypted", "corrupt",
            "timeout", "too_large", "unreadable").
        MissingExtraError: what reads this format is not installed.
        InputError: the name is not of one of these formats, or `hidden` not one of `HIDDEN_TEXT`.

    >>> document = read_document("notes.md")  # doctest: +SKIP
    >>> document.page_of(1200).label  # doctest: +SKIP
    'Installing › Linux'
    """
    if hidden not in HIDDEN_TEXT:
        raise InputError(f"hidden is {hidden!r}; valid: {', '.join(HIDDEN_TEXT)}")
    format, content = read_content_of(path, format=format, limits=limits, is_wanted=is_wanted)
    with _readable(Path(path)):
        document_id = document_id or text_file_id(Path(path), format)
    return document_of(
        content, document_id, str(Path(path)), format=format, hidden=hidden, limits=limits
    )


def read_content_of(
    path: str | Path,
    *,
    format: TextFormat | None = None,
    limits: Limits | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> tuple[TextFormat, Content]:
    """The format of a file, and what its reader gives: `read_document` makes a Document of it.

    Raises:
        DocumentError, MissingExtraError, InputError: as `read_document` does.
    """
    require_kind("path", path, (str, os.PathLike), "give the path of a file")
    path, limits = Path(path), limits or Limits()
    require_kind("limits", limits, Limits, "give Limits(file_timeout_s=…, …)")
    format = format or text_format_of(str(path))
    if format is None:
        raise InputError(f"{path.name} ends in none of {', '.join(TEXT_SUFFIXES)}")
    with _readable(path):
        _require_own_kind(path, format, limits)
        return format, _content(path, format, limits, is_wanted)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise DocumentError if the system does not let the block read a file."""
    try:
        yield
    except OSError as error:
        raise DocumentError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path and its "
            "permissions",
            status="unreadable",
        ) from error


def text_file_id(path: Path, format: TextFormat) -> str:
    """A document's id: 16 hex digits of a SHA-256 of the file's format and bytes.

    The same bytes give other sections when they are read as Markdown than as plain text.

    Raises:
        OSError: the file cannot be read.
    """
    return hashlib.sha256(f"{format} {sha256_of(path)}".encode()).hexdigest()[:16]


def id_of_file(path: Path) -> str:
    """The id of the document that a file holds, whatever its format.

    Raises:
        OSError: the file cannot be read.
    """
    format = text_format_of(str(path))
    return file_id(path) if format is None else text_file_id(path, format)


def _require_installed(path: Path, format: TextFormat) -> None:
    """Raise MissingExtraError if what reads a format is not installed."""
    for module, package in _MODULES[format].items():
        if find_spec(module) is None:
            raise missing_extra(
                f"{path.name} is {_NAMES[format]}: to read it, ragctx", package, EXTRA
            )


def _require_own_kind(path: Path, format: TextFormat, limits: Limits) -> None:
    """Raise DocumentError for what is no file, too large, or a PDF by another name."""
    if path.exists() and not path.is_file():
        raise DocumentError(
            f"{path.name} is not a file; name a file or a folder", status="unreadable"
        )
    require_size(path, limits)
    size = path.stat().st_size
    if size == 0 and format == "docx":
        raise DocumentError(f"{path.name} is empty (0 bytes); get it again", status="corrupt")
    if size > MAX_PARSED_BYTES and format in ("markdown", "html"):
        raise DocumentError(
            f"{path.name} has {size} bytes, more than the {MAX_PARSED_BYTES} that a file of "
            f"{_NAMES[format]} may have; split it",
            status="too_large",
        )
    with path.open("rb") as stream:
        if stream.read(8).startswith(b"%PDF-"):
            raise DocumentError(
                f"{path.name} is a PDF; rename it to {path.stem}.pdf", status="corrupt"
            )
    _require_installed(path, format)


def _content(
    path: Path, format: TextFormat, limits: Limits, is_wanted: Callable[[], bool]
) -> Content:
    if format != "text":
        return read_content(path, format, limits, is_wanted=is_wanted)
    with path.open("rb") as stream:  # nothing is parsed: no other process is needed
        data = stream.read(MAX_PARSED_BYTES)
        is_whole = not stream.read(1)
    if not is_whole:
        data = data[: data.rfind(b"\n") + 1 or data.rfind(b" ") + 1 or len(data)]
    return replace(read_plain(data, path.name), is_whole=is_whole)
