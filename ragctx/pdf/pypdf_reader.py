"""What pypdf says of a PDF: the second opinion, where pdfium fails or is in doubt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pypdf

from ragctx.errors import PdfError
from ragctx.pdf.messages import (
    MAX_HEADINGS,
    MAX_PAGE_CHARACTERS,
    NOTHING,
    Message,
    no_password,
    quietly,
)

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")  # glyph numbers taken for characters

MAX_DEPTH = 20
"""Headings nested deeper are left out."""


def open_document(path: str, password: str | None) -> Any:
    """The document, opened. Raises PdfError when it needs a password, and what pypdf raises."""
    document = pypdf.PdfReader(path, strict=False)
    if document.is_encrypted and not document.decrypt(password or ""):
        raise no_password(password)
    if not quietly(lambda: len(document.pages), 0):
        raise PdfError("it has no pages", status="corrupt")
    return document


def opening(document: Any) -> Message:
    """What is known before the first page is read."""
    return {
        "kind": "open",
        "pages": len(document.pages),
        "attachments": quietly(lambda: len(document.attachments), 0),
        "xfa": quietly(lambda: "/XFA" in document.trailer["/Root"]["/AcroForm"], False),
    }


def structure(document: Any) -> Message:
    """Outline, title and page labels."""
    return {
        "kind": "structure",
        "title": quietly(lambda: str((document.metadata or {}).get("/Title") or ""), ""),
        "outline": quietly(lambda: list(_headings(document, document.outline, 0)), NOTHING),
        "labels": quietly(lambda: [str(label) for label in document.page_labels], NOTHING),
    }


def _headings(document: Any, items: Any, depth: int) -> Iterator[tuple[str, int, int]]:
    for item in items[:MAX_HEADINGS]:
        if isinstance(item, list):
            if depth < MAX_DEPTH:
                yield from _headings(document, item, depth + 1)
            continue
        number = quietly(partial(document.get_destination_page_number, item), None)
        if number is not None and number >= 0:
            yield str(item.title), int(number) + 1, depth


def read_page(document: Any, i: int) -> Message:
    """Page i, counted from 0: its `text`, and `filled_in`, the values of its form fields."""
    page = document.pages[i]
    text = str(page.extract_text())
    pictures = not text.strip() and bool(quietly(lambda: _has_pictures(page), False))
    values = quietly(lambda: list(_values(page)), NOTHING)
    return {
        "kind": "page",
        "page": i,
        "reader": "pypdf",
        "pictures": pictures,
        "text": text[:MAX_PAGE_CHARACTERS],
        "label": "",
        "lost": 0,
        "glyphs_only": len(_CONTROL.findall(text)) > 0.02 * len(text),
        "filled_in": [[value] for value in values if value not in text],
        "doubtful": False,
        "cut": len(text) > MAX_PAGE_CHARACTERS,
    }


def _has_pictures(page: Any) -> bool:
    objects = page["/Resources"]["/XObject"]
    return any(objects[name].get("/Subtype") == "/Image" for name in objects)


def _values(page: Any) -> Iterator[str]:
    for reference in page.get("/Annots") or ():
        field = reference.get_object()
        value = field.get("/V") or (field.get("/Parent") or {}).get("/V")
        is_text = isinstance(value, str) and not value.startswith("/") and value.strip()
        if field.get("/Subtype") == "/Widget" and is_text:
            yield str(value)
