"""The dots that lead from a label to its figure: in a table, the gap between two cells. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ragctx.pdf.row import Cell, Row

_LEADER = re.compile(  # three dots may as well stand for what was left out
    r"(?<![,\s])\s*(?:[.·…]\s?){4,}|\A\.{2,}(?=\s?\d)"
    r"|(?:(?<![,.\s])(?:\s\.){1,2}|(?<=[^\W\d_])(?:\s\.){3})(?=\Z|\s+[^\s.]\S{0,7}\Z)"
)


def is_leader(text: str) -> bool:
    """Whether a piece is nothing but dots.

    >>> is_leader(". . ."), is_leader("No.")
    (True, False)
    """
    return not text.strip(".·… ")


def without_leaders(row: Row) -> Row:
    """A row of a table whose leaders are white space between its cells.

    >>> row = Row(text="Tin . . . . . 232", left=0, top=0, right=85, bottom=10, size=10)
    >>> [cell.text for cell in without_leaders(row).cells]
    ['Tin', '232']
    """
    if "." not in row.text and "·" not in row.text:
        return row
    whole = row.cells or (Cell(row.left, row.right, row.text),)
    if not any(is_leader(cell.text) or _LEADER.search(cell.text) for cell in whole):
        return row
    cells = tuple(part for cell in whole for part in _parts(cell))
    return replace(row, cells=cells) if cells else row


def _parts(cell: Cell) -> Iterator[Cell]:
    """What is before, between and after the leaders of a cell; their places by their characters."""
    letter = (cell.right - cell.left) / max(1, len(cell.text))
    start = 0
    for end, following in [*(found.span() for found in _LEADER.finditer(cell.text)), _END]:
        text = cell.text[start:end].strip()
        if text and not is_leader(text):
            first, last = cell.left + start * letter, cell.left + min(end, len(cell.text)) * letter
            yield Cell(first, last, text)
        start = following


_END = (2**31, 2**31)
