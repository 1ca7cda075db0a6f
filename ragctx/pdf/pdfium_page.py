"""A page as pdfium opens it: what of it is shown, and its form fields drawn with the rest."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Frame
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS
from ragctx.pdf.pdfium_forms import HIDDEN, Placed, form_fields
from ragctx.pdf.pdfium_remarks import Remark, remarks
from ragctx.pdf.visibility import MIN_VISIBLE_PT

MANY_OBJECTS = 20_000
"""How many objects of a page are examined at most. Chosen by hand, to bound the time."""
_NOT_DRAWN = (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP)
"""Kinds of annotations that have no words of their own on the page."""


def frame_of(page: Any) -> Frame:
    """What is shown of the page, in its own coordinates, and how it is turned.

    (Asked of the view, for pdfium tells a page's boxes only where the page itself has them, and
    most pages of many files have them from the tree.)
    """
    fine = 2**20  # parts of the page's width and height, so that nothing is rounded
    x, y = ctypes.c_double(), ctypes.c_double()
    corners = []
    for corner in ((0, 0), (fine, fine)):
        raw.FPDF_DeviceToPage(page, *(0, 0, fine, fine, 0), *corner, x, y)
        corners.append((x.value, y.value))
    (x0, y0), (x1, y1) = corners
    shown = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return Frame(shown=shown, turn=page.get_rotation() // 90)


class OpenPage(NamedTuple):
    """A page with form fields, stamps and remarks drawn as part of its content.

    `printed` counts the characters that were there before them; `fields` are those that are shown;
    `remarks` are of those that could not be drawn.
    """

    page: Any
    printed: int
    fields: Sequence[Placed]
    remarks: Sequence[Remark] = ()


def with_fields_drawn(document: Any, i: int) -> OpenPage:
    """Page i of the document."""
    page = document[i]
    if not _has_drawn_annotations(page):
        return OpenPage(page, MAX_PAGE_CHARACTERS, ())
    undrawn = remarks(page, frame_of(page))
    _remove_unseen(page)
    fields = form_fields(document, page, page.get_rotation() // 90)
    printed = raw.FPDFText_CountChars(page.get_textpage())
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
    page.close()
    return OpenPage(document[i], printed, fields, undrawn)


def _remove_unseen(page: Any) -> None:
    """Take off the page what is drawn on paper only, or has no room: pdfium would draw it too."""
    for i in reversed(range(min(raw.FPDFPage_GetAnnotCount(page), MANY_OBJECTS))):
        note, rect = raw.FPDFPage_GetAnnot(page, i), raw.FS_RECTF()
        has_place = raw.FPDFAnnot_GetRect(note, rect)
        sides = abs(rect.right - rect.left), abs(rect.top - rect.bottom)
        is_unseen = raw.FPDFAnnot_GetFlags(note) & HIDDEN or min(sides) < MIN_VISIBLE_PT
        raw.FPDFPage_CloseAnnot(note)
        if has_place and is_unseen:
            raw.FPDFPage_RemoveAnnot(page, i)


def _has_drawn_annotations(page: Any) -> bool:
    """Whether the page has form fields, stamps, remarks: text that is not part of its content."""
    for i in range(min(raw.FPDFPage_GetAnnotCount(page), MANY_OBJECTS)):
        annotation = raw.FPDFPage_GetAnnot(page, i)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind not in _NOT_DRAWN:
            return True
    return False
