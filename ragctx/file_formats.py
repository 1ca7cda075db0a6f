"""Which formats of documents there are, and what stands for a page in each. Light, for everybody.

The end of a file's name decides how it is read, and nothing else: so whoever has a document's name
knows whether its numbers are of pages or of sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Format: TypeAlias = Literal["pdf", "text", "markdown", "html", "docx"]
TextFormat: TypeAlias = Literal["text", "markdown", "html", "docx"]
"""The formats that have no pages of their own."""
Unit: TypeAlias = Literal["page", "section"]
"""What a document's parts are called that are numbered from 1: `Document.pages`."""

TEXT_SUFFIXES: Mapping[str, TextFormat] = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".docx": "docx",
}
"""How names of files end that are no PDFs."""
SUFFIXES: tuple[str, ...] = (".pdf", *TEXT_SUFFIXES)
"""How the names of all files end that are found in folders."""


def text_format_of(path: str) -> TextFormat | None:
    r"""The format of a file that has sections, by its name; None for a PDF, and for other names.

    >>> text_format_of("notes/Install.MD"), text_format_of(r"C:\notes.md\pump.pdf")
    ('markdown', None)
    """
    name = path.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return TEXT_SUFFIXES.get(f".{ending.lower()}") if dot and stem else None


def unit_of(path: str) -> Unit:
    """Whether the document of this name has pages or sections.

    >>> unit_of("pump.pdf"), unit_of("notes.md"), unit_of("untitled")
    ('page', 'section', 'page')
    """
    return "page" if text_format_of(path) is None else "section"
