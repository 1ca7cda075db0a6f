"""A page's characters as pdfium places them, gathered into runs: letters set close in one row.

Most of the time that reading takes is spent here, on each character of each page; what follows sees
runs, of which there are five times fewer.
"""

from __future__ import annotations

import collections
import ctypes
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from operator import le, sub
from typing import Any, Literal, NamedTuple, TypeAlias

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box, Frame, along_line
from ragctx.pdf.pdfium_calls import Address, address, is_made_up, letter_box
from ragctx.pdf.pdfium_text_objects import NO_OBJECT, TextObject, TextObjects
from ragctx.pdf.symbol_fonts import with_signs

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
    objects: TextObjects


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
    drawn: TextObject = NO_OBJECT  # what draws its first letter


def runs(sheet: Sheet, codes: str, start: int) -> Iterator[Run]:
    """The runs of the characters `codes`, the first of which has the number `start` on the page.

    Characters outside of what is shown of the page are left out.
    """
    textpage = address(sheet.textpage.raw)
    boxes = _boxes(textpage, start, len(codes))
    is_one_way = not any(map(is_right_to_left, set(codes)))
    before: Before = "line"
    for match in _WORD.finditer(codes):
        spaces, word = match.groups()
        for k, space in enumerate(spaces, start + match.start()):
            before = _stronger(before, space, is_made_up(textpage, k) == 1)
        first = match.start(2)
        letters = _Word(word, start + first, boxes.part(first, match.end()))
        run = _one_run(sheet, letters, before) if is_one_way else None
        if run is not None:
            yield run
            before = ""
            continue
        for run in _several_runs(sheet, letters, before):
            yield run
            before = ""


_WORD = re.compile(r"(\s*)(\S+)")


class _Boxes(NamedTuple):
    """The edges of characters on the page, aligned; without area where pdfium knows none."""

    lefts: Sequence[float]
    tops: Sequence[float]
    rights: Sequence[float]
    bottoms: Sequence[float]

    def part(self, start: int, end: int) -> _Boxes:
        lefts, tops, rights, bottoms = self
        return _Boxes(lefts[start:end], tops[start:end], rights[start:end], bottoms[start:end])


class _Word(NamedTuple):
    """Letters between two spaces, drawn or made up; the first one's number, and all their boxes."""

    text: str
    at: int
    boxes: _Boxes


def _one_run(sheet: Sheet, word: _Word, before: Before) -> Run | None:
    """A word as a run, if it is as most are: upright, its letters one after another, all shown.

    What `_several_runs` gives of such a word, in a third of the time.
    """
    lefts, tops, rights, bottoms = word.boxes
    left, bottom, right, top = lefts[0], bottoms[0], rights[0], tops[0]
    drawn = sheet.objects.of(word.at, (left, bottom, right, top))
    if drawn.turn:
        return None
    shown_left, shown_bottom, shown_right, shown_top = sheet.frame.shown
    last_left = left
    if len(word.text) > 1:
        even, gap = EVEN * drawn.size, WORD_GAP * drawn.size
        highest, lowest = max(tops), min(bottoms)
        if (
            highest > top + even
            or min(tops) < top - even
            or lowest < bottom - even
            or max(bottoms) > bottom + even
            or not all(map(le, lefts, lefts[1:]))
            or max(map(sub, lefts[1:], rights)) > gap
        ):
            return None
        last_left, right = lefts[-1], rights[-1]
        if not (shown_bottom <= lowest and highest <= shown_top and max(rights) <= shown_right):
            return None
    elif not (shown_bottom <= bottom and top <= shown_top and right <= shown_right):
        return None
    if left < shown_left:
        return None
    return Run(
        text=with_signs(word.text, drawn.signs),
        box=(left, -top, right, -bottom),
        last_left=last_left,
        size=drawn.size,
        turn=0,
        before=before,
        at=word.at,
        drawn=drawn,
    )


def _several_runs(sheet: Sheet, word: _Word, before: Before) -> Iterator[Run]:
    """The runs of a word, letter by letter."""
    shown_left, shown_bottom, shown_right, shown_top = sheet.frame.shown
    run: Run | None = None
    text, last_left, right, even = "", 0.0, 0.0, 0.0  # what has grown of the run
    for k, letter, x0, y1, x1, y0 in zip(
        itertools.count(word.at), word.text, *word.boxes, strict=False
    ):
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        if not (shown_left <= x <= shown_right and shown_bottom <= y <= shown_top):
            continue
        if run is not None:  # within a word, pdfium turns no letter
            box = along_line((x0, y0, x1, y1), run.turn)
            left = box[0]
            if (
                -even <= box[1] - run.box[1] <= even
                and -even <= box[3] - run.box[3] <= even
                and left - right <= WORD_GAP * run.size
                and (left >= last_left or left >= right - FAR_BACK * run.size)
                and not is_right_to_left(letter)
                and not is_right_to_left(run.text)
            ):
                text, last_left, right = text + letter, left, box[2]
                continue
            yield _grown(run, text, last_left, right)
        drawn = sheet.objects.of(k, (x0, y0, x1, y1))
        box = along_line((x0, y0, x1, y1), drawn.turn)
        run = Run(
            text=letter,
            box=box,
            last_left=box[0],
            size=drawn.size,
            turn=drawn.turn,
            before=before,
            at=k,
            drawn=drawn,
        )
        text, last_left, right, even, before = letter, box[0], box[2], EVEN * run.size, ""
    if run is not None:
        yield _grown(run, text, last_left, right)


def _grown(run: Run, text: str, last_left: float, right: float) -> Run:
    left, top, _, bottom = run.box
    text = with_signs(text, run.drawn.signs)
    return run._replace(text=text, box=(left, top, right, bottom), last_left=last_left)


def _boxes(textpage: Address, start: int, length: int) -> _Boxes:
    rects = (raw.FS_RECTF * length)()
    size, first = ctypes.sizeof(raw.FS_RECTF), ctypes.addressof(rects)
    places = range(first, first + size * length, size)
    numbers = range(start, start + length)
    collections.deque(map(letter_box, itertools.repeat(textpage), numbers, places), maxlen=0)
    sides = memoryview(rects).cast("B").cast("f").tolist()
    return _Boxes(*(sides[i::4] for i in range(4)))


def letter_boxes(textpage: Any, run: Run) -> list[Box]:
    """The box of each of a run's letters on the page."""
    lefts, tops, rights, bottoms = _boxes(address(textpage.raw), run.at, len(run.text))
    return list(zip(lefts, bottoms, rights, tops, strict=True))


def is_right_to_left(letter: str) -> bool:
    """Whether a letter is of a script, or a number of one, that is written from right to left."""
    return letter > _RIGHT_TO_LEFT and unicodedata.bidirectional(letter) in ("R", "AL", "AN")


def _stronger(before: Before, text: str, made_up: bool) -> Before:
    if text in "\r\n":
        return "line"
    if before == "line" or made_up:
        return before or "guessed"
    return "drawn"


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
