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

MAX_LINES, MAX_CHARACTERS = 6, 240
"""Lines and characters of a cell that was wrapped, at most."""

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
            whole[-1] = replace(above, bottom=max(above.bottom, row.bottom)), joined
        else:
            whole.append((row, cells))
        _put_beside(whole)
    return whole


def _put_beside(whole: list[TableRow]) -> None:
    """Make the last of the rows one with the row before that it stands beside, if there is one.

    What was drawn between them is of other columns than one of the two: further lines of a cell.
    """
    row, cells = whole[-1]
    if all(cells):
        return
    first = max(0, len(whole) - 1 - MAX_BACK)
    for i in range(len(whole) - 2, first - 1, -1):
        other, held = whole[i]
        if not (_are_beside(other, row) and _are_apart(held, cells)):
            continue
        between = [one for _, one in whole[i + 1 : -1]]
        if all(_are_apart(one, held) or _are_apart(one, cells) for one in between):
            top, bottom = min(other.top, row.top), max(other.bottom, row.bottom)
            del whole[-1]
            whole[i] = replace(other, top=top, bottom=bottom), tuple(map(_joined, held, cells))
            whole[i:] = sorted(whole[i:], key=_top)
            return


def _are_apart(a: Sequence[Cell | None], b: Sequence[Cell | None]) -> bool:
    """Whether two rows have cells, and none in one column; what is over several has none."""
    return any(a) and any(b) and not any(x and y for x, y in zip(a, b, strict=True))


def _are_beside(a: Row, b: Row) -> bool:
    """Whether one of two rows is at the height of the other, which may have several lines."""
    if a.bottom < b.top or b.bottom < a.top or a.turn != b.turn:
        return False
    less_tall, taller = (a, b) if a.height < b.height else (b, a)
    reach = LEVEL * less_tall.height
    return taller.top - reach < less_tall.top and less_tall.bottom < taller.bottom + reach


def _top(row: TableRow) -> float:
    return row[0].top


def _edges(rows: Sequence[TableRow]) -> list[float]:
    """Where the cells of each column end on the right."""
    columns = zip(*(cells for _, cells in rows), strict=True)
    return [max((cell.right for cell in column if cell), default=0.0) for column in columns]


def _goes_on(a: TableRow, b: TableRow, edges: Sequence[float]) -> bool:
    (above, held), (row, cells) = a, b
    if above.turn != row.turn or abs(above.size - row.size) > 1:
        return False
    if row.top - above.top < 0.7 * row.height or row.top - above.bottom >= MAX_STEP * row.height:
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


# ---- rows drawn cell by cell -------------------------------------------------------------------


def drawn_by_cells(rows: Sequence[Row], i: int) -> tuple[Row, int] | None:
    """Row i with all lines of its cells, and where it ends, if it was drawn cell by cell; or None.

    It was if behind a cell of several lines the drawing goes back up, to what is beside its first.
    """
    row = rows[i]
    if row.in_table or not row.is_placed or len(row.cells) < 2:
        return None
    whole, end, goes_back = row, i + 1, False
    while lines := _lines_below(whole, row, rows[end : end + MAX_LINES]):
        after = end + len(lines)
        right = max(whole.right, *(line.right for line in lines))
        beside = rows[after] if after < len(rows) else None
        if beside is None or not _is_level(row, beside) or beside.left < right:
            if goes_back:
                whole, end = _with_lines(whole, lines), after
            break
        whole, end, goes_back = _with_cells(_with_lines(whole, lines), beside), after + 1, True
    return (whole, end) if goes_back else None


def _lines_below(whole: Row, first: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows with which the last cell of a row goes on below its first line, that of `first`."""
    before, cell = whole.cells[-2:]
    lines: list[Row] = []
    for row in rows:
        above = lines[-1] if lines else first
        step = (row.top - above.bottom) / row.height
        is_of_cell = before.right < row.left < cell.right and row.right > cell.left
        is_line = len(row.cells) < 2 and row.turn == first.turn and not row.in_table
        if not (is_line and is_of_cell and -0.3 < step < MAX_STEP):
            break
        if abs(row.size - first.size) > 1:
            break
        lines.append(row)
    letters = len(cell.text) + sum(len(line.text) for line in lines)
    return lines if letters <= MAX_CHARACTERS else []


def _is_level(a: Row, b: Row) -> bool:
    return a.turn == b.turn and abs(a.top - b.top) < LEVEL * min(a.height, b.height)


def _with_lines(row: Row, lines: Sequence[Row]) -> Row:
    """The row, with lines put to its last cell."""
    cell = row.cells[-1]
    text, left, right = cell.text, cell.left, cell.right
    for line in lines:
        text = held_together(text, line.text)
        left, right = min(left, line.left), max(right, line.right)
    bottom = max(row.bottom, lines[-1].bottom)
    cells = (*row.cells[:-1], Cell(left, right, text))
    return replace(row, cells=cells, text=_text(cells), right=max(row.right, right), bottom=bottom)


def _with_cells(row: Row, beside: Row) -> Row:
    """The row, with another one that goes on behind it."""
    cells = (*row.cells, *(beside.cells or (Cell(beside.left, beside.right, beside.text),)))
    bold = row.bold and beside.bold
    return replace(row, cells=cells, text=_text(cells), right=beside.right, bold=bold)


def _text(cells: Sequence[Cell]) -> str:
    return " ".join(cell.text for cell in cells)
