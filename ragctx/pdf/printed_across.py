"""What is printed across the lines of a page in large type: DRAFT, COPY, the name of a firm. Pure.

A person reads the lines as if it were not there; so it comes last, and parts no sentence.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ragctx.pdf.row import Row

LARGE = 2.0
"""Such print is at least this many times as large as the page's median piece."""
LONG = 16
"""Characters of a line that it may be across, at least."""
MAX_LARGE = 20
"""Large pieces that are looked at: a page with more is a poster."""


def apart_from_print_across(pieces: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The pieces without those that are printed across the others, and these.

    >>> def line(text: str, top: float, size: float) -> Row:
    ...     return Row(text=text, left=0, top=top, right=200, bottom=top + size, size=size)
    >>> lines = [line(f"a line of a contract, {i}", 12 * i, 10) for i in range(5)]
    >>> _, across = apart_from_print_across([*lines, line("DRAFT", 10, 40)])
    >>> [row.text for row in across]
    ['DRAFT']
    """
    if not pieces:
        return [], []
    usual = statistics.median(piece.size for piece in pieces)
    large = [piece for piece in pieces if piece.size >= LARGE * usual]
    if not 0 < len(large) <= MAX_LARGE:
        return list(pieces), []
    lines = [p for p in pieces if len(p.text) >= LONG and p.size < LARGE * usual]
    across = [piece for piece in large if _is_across(piece, lines)]
    apart = {id(piece) for piece in across}
    return [piece for piece in pieces if id(piece) not in apart], across


def _is_across(large: Row, lines: Sequence[Row]) -> bool:
    """Whether lines run through the upper and the lower half of a large piece.

    (The box of a heading may be so tall that it reaches into the lines below it.)
    """
    middle = (large.top + large.bottom) / 2
    through = [(line.top + line.bottom) / 2 for line in lines if _crosses(large, line)]
    return any(large.top < y < middle for y in through) and any(
        middle < y < large.bottom for y in through
    )


def _crosses(large: Row, line: Row) -> bool:
    """Whether half of a piece, or of a line, is at the same place along the line."""
    shared = min(large.right, line.right) - max(large.left, line.left)
    narrower = min(large.right - large.left, line.right - line.left)
    return large.turn == line.turn and shared > 0.5 * narrower
