"""An answer without ragged ends: whole words, no piece of the next sentence, a number's own signs.

The reader points at tokens, and learnt on prose where to stop. On real pages it may stop within a
word, run over the end of a sentence ("page 104. 11.12"), or leave out the sign that makes a number
an amount ("$", "%").
"""

from __future__ import annotations

import re

from ragctx.generator.reader.cells import cell_bounds
from ragctx.text.sentences import sentence_spans

_ATOM = re.compile(r"\d+(?:[.,]\d+)*|\w+(?:['’]\w+)*")
_OPENING, _CLOSING = "([{“‘«", ")]}”’»"
_PARTNERS = {**dict(zip(_CLOSING, _OPENING, strict=True)), '"': '"'}
_LOOSE = frozenset(",;:.–—|*•·…!?-")
"""Marks that are no part of an answer where it ends; nor where it begins, but "." and "-"."""
_PEELINGS = 4
"""Marks that are taken off an end, or put there, one after another. Chosen by hand."""
_KEPT_AT_START = frozenset(".-–…")  # ".bashrc", "-la"
_CELL_WORDS = 4
"""Longest cell that is given whole. Chosen by hand: with its unit, a number takes two or three."""
_CURRENCY = re.compile(r"[$€£¥][ \u00a0]?\Z")
_AFTER_NUMBER = re.compile(
    r"[ \u00a0]?[%‰](?!\w)|\s(?:percent|hundred|thousand|million|billion|trillion)s?\b"
)


def whole_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of `text` that make the answer at `start` to `end` whole; never none.

    >>> def whole(text, answer):
    ...     start = text.index(answer)
    ...     return text[slice(*whole_span(text, start, start + len(answer)))]
    >>> whole("It is on page 104. 11.12 The end of it", "page 104. 11.12")
    'page 104'
    >>> whole("Net income was $24,160 million (or so).", "24,160")
    '$24,160 million'
    >>> whole("the tracker (SEAR) ranks", "tracker (SEAR"), whole("a rate of 13 % was", "13")
    ('tracker (SEAR)', '13 %')
    """
    start, end = _whole_words(text, start, end)
    cell = _short_cell(text, start, end)
    if cell is not None:
        return cell
    start, end = _within_sentence(text, start, end)
    start, end = _without_loose_marks(text, start, end)
    return _with_signs(text, start, end)


def _short_cell(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The cell of a table that holds the answer, if it is short and has one figure at most.

    Without the label before it, where label and value are one cell ("Rated Power: 180 hp").
    """
    bounds = cell_bounds(text, start, end)
    if bounds is None:
        return None
    low, high = bounds
    low = max(low, text.rfind(": ", low, start) + 2)
    cell = text[low:high]
    words = cell.split()
    if len(words) > _CELL_WORDS or sum(any(map(str.isdigit, word)) for word in words) > 1:
        return None
    return low + len(cell) - len(cell.lstrip()), high - len(cell) + len(cell.rstrip())


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    low = max(0, text.rfind("\n", 0, start) + 1)
    for atom in _ATOM.finditer(text, low):
        if atom.start() >= end:
            break
        if atom.start() < start < atom.end():
            start = atom.start()
        if atom.start() < end < atom.end():
            end = atom.end()
    return start, end


def _within_sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Without a piece of a sentence at the end, or of two pieces without the smaller one."""

    def words(piece: tuple[int, int, bool]) -> int:
        return len(text[piece[0] : piece[1]].split())

    pieces = [
        (max(first, start), min(last, end), first >= start and last <= end)
        for first, last in sentence_spans(text)
        if first < end and last > start and text[max(first, start) : min(last, end)].strip()
    ]
    if len(pieces) == 2 and not (pieces[0][2] or pieces[1][2]):
        del pieces[0 if words(pieces[0]) < words(pieces[1]) else 1]
    if len(pieces) > 1 and not pieces[-1][2]:
        del pieces[-1]
    if len(pieces) > 1 and not pieces[0][2] and words(pieces[0]) >= sum(map(words, pieces[1:])):
        del pieces[1:]
    return (pieces[0][0], pieces[-1][1]) if pieces else (start, end)


def _without_loose_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """Without punctuation at the ends, and with brackets and quotes in pairs."""
    first, last = start, end
    for _ in range(_PEELINGS):
        while first < last and (text[first].isspace() or text[first] in _LOOSE - _KEPT_AT_START):
            first += 1
        while last > first and (text[last - 1].isspace() or text[last - 1] in _LOOSE):
            last -= 1
        alone = _unpaired(text[first:last])
        if not alone:
            break
        closing = text[last : last + 1]
        if closing and closing in _CLOSING and _PARTNERS[closing] == alone:
            last += 1
        elif text[first] == alone:
            first += 1
        elif text[last - 1] == alone:
            last -= 1
        else:
            break
    return (first, last) if first < last else (start, end)


def _unpaired(text: str) -> str:
    """The first bracket or quote that has no partner; "" if each has one.

    >>> _unpaired("f(x"), _unpaired("(a) b)"), _unpaired("an 'x' (y)")
    ('(', ')', '')
    """
    open_: list[str] = []
    for i, mark in enumerate(text):
        inside_word = mark in "’'" and text[i - 1 : i].isalnum()
        if inside_word:
            continue
        if mark in _PARTNERS and open_ and open_[-1] == _PARTNERS[mark]:
            open_.pop()
        elif mark in _OPENING or mark == '"':
            open_.append(mark)
        elif mark in _CLOSING:
            return mark
    return open_[0] if open_ else ""


def _with_signs(text: str, start: int, end: int) -> tuple[int, int]:
    """A number with its currency sign before it, and its percent sign or power of ten after it."""
    if text[start].isdigit() and (sign := _CURRENCY.search(text, 0, start)):
        start = sign.start()
    if text[end - 1].isdigit() and (sign := _AFTER_NUMBER.match(text, end)):
        end = sign.end()
    return start, end
