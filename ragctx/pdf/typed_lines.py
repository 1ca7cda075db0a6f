"""Lines set in a typewriter's letters: code, whose lines are lines, or prose that was typed. Pure.

Prose wraps, so that most of its lines are full; of code, the longest line looks full where nothing
but code stands around it, and two of nearly one length look like two lines of a paragraph.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ragctx.pdf.row import Row
from ragctx.text.line_shapes import NEIGHBOURS

MIN_PAIRS, WRAPPED = 3, 0.5
"""Typed prose shows in at least this many lines with another below, of which this share, or more,
is full. Chosen by hand."""
HEAD = 1.2
"""Bold letters this much larger than others around them are a heading's. Chosen by hand."""
ENDS = (";", "{", "}")
"""What a line of code ends with that is whole."""
CLOSE = 0.6
"""Row heights between two lines of one paragraph, or of one piece of code, at most."""


def is_line_of_code(rows: Sequence[Row], i: int) -> bool:
    """Whether row i - 1, typed as row i below it, is a line that its author ended.

    It is not if these lines are prose or a heading, or if it ends where the page's other text
    does, so that there was no room for the next word: a long line of code may have been wrapped,
    unless what it ends with ends a statement.

    >>> def typed(text: str, top: float) -> Row:
    ...     place = {"left": 0, "top": top, "right": 6 * len(text), "bottom": top + 10}
    ...     return Row(text=text, size=10, typewriter=True, **place)
    >>> code = [typed("keys = spparms ()", 0), typed("val = spparms (k)", 12), typed("end", 24)]
    >>> is_line_of_code(code, 1), is_line_of_code(code, 2)
    (True, True)
    """
    a, b = rows[i - 1], rows[i]
    around = [
        row
        for row in rows[max(0, i - 1 - NEIGHBOURS) : i + 1 + NEIGHBOURS]
        if row.left < a.right and a.left < row.right and row.turn == a.turn and not row.in_table
    ]
    edge = max(row.right for row in around if row.typewriter)
    others = [row for row in around if not row.typewriter]
    pairs = [(x, y) for x, y in pairwise(around) if _go_together(x, y)]
    wrapped = sum(not _has_room(x, y, edge) for x, y in pairs)
    is_prose = len(pairs) >= MIN_PAIRS and wrapped >= WRAPPED * len(pairs)
    is_head = a.bold and any(a.size > HEAD * row.size for row in others)
    if is_prose or is_head:
        return False
    text_edge = max((row.right for row in others), default=edge)
    return text_edge <= edge or a.text.endswith(ENDS) or _has_room(a, b, text_edge)


def _go_together(a: Row, b: Row) -> bool:
    is_below = -CLOSE * a.height < b.top - a.bottom < CLOSE * a.height
    return a.typewriter and b.typewriter and is_below


def _has_room(a: Row, b: Row, edge: float) -> bool:
    """Whether the first word of b would have fitted behind a, up to an edge."""
    letter = (b.right - b.left) / max(1, len(b.text))
    return a.right + letter * (1 + len(b.text.split(None, 1)[0])) <= edge
