"""Heads of a table's columns that are turned, to save room, made a row of cells above it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragctx.pdf.geometry import along_line, on_page
from ragctx.pdf.line_joining import held_together
from ragctx.pdf.row import Cell, Row

MIN_HEADS = 2
"""So many columns with a turned head make a table: one line may be a label of an axis."""
MAX_HEAD = 60
"""Characters of a head at most."""
MAX_GAP, ABOVE = 2.5, 0.5
"""Row heights that heads end above the first row of the table at most, or below its top."""
ASIDE = 1.0
"""Em that the middle of a head may be beside the cell below it."""


def with_heads_upright(rows: Sequence[Row]) -> list[Row]:
    """The rows of a page, in reading order, with turned heads as a row above their columns.

    >>> figures = Row(
    ...     text="Tin 232 30",
    ...     left=0,
    ...     top=60,
    ...     right=99,
    ...     bottom=70,
    ...     size=10,
    ...     cells=(Cell(0, 15, "Tin"), Cell(40, 55, "232"), Cell(80, 90, "30")),
    ... )
    >>> melts = Row(text="Melts", left=-55, top=42, right=-30, bottom=52, size=10, turn=1)
    >>> costs = replace(melts, text="Costs", top=80, bottom=90)
    >>> [row.text for row in with_heads_upright([figures, melts, costs])]
    ['Melts Costs', 'Tin 232 30']
    """
    if not rows or all(row.turn == rows[0].turn for row in rows):
        return list(rows)
    upright = [row for row in rows if row.turn == rows[0].turn]
    turned = [
        _upright(row, (row.turn - rows[0].turn) % 4)
        for row in rows
        if (row.turn - rows[0].turn) % 2 and len(row.text) <= MAX_HEAD
    ]
    if len(turned) < MIN_HEADS:
        return list(rows)
    for row in upright:
        heads = _heads_of(row, turned)
        if len({cell for cell, _ in heads}) >= MIN_HEADS:
            return _with_heads(rows, row, _row_of(row, heads), [head for _, head in heads])
    return list(rows)


def _upright(row: Row, turn: int) -> Row:
    """A turned row at its place among upright ones; its text runs upwards or downwards there."""
    box = on_page((row.left, row.top, row.right, row.bottom), turn)
    left, top, right, bottom = along_line(box, 0)
    return replace(row, left=left, top=top, right=right, bottom=bottom)


def _heads_of(row: Row, turned: Sequence[Row]) -> list[tuple[Cell, Row]]:
    """The turned rows right above a row, each with the cell of the row that it is over.

    One of them ends near the row; the others, which may be shorter, stand beside it.
    """
    over = [(cell, head) for head in turned if (cell := _cell_below(head, row))]
    near = [head.top for _, head in over if row.top - head.bottom <= MAX_GAP * row.height]
    return [(cell, head) for cell, head in over if near and head.bottom > min(near)]


def _cell_below(head: Row, row: Row) -> Cell | None:
    if len(row.cells) < 2 or head.bottom > row.top + ABOVE * row.height:
        return None
    middle = (head.left + head.right) / 2
    cell = min(row.cells, key=lambda cell: abs(cell.left + cell.right - 2 * middle))
    reach = ASIDE * row.size
    return cell if cell.left - reach < middle < cell.right + reach else None


def _row_of(row: Row, heads: Sequence[tuple[Cell, Row]]) -> Row:
    """The heads as one row of cells; lines over one cell are one head."""
    lines: dict[Cell, list[Row]] = {}
    for cell, head in heads:
        lines.setdefault(cell, []).append(head)
    cells = tuple(
        Cell(cell.left, cell.right, _text(lines[cell])) for cell in row.cells if cell in lines
    )
    some = [head for _, head in heads]
    return replace(
        some[0],
        text=" ".join(cell.text for cell in cells),
        left=cells[0].left,
        right=cells[-1].right,
        top=min(head.top for head in some),
        bottom=max(head.bottom for head in some),
        turn=row.turn,
        cells=cells,
    )


def _text(lines: Sequence[Row]) -> str:
    """The lines of a head: text that runs upwards has its first line on the left."""
    ordered = sorted(lines, key=lambda line: line.left, reverse=lines[0].turn % 4 == 3)
    text = ordered[0].text
    for line in ordered[1:]:
        text = held_together(text, line.text)
    return text


def _with_heads(rows: Sequence[Row], row: Row, heads: Row, turned: Sequence[Row]) -> list[Row]:
    """The rows, with the heads as one before what is beside them, and before the row below."""
    places = {(head.text, head.turn) for head in turned}
    kept = [one for one in rows if one.turn == row.turn or (one.text, one.turn) not in places]
    at = next(i for i, one in enumerate(kept) if one is row)
    while at and kept[at - 1].turn == row.turn and kept[at - 1].top > heads.top - row.height:
        at -= 1
    return [*kept[:at], heads, *kept[at:]]
