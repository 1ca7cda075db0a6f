"""Reads a PDF with pypdf: the second opinion where pdfium fails or is in doubt.

The functions are those of `ragctx.pdf.pdfium_reader`, and so are the messages they return.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import partial
from itertools import islice
from typing import Any

import pypdf

from ragctx.errors import PdfError
from ragctx.pdf.filters import decoded
from ragctx.pdf.messages import (
    MAX_HEADINGS,
    MAX_PAGE_CHARACTERS,
    HeadingMessage,
    OpenMessage,
    PageMessage,
    StructureMessage,
    no_password,
    quietly,
    unplaced_line,
)
from ragctx.pdf.soundness import MAX_DECODED, UNKNOWN

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")  # glyph numbers taken for characters

_FONT_FILES = ("/FontFile", "/FontFile2", "/FontFile3")
MAX_STREAMS = 1000
"""Streams of one page that are checked, and forms drawn on it. Chosen by hand, to bound the time.
"""
MAX_VALUES, MAX_VALUE_CHARACTERS = 1000, 2000
"""Values of form fields read of one page, and the characters of each. Chosen by hand, above what a
person fills in: each is sought in the page's text."""
MAX_DEPTH = 20
"""Headings nested deeper are left out. Chosen by hand: an outline may contain itself."""
MAX_CONTROL_SHARE = 0.02
"""With a larger share of control characters, a page's characters are glyph numbers, not text.
Chosen by hand."""


def open_document(path: str, password: str | None) -> Any:
    """The document, opened.

    Raises:
        PdfError: it needs a password, or has no pages.
        Exception: whatever pypdf raises for a damaged file.
    """
    document = pypdf.PdfReader(path, strict=False)
    if document.is_encrypted and not document.decrypt(password or ""):
        raise no_password(password)
    if not quietly(lambda: len(document.pages), 0):
        raise PdfError("it has no pages", status="corrupt")
    return document


def opening(document: Any) -> OpenMessage:
    """What is known before the first page is read."""
    return {
        "kind": "open",
        "pages": len(document.pages),
        "attachments": quietly(lambda: len(document.attachments), 0),
        "xfa": quietly(lambda: "/XFA" in document.trailer["/Root"]["/AcroForm"], False),
    }


def structure(document: Any) -> StructureMessage:
    """Outline, title and page labels."""
    return {
        "kind": "structure",
        "title": quietly(lambda: str((document.metadata or {}).get("/Title") or ""), ""),
        "outline": quietly(lambda: list(_headings(document, document.outline, 0)), []),
        "labels": quietly(lambda: [str(label) for label in document.page_labels], []),
    }


def _headings(document: Any, items: Any, depth: int) -> Iterator[HeadingMessage]:
    for item in items[:MAX_HEADINGS]:
        if isinstance(item, list):
            if depth < MAX_DEPTH:
                yield from _headings(document, item, depth + 1)
            continue
        number = quietly(partial(document.get_destination_page_number, item), None)
        if number is not None and number >= 0:
            yield {"title": str(item.title), "page": int(number) + 1, "depth": depth}


def read_page(document: Any, i: int) -> PageMessage:
    """Page i, counted from 0, as text without places; form fields whose value is not in it."""
    page = document.pages[i]
    text = str(page.extract_text())
    pictures = not text.strip() and bool(quietly(lambda: _has_pictures(page), False))
    kept = text[:MAX_PAGE_CHARACTERS]
    fields: list[tuple[str, str]] = quietly(lambda: list(islice(_fields(page), MAX_VALUES)), [])
    filled_in = [f"{label}: {value}" for label, value in fields if value not in kept]
    return {
        "kind": "page",
        "page": i,
        "reader": "pypdf",
        "text": kept,
        "lines": [],
        "filled_in": [unplaced_line(line) for line in filled_in],
        "fields": [],
        "lost_lines": [],
        "label": "",  # see `StructureMessage.labels`
        "pictures": pictures,
        "stamped": False,
        "lost": 0,
        "hidden": [],
        "glyphs_only": len(_CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text),
        "doubtful": False,
        "cut": len(text) > MAX_PAGE_CHARACTERS,
        "damage": "",
    }


def holds_broken(document: Any, i: int, broken: Collection[int]) -> bool:
    """Whether content of page i, counted from 0, is in one of these objects.

    Where it is not known which objects are broken, as in encrypted files, the streams are decoded
    to see.
    """
    is_known = UNKNOWN not in broken and not document.is_encrypted
    page = document.pages[i]
    contents = page.get("/Contents")
    contents = contents.get_object() if contents is not None else []
    streams = contents if isinstance(contents, list) else [contents]
    forms: list[Any] = quietly(lambda: list(page["/Resources"]["/XObject"].values()), [])
    maps: list[Any] = quietly(lambda: list(_letter_maps(page)), [])
    drawn: list[Any] = quietly(lambda: list(islice(_appearances(page), MAX_STREAMS)), [])
    for item in [*streams[:MAX_STREAMS], *forms[:MAX_STREAMS], *maps[:MAX_STREAMS], *drawn]:
        stream = item.get_object()
        place = getattr(stream, "indirect_reference", None)
        if place is not None and place.idnum in broken:
            return True
        if not is_known and _is_damaged(stream):
            return True
    return False


def _letter_maps(page: Any) -> Iterator[Any]:
    """What tells which letters the glyphs of the page's fonts are: a map, or the font itself."""
    for reference in page["/Resources"]["/Font"].values():
        font = reference.get_object()
        if letters := font.get("/ToUnicode"):
            yield letters
        for part in (font, *(below.get_object() for below in font.get("/DescendantFonts", ()))):
            about = part.get("/FontDescriptor", {})
            yield from (about[name] for name in _FONT_FILES if name in about)


def _appearances(page: Any) -> Iterator[Any]:
    """The streams that draw form fields and notes, one or one for each state."""
    for note in page.get("/Annots") or ():
        appearance = note.get_object().get("/AP", {}).get("/N")
        drawn = None if appearance is None else appearance.get_object()
        if isinstance(drawn, pypdf.generic.StreamObject):
            yield drawn
        elif isinstance(drawn, pypdf.generic.DictionaryObject):
            yield from drawn.values()


def _is_damaged(stream: Any) -> bool:
    if not isinstance(stream, pypdf.generic.EncodedStreamObject):
        return False
    filters = stream.get("/Filter")
    names = filters if isinstance(filters, list) else [filters]
    if stream.get("/Subtype") == "/Image":
        return False
    try:
        decoded(bytes(stream._data), [str(name)[1:].encode() for name in names], MAX_DECODED)
    except ValueError:
        return True
    return False


def _has_pictures(page: Any) -> bool:
    objects = page["/Resources"]["/XObject"]
    return any(objects[name].get("/Subtype") == "/Image" for name in objects)


def _fields(page: Any) -> Iterator[tuple[str, str]]:
    """What the form fields of a page are called, and what they hold: ticks and chosen options."""
    for reference in page.get("/Annots") or ():
        field = reference.get_object()
        if field.get("/Subtype") != "/Widget" or int(field.get("/F", 0)) & _NOT_SHOWN:
            continue
        group = field.get("/Parent") or {}
        label = _of(field, group, "/TU") or _of(field, group, "/T")
        kind, flags = _of(field, group, "/FT"), int(field.get("/Ff", group.get("/Ff", 0)))
        value = _of(field, group, "/V")
        state = str(field.get("/AS", ""))
        if kind == "/Btn" and not flags & _PUSH_BUTTON and state:
            if not flags & _RADIO:
                yield label, "no" if state == "/Off" else "yes"
            elif state != "/Off":
                yield label, state[1:]
        elif kind != "/Btn" and value.strip():
            yield label, value


_NOT_SHOWN = 2 | 32  # ISO 32000-1, table 165: hidden, not to be viewed
_RADIO, _PUSH_BUTTON = 1 << 15, 1 << 16  # ISO 32000-1, table 226


def _of(field: Any, group: Any, key: str) -> str:
    value = field.get(key) or group.get(key)
    return str(value)[:MAX_VALUE_CHARACTERS] if isinstance(value, str) else ""
