"""How the letters of a page are drawn: asked once for each object that draws some of them.

The letters of one object have one font, size, colour and direction (ISO 32000-1, 9.4). A page has
hundreds of words, and asking for each of them takes longer than reading it.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box
from ragctx.pdf.pdfium_calls import (
    Address,
    address,
    fill_colour,
    font_of_text,
    has_no_letter,
    letter_angle,
    letter_box,
    letter_code,
    letter_object,
    letter_size,
    mark_count,
    mark_name,
    mark_of,
    stroke_colour,
    text_mode,
)
from ragctx.pdf.symbol_fonts import CMEX, Signs, signs_of
from ragctx.text.line_shapes import is_spaceless

FAINT_ALPHA = 26
"""A tenth of full cover, of 255: fainter letters are looked for in the picture."""
PALE = 230
"""Lighter letters, of 255, are looked for in the picture: paper is white."""
SAME_COLUMN = 0.3
"""Of a letter's height: how far the middles of letters of one column may be apart."""
_FIRST_SPACELESS = 0xE00  # Thai; asked of every object, so it must be quick
_DOWN = 3  # quarter turns of a line that goes down
_INVISIBLE_MODES = (3, 7)  # ISO 32000-1, table 106
_OUTLINED, _FILLED_AND_OUTLINED = (1, 5), (2, 6)
_BOLD = re.compile(r"(?i)bold|black|heavy|cmbx|cmssbx|sfbx|[-,]bd\b|\bmedi\b|nimbus\w+-medi|-bx\d")
_TYPEWRITER = re.compile(
    r"(?i)courier|mono(?!type)|consol|menlo|(?:cm|sf|ec)[a-z]{0,2}tt\d|typewriter"
)
_FORCE_BOLD = 1 << 18  # of a font's flags, ISO 32000-1, table 123
_LONGEST_NAME = 128  # bytes; a longer name is none


class TextObject(NamedTuple):
    """How an object draws its letters.

    `turn` counts quarter turns of the page; `shade` is the grey in which letters are filled, or
    outlined, 0 (black) to 255, and `alpha` how much it covers, 0 to 255.
    """

    at: Address  # 0 for letters of no object
    turn: int
    size: float  # points, at least 0
    signs: Signs | None
    is_bold: bool
    is_typewriter: bool  # all letters equally wide
    is_drawn: bool  # and not only there to be selected
    in_layer: bool  # which may be switched off
    shade: int
    alpha: int

    @property
    def is_faint(self) -> bool:
        """Whether letters may not be seen by the way they are drawn: pale, faint, not at all."""
        return not self.is_drawn or self.shade >= PALE or self.alpha < FAINT_ALPHA


NO_OBJECT = TextObject(
    at=0,
    turn=0,
    size=0.0,
    signs=None,
    is_bold=False,
    is_typewriter=False,
    is_drawn=True,
    in_layer=False,
    shade=0,
    alpha=255,
)
"""Of letters that no object draws: nothing is known of them."""


class TextObjects:
    """The objects that draw a page's letters, by the letters' numbers as pdfium counts them."""

    def __init__(self, textpage: Any) -> None:
        self._textpage = textpage
        self._at = address(textpage.raw)
        self._known: dict[Address, TextObject] = {}
        self._asked_by: dict[Address, int] = {}  # the letter that was asked about each
        self._forgotten: dict[int, TextObject] = {}  # by that letter
        self._fonts: dict[Address, _Font] = {}
        self._fills, self._strokes = Fills(), Fills(stroke_colour)

    def of(self, k: int, box: Box) -> TextObject:
        """What draws letter k, whose box on the page this is."""
        at = letter_object(self._at, k) or 0
        return self._known.get(at) or self._asked(at, k, box)

    def of_each(self, letters: Iterable[int], boxes: Iterable[Box]) -> list[TextObject]:
        """What draws each of some letters, whose boxes on the page these are."""
        places = list(map(letter_object, repeat(self._at), letters))
        try:
            return list(map(self._known.__getitem__, places))
        except KeyError:  # or None, of what no object draws
            each = zip(places, letters, boxes, strict=True)
            return [self._known.get(at) or self._asked(at or 0, k, box) for at, k, box in each]

    def __len__(self) -> int:
        return len(self._known)

    def forget(self, count: int) -> None:
        """Keep only the first `count` objects: the others are asked by other letters, or again."""
        while len(self._known) > count:
            at, known = self._known.popitem()
            self._forgotten[self._asked_by[at]] = known

    def _asked(self, at: Address, k: int, box: Box) -> TextObject:
        """The object `at`, as its letter k tells of it."""
        known = self._forgotten.get(k) or self._told(at, k, box)
        if at:
            self._known[at], self._asked_by[at] = known, k
        return known

    def _told(self, at: Address, k: int, box: Box) -> TextObject:
        left, bottom, right, top = box
        angle = letter_angle(self._at, k)
        turn = _turn(angle) if angle else _DOWN * self._reads_down(at, k, box)
        size = _size(letter_size(self._at, k), right - left if turn % 2 else top - bottom)
        if size < 0:  # letters drawn backwards: turned once more
            turn, size = (turn + 2) % 4, -size
        if not at:
            return NO_OBJECT._replace(turn=turn, size=size)
        font = self._font(font_of_text(at), k)
        mode = text_mode(at)
        shade, alpha = self._colour(at, mode)
        fields = (
            at,
            turn,
            size,
            font.signs,
            font.is_bold,
            font.is_typewriter,
            mode not in _INVISIBLE_MODES,
            mark_count(at) > 0 and "OC" in marks_of(at),
            shade,
            alpha,
        )
        return TextObject._make(fields)  # in half the time that naming them takes

    def _reads_down(self, at: Address, k: int, box: Box) -> bool:
        """Whether letter k is of a script that may be set in columns, and the next stands below it.

        Such a column is read as a line that is turned clockwise: so are the columns after it.
        """
        code = letter_code(self._at, k)
        if code < _FIRST_SPACELESS or not at or not is_spaceless(chr(code)):
            return False
        if letter_object(self._at, k + 1) != at:
            return False
        rect = raw.FS_RECTF()
        letter_box(self._at, k + 1, ctypes.addressof(rect))
        left, bottom, right, top = box
        near = SAME_COLUMN * (top - bottom)
        apart = abs(left + right - float(rect.left) - float(rect.right))
        return apart <= 2 * near and float(rect.top) <= bottom + near

    def _colour(self, at: Address, mode: int) -> tuple[int, int]:
        """The shade of an object's letters, and how much it covers.

        It is that of their outlines, if these are all that is drawn, or shows of pale letters.
        """
        filled = self._fills.of(at) or (0, 255)
        if mode in _OUTLINED or (mode in _FILLED_AND_OUTLINED and filled[0] >= PALE):
            return self._strokes.of(at) or filled
        return filled

    def _font(self, at: Address | None, k: int) -> _Font:
        """The font of letter k.

        pdfium's own weights are those of the fonts it puts in for missing ones: they say little.
        """
        known = self._fonts.get(at) if at else None
        if known is None:
            buffer, flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()
            size = raw.FPDFText_GetFontInfo(self._textpage, k, buffer, _LONGEST_NAME, flags)
            name = buffer.value.decode("utf-8", "replace") if size else ""
            is_bold = _BOLD.search(name) is not None or bool(flags.value & _FORCE_BOLD)
            known = _Font(signs_of(name), is_bold, _TYPEWRITER.search(name) is not None)
            if known.signs is CMEX:
                if letter_code(self._at, k) > 0xFF:
                    return known  # does not tell whether the font names letters
                if not has_no_letter(self._at, k):
                    known = known._replace(signs=None)
            if at:
                self._fonts[at] = known
        return known


class _Font(NamedTuple):
    signs: Signs | None
    is_bold: bool
    is_typewriter: bool


class Fills:
    """Asks how objects are filled, or outlined.

    (What pdfium answers in is kept: it takes long to make.)
    """

    def __init__(self, colour_of: Callable[..., int] = fill_colour) -> None:
        self._colour_of = colour_of
        self._colour = (ctypes.c_uint * 4)()
        first = ctypes.addressof(self._colour)
        self._places = first, first + 4, first + 8, first + 12

    def of(self, at: Address) -> tuple[int, int] | None:
        """The shade of grey (0 to 255) in which an object is drawn, and how much it covers."""
        if not self._colour_of(at, *self._places):
            return None
        red, green, blue, alpha = self._colour
        return (299 * red + 587 * green + 114 * blue) // 1000, alpha


def marks_of(at: Address) -> list[str]:
    """What an object is marked as: "OC" (a part of a layer), "Artifact"."""
    count = min(mark_count(at), MAX_MARKS)
    return [_mark_name(mark_of(at, i)) for i in range(count)] if count else []


MAX_MARKS = 20
"""Marks of one object that are looked at."""


def _mark_name(mark: Address | None) -> str:
    """What a mark is called; "" if that is long."""
    size, buffer = ctypes.c_ulong(), ctypes.create_string_buffer(32)
    if not mark_name(mark, ctypes.addressof(buffer), len(buffer), ctypes.addressof(size)):
        return ""
    return buffer.raw[: max(0, min(len(buffer), size.value) - 2)].decode("utf-16-le", "replace")


def _turn(angle: float) -> int:
    return -round(angle / (math.pi / 2)) % 4 if math.isfinite(angle) else 0


def _size(size: float, height: float) -> float:
    """A letter's font size; negative where letters are drawn backwards and upside down.

    It is what pdfium says, unless the text matrix sets the size and the font has another.
    """
    if 0.6 <= height / max(abs(size), 0.1) <= 1.8:
        return size
    return math.copysign(height / 1.2, size)
