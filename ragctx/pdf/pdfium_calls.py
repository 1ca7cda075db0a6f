"""The functions of pdfium that are called for each letter or object of a page.

They take and give addresses (`address`): ctypes wraps and checks pointers with types, and that
takes as long again as what most of these functions do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeAlias

import pypdfium2.raw as raw

Address: TypeAlias = int
"""Where something of pdfium's is in memory; 0 is nowhere."""


def address(handle: Any) -> Address:
    """The address of what a handle of `pypdfium2.raw` stands for.

    >>> address(raw.FPDF_PAGEOBJECT())
    0
    """
    return ctypes.c_void_p.from_buffer(handle).value or 0


def page_object(at: Address) -> Any:
    """The handle of a page's object, for the functions of `pypdfium2.raw`."""
    return ctypes.cast(at, raw.FPDF_PAGEOBJECT)


def _by_addresses(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    return ctypes.PYFUNCTYPE(result, *arguments)(address(function))


_ADDRESS, _INT = ctypes.c_void_p, ctypes.c_int
letter_box = _by_addresses(raw.FPDFText_GetLooseCharBox, _INT, _ADDRESS, _INT, _ADDRESS)
"""Of a text page and a letter's number: writes its box to an `FS_RECTF`."""
letter_code = _by_addresses(raw.FPDFText_GetUnicode, ctypes.c_uint, _ADDRESS, _INT)
"""Of a text page and a letter's number: its code in Unicode, or in UTF-16 a half of it."""
letter_object = _by_addresses(raw.FPDFText_GetTextObject, _ADDRESS, _ADDRESS, _INT)
"""Of a text page and a letter's number: the object that draws it, or None."""
is_made_up = _by_addresses(raw.FPDFText_IsGenerated, _INT, _ADDRESS, _INT)
"""Of a text page and a letter's number: 1 if it is not drawn."""
has_no_letter = _by_addresses(raw.FPDFText_HasUnicodeMapError, _INT, _ADDRESS, _INT)
"""Of a text page and a letter's number: 1 if its font names no letter for it."""
letter_angle = _by_addresses(raw.FPDFText_GetCharAngle, ctypes.c_float, _ADDRESS, _INT)
"""Of a text page and a letter's number: how it is turned, radians."""
letter_size = _by_addresses(raw.FPDFText_GetFontSize, ctypes.c_double, _ADDRESS, _INT)
"""Of a text page and a letter's number: the size of its font, points."""
object_of_page = _by_addresses(raw.FPDFPage_GetObject, _ADDRESS, _ADDRESS, _INT)
"""Of a page and a number: its object, or None."""
object_kind = _by_addresses(raw.FPDFPageObj_GetType, _INT, _ADDRESS)
"""Of an object: what it is, `FPDF_PAGEOBJ_TEXT` or another."""
path_mode = _by_addresses(raw.FPDFPath_GetDrawMode, _INT, _ADDRESS, _ADDRESS, _ADDRESS)
"""Of a path: writes how it is filled (0: it is not) and whether it is stroked, two C ints."""
object_bounds = _by_addresses(raw.FPDFPageObj_GetBounds, _INT, _ADDRESS, *(4 * [_ADDRESS]))
"""Of an object: writes left, bottom, right and top, C floats; 0 if it has none."""
text_mode = _by_addresses(raw.FPDFTextObj_GetTextRenderMode, _INT, _ADDRESS)
"""Of a text object: how it is drawn (ISO 32000-1, table 106)."""
font_of_text = _by_addresses(raw.FPDFTextObj_GetFont, _ADDRESS, _ADDRESS)
"""Of a text object: its font, or None."""
fill_colour = _by_addresses(raw.FPDFPageObj_GetFillColor, _INT, _ADDRESS, *(4 * [_ADDRESS]))
"""Of an object: writes red, green, blue and alpha, unsigned C ints; 0 if it has no colour."""
stroke_colour = _by_addresses(raw.FPDFPageObj_GetStrokeColor, _INT, _ADDRESS, *(4 * [_ADDRESS]))
"""Of an object: writes red, green, blue and alpha of its outlines, as `fill_colour` does."""
clip_path = _by_addresses(raw.FPDFPageObj_GetClipPath, _ADDRESS, _ADDRESS)
"""Of an object: to what its drawing is cut, or None."""
mark_count = _by_addresses(raw.FPDFPageObj_CountMarks, _INT, _ADDRESS)
"""Of an object: how many marks it has."""
mark_of = _by_addresses(raw.FPDFPageObj_GetMark, _ADDRESS, _ADDRESS, ctypes.c_ulong)
"""Of an object and a number: that mark of it, or None."""
mark_name = _by_addresses(
    raw.FPDFPageObjMark_GetName, _INT, *(2 * [_ADDRESS]), ctypes.c_ulong, _ADDRESS
)
"""Of a mark: writes what it is called in UTF-16 and, as a C unsigned long, its bytes; or 0."""
content_number = _by_addresses(raw.FPDFPageObj_GetMarkedContentID, _INT, _ADDRESS)
"""Of an object: its number in the page's structure, or -1."""
tree_child_count = _by_addresses(raw.FPDF_StructElement_CountChildren, _INT, _ADDRESS)
"""Of an element of a page's structure: how many children it has."""
tree_child = _by_addresses(raw.FPDF_StructElement_GetChildAtIndex, _ADDRESS, _ADDRESS, _INT)
"""Of an element and a number: its child, or None if that is a piece of the page's content."""
tree_child_number = _by_addresses(
    raw.FPDF_StructElement_GetChildMarkedContentID, _INT, _ADDRESS, _INT
)
"""Of an element and a number: that child's number in the page's structure, or -1."""
tree_role = _by_addresses(
    raw.FPDF_StructElement_GetType, ctypes.c_ulong, _ADDRESS, _ADDRESS, ctypes.c_ulong
)
"""Of an element: writes its role in UTF-16, if the buffer is large enough; returns the bytes."""
