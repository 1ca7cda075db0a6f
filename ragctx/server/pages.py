"""Pages of documents as pictures and as text: what a person checks an answer against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ragctx.documents import Document
from ragctx.errors import InputError
from ragctx.file_formats import unit_of
from ragctx.pdf.ocr import Ocr, OcrEngine, OcrLine
from ragctx.pdf.page_image import PageImage, page_image
from ragctx.views import View

SCALES = (0.5, 4.0)
"""Pixels a point that a picture may have."""
_KEPT = 16  # pictures, some 300 kB each, a photograph at most some 30 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """A page of a file, as it was when it was looked at: a changed file is drawn again."""

    path: Path
    page: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path, page: int) -> PageAddress:
        """The page of a file that exists. Raises InputError for one that has sections instead."""
        if unit_of(str(path)) == "section":
            raise InputError(
                f"{path.name} has sections of text, and no pages that could be drawn; get /text"
            )
        return cls(path=path, page=page, changed_ns=path.stat().st_mtime_ns)


def page_number(text: str) -> int:
    """A page's number, from 1. Raises InputError for anything else."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) == int(text):
        raise InputError(f"the page is {text[:20]!r}; give its number, from 1")
    return int(text)


def scale_of(text: str | None) -> float:
    """Pixels a point. Raises InputError for what is no number or out of range."""
    try:
        scale = float(text) if text else 2.0
    except ValueError:
        scale = 0.0
    low, high = SCALES
    if not low <= scale <= high:
        raise InputError(f"the scale is {text!r}; give {low:g} to {high:g} pixels a point")
    return scale


@lru_cache(maxsize=_KEPT)
def picture(
    address: PageAddress,
    quote: str | None,
    scale: float,
    password: str | None,
    ocr: Ocr | None = None,
) -> PageImage:
    """The page, with the quote marked. Raises PdfError, InputError as `page_image` does."""
    return page_image(
        address.path, address.page, quote=quote, scale=scale, password=password, ocr=ocr
    )


class RememberingEngine:
    """An OCR engine that knows the lines of the last pictures it read.

    A page is read again for each quote that is marked on it, and that takes seconds.
    """

    def __init__(self, engine: OcrEngine) -> None:
        self._read = lru_cache(maxsize=_KEPT)(engine.read)

    def read(self, png: bytes) -> Sequence[OcrLine]:
        """The lines of text in a PNG file, in any order."""
        return self._read(png)


def part_on_page(quote: str, document: Document, page: int) -> str:
    """What of a quote from a document is on one of its pages; all of it if it is not in the text.

    >>> from ragctx.documents import Page
    >>> texts = ("Oil it every", "week.")
    >>> pages = tuple(Page(number=i, label="", text=text) for i, text in enumerate(texts, 1))
    >>> document = Document(id="d1", path="pump.pdf", pages=pages)
    >>> part_on_page("it every\\nweek", document, 1), part_on_page("it every\\nweek", document, 2)
    ('it every', 'week')
    """
    begin = document.page_starts[page - 1]
    end = begin + len(document.pages[page - 1].text)
    start = document.text.find(quote, max(0, begin - len(quote)), end + len(quote))
    if start < 0:
        return quote
    return document.text[max(begin, start) : min(end, start + len(quote))]


def boxes_view(image: PageImage) -> View:
    """Where the quote is on the picture, as shares of its width and height."""
    width, height = image.width / image.scale, image.height / image.scale
    names = ("left", "top", "right", "bottom")
    sizes = (width, height, width, height)
    boxes = [
        {name: round(edge / size, 5) for name, edge, size in zip(names, box, sizes, strict=True)}
        for box in image.boxes
    ]
    return {"width": image.width, "height": image.height, "quote_boxes": boxes}
