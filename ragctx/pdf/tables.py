"""Sets the cells of tables apart: a row of a table becomes a line with a tab between its cells.

An empty cell leaves its tab, so that a cell's place in the line is its column; tabs cost no tokens,
and nothing else in a page's text has any (`ragctx.tables` reads them back). A table is found by its
white space: rows that follow each other, whose cells leave the same gutters free. A cell of several
lines, drawn one cell after another, is put together first.

The thresholds were chosen by hand on the PDFs of the test collection, in font sizes (em) or row
heights.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ragctx.pdf.leaders import without_leaders
from ragctx.pdf.line_joining import held_together
from ragctx.pdf.row import Cell, Row
from ragctx.pdf.tight_columns import has_figures_apart, with_tight_cells
from ragctx.pdf.wrapped_cells import TableRow, drawn_by_cells, unwrapped
from ragctx.text.line_shapes import are_items, begins_bullet, is_labelled, is_lone_marker

MAX_STACK_ROWS, MAX_STACK_CHARACTERS = 6, 240
"""A cell of several lines has at most this many, and this many characters."""
MIN_COLUMN = 3
"""Lines of each of two columns that are no table: addresses, names under what they signed."""
STACK_STEP = 0.6
"""Row heights between two lines of one cell at most."""
CENTRED = 0.35
"""Row heights that the middles of a row of cells and of a cell of several lines are apart."""
BLOCK_STEP = 2.5
"""Row heights between two rows of a table at most."""
PART = 0.3
"""The share of a cell's width that tells in which column it begins."""
BACK = 3.0
"""Row heights that a row may begin above the end of the one before: beside a label of two rows."""
MAX_LABELS = 3
"""Rows of one cell that may follow each other within a table: labels of groups, wrapped lines."""
MIN_GUTTER = 0.3
"""Em: the white space between two columns is at least this wide."""
CROSSING = 0.25
"""The share of a table's rows that may cross a gutter, if too few gutters are quite free."""
FEW_CROSSING = 0.1
"""The share that may cross one anyway: the last row of a block need not be of its table."""
LONG = 60
"""Characters: where half of the rows have two cells of this length, or longer, columns of prose
stand side by side."""
WHITE, FULL_CHARACTERS = 0.2, 40
"""A row of this many characters, or more, of which less than this share is white between its cells,
may as well be a justified line of text, if it ends at the right edge."""
SURE_ROWS = 4
"""Where fewer of them follow each other, or their cells are not equally many, such lines are text.
"""
_SECTION = re.compile(r"(?:[A-Z]|\d{1,3})(?:\.\d{1,3})*\.?")
_BEFORE, _AFTER = frozenset("$€£¥"), frozenset((")", "%", ")%", "†", "*", "‡"))
"""Signs that are set apart from the number they belong to, before it or after it."""


def with_cells_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows of a page, in reading order, with a tab between the cells of tables.

    >>> from ragctx.pdf.row import Cell
    >>> def row(top: float, *cells: Cell) -> Row:
    ...     return Row(
    ...         text=" ".join(cell.text for cell in cells),
    ...         left=cells[0].left,
    ...         top=top,
    ...         right=cells[-1].right,
    ...         bottom=top + 9,
    ...         size=9,
    ...         cells=cells,
    ...     )
    >>> rows = [
    ...     row(0, Cell(40, 60, "Melts"), Cell(80, 99, "Costs")),
    ...     row(10, Cell(0, 12, "Tin"), Cell(40, 55, "232"), Cell(80, 90, "30")),
    ...     row(20, Cell(0, 15, "Lead"), Cell(80, 90, "20")),
    ... ]
    >>> [row.text for row in with_cells_apart(rows)]
    ['\\tMelts\\tCosts', 'Tin\\t232\\t30', 'Lead\\t\\t20']
    """
    rows, columns = _stacked(rows)
    ordered: list[Row] = []
    i = 0
    while i < len(rows):
        end = _block_end(rows, i)
        block = rows[i:end]
        ordered += _table(block) or [one for row in block for one in columns.get(id(row), [row])]
        i = end
    return ordered


# ---- cells of several lines --------------------------------------------------------------------


def _stacked(rows: Sequence[Row]) -> tuple[list[Row], dict[int, Sequence[Row]]]:
    """The rows, with cells of several lines that stand side by side made one row.

    And the lines of those, by id, that are lists or columns if they are no part of a table.
    """
    stacked: list[Row] = []
    columns: dict[int, Sequence[Row]] = {}
    ends = _ends_of_lines(rows)
    i = 0
    while i < len(rows):
        stacks, end = _stacks(rows, i, ends)
        if by_cells := drawn_by_cells(rows, i):
            whole, end = by_cells
            stacked.append(whole)
            columns[id(whole)] = rows[i:end]
        elif _are_labels_and_values(stacks):
            stacked += (_side_by_side([[a], [b]]) for a, b in zip(*stacks, strict=True))
        elif len(stacks) > 1 and any(len(stack) > 1 for stack in stacks):
            stacked.append(_side_by_side(stacks))
            if any(map(_is_list, stacks)) or all(len(stack) >= MIN_COLUMN for stack in stacks):
                columns[id(stacked[-1])] = rows[i:end]
        else:
            end = i + 1
            stacked.append(rows[i])
        i = end
    return stacked, columns


def _ends_of_lines(rows: Sequence[Row]) -> list[int]:
    """Where the lines end that go on from each row, one below the other."""
    ends = list(range(1, len(rows) + 1))
    for i in range(len(rows) - 2, -1, -1):
        if _is_next_line(rows[i], rows[i + 1]):
            ends[i] = ends[i + 1]
    return ends


def _stacks(rows: Sequence[Row], i: int, ends: Sequence[int]) -> tuple[list[list[Row]], int]:
    """Stacks of rows that begin at row i and stand beside each other, and where the last ends."""
    stacks: list[list[Row]] = []
    end = i
    while end < len(rows):
        stack = _stack(rows, end, ends[end])
        if not stack or (stacks and not _is_beside(stacks[-1], stack)):
            break
        stacks.append(stack)
        end += len(stack)
    return stacks, end


def _stack(rows: Sequence[Row], i: int, end: int) -> list[Row]:
    """The lines of one cell, rows i to `end`, or a row of cells; none if it is neither."""
    if rows[i].in_table or not rows[i].is_placed:
        return []
    if len(rows[i].cells) > 1:
        return [rows[i]]
    if end - i > MAX_STACK_ROWS:
        return []
    stack = list(rows[i:end])
    return stack if sum(map(_length, stack)) <= MAX_STACK_CHARACTERS else []


def _is_list(stack: Sequence[Row]) -> bool:
    """Whether lines that follow each other are items, or fields with labels, and no one cell."""
    if any(begins_bullet(b.text) or are_items(a.text, b.text) for a, b in pairwise(stack)):
        return True
    return len(stack) > 1 and all(is_labelled(row.text) for row in stack)


def _are_labels_and_values(stacks: Sequence[Sequence[Row]]) -> bool:
    """Whether two stacks are labels, without digits, and values on their lines, drawn by columns.

    Two addresses may stand side by side as well: both have digits.
    """
    if len(stacks) != 2 or len(stacks[0]) != len(stacks[1]) or len(stacks[0]) < MIN_COLUMN:
        return False
    labels, values = stacks
    are_level = all(
        abs(a.bottom - b.bottom) < 0.2 * a.size for a, b in zip(labels, values, strict=True)
    )
    are_labels = all(
        row.text[0].isupper()
        and len(row.text) <= MAX_LABEL
        and len(row.cells) < 2
        and not any(map(str.isdigit, row.text))
        for row in labels
    )
    return are_level and are_labels and any(map(str.isdigit, "".join(row.text for row in values)))


MAX_LABEL = 30
"""Characters of a label at most."""


def _is_next_line(a: Row, b: Row) -> bool:
    if len(b.cells) > 1 or b.in_table or a.turn != b.turn or abs(a.size - b.size) > 1:
        return False
    overlap = min(a.right, b.right) - max(a.left, b.left)
    return overlap > 0 and -0.3 * a.height < b.top - a.bottom < STACK_STEP * a.height


def _is_beside(a: Sequence[Row], b: Sequence[Row]) -> bool:
    """Whether stack b stands to the right of stack a, with half of the less tall one's height.

    Beside a row of cells, it is a cell of it if their middles are at one height, or their tops.
    """
    if a[0].turn != b[0].turn or min(row.left for row in b) < max(row.right for row in a):
        return False
    (top, bottom), (next_top, next_bottom) = ((s[0].top, s[-1].bottom) for s in (a, b))
    if len(a[0].cells) > 1 or len(b[0].cells) > 1:
        apart = min(abs(top + bottom - next_top - next_bottom) / 2, abs(top - next_top))
        return apart < CENTRED * min(a[0].height, b[0].height)
    shared = min(bottom, next_bottom) - max(top, next_top)
    return shared > 0.5 * min(bottom - top, next_bottom - next_top)


def _side_by_side(stacks: Sequence[Sequence[Row]]) -> Row:
    cells = tuple(cell for stack in stacks for cell in _cells_of(stack))
    first = stacks[0][0]
    return replace(
        first,
        text=" ".join(cell.text for cell in cells),
        left=min(cell.left for cell in cells),
        right=max(cell.right for cell in cells),
        top=min(stack[0].top for stack in stacks),
        bottom=max(stack[-1].bottom for stack in stacks),
        bold=all(row.bold for stack in stacks for row in stack),
        cells=cells,
    )


def _cells_of(stack: Sequence[Row]) -> Sequence[Cell]:
    if len(stack[0].cells) > 1:
        return stack[0].cells
    left, right = min(row.left for row in stack), max(row.right for row in stack)
    return (Cell(left, right, _joined_lines(stack)),)


def _joined_lines(stack: Sequence[Row]) -> str:
    text = stack[0].text
    for row in stack[1:]:
        text = held_together(text, row.text)
    return text


def _length(row: Row) -> int:
    return len(row.text)


# ---- blocks of rows ----------------------------------------------------------------------------


def _has_cells(row: Row) -> bool:
    """Whether a row has two cells or more; the mark of an item or number of a heading is none."""
    if not row.is_placed or len(row.cells) < 2:
        return row.is_placed and has_figures_apart(row)
    first = row.cells[0].text
    is_mark = is_lone_marker(first) or (_SECTION.fullmatch(first) and (row.bold or "." in first))
    return len(row.cells) > 2 or not is_mark


def _block_end(rows: Sequence[Row], i: int) -> int:
    """Where the block of rows ends that may be a table and begins at row i; i + 1 if none does."""
    if not _has_cells(rows[i]):
        return i + 1
    end = last = i + 1
    while end < len(rows) and _follows(rows[end - 1], rows[end]) and end - last <= MAX_LABELS:
        if _begins_another(rows, i, end):
            break
        end += 1
        if _has_cells(rows[end - 1]):
            last = end
    return last


def _begins_another(rows: Sequence[Row], start: int, i: int) -> bool:
    """Whether row i has the heads of another table: in bold, above rows of as many cells.

    The rows before it, back to `start`, are of a table with fewer cells, or more.
    """
    count = len(rows[i].cells)
    if not rows[i].bold or rows[i - 1].bold or count < MIN_HEADS:
        return False
    before, after = rows[max(start, i - HEAD_ROWS) : i], rows[i + 1 : i + 1 + HEAD_ROWS]
    return (
        len(before) == len(after) == HEAD_ROWS
        and all(len(row.cells) == count and not row.bold for row in after)
        and all(len(row.cells) > 1 and abs(len(row.cells) - count) > 1 for row in before)
    )


HEAD_ROWS, MIN_HEADS = 2, 3
"""Rows before and behind heads that tell whether they are those of another table, and the heads."""


def _follows(a: Row, b: Row) -> bool:
    step = b.top - a.bottom
    tall = max(min(a.height, b.height), 0.8 * b.size)
    return a.turn == b.turn and b.is_placed and -BACK * tall < step < BLOCK_STEP * tall


# ---- columns -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    left: float
    right: float


def _table(block: Sequence[Row]) -> list[Row]:
    """The rows of a table with their cells apart; none if the block is no table."""
    if len(block) < 2:
        return []
    block = with_tight_cells([without_leaders(row) for row in block])
    several = [row for row in block if _has_cells(row)]
    if len(several) < 2 or _is_prose(several):
        return []
    columns = _columns(several)
    if len(columns) < 2 or not _is_aligned(several, columns):
        return []
    return [_apart(row, cells) for row, cells in unwrapped([_by_column(r, columns) for r in block])]


def _is_prose(rows: Sequence[Row]) -> bool:
    """Whether columns of running text stand side by side, or lines of one were justified."""
    long = [sum(len(cell.text) >= LONG for cell in row.cells) >= 2 for row in rows]
    edge = max(row.right for row in rows)
    full = [len(row.cells) for row in rows if _is_full(row, edge)]
    is_justified = len(full) > 0.5 * len(rows) and (len(full) < SURE_ROWS or len(set(full)) > 1)
    return is_justified or sum(long) >= 0.5 * len(rows)


def _is_full(row: Row, edge: float) -> bool:
    """Whether a row is filled with text up to the right edge."""
    white = sum(b.left - a.right for a, b in pairwise(row.cells))
    is_dense = len(row.text) >= FULL_CHARACTERS and white < WHITE * (row.right - row.left)
    return is_dense and row.right >= edge - row.size


def _columns(rows: Sequence[Row]) -> list[_Span]:
    """The columns, from left to right, as the rows with most cells show them."""
    if one_a_cell := _one_column_a_cell(rows):
        return one_a_cell
    usual = statistics.median_high([len(row.cells) for row in rows])
    best = [row for row in rows if len(row.cells) >= usual]
    if len(best) < 2:
        best = list(rows)
    free = max(
        (_between_gutters(best, crossing) for crossing in {0, int(FEW_CROSSING * len(best))}),
        key=len,
    )
    if len(free) < usual:  # heads need not stand over their figures
        below = _between_gutters(best[1:], 0) if len(best) > 2 else []
        crossed = _between_gutters(best, int(CROSSING * len(best)))
        free = max(free, below if len(below) <= usual else [], crossed, key=len)
    return free


def _one_column_a_cell(rows: Sequence[Row]) -> list[_Span]:
    """The columns of rows that all have as many cells, if each is apart from the next; or none.

    (A figure need not stand under its head, but may be to the right of it.)
    """
    merged = [_merged(row.cells) for row in rows]
    if len(rows) < SURE_COLUMNS or len({len(cells) for cells in merged}) > 1:
        return []
    spans = [
        _Span(min(cell.left for cell in column), max(cell.right for cell in column))
        for column in zip(*merged, strict=True)
    ]
    return spans if all(a.right < b.left for a, b in pairwise(spans)) else []


SURE_COLUMNS = 3
"""Rows with as many cells each that are needed to tell columns by the numbers of cells."""


def _between_gutters(rows: Sequence[Row], crossing: int) -> list[_Span]:
    """What is between gutters, the white spaces that at most `crossing` rows cross."""
    least = MIN_GUTTER * statistics.median(row.size for row in rows)
    edges = sorted(
        edge
        for row in rows
        for cell in _merged(row.cells)
        for edge in _edges(cell.left, cell.right)
    )
    columns: list[_Span] = []
    depth, left = 0, 0.0
    for at, change in edges:
        was = depth
        depth += change
        if was <= crossing < depth:
            left = at
        elif depth <= crossing < was:
            columns.append(_Span(left, at))
    return list(_joined(columns, least))


def _edges(left: float, right: float) -> tuple[tuple[float, int], tuple[float, int]]:
    return (left, 1), (max(right, left), -1)


def _joined(columns: Sequence[_Span], least: float) -> Iterator[_Span]:
    """The columns, with those that are too close to each other made one."""
    held: _Span | None = None
    for column in columns:
        if held is not None and column.left - held.right < least:
            held = _Span(held.left, column.right)
            continue
        if held is not None:
            yield held
        held = column
    if held is not None:
        yield held


def _is_aligned(rows: Sequence[Row], columns: Sequence[_Span]) -> bool:
    """Whether two columns at least have cells in two rows or more."""
    filled = [0] * len(columns)
    for row in rows:
        for k in {_column_of(cell, columns) for cell in _merged(row.cells)}:
            filled[k] += 1
    return sum(count >= 2 for count in filled) >= 2


def _column_of(cell: Cell, columns: Sequence[_Span]) -> int:
    """The first column, up to the middle of its gutters, that has a good part of a cell."""
    middles = [(a.right + b.left) / 2 for a, b in pairwise(columns)]
    for k, right in enumerate(middles):
        if min(cell.right, right) - cell.left > PART * max(0.1, cell.right - cell.left):
            return k
    return len(columns) - 1


def _merged(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, with a sign that belongs to a number put together with it."""
    merged: list[Cell] = []
    sign = Cell(0.0, 0.0, "")  # that belongs to the next cell
    for left, right, text, _ in cells:
        if sign.text:
            left, text = sign.left, f"{sign.text} {text}"
        sign = Cell(0.0, 0.0, "")
        if text[-1:] in _BEFORE:
            text, sign = text[:-1].rstrip(), Cell(max(left, right - 1), right, text[-1])
        if merged and text in _AFTER:
            merged[-1] = Cell(merged[-1].left, right, merged[-1].text + text)
        elif text:
            merged.append(Cell(left, right if not sign.text else max(left, right - 1), text))
    return [*merged, sign] if sign.text else merged


def _by_column(row: Row, columns: Sequence[_Span]) -> TableRow:
    """The row and its cell for each column, None for an empty one; all if it is over several."""
    found = _merged(row.cells or (Cell(row.left, row.right, row.text),))
    cells: list[Cell | None] = [None] * len(columns)
    if len(found) == 1 and _covered(found[0], columns) > 1:
        return row, tuple(cells)
    are_all = _stand_in_all(found, columns)
    for i, cell in enumerate(found):
        k = i if are_all else _column_of(cell, columns)
        held = cells[k]
        cells[k] = cell if held is None else Cell(held.left, cell.right, f"{held.text} {cell.text}")
    return row, tuple(cells)


def _stand_in_all(cells: Sequence[Cell], columns: Sequence[_Span]) -> bool:
    """Whether there is a cell for each column, between the columns on either side of it."""
    if len(cells) != len(columns):
        return False
    lefts = (-math.inf, *(column.right for column in columns[:-1]))
    rights = (*(column.left for column in columns[1:]), math.inf)
    return all(
        left <= cell.left and cell.right <= right
        for cell, left, right in zip(cells, lefts, rights, strict=True)
    )


def _apart(row: Row, cells: Sequence[Cell | None]) -> Row:
    """The row as a line with a tab between its cells."""
    texts = [cell.text if cell else "" for cell in cells]
    return replace(row, text="\t".join(texts).rstrip("\t") or row.text, in_table=True)


def _covered(cell: Cell, columns: Sequence[_Span]) -> int:
    return sum(min(cell.right, c.right) > max(cell.left, c.left) for c in columns)
