"""Remarks and stamps of a page that have no appearance of their own: the viewer draws their words.

Most programs store how a remark looks. Where one did not, viewers set its text by themselves (ISO
32000-1, 12.5.6.6); of a stamp they draw what its name says. pdfium draws neither.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box, Frame, along_line
from ragctx.pdf.messages import MAX_FIELDS, LineMessage, unplaced_line
from ragctx.pdf.pdfium_forms import HIDDEN, told_text
from ragctx.pdf.pdfium_text_objects import PALE
from ragctx.pdf.visibility import MIN_VISIBLE_PT

USUAL_SIZE, LEADING, LETTER = 12.0, 1.2, 0.5
"""Points of a remark's letters where it names no size; lines by size; a letter's width in em."""
MAX_LINES = 200
"""Lines of one remark that are read."""
_SIZE = re.compile(r"([0-9.]{1,8})\s+Tf\b")
_COLOUR = re.compile(r"(?:([0-9.]{1,8})\s+([0-9.]{1,8})\s+)?([0-9.]{1,8})\s+r?g\b")
_RICH_SIZE = re.compile(r"font(?:-size)?:[^;\"'<]{0,80}?\b([0-9.]{1,8})pt")
_RICH_COLOUR = re.compile(r"(?<![-\w])color:\s{0,9}#([0-9A-Fa-f]{6})")
_STAMP = re.compile(
    r"(?:Not)?(?:Approved|ForPublicRelease)|AsIs|Confidential|Departmental|Draft|Experimental"
    r"|Expired|Final|ForComment|Sold|TopSecret"
)
"""The names of stamps that viewers know (ISO 32000-1, 12.5.6.12)."""
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Remark(NamedTuple):
    """A line of a remark, and whether a person sees it."""

    message: LineMessage
    is_seen: bool


def remarks(page: Any, frame: Frame) -> list[Remark]:
    """The lines that viewers draw of remarks and stamps without an appearance."""
    found: list[Remark] = []
    for i in range(min(raw.FPDFPage_GetAnnotCount(page), MAX_FIELDS)):
        note = raw.FPDFPage_GetAnnot(page, i)
        try:
            found += _lines(note, frame)
        finally:
            raw.FPDFPage_CloseAnnot(note)
    return found


def _lines(note: Any, frame: Frame) -> Iterator[Remark]:
    text, rect = _words(note), raw.FS_RECTF()
    if not text or not raw.FPDFAnnot_GetRect(note, rect):
        return
    box = rect.left, rect.bottom, rect.right, rect.top
    style = _told(note, b"DA")
    rich = _told(note, b"RC") + _told(note, b"DS")
    named = _RICH_SIZE.search(rich) or _SIZE.search(style)
    size = (float(named[1]) if named and named[1].count(".") < 2 else 0.0) or USUAL_SIZE
    rich_colour = _RICH_COLOUR.search(rich)
    shade = _shade(style) if rich_colour is None else _grey(*bytes.fromhex(rich_colour[1]))
    is_seen = (
        not raw.FPDFAnnot_GetFlags(note) & HIDDEN
        and not raw.FPDFAnnot_HasKey(note, b"OC")  # a layer, which may be off
        and min(size, rect.top - rect.bottom, rect.right - rect.left) >= MIN_VISIBLE_PT
        and shade < PALE
        and _overlap(box, frame.shown)
    )
    left, top, right, _ = along_line(box, frame.turn)
    for k, line in enumerate(text.splitlines()[:MAX_LINES]):
        message = unplaced_line(line)
        message["left"], message["top"] = round(left, 1), round(top + k * LEADING * size, 1)
        message["right"] = round(min(right, left + LETTER * size * len(line)), 1)
        message["bottom"], message["size"] = round(message["top"] + size, 1), round(size, 1)
        if line.strip():
            yield Remark(message, is_seen)


def _words(note: Any) -> str:
    """What a viewer writes for a remark or stamp; "" for one that has an appearance."""
    kind = raw.FPDFAnnot_GetSubtype(note)
    if raw.FPDFAnnot_HasKey(note, b"AP"):
        return ""
    if kind == raw.FPDF_ANNOT_FREETEXT:
        return _told(note, b"Contents") or _plain(_told(note, b"RC"))
    name = _told(note, b"Name") if kind == raw.FPDF_ANNOT_STAMP else ""
    return _CAPITAL.sub(" ", name) if _STAMP.fullmatch(name) else ""


def _plain(rich: str) -> str:
    """The words of rich text (XHTML), a line for each paragraph.

    >>> _plain("<body><p>Deposit: <b>1,250&#160;EUR</b></p><p>Heating &amp; light</p></body>")
    'Deposit: 1,250\\xa0EUR\\nHeating & light\\n'
    """
    lines = _LINE_END.sub("\0", " ".join(rich.split()))
    return html.unescape(_TAG.sub("", lines)).replace("\0", "\n")


_LINE_END = re.compile(r"</p\s*>|<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*(?:>|\Z)")


def _told(note: Any, key: bytes) -> str:
    return told_text(partial(raw.FPDFAnnot_GetStringValue, note, key))


def _shade(style: str) -> float:
    """The grey, 0 (black) to 255, in which letters of a style ("/Helv 12 Tf 1 0 0 rg") are set."""
    colour = _COLOUR.search(style)
    if colour is None or any(part and part.count(".") > 1 for part in colour.groups()):
        return 0.0
    blue = float(colour[3])
    red, green = (float(colour[1]), float(colour[2])) if colour[1] else (blue, blue)
    return _grey(255 * red, 255 * green, 255 * blue)


def _grey(red: float, green: float, blue: float) -> float:
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _overlap(box: Box, shown: Sequence[float]) -> bool:
    across = box[0] < shown[2] and shown[0] < box[2]
    return across and box[1] < shown[3] and shown[1] < box[3]
