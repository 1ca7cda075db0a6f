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
    for i in _odd_words(sheet, words, drawn):
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
    return _Words(texts, numbers, _befores(textpage, parts[2::2], places[2::2]), starts, boxes)


_WORD = re.compile(r"(\S+)")


def _odd_words(sheet: Sheet, words: _Words, drawn: list[TextObject]) -> Iterator[int]:
    """The numbers of words that are not as most are; to `drawn` is added what draws each word.

    Most are upright, their letters evenly one after another, all shown: for them `_one_run_each`
    gives what `_several_runs` would, in less time. Lines of one size are looked at as a whole.
    """
    _, tops, _, bottoms = words.boxes
    firsts, gaps, starts = _first_boxes(words), _gaps_within(words), words.starts
    is_plain = _is_plain(words.texts, words.boxes, sheet.frame.shown)
    lines = [i for i, before in enumerate(words.befores) if before == "line"]
    for i, end in itertools.pairwise(dict.fromkeys([*lines, len(words.texts)])):
        a, b, known = starts[i], starts[end], len(sheet.objects)
        found = sheet.objects.of_each(words.numbers[i:end], firsts[i:end])
        size = found[0].size
        is_alike = not any(one.turn or one.size != size for one in found) and (
            is_plain or _is_plain(words.texts[i:end], words.boxes.part(a, b), sheet.frame.shown)
        )
        if is_alike:
            drawn += found
            are_close = _are_close(gaps[a : b - 1], size)
            if not (are_close and _vary_little(size, tops[a:b], bottoms[a:b])):
                for k in range(i, end):
                    letters = slice(starts[k], starts[k + 1])
                    if not _is_even(size, tops[letters], bottoms[letters]) or not (
                        are_close or _are_close(gaps[starts[k] : starts[k + 1] - 1], size)
                    ):
                        yield k
        else:  # in the order of letters, which those within words may change
            sheet.objects.forget(known)
            for k in range(i, end):
                drawn.append(sheet.objects.of(words.numbers[k], firsts[k]))
                letters, size = slice(starts[k], starts[k + 1]), drawn[k].size
                if (
                    drawn[k].turn
                    or not _is_even(size, tops[letters], bottoms[letters])
                    or not _are_close(gaps[starts[k] : starts[k + 1] - 1], size)
                    or not _is_plain(words.texts[k], words.word(k).boxes, sheet.frame.shown)
                ):
                    yield k


def _is_even(size: float, tops: Sequence[float], bottoms: Sequence[float]) -> bool:
    """Whether the letters of one font size are equally tall."""
    return _are_even(tops, size) and _are_even(bottoms, size)


def _vary_little(size: float, *edges: Sequence[float]) -> bool:
    """Whether the letters of any word are equally tall, wherever the word begins."""
    return all(max(some) - min(some) <= EVEN * size for some in edges)


def _is_plain(texts: Sequence[str], boxes: _Boxes, shown: Box) -> bool:
    """Whether all letters of some words are shown, and written from left to right."""
    return _are_in(boxes, shown) and not any(map(is_right_to_left, set().union(*texts)))


def _first_boxes(words: _Words) -> list[Box]:
    """The box of each word's first letter on the page."""
    lefts, tops, rights, bottoms = words.boxes
    return [(lefts[i], bottoms[i], rights[i], tops[i]) for i in words.starts[:-1]]


def _gaps_within(words: _Words) -> list[float]:
    """Points from each letter to the next; 0 between words."""
    gaps = list(map(sub, words.boxes.lefts[1:], words.boxes.rights))
    for i in words.starts[1:-1]:
        gaps[i - 1] = 0.0
    return gaps


def _are_close(gaps: Sequence[float], size: float) -> bool:
    """Whether letters with these gaps (points) and this font size may be of one word."""
    return not gaps or (max(gaps) <= WORD_GAP * size and min(gaps) >= -FAR_BACK * size)


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
    starts, lasts = words.starts[:-1], [end - 1 for end in words.starts[1:]]
    columns = (
        [
            text if one.signs is None else with_signs(text, one.signs)
            for text, one in zip(words.texts, drawn, strict=True)
        ],
        [(lefts[a], -tops[a], rights[b], -bottoms[a]) for a, b in zip(starts, lasts, strict=True)],
        [lefts[i] for i in lasts],
        [one.size for one in drawn],
        itertools.repeat(0),
        befores,
        words.numbers,
        drawn,
    )
    each = zip(*columns, strict=False)
    return list(map(tuple.__new__, itertools.repeat(Run), each))  # as `Run._make`, but faster


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
        run = Run._make((letter, box, box[0], drawn.size, drawn.turn, before, k, drawn))
        text, last_left, right, even, before = letter, box[0], box[2], EVEN * run.size, ""
    if run is not None:
        yield _grown(run, text, last_left, right)


def _grown(run: Run, text: str, last_left: float, right: float) -> Run:
    if len(text) == 1 and run.drawn.signs is None:
        return run
    left, top, _, bottom = run.box
    _, _, _, *others = run
    grown = with_signs(text, run.drawn.signs), (left, top, right, bottom), last_left, *others
    return Run._make(grown)  # in half the time of `_replace`


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


def _befores(textpage: Address, spaces: Sequence[str], starts: Sequence[int]) -> list[Before]:
    """What is before each word and after the last: the strongest of some spaces.

    `spaces` are those after each word, with the numbers of the first of them.
    """
    made_up = map(is_made_up, itertools.repeat(textpage), starts)
    return [
        "line",
        *(
            ("guessed" if is_first_made_up == 1 else "drawn")
            if some == " "
            else _strongest(textpage, some, start)
            for some, start, is_first_made_up in zip(spaces, starts, made_up, strict=True)
        ),
    ]


def _strongest(textpage: Address, spaces: str, start: int) -> Before:
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
