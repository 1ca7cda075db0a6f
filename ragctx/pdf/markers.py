"""Puts the marks of items that were drawn apart from them ("1.", "•") before their items. Pure.

Some programs draw a list's marks first, in a column of their own, and then the texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ragctx.pdf.row import Row, same_row
from ragctx.text.line_shapes import begins_bullet

MIN_MARKERS = 2
"""Marks that must be drawn apart, at least: one alone may stand anywhere."""
MAX_GAP = 5.0
"""Em between a mark and its item, at most."""
_LONGEST = 5  # characters of a mark
_MARK = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z])[.)]|[-–—*·]")


def with_markers_before(pieces: Sequence[Row]) -> list[Row]:
    """The pieces of a page as they were drawn, with each mark before the item at its height.

    >>> def line(text: str, left: float, top: float) -> Row:
    ...     return Row(text=text, left=left, top=top, right=left + 9, bottom=top + 10, size=10)
    >>> marks = [line("1.", 0, 0), line("2.", 0, 12)]
    >>> items = [line("Tin", 20, 0), line("Lead", 20, 12)]
    >>> [piece.text for piece in with_markers_before([*marks, *items])]
    ['1.', 'Tin', '2.', 'Lead']
    """
    apart = [a for a, b in pairwise(pieces) if _is_mark(a) and not _is_item_of(a, b)]
    if len(apart) < MIN_MARKERS:
        return list(pieces)
    marks = {id(mark) for mark in apart}
    levels: dict[int, list[Row]] = {}
    for piece in pieces:
        if id(piece) not in marks:
            levels.setdefault(round(piece.bottom), []).append(piece)
    before: dict[int, Row] = {}  # by id of the item
    for mark in apart:
        level = round(mark.bottom)
        near = (piece for k in (level - 1, level, level + 1) for piece in levels.get(k, ()))
        beside = [piece for piece in near if _is_item_of(mark, piece)]
        item = min(beside, key=lambda piece: piece.left, default=None)
        if item is not None and id(item) not in before:
            before[id(item)] = mark
    if len(before) < MIN_MARKERS:
        return list(pieces)
    moved = {id(mark) for mark in before.values()}
    return [
        one
        for piece in pieces
        if id(piece) not in moved
        for one in (*((before[id(piece)],) if id(piece) in before else ()), piece)
    ]


def _is_mark(piece: Row) -> bool:
    text = piece.text
    return len(text) < _LONGEST and (_MARK.fullmatch(text) is not None or _is_bullet(text))


def _is_bullet(text: str) -> bool:
    return len(text) == 1 and begins_bullet(text)


def _is_item_of(mark: Row, piece: Row) -> bool:
    """Whether a piece begins right behind a mark."""
    gap = piece.left - mark.right
    return mark.turn == piece.turn and 0 <= gap <= MAX_GAP * mark.size and same_row(mark, piece)
