"""The form fields of a page, as pdfium tells them: what each holds, its place, its names."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box, along_line
from ragctx.pdf.messages import MAX_FIELDS, FieldKind, FieldMessage
from ragctx.pdf.pdfium_pieces import Piece

Placed: TypeAlias = tuple[FieldMessage, Box]
"""A field, and its box on the page."""

MAX_OPTIONS = 1000
"""Options of one field that are looked at. A list of all countries has about 250."""
MAX_FIELD_CHARACTERS = 2000
"""Characters kept of what one field says: above what a person fills in."""
_CHOICES = (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
_TICKS = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_KINDS: Mapping[int, FieldKind] = {
    raw.FPDF_FORMFIELD_TEXTFIELD: "value",
    raw.FPDF_FORMFIELD_COMBOBOX: "value",
    raw.FPDF_FORMFIELD_LISTBOX: "value",
    raw.FPDF_FORMFIELD_CHECKBOX: "tick",
    raw.FPDF_FORMFIELD_RADIOBUTTON: "radio",
    raw.FPDF_FORMFIELD_PUSHBUTTON: "button",
}
HIDDEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
"""Flags of an annotation that nobody sees."""


def form_fields(document: Any, page: Any, turn: int) -> list[Placed]:
    """The fields of a page that are shown, which is turned so; not its signatures."""
    if document.formenv is None:
        return []
    count = min(raw.FPDFPage_GetAnnotCount(page), MAX_FIELDS)
    fields = (_field(document.formenv.raw, page, i, turn) for i in range(count))
    return [field for field in fields if field is not None]


def as_drawn(
    fields: Sequence[Placed], drawn: Sequence[tuple[Piece, bool]]
) -> tuple[list[FieldMessage], list[Piece]]:
    """The fields with what is drawn in their boxes, and the pieces that are seen outside of them.

    What is drawn counts: an amount with its currency, stars instead of a password, nothing where
    the letters are white. The value tells where it has spaces. `drawn` are pieces, and whether each
    is seen.
    """
    inside: list[list[tuple[Piece, bool]]] = [[] for _ in fields]
    outside = []
    for piece, is_seen in drawn:
        at = next((i for i, (_, box) in enumerate(fields) if _holds(box, piece)), None)
        if at is not None:
            inside[at].append((piece, is_seen))
        elif is_seen:
            outside.append(piece)
    messages = [
        _with_drawn(field, pieces) for (field, _), pieces in zip(fields, inside, strict=True)
    ]
    return messages, outside


def _with_drawn(field: FieldMessage, pieces: Sequence[tuple[Piece, bool]]) -> FieldMessage:
    if field["kind"] not in ("value", "button") or field["is_list"] or not pieces:
        return field
    seen = " ".join(piece.message["text"] for piece, is_seen in pieces if is_seen)
    if "".join(seen.split()) != "".join(field["value"].split()):
        field["value"] = seen
    return field


def _holds(box: Box, piece: Piece) -> bool:
    left, bottom, right, top = piece.placed.box
    x, y = (left + right) / 2, (bottom + top) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _field(form: Any, page: Any, i: int, turn: int) -> Placed | None:
    note = raw.FPDFPage_GetAnnot(page, i)
    try:
        if raw.FPDFAnnot_GetSubtype(note) != raw.FPDF_ANNOT_WIDGET:
            return None
        kind, rect = raw.FPDFAnnot_GetFormFieldType(form, note), raw.FS_RECTF()
        if kind not in _KINDS or raw.FPDFAnnot_GetFlags(note) & HIDDEN:
            return None
        if not raw.FPDFAnnot_GetRect(note, rect):
            return None
        box = rect.left, rect.bottom, rect.right, rect.top
        return _message(form, note, kind, along_line(box, turn)), box
    finally:
        raw.FPDFPage_CloseAnnot(note)


def _message(form: Any, note: Any, kind: int, place: Box) -> FieldMessage:
    def told(ask: Callable[..., int]) -> str:
        return told_text(partial(ask, form, note))

    if kind == raw.FPDF_FORMFIELD_RADIOBUTTON:
        value = told(raw.FPDFAnnot_GetFormFieldExportValue)
    elif kind in _CHOICES:
        value = ", ".join(_chosen(form, note)) or told(raw.FPDFAnnot_GetFormFieldValue)
    else:
        value = told(raw.FPDFAnnot_GetFormFieldValue)
    return {
        "kind": _KINDS[kind],
        "name": told(raw.FPDFAnnot_GetFormFieldName),
        "tooltip": told(raw.FPDFAnnot_GetFormFieldAlternateName),
        "value": value,
        "is_list": kind == raw.FPDF_FORMFIELD_LISTBOX,
        "is_chosen": kind in _TICKS and raw.FPDFAnnot_IsChecked(form, note) == 1,
        "left": round(place[0], 1),
        "top": round(place[1], 1),
        "right": round(place[2], 1),
        "bottom": round(place[3], 1),
    }


def _chosen(form: Any, note: Any) -> Iterator[str]:
    """What the chosen options of a list are called: their values may be codes."""
    count = min(raw.FPDFAnnot_GetOptionCount(form, note), MAX_OPTIONS)
    chosen = (i for i in range(count) if raw.FPDFAnnot_IsOptionSelected(form, note, i))
    for i in chosen:
        yield told_text(partial(raw.FPDFAnnot_GetOptionLabel, form, note, i))


def told_text(ask: Callable[[Any, int], int]) -> str:
    """A string of pdfium's, which tells its bytes first: UTF-16, with a zero at its end."""
    size = min(ask(None, 0), 2 * MAX_FIELD_CHARACTERS + 2)
    if size <= 2:
        return ""
    whole = ask(None, 0)
    buffer = (ctypes.c_ushort * (whole // 2 + 1))()
    ask(buffer, whole)
    return bytes(buffer)[: size - 2].decode("utf-16-le", "replace").rstrip("\0")
