"""Rows of a table that only go on with a cell of the row above: its text wrapped. Pure.

And rows that stand beside each other: programs draw a table cell by cell, and what comes after a
cell of several lines goes back up to the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragctx.pdf.line_joining import held_together
from ragctx.pdf.row import Cell, Row
from ragctx.text.line_shapes import ends_clause

MIN_WRAPPED = 20
"""Characters: a shorter cell is not taken for one that was wrapped."""
MAX_STEP = 0.6
"""Row heights between two lines of one cell at most."""
LETTER = 0.5
"""Em: how wide a letter is, in the mean."""
MAX_BACK = 6
"""Rows back that one may stand beside: a cell has about as many lines at most."""
LEVEL = 0.3
"""Row heights that one of two rows side by side may reach above the other, or below it."""

TableRow = tuple[Row, tuple[Cell | None, ...]]
"""A row and its cells by column; None where a cell is empty."""


def unwrapped(rows: Sequence[TableRow]) -> list[TableRow]:
    """The rows of a table, with those that go on with the cells of the row above put into it.

    Of the columns that both rows fill, each must go on: in mid-sentence, and with a word that had
    no room in the line above. Rows side by side that fill no column both are one.
    """
    edges = _edges(rows)
    whole: list[TableRow] = []
    for row, cells in rows:
        if whole and _goes_on(whole[-1], (row, cells), edges):
            above, held = whole[-1]
            joined = tuple(map(_joined, held, cells))
            whole[-1] = replace(above, bottom=row.bottom), joined
        else:
            whole.append((row, cells))
        _put_beside(whole)
    return whole


def _put_beside(whole: list[TableRow]) -> None:
    """Make the last of the rows one with the row before that it stands beside, if there is one."""
    row, cells = whole[-1]
    first = max(0, len(whole) - 1 - MAX_BACK)
    for i in range(len(whole) - 2, first - 1, -1):
        other, held = whole[i]
        if _are_beside(other, row) and not any(a and b for a, b in zip(held, cells, strict=True)):
            top, bottom = min(other.top, row.top), max(other.bottom, row.bottom)
            del whole[-1]
            whole[i] = replace(other, top=top, bottom=bottom), tuple(map(_joined, held, cells))
            whole[i:] = sorted(whole[i:], key=_top)
            return


def _are_beside(a: Row, b: Row) -> bool:
    """Whether one of two rows is at the height of the other, which may have several lines."""
    less_tall, taller = sorted((a, b), key=_height)
    reach = LEVEL * less_tall.height
    is_level = taller.top - reach < less_tall.top and less_tall.bottom < taller.bottom + reach
    return a.turn == b.turn and is_level


def _top(row: TableRow) -> float:
    return row[0].top


def _height(row: Row) -> float:
    return row.height


def _edges(rows: Sequence[TableRow]) -> list[float]:
    """Where the cells of each column end on the right."""
    columns = zip(*(cells for _, cells in rows), strict=True)
    return [max((cell.right for cell in column if cell), default=0.0) for column in columns]


def _goes_on(a: TableRow, b: TableRow, edges: Sequence[float]) -> bool:
    (above, held), (row, cells) = a, b
    if above.turn != row.turn or abs(above.size - row.size) > 1:
        return False
    if not -0.3 * row.height < row.top - above.bottom < MAX_STEP * row.height:
        return False
    goings_on = [
        _is_wrapped(upper, lower, edge, row.size)
        for upper, lower, edge in zip(held, cells, edges, strict=True)
        if upper is not None and lower is not None
    ]
    return bool(goings_on) and all(goings_on)


def _is_wrapped(above: Cell, cell: Cell, edge: float, size: float) -> bool:
    word = cell.text.split(None, 1)[0]
    had_room = above.right + LETTER * size * (len(word) + 1) <= edge
    is_long = len(above.text) >= MIN_WRAPPED and not ends_clause(above.text)
    return is_long and not had_room and cell.text[0].islower()


def _joined(a: Cell | None, b: Cell | None) -> Cell | None:
    if a is None or b is None:
        return a or b
    return Cell(min(a.left, b.left), b.right, held_together(a.text, b.text))
