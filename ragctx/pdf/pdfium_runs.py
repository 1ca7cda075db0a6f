"""A page's characters as pdfium places them, gathered into runs: letters set close in one row.

Most of the time that reading takes is spent here, on each character of each page; what follows sees
runs, of which there are five times fewer.
"""

from __future__ import annotations

import collections
import ctypes
import itertools
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box, Frame, along_line
from ragctx.pdf.symbol_fonts import Signs, sign, signs_of
from ragctx.pdf.visibility import address, is_faint

WORD_GAP = 0.11
"""Em: letters at most this far apart are of one word, on any page."""
FAR_BACK = 0.5
"""Em: a character goes on with a row if it begins at most this far before the end of the one before
it (kerning, italics, accents)."""
EVEN = 0.03
"""Em: letters whose boxes differ by no more are equally tall; pdfium makes those of tall letters a
little taller."""
_HYPHEN = "\ufffe"
_RIGHT_TO_LEFT = "\u0590"
"""No letter before this one is written from right to left."""

Before: TypeAlias = Literal["", "drawn", "guessed", "line"]
"""What pdfium gave before a character: nothing, a space that is drawn, one that it made up, or a
line end, which it always makes up."""


class Sheet(NamedTuple):
    """A page whose text was loaded, and what of it is shown."""

    textpage: Any
    frame: Frame


class Run(NamedTuple):
    """Letters of one word, drawn one after another and equally tall.

    Coordinates run along the line of text (x) and down from it (y), in points, whatever way it is
    turned; `turn` counts quarter turns of the page. Each letter of a script that is written from
    right to left is a run.

    (Pages have hundreds: a tuple is made in half the time of a dataclass.)
    """

    text: str
    box: Box
    last_left: float  # where its last letter begins
    size: float
    turn: int
    before: Before
    at: int  # its first letter's number on the page, as pdfium counts
    is_faint: bool = False  # see `visibility.is_faint`


def runs(sheet: Sheet, codes: str, start: int) -> Iterator[Run]:
    """The runs of the characters `codes`, the first of which has the number `start` on the page.

    Characters outside of what is shown of the page are left out.
    """
    textpage, (shown_left, shown_bottom, shown_right, shown_top) = (
        sheet.textpage.raw,
        sheet.frame.shown,
    )
    boxes = _boxes(textpage, start, len(codes))
    run: Run | None = None
    text, last_left, right = "", 0.0, 0.0  # what has grown of the run
    pen, even, before = _Pen(textpage), 0.0, _LINE
    for k, letter, (x0, y0, x1, y1) in zip(itertools.count(start), codes, boxes, strict=False):
        if letter.isspace():
            before = _stronger(before, letter, raw.FPDFText_IsGenerated(textpage, k) == 1)
            continue
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        if not (shown_left <= x <= shown_right and shown_bottom <= y <= shown_top):
            continue
        if not before and run is not None:  # within a word, pdfium turns no letter
            box = along_line((x0, y0, x1, y1), run.turn) if run.turn else (x0, -y1, x1, -y0)
            left = box[0]
            if (
                -even <= box[1] - run.box[1] <= even
                and -even <= box[3] - run.box[3] <= even
                and left - right <= WORD_GAP * run.size
                and (left >= last_left or left >= right - FAR_BACK * run.size)
                and not (letter > _RIGHT_TO_LEFT and is_right_to_left(letter))
                and not (run.text > _RIGHT_TO_LEFT and is_right_to_left(run.text))
            ):
                text, last_left, right = text + letter, left, box[2]
                continue
        if run is not None:
            yield _grown(run, pen.letters(text), last_left, right)
        box, size, turn = pen.set_to(k, (x0, y0, x1, y1), begins_word=before != "")
        run = Run(
            text=letter,
            box=box,
            last_left=box[0],
            size=size,
            turn=turn,
            before=before,
            at=k,
            is_faint=pen.is_faint,
        )
        text, last_left, right, even, before = letter, box[0], box[2], EVEN * size, ""
    if run is not None:
        yield _grown(run, pen.letters(text), last_left, right)


_LINE: Before = "line"


def _grown(run: Run, text: str, last_left: float, right: float) -> Run:
    if text == run.text:
        return run
    left, top, _, bottom = run.box
    return run._replace(text=text, box=(left, top, right, bottom), last_left=last_left)


def _boxes(textpage: Any, start: int, length: int) -> Iterator[Box]:
    """Left, bottom, right and top of each character; without area where pdfium knows none."""
    rects = (raw.FS_RECTF * length)()
    numbers = range(start, start + length)
    collections.deque(
        map(raw.FPDFText_GetLooseCharBox, itertools.repeat(textpage), numbers, rects), maxlen=0
    )
    sides = memoryview(rects).cast("B").cast("f").tolist()
    lefts, tops, rights, bottoms = (sides[i::4] for i in range(4))
    return zip(lefts, bottoms, rights, tops, strict=True)


def letter_boxes(textpage: Any, run: Run) -> list[Box]:
    """The box of each of a run's letters on the page."""
    return list(_boxes(textpage.raw, run.at, len(run.text)))


def is_right_to_left(letter: str) -> bool:
    """Whether a letter is of a script, or a number of one, that is written from right to left."""
    return letter > _RIGHT_TO_LEFT and unicodedata.bidirectional(letter) in ("R", "AL", "AN")


def _stronger(before: Before, text: str, made_up: bool) -> Before:
    if text in "\r\n":
        return "line"
    if before == "line" or made_up:
        return before or "guessed"
    return "drawn"


@dataclass(slots=True)
class _Pen:
    """How letters are set at the moment: turned so, so large, in a font of signs or of letters.

    Size and font are asked for where a box is of another height than the one before: those of
    another font hardly ever are equally tall.
    """

    textpage: Any
    turn: int = 0
    size: float = 0.0  # as `_size` tells
    tall: float = -1.0
    signs: Signs | None = None
    item: Any = None  # the object that its letters are part of
    is_faint: bool = False

    def set_to(self, k: int, corners: Box, *, begins_word: bool) -> tuple[Box, float, int]:
        """The box, size and turn of letter k."""
        if begins_word:
            self.turn = _turn(self.textpage, k)
        item = raw.FPDFText_GetTextObject(self.textpage, k)
        if item and (self.item is None or address(item) != address(self.item)):
            self.item, self.is_faint = item, is_faint(self.textpage, k, item)
        box = along_line(corners, self.turn)
        if box[3] - box[1] != self.tall:
            self.tall = box[3] - box[1]
            self.size = _size(self.textpage, k, self.tall)
            self.signs = signs_of(_font_name(self.textpage, k))
        if self.size >= 0:
            return box, self.size, self.turn
        way = (self.turn + 2) % 4  # letters drawn backwards: turned once more
        return along_line(corners, way), -self.size, way

    def letters(self, codes: str) -> str:
        """What codes of the font stand for."""
        if self.signs is None:
            return codes
        return "".join(sign(ord(code), self.signs) for code in codes)


def _font_name(textpage: Any, k: int) -> str:
    buffer = ctypes.create_string_buffer(_LONGEST_NAME)
    size = raw.FPDFText_GetFontInfo(textpage, k, buffer, _LONGEST_NAME, None)
    return buffer.value.decode("utf-8", "replace") if size else ""


_LONGEST_NAME = 128  # bytes; a longer name is none


def _turn(textpage: Any, k: int) -> int:
    angle = raw.FPDFText_GetCharAngle(textpage, k)
    return -round(angle / (math.pi / 2)) % 4 if math.isfinite(angle) else 0


def _size(textpage: Any, k: int, height: float) -> float:
    """A character's font size; negative where letters are drawn backwards and upside down.

    It is what pdfium says, unless the text matrix sets the size and the font has another.
    """
    size = float(raw.FPDFText_GetFontSize(textpage, k))
    if 0.6 <= height / max(abs(size), 0.1) <= 1.8:
        return size
    return math.copysign(height / 1.2, size)


# ---- codes -----------------------------------------------------------------------------------


def codes_of(textpage: Any, count: int) -> str:
    """The page's first `count` characters as pdfium counts them; a hyphen at a line's end as such.

    pdfium gives the whole text at once, but then leaves out some characters and makes two units of
    others: where it did, each is asked for by its number.
    """
    units = (ctypes.c_ushort * (count + 1))()
    written = raw.FPDFText_GetText(textpage.raw, 0, count, units) - 1
    codes = bytes(units)[: 2 * count].decode("utf-16-le", "surrogatepass")
    if written != count or len(codes) != count:
        numbers = (raw.FPDFText_GetUnicode(textpage.raw, k) for k in range(count))
        codes = "".join(chr(n) if n < 0x110000 else "\ufffd" for n in numbers)
    return codes.replace("\x02", _HYPHEN)
