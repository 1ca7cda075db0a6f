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
from collections.abc import Iterable, Iterator, Sequence
from operator import sub
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


def runs(sheet: Sheet, codes: str, start: int) -> list[Run]:
    """The runs of the characters `codes`, the first of which has the number `start` on the page.

    Characters outside of what is shown of the page are left out.
    """
    words = _words(sheet, codes, start)
    befores, several = list(words.befores), dict[int, Sequence[Run]]()
    drawn = list[TextObject]()
    # What draws a letter is asked in the order of letters: the first tells the size for all.
    for i, is_odd in enumerate(_are_odd(sheet, words, drawn)):
        if is_odd:
            several[i] = list(_several_runs(sheet, words.word(i), befores[i]))
            if not several[i]:  # none of it is shown
                befores[i + 1] = max(befores[i], befores[i + 1], key=_STRENGTHS.index)
    found = _one_run_each(words, befores, drawn)
    if not several:
        return found
    each = (several[i] if i in several else (run,) for i, run in enumerate(found))
    return list(itertools.chain.from_iterable(each))


class _Boxes(NamedTuple):
    """The edges of letters on the page, aligned; without area where pdfium knows none."""

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


class _Words(NamedTuple):
    """The words of a page, aligned, and the boxes of their letters, one after another.

    `befores` and `starts` have one item more, for the end of the page.
    """

    texts: Sequence[str]
    numbers: Sequence[int]  # of their first letters, as pdfium counts
    befores: Sequence[Before]
    starts: Sequence[int]  # where their first letters are among `boxes`
    boxes: _Boxes

    def word(self, i: int) -> _Word:
        boxes = self.boxes.part(self.starts[i], self.starts[i + 1])
        return _Word(self.texts[i], self.numbers[i], boxes)


def _words(sheet: Sheet, codes: str, start: int) -> _Words:
    textpage = address(sheet.textpage.raw)
    parts = _WORD.split(codes)  # spaces, a word, spaces, ..., a word, spaces
    places = list(itertools.accumulate(map(len, parts), initial=start))
    texts, numbers = parts[1::2], places[1:-1:2]
    starts = list(itertools.accumulate(map(len, texts), initial=0))
    letters = itertools.chain.from_iterable(map(range, numbers, places[2::2]))
    boxes = _boxes(textpage, letters, starts[-1])
    befores = map(_before, itertools.repeat(textpage), parts[2::2], places[2::2])
    return _Words(texts, numbers, ["line", *befores], starts, boxes)


_WORD = re.compile(r"(\S+)")


def _are_odd(sheet: Sheet, words: _Words, drawn: list[TextObject]) -> Iterator[bool]:
    """Of each word, whether it is not as most are; to `drawn` is added what draws its first letter.

    Most are upright, their letters evenly one after another, all shown: for them `_one_run_each`
    gives what `_several_runs` would, in less time.
    """
    lefts, tops, rights, bottoms = words.boxes
    is_one_way = not any(map(is_right_to_left, set().union(*words.texts)))
    all_shown = _are_in(words.boxes, sheet.frame.shown)
    gaps = list(map(sub, lefts[1:], rights))  # the one of a letter's number is after it
    firsts = [(lefts[i], bottoms[i], rights[i], tops[i]) for i in words.starts[:-1]]
    each = sheet.objects.of_each(words.numbers, firsts)
    for one, (a, b) in zip(each, itertools.pairwise(words.starts), strict=True):
        drawn.append(one)
        if one.turn or not is_one_way:
            yield True
        elif not (all_shown or _are_in(words.boxes.part(a, b), sheet.frame.shown)):
            yield True
        elif b - a == 1:
            yield False
        else:
            between = gaps[a : b - 1]
            yield not (
                max(between) <= WORD_GAP * one.size
                and min(between) >= -FAR_BACK * one.size
                and _are_even(tops[a:b], one.size)
                and _are_even(bottoms[a:b], one.size)
            )


def _are_even(edges: Sequence[float], size: float) -> bool:
    """Whether the letters' edges are where the first one's is."""
    if edges.count(edges[0]) == len(edges):
        return True
    return max(edges) - EVEN * size <= edges[0] <= min(edges) + EVEN * size


def _are_in(boxes: _Boxes, shown: Box) -> bool:
    """Whether all letters are wholly in what is shown of the page."""
    left, bottom, right, top = shown
    return (
        left <= min(boxes.lefts, default=left)
        and bottom <= min(boxes.bottoms, default=bottom)
        and max(boxes.rights, default=right) <= right
        and max(boxes.tops, default=top) <= top
    )


def _one_run_each(
    words: _Words, befores: Sequence[Before], drawn: Sequence[TextObject]
) -> list[Run]:
    lefts, tops, rights, bottoms = words.boxes
    spans = itertools.pairwise(words.starts)
    each = zip(words.texts, befores, words.numbers, drawn, spans, strict=False)
    return [
        Run(
            text=text if one.signs is None else with_signs(text, one.signs),
            box=(lefts[a], -tops[a], rights[b - 1], -bottoms[a]),
            last_left=lefts[b - 1],
            size=one.size,
            turn=0,
            before=before,
            at=number,
            drawn=one,
        )
        for text, before, number, one, (a, b) in each
    ]


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


def _boxes(textpage: Address, numbers: Iterable[int], count: int) -> _Boxes:
    rects = (raw.FS_RECTF * count)()
    size, first = ctypes.sizeof(raw.FS_RECTF), ctypes.addressof(rects)
    places = range(first, first + size * count, size)
    collections.deque(map(letter_box, itertools.repeat(textpage), numbers, places), maxlen=0)
    sides = memoryview(rects).cast("B").cast("f").tolist()
    return _Boxes(*(sides[i::4] for i in range(4)))


def letter_boxes(textpage: Any, run: Run) -> list[Box]:
    """The box of each of a run's letters on the page."""
    count = len(run.text)
    boxes = _boxes(address(textpage.raw), range(run.at, run.at + count), count)
    lefts, tops, rights, bottoms = boxes
    return list(zip(lefts, bottoms, rights, tops, strict=True))


def is_right_to_left(letter: str) -> bool:
    """Whether a letter is of a script, or a number of one, that is written from right to left."""
    return letter > _RIGHT_TO_LEFT and unicodedata.bidirectional(letter) in ("R", "AL", "AN")


def _before(textpage: Address, spaces: str, start: int) -> Before:
    """The strongest of some spaces, the first of which has this number."""
    if spaces == " ":
        return "guessed" if is_made_up(textpage, start) == 1 else "drawn"
    if "\n" in spaces or "\r" in spaces or not spaces:
        return "line"
    numbers = range(start, start + len(spaces))
    return "guessed" if all(is_made_up(textpage, k) == 1 for k in numbers) else "drawn"


_STRENGTHS: Sequence[Before] = ("", "guessed", "drawn", "line")


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
