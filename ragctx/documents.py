"""A document as it was read: its pages, their text as one stream, its outline.

Offsets are characters into `Document.text`, half open. Page numbers count from 1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ragctx.arguments import require_kind
from ragctx.cards import card, clipped, line
from ragctx.file_formats import Unit, unit_of
from ragctx.text.wording import counted, place_words

PAGE_SEPARATOR = "\n"
"""The character between two pages in `Document.text`; it belongs to neither page."""

PdfStatus = Literal[
    "ok", "ocr", "partial", "no_text", "encrypted", "corrupt", "timeout", "too_large", "unreadable"
]
"""What came of a file: all of it, all of it with pages that were read by OCR, part of it, no text
layer, a password needed, damaged, over the time limit, over the size or memory limit, or a file
that cannot be read at all (permissions)."""

PageStatus = Literal["ok", "ocr", "empty", "scanned", "garbled", "timeout", "corrupt", "too_long"]
"""What came of one page. `ocr`: its text was read from its picture; `scanned`: pictures but no
text; `garbled`: glyphs without meaning; `too_long`: left out, for the pages before it hold all the
characters that a file may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: `number` counts from 1, `label` is what the page calls itself ("xii", "A-3").

    In a document that has sections instead (`ragctx.file_formats.unit_of` its name), one section,
    labelled by the headings above it ("Installing › Linux"), or by its number.
    """

    number: int
    label: str
    text: str
    status: PageStatus = "ok"

    def as_item(self) -> tuple[str, str]:
        """Its heading and text, for a card."""
        return self._headed(self.place("page"))

    def as_section(self) -> tuple[str, str]:
        """The same of a section."""
        return self._headed(self.place("section"))

    def place(self, unit: Unit) -> str:
        """Its number and label in words, as a page or as a section."""
        return place_words(unit, self.number, self.number, (self.label,))

    def _headed(self, words: str) -> tuple[str, str]:
        return f"{words}: {self.status}" if self.status != "ok" else words, self.text


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry of a PDF's outline: `depth` counts from 0, `page` from 1."""

    title: str
    page: int
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A heading that stands in the text, and what is under it up to the next one.

    `start` is the heading's offset in `Document.text`, `depth` counts from 0, the outermost.
    """

    title: str
    start: int
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document's text with its page table.

    `text` is every page's text joined by `PAGE_SEPARATOR`; `page_starts[i]` is where page i begins.

    >>> document = Document(
    ...     id="d1",
    ...     path="a.pdf",
    ...     pages=(Page(number=1, label="i", text="One."), Page(number=2, label="1", text="Two.")),
    ... )
    >>> document.text
    'One.\\nTwo.'
    >>> document.page_of(5).label
    '1'
    """

    id: str  # from the file's content: equal bytes of one format have equal ids
    path: str
    pages: tuple[Page, ...]
    title: str = ""
    outline: tuple[Heading, ...] = ()
    status: PdfStatus = "ok"
    reader: str = ""  # what gave the text, of "ocr", "pdfium" and "pypdf", or the format
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = field(default=(), compare=False)
    """The headings found in the text, in order. An index keeps them with its passages only."""

    def __post_init__(self) -> None:
        """Raise InputError for a path or pages of another kind."""
        require_kind("path", self.path, str, "give str(path)")
        require_kind("pages", self.pages, Sequence, "give a tuple of Page")
        for page in self.pages:
            require_kind("one of pages", page, Page, "give Page(number=1, label='1', text=…)")

    @cached_property
    def text(self) -> str:
        """All pages as one stream of characters."""
        return PAGE_SEPARATOR.join(page.text for page in self.pages)

    @cached_property
    def page_starts(self) -> tuple[int, ...]:
        """Offset of each page's first character in `text`."""
        starts, offset = [], 0
        for page in self.pages:
            starts.append(offset)
            offset += len(page.text) + len(PAGE_SEPARATOR)
        return tuple(starts)

    def page_of(self, offset: int) -> Page:
        """The page with the character at `offset`; a separator counts to the page before it."""
        return self.pages[max(0, bisect_right(self.page_starts, offset) - 1)]

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return file_name(self.path)

    def __repr__(self) -> str:
        status = "" if self.status == "ok" else self.status
        return line("Document", clipped(self.name), self._size(), status)

    def _repr_html_(self) -> str:
        facts = (self.name, self._size(), self.status, *self.warnings)
        is_paged = unit_of(self.path) == "page"
        items = map(Page.as_item if is_paged else Page.as_section, self.pages)
        return card(self.title or self.name, facts, items)

    def _size(self) -> str:
        return counted(len(self.pages), unit_of(self.path))


def file_name(path: str) -> str:
    """The last part of a path, as it is shown to people; the path may be of another system.

    >>> file_name("manuals/pump.pdf"), file_name(r"C:\\manuals\\pump.pdf")
    ('pump.pdf', 'pump.pdf')
    """
    return path.replace("\\", "/").rpartition("/")[2]


GetDocument = Callable[[str], Document | None]
"""A document by its id; None where there is none."""
