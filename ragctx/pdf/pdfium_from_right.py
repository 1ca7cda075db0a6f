"""The letters of a row that is written from right to left, in order, and their text. Pure.

pdfium puts such rows in order, but not all of them, nor all of each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from ragctx.pdf.geometry import Box
from ragctx.pdf.pdfium_runs import FAR_BACK, Run, is_right_to_left


def parts_from_right(row: Sequence[Run], wide_gap: float) -> list[list[Run]]:
    """The parts of a row with wide gaps between them, from right to left, each in its own order.

    pdfium puts a row in the order in which its letters were drawn: of the cells of a table, that
    may be any.
    """
    parts: list[list[Run]] = []
    end = 0.0
    for run in sorted(row, key=lambda run: run.box[0]):
        if not parts or run.box[0] - end > wide_gap * run.size:
            parts.append([])
            end = run.box[2]
        parts[-1].append(run)
        end = max(end, run.box[2])
    drawn = {id(run): i for i, run in enumerate(row)}
    return [sorted(part, key=lambda run: drawn[id(run)]) for part in reversed(parts)]


def text_from_right(row: Sequence[Run]) -> str:
    """The text of a row from right to left, whose letters are in order.

    What pdfium takes for spaces beside marks is none where the letters touch; and a word of Latin
    letters is one of its own, whatever touches it.
    """
    parts = [row[0].text]
    for a, b in pairwise(row):
        last, first = a.text[-1], b.text[0]
        both = is_right_to_left(last), is_right_to_left(first)
        if all(both) and b.before:
            gap = (a.box[0] - b.box[2]) / max(a.size, b.size, 0.1)
            parts.append(" " * (not -FAR_BACK <= gap <= TOUCHING_GAP))
        elif b.before or (both[0] != both[1] and last.isalpha() and first.isalpha()):
            parts.append(" " * (not unicodedata.combining(first)))
        parts.append(b.text)
    return _STOP_BEFORE.sub(r"\2\1", "".join(parts))


_STOP_BEFORE = re.compile(r"(?<!\S)([.,:;،])(\d[\d.,/:%-]{0,40})(?!\S)")
"""A stop to the left of a number, which therefore comes after it; pdfium gives it before."""


TOUCHING_GAP = 0.05
"""Em: letters that are written from right to left and closer than this are of one word."""


def unturned(row: Sequence[Run]) -> list[Run]:
    """The letters of a row from right to left, with those of each sign in their order.

    pdfium turns a row around that was drawn from left to right, and with it the letters of signs
    that stand for several: lam and alef, a letter and its mark.
    """
    letters = _forwards(row)
    for i, (a, b) in enumerate(pairwise(row)):
        is_turned = b.text == _LAM and a.text in _ALEFS and a.box == b.box
        if unicodedata.combining(a.text[-1]) and not unicodedata.combining(b.text[0]):
            is_turned = b.box[0] <= (a.box[0] + a.box[2]) / 2 <= b.box[2]
        if is_turned:
            letters[i], letters[i + 1] = b._replace(before=a.before), a._replace(before=b.before)
    return letters


def _forwards(row: Sequence[Run]) -> list[Run]:
    """The letters of a row, with words whose letters go from left to right turned around.

    In one line of a browser's PDF pdfium turned some words and left others.
    """
    letters: list[Run] = []
    for word in _words_from_right(row):
        ways = [b.box[0] - a.box[0] for a, b in pairwise(word)]
        if sum(way > 0 for way in ways) > sum(way < 0 for way in ways):
            signs = [list(sign) for _, sign in groupby(word, key=_box_of)]
            turned = [letter for sign in reversed(signs) for letter in sign]
            befores = (letter.before for letter in word)
            word = [one._replace(before=b) for one, b in zip(turned, befores, strict=True)]
        letters += word
    return letters


def _words_from_right(row: Sequence[Run]) -> Iterator[list[Run]]:
    """The letters of a row by word; what is not written from right to left is by itself."""
    word: list[Run] = []
    for run in row:
        goes_on = word and not run.before and is_right_to_left(run.text[0])
        if word and not (goes_on and is_right_to_left(word[-1].text[0])):
            yield word
            word = []
        word.append(run)
    if word:
        yield word


def _box_of(run: Run) -> Box:
    return run.box


_LAM, _ALEFS = "\u0644", "\u0622\u0623\u0625\u0627"
