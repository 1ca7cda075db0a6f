"""A page's characters, as pdfium places them, gathered into pieces of lines.

pdfium gives lines that run across columns, and guesses spaces and line ends: between any two signs
of Chinese, between all letters of a heading that is set wide. Here only what is drawn counts. A
piece ends where its row has a wide gap, a word where the gap is wider than those between letters;
what belongs together is decided where the whole page is seen (`ragctx.pdf.layout`).

Coordinates run along the line of text (x) and down from it (y), in points, whatever way the text is
turned.
"""

from __future__ import annotations

import ctypes
import math
import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

import pypdfium2.raw as raw

from ragctx.pdf.messages import LineMessage
from ragctx.pdf.visibility import Placed
from ragctx.text.line_shapes import is_spaceless

Box: TypeAlias = tuple[float, float, float, float]
"""left, top, right, bottom"""

WIDE_GAP = 0.9
"""Em: characters of a row farther apart are of different pieces. Spaces are 0.2 to 0.6 em wide."""
WORD_GAP, MAX_WORD_GAP = 0.11, 0.25
"""Em: letters farther apart than this are of different words; between the two it depends on the
page. Narrow spaces of justified lines are 0.12 em, loosely set letters as much apart."""
WORD_GAP_SET_WIDE = 0.25
"""Em: the same where letters are set wide, and with that unevenly."""
GUESSED = 0.75
"""Where pdfium makes up a space, this share of the gap is enough."""
SPACELESS_GAP = 0.6
"""Em: the same for scripts that are written without spaces."""
FAR_BACK = 0.5
"""Em: a character goes on with a row if it begins at most this far before the end of the one before
it (kerning, italics, accents)."""
RAISED, SMALLER = 0.2, 0.8
"""A mark above the line stands this much (em) higher than its neighbour, and is this much smaller.
"""
_HYPHEN = "\ufffe"

Before: TypeAlias = Literal["", "drawn", "guessed", "line"]
"""What pdfium gave before a character: nothing, a space that is drawn, one that it made up, or a
line end, which it always makes up."""


class Glyph(NamedTuple):
    """A character that is drawn, and its place; `turn` counts quarter turns of the page.

    (Pages have thousands: a tuple is made in half the time of a dataclass.)
    """

    text: str
    box: Box
    size: float
    turn: int
    before: Before
    at: int  # its number on the page, as pdfium counts


class Piece(NamedTuple):
    """A piece of a line, and the share (0 to 1) of its characters whose font names no letters."""

    message: LineMessage
    unmapped: float
    placed: Placed


class Sheet(NamedTuple):
    """A page whose text was loaded: what of it is shown, and how it is turned (quarter turns)."""

    textpage: Any
    shown: Box  # left, bottom, right, top; y upwards
    turn: int


def pieces(sheet: Sheet, start: int, stop: int) -> list[Piece]:
    """The pieces of the characters `start` to `stop`, in the order in which they were drawn.

    Characters outside of what is shown of the page are left out.
    """
    rows = [(row, _gaps(row)) for row in _rows(_glyphs(sheet, start, stop))]
    word_gap = _word_gap([gap for _, gaps in rows for gap in gaps])
    return [
        _piece(sheet, glyphs, text)
        for row, gaps in rows
        for glyphs, text in _split(row, gaps, word_gap)
    ]


# ---- characters ------------------------------------------------------------------------------


def _glyphs(sheet: Sheet, start: int, stop: int) -> Iterator[Glyph]:
    textpage, (left, bottom, right, top) = sheet.textpage, sheet.shown
    unicode_of, box_of = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    rect, sizes, turn = raw.FS_RECTF(), _Sizes(textpage), 0
    before: Before = "line"
    for k in range(start, stop):
        code = unicode_of(textpage, k)
        text = chr(code) if 32 < code < 0xFFFE else _as_text(code)
        if not 32 < code < 127 and text.isspace():
            before = _stronger(before, text, raw.FPDFText_IsGenerated(textpage, k) == 1)
            continue
        if not box_of(textpage, k, rect):
            continue
        x0, y0, x1, y1 = rect.left, rect.bottom, rect.right, rect.top
        if not (left <= (x0 + x1) / 2 <= right and bottom <= (y0 + y1) / 2 <= top):
            continue
        if before:  # within a word, pdfium turns no letter
            turn = _turn(textpage, k)
        box = (x0, -y1, x1, -y0) if turn == 0 else upright((x0, y0, x1, y1), turn)
        size = sizes.of(k, box[3] - box[1])
        if size >= 0:
            yield Glyph(text=text, box=box, size=size, turn=turn, before=before, at=k)
        else:  # letters drawn backwards: turned once more
            way = (turn + 2) % 4
            box = upright((x0, y0, x1, y1), way)
            yield Glyph(text=text, box=box, size=-size, turn=way, before=before, at=k)
        before = ""


def _as_text(code: int) -> str:
    if code in (2, 0xFFFE):
        return _HYPHEN
    return chr(code) if code < 0x110000 else "\ufffd"


def _turn(textpage: Any, k: int) -> int:
    angle = raw.FPDFText_GetCharAngle(textpage, k)
    return -round(angle / (math.pi / 2)) % 4 if math.isfinite(angle) else 0


def _stronger(before: Before, text: str, made_up: bool) -> Before:
    if text in "\r\n":
        return "line"
    if before == "line" or made_up:
        return before or "guessed"
    return "drawn"


@dataclass(slots=True)
class _Sizes:
    """Font sizes: what pdfium says, unless the text matrix sets the size and the font has another.

    They are negative where letters are drawn backwards and upside down. The answer is kept for as
    long as the boxes are equally tall.
    """

    textpage: Any
    height: float = -1.0
    size: float = 0.0

    def of(self, k: int, height: float) -> float:
        if height != self.height:
            self.height = height
            self.size = raw.FPDFText_GetFontSize(self.textpage, k)
            if not 0.6 <= height / max(abs(self.size), 0.1) <= 1.8:
                self.size = math.copysign(height / 1.2, self.size)
        return self.size


# ---- rows and pieces -------------------------------------------------------------------------


def _rows(glyphs: Iterator[Glyph]) -> Iterator[list[Glyph]]:
    """Glyphs that were drawn one after another in one row, in one direction of writing."""
    row: list[Glyph] = []
    for glyph in glyphs:
        if row and not _go_on(row[-1], glyph):
            yield row
            row = []
        row.append(glyph)
    if row:
        yield row


def _go_on(a: Glyph, b: Glyph) -> bool:
    if a.turn != b.turn:
        return False
    (left, top, right, bottom), (next_left, next_top, _, next_bottom) = a.box, b.box
    if top != next_top or bottom != next_bottom:
        shared = min(bottom, next_bottom) - max(top, next_top)
        if shared <= 0.5 * max(0.1, min(bottom - top, next_bottom - next_top)):
            return False
    if _is_right_to_left(a) or _is_right_to_left(b):  # pdfium puts them in order
        return b.before != "line"
    return next_left >= left or next_left >= right - FAR_BACK * max(a.size, b.size)


def _is_right_to_left(glyph: Glyph) -> bool:
    return glyph.text > "\u0590" and unicodedata.bidirectional(glyph.text) in ("R", "AL", "AN")


def _gaps(row: Sequence[Glyph]) -> list[float]:
    """Em from each glyph of a row to the next."""
    return [(b.box[0] - a.box[2]) / (max(a.size, b.size) or 0.1) for a, b in pairwise(row)]


def _word_gap(gaps: Sequence[float]) -> float:
    """Em between letters of different words: half of the page's usual space.

    A sixth of all gaps are spaces, so the largest tenth begins among them.
    """
    usual = sorted(gaps)[int(0.9 * len(gaps))] if gaps else 0.0
    return min(max(usual / 2, WORD_GAP), MAX_WORD_GAP)


def _split(
    row: Sequence[Glyph], gaps: Sequence[float], word_gap: float
) -> Iterator[tuple[Sequence[Glyph], str]]:
    """The pieces of a row, parted at wide gaps, with their text."""
    if any(map(_is_right_to_left, row)):
        letters = (" " * bool(glyph.before) + glyph.text for glyph in _unturned(row))
        yield row, "".join(letters).strip()
        return
    usual, start, parts = _usual_gap(row, gaps), 0, [row[0].text]
    word_gap = usual + WORD_GAP_SET_WIDE if usual else word_gap
    guess_gap = word_gap if usual else max(WORD_GAP, GUESSED * word_gap)
    for i, gap in enumerate(gaps, start=1):
        if gap > usual + WIDE_GAP:
            yield row[start:i], "".join(parts)
            start, parts = i, []
        elif row[i].before == "drawn":
            parts.append(" ")
        elif gap > (guess_gap if row[i].before else word_gap) and not _joins_signs(row, i, gap):
            parts.append(" ")
        elif row[i].size != row[i - 1].size:
            parts.append(_set_off(row, i))
        parts.append(row[i].text)
    yield row[start:], "".join(parts)


def _unturned(row: Sequence[Glyph]) -> list[Glyph]:
    """The glyphs of a row from right to left, with the letters of each sign in their order.

    pdfium turns a row around that was drawn from left to right, and with it the letters of signs
    that stand for several: lam and alef, a letter and its mark.
    """
    letters = list(row)
    for i, (a, b) in enumerate(pairwise(row)):
        is_turned = (b.text == _LAM and a.text in _ALEFS) or (
            unicodedata.combining(a.text) and not unicodedata.combining(b.text)
        )
        if is_turned and a.box == b.box:
            letters[i], letters[i + 1] = b._replace(before=a.before), a._replace(before=b.before)
    return letters


_LAM, _ALEFS = "\u0644", "\u0622\u0623\u0625\u0627"


def _joins_signs(row: Sequence[Glyph], i: int, gap: float) -> bool:
    """Whether glyph i and the one before are of a script without spaces, and not far apart."""
    both = is_spaceless(row[i - 1].text) and is_spaceless(row[i].text)
    return both and gap <= SPACELESS_GAP


def _usual_gap(row: Sequence[Glyph], gaps: Sequence[float]) -> float:
    """Em between the letters of a row that is set wide; 0 if it is not.

    Single letters with spaces between them look the same; but in a row that is set wide some gaps
    are spaces and therefore wider, unless all of it is one word in capitals.
    """
    between = [  # letters: dots that lead to a page number are set wide anywhere
        (gap, b.before == "drawn")
        for gap, (a, b) in zip(gaps, pairwise(row), strict=True)
        if a.text.isalnum() and b.text.isalnum()
    ]
    undrawn = [gap for gap, is_drawn in between if not is_drawn]
    usual = statistics.median(undrawn) if len(undrawn) >= MIN_SET_WIDE else 0.0
    if not WORD_GAP < usual < MAX_SET_WIDE:
        return 0.0
    has_spaces = len(undrawn) < len(between) or max(undrawn) > usual + WORD_GAP_SET_WIDE
    return usual if has_spaces or all(glyph.text.isupper() for glyph in row) else 0.0


MAX_SET_WIDE = 0.8
"""Em: letters farther apart are the cells of a table."""
MIN_SET_WIDE = 4
"""Gaps that must be wide before letters are taken for set wide: "A B" is two words."""


def _set_off(row: Sequence[Glyph], i: int) -> str:
    """What parts glyph i from the one before it where no space was drawn.

    "10" and a raised "6" are "10^6", "320" and a raised "1" are a number and a note, and must never
    become 3201.
    """
    last, glyph = row[i - 1], row[i]
    if not (last.text.isdigit() and (glyph.text.isdigit() or glyph.text in _SIGNS)):
        return ""
    if _is_raised(last, glyph):
        base = "".join(one.text for one in row[max(0, i - 3) : i])
        return "^" if base.endswith("10") and not base[:-2].isdigit() else " "
    return " " if _is_raised(glyph, last) else ""


_SIGNS = "+-\u2212\u2013"


def _is_raised(base: Glyph, mark: Glyph) -> bool:
    higher = base.box[3] - mark.box[3]
    return mark.size < SMALLER * base.size and higher > RAISED * base.size


def _piece(sheet: Sheet, glyphs: Sequence[Glyph], text: str) -> Piece:
    places = {0, len(glyphs) // 2, len(glyphs) - 1}
    some = [glyphs[k] for k in sorted(places)]
    unmapped = sum(raw.FPDFText_HasUnicodeMapError(sheet.textpage, g.at) == 1 for g in some) / len(
        some
    )
    middle = sorted(glyphs, key=lambda glyph: glyph.size)[len(glyphs) // 2]
    message: LineMessage = {
        "text": text,
        "turn": (glyphs[0].turn - sheet.turn) % 4,
        "left": round(min(glyph.box[0] for glyph in glyphs), 1),
        "top": round(middle.box[1], 1),
        "right": round(max(glyph.box[2] for glyph in glyphs), 1),
        "bottom": round(middle.box[3], 1),
        "size": round(middle.size, 1),
        "bold": all(_is_bold(sheet.textpage, glyph.at) for glyph in some),
    }
    return Piece(message, unmapped, Placed(glyphs[0].at, _on_page(glyphs), middle.size))


_FONT_NAME_BYTES = 128
_BOLD = re.compile(rb"(?i)bold|black|heavy|cmbx|cmssbx|sfbx|[-,]bd\b|\bmedi\b|nimbus\w+-medi|-bx\d")
_FORCE_BOLD = 1 << 18  # of a font's flags, ISO 32000-1, table 123


def _is_bold(textpage: Any, k: int) -> bool:
    """Whether a character's font is a bold one, by its name or its flags.

    pdfium's own weights are those of the fonts it puts in for missing ones: they say little.
    """
    name, flags = ctypes.create_string_buffer(_FONT_NAME_BYTES), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, k, name, _FONT_NAME_BYTES, flags)
    return _BOLD.search(name.value) is not None or bool(flags.value & _FORCE_BOLD)


def _on_page(glyphs: Sequence[Glyph]) -> Box:
    """The box around glyphs on the page: left, bottom, right, top; y upwards."""
    left, top = min(g.box[0] for g in glyphs), min(g.box[1] for g in glyphs)
    right, bottom = max(g.box[2] for g in glyphs), max(g.box[3] for g in glyphs)
    turn = glyphs[0].turn
    if turn == 1:
        return top, left, bottom, right
    if turn == 2:
        return -right, top, -left, bottom
    if turn == 3:
        return -bottom, -right, -top, -left
    return left, -bottom, right, -top


def upright(corners: Box, turn: int) -> Box:
    """A box of the page (left, bottom, right, top; y upwards) seen along text turned so."""
    x0, y0, x1, y1 = corners
    if turn == 1:
        return y0, x0, y1, x1
    if turn == 2:
        return -x1, y0, -x0, y1
    if turn == 3:
        return -y1, -x1, -y0, -x0
    return x0, -y1, x1, -y0
