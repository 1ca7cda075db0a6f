"""From pieces of text with places on a page to rows in reading order.

A reader gives pieces in the order in which they were drawn, which nearly always is the order of
reading: it is kept. Four things are put right: pieces of one row that were drawn one after another
become one row; what was drawn twice at one place (shadows, fake bold) is read once; a table that
was drawn column by column is read row by row; the values of form fields come after their labels.

Coordinates run right and down along the line of text, in points. Without places (`unplaced`) they
count characters and lines, a letter being half as wide as its font is large. The thresholds were
chosen by hand on the PDFs of the test collection, in font sizes (em) or row heights.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ragctx.pdf.columns import IN_DRAWN_ORDER, Evidence, in_columns
from ragctx.pdf.combs import with_combs_whole
from ragctx.pdf.justified import without_justified_gaps
from ragctx.pdf.leaders import is_leader
from ragctx.pdf.line_numbers import without_line_numbers
from ragctx.pdf.markers import with_markers_before
from ragctx.pdf.printed_across import apart_from_print_across
from ragctx.pdf.right_to_left import are_right_to_left, mirrored, with_brackets_turned
from ragctx.pdf.row import OVERLAP, Cell, Row, same_row
from ragctx.pdf.tables import with_cells_apart
from ragctx.pdf.tagged import in_tagged_order
from ragctx.pdf.turned_heads import with_heads_upright
from ragctx.text.line_shapes import DROP_CAP, has_note_apart, is_capital_of


def in_reading_order(
    pieces: Sequence[Row], filled_in: Sequence[Row] = (), evidence: Evidence = IN_DRAWN_ORDER
) -> list[Row]:
    """All rows: first those turned as most of the page is, then those turned otherwise.

    `filled_in` are the values of form fields, which were drawn over the page; `evidence` is what
    shows columns there.

    >>> tin, point = (
    ...     Row(text="Tin", left=0, top=0, right=9, bottom=9, size=9),
    ...     Row(text="232", left=40, top=0, right=52, bottom=9, size=9),
    ... )
    >>> lead, value = (
    ...     Row(text="Lead", left=0, top=12, right=9, bottom=21, size=9),
    ...     Row(text="327", left=40, top=12, right=52, bottom=21, size=9),
    ... )
    >>> [row.text for row in in_reading_order([tin, point, lead], [value])]
    ['Tin 232', 'Lead 327']
    """
    if not are_right_to_left(pieces):
        return _in_order(pieces, filled_in, evidence)
    rows = _mirrored(_in_order(_mirrored(pieces), _mirrored(filled_in), evidence))
    return [replace(row, text=with_brackets_turned(row.text)) for row in rows]


def _mirrored(rows: Sequence[Row]) -> list[Row]:
    return list(map(mirrored, rows))


def _in_order(pieces: Sequence[Row], filled_in: Sequence[Row], evidence: Evidence) -> list[Row]:
    pieces = with_markers_before(_with_marks_beside(_without_shadows(pieces)))
    pieces, across = apart_from_print_across(pieces)
    pieces = _without_line_numbers(pieces)
    read = partial(_by_place, evidence=evidence)
    rows = in_tagged_order(pieces, read) if any(p.block for p in pieces) else read(pieces)
    rows = with_heads_upright(with_combs_whole(without_justified_gaps(rows)))
    rows = with_cells_apart(rows)
    rows = _with_values(rows, filled_in) if filled_in else rows
    return [*rows, *across]


def _by_turn(pieces: Sequence[Row]) -> list[list[Row]]:
    groups: dict[int, list[Row]] = {}
    for piece in pieces:
        groups.setdefault(piece.turn, []).append(piece)
    return list(groups.values())


def _without_line_numbers(pieces: Sequence[Row]) -> list[Row]:
    """The pieces, as they were drawn, without line numbers: tags need not know what they number."""
    kept = {id(one) for group in _by_turn(pieces) for one in without_line_numbers(group)}
    return [piece for piece in pieces if id(piece) in kept]


def _by_place(pieces: Sequence[Row], evidence: Evidence) -> list[Row]:
    by_amount = sorted(_by_turn(pieces), key=lambda group: -sum(len(row.text) for row in group))
    return [
        row for group in by_amount for row in _row_wise(_joined_rows(in_columns(group, evidence)))
    ]


# ---- what was drawn twice --------------------------------------------------------------------

MIN_SHADOW_SIZE = 3.0
"""Points: smaller text is never a shadow. Without places, rows have size 2 and all are close."""


def _without_shadows(pieces: Sequence[Row]) -> list[Row]:
    """The pieces without those that repeat one at the same place, to about 1.5 points."""
    kept: list[Row] = []
    seen: dict[str, set[tuple[int, int]]] = {}  # where each text was drawn
    levels: dict[int, list[Row]] = {}  # by height
    for piece in pieces:
        if piece.size > MIN_SHADOW_SIZE:
            x, y = round(piece.left), round(piece.top)
            places = seen.setdefault(piece.text, set())
            if places and any((x + dx, y + dy) in places for dx, dy in _AROUND):
                continue
            places.add((x, y))
            levels.setdefault(y, []).append(piece)
        kept.append(piece)
    again = _drawn_again(levels)
    return [piece for piece in kept if id(piece) not in again] if again else kept


def _drawn_again(levels: Mapping[int, Sequence[Row]]) -> set[int]:
    """The pieces, by height, that are a part of another one, drawn at the same place; as ids."""
    again = set()
    for level, here in levels.items():
        above, below = levels.get(level - 1, ()), levels.get(level + 1, ())
        if 1 < len(here) + len(above) + len(below) <= MAX_LEVEL:
            near = (*here, *above, *below)
            again |= {id(piece) for piece in here if any(_is_part_of(piece, one) for one in near)}
    return again


def _is_part_of(piece: Row, whole: Row) -> bool:
    """Whether a piece says what a longer one says at the same place."""
    if piece.left >= whole.right or whole.left - 1 >= piece.left:
        return False
    if len(piece.text) >= len(whole.text) or piece.turn != whole.turn:
        return False
    letter = max(0.1, (whole.right - whole.left) / len(whole.text))
    at, reach = (piece.left - whole.left) / letter, SAME_PLACE * whole.size / letter
    last = int(at + reach) + len(piece.text)
    is_there = whole.text.find(piece.text, max(0, int(at - reach)), last) >= 0
    return is_there and piece.right < whole.right + 1


MAX_LEVEL = 200
"""Pieces at one height that are compared with each other: it takes time with their square."""
SAME_PLACE = 1.5
"""Em: how far a part of a piece may be from where its letters are, were they all equally wide."""


_AROUND = tuple(itertools.product((-1, 0, 1), repeat=2))


# ---- marks of notes ----------------------------------------------------------------------------

_MARK = re.compile(r"[\w®™*†‡§¶()\[\],]+")
MAX_MARK, MARK_SIZE, MARK_GAP = 4, 0.9, 0.3
"""A mark has at most this many characters, is at most this large beside what it belongs to, and
this near, in em."""


def _with_marks_beside(pieces: Sequence[Row]) -> list[Row]:
    """The pieces, with raised marks that were drawn elsewhere after the piece whose end they mark.

    >>> total = Row(text="Total", left=0, top=0, right=25, bottom=10, size=10)
    >>> figure, mark = (
    ...     replace(total, text="232", left=60, right=75),
    ...     replace(total, text="(3)", left=26, right=32, bottom=5, size=5),
    ... )
    >>> [piece.text for piece in _with_marks_beside([total, figure, mark])]
    ['Total', '(3)', '232']
    """
    after: dict[int, list[Row]] = {}  # by index of the piece
    by_right = sorted((piece.right, k) for k, piece in enumerate(pieces))
    reach = MARK_GAP * max((piece.size for piece in pieces), default=0.0)
    for i, mark in enumerate(pieces):
        if (
            len(mark.text) <= MAX_MARK
            and _MARK.fullmatch(mark.text)
            and not (i and _marks(pieces[i - 1], mark))
        ):
            near = slice(
                bisect_left(by_right, (mark.left - reach, -1)),
                bisect_left(by_right, (mark.left + reach, len(pieces))),
            )
            at = min((k for _, k in by_right[near] if _marks(pieces[k], mark)), default=None)
            if at is not None:
                after.setdefault(at, []).append(mark)
    moved = {id(mark) for marks in after.values() for mark in marks}
    return [
        one
        for i, piece in enumerate(pieces)
        if id(piece) not in moved
        for one in (piece, *after.get(i, ()))
    ]


def _marks(piece: Row, mark: Row) -> bool:
    """Whether a mark stands at the end of a piece, raised and smaller."""
    is_small = mark.size <= MARK_SIZE * piece.size and mark.turn == piece.turn
    is_raised = mark.bottom < piece.bottom and piece.top - mark.height < mark.top < piece.bottom
    return is_small and is_raised and abs(mark.left - piece.right) <= MARK_GAP * piece.size


# ---- pieces of one row -----------------------------------------------------------------------


def _joined_rows(pieces: Sequence[Row]) -> list[Row]:
    rows: list[Row] = []
    for i, piece in enumerate(pieces):
        if rows and rows[-1].is_field and is_leader(piece.text) and same_row(rows[-1], piece):
            continue  # it led to the box that was filled in
        if rows and _repeats_number(rows[-1], piece):
            rows[-1] = replace(_side_by_side(rows[-1], piece), is_field=True)
        elif (
            rows
            and _goes_on(rows[-1], piece)
            and not _is_beside_two(rows[-2:], piece)
            and not _is_beside_two(pieces[i : i + 2], rows[-1])
        ):
            rows[-1] = _side_by_side(rows[-1], piece)
        else:
            rows.append(piece)
    return rows


CELL_GAP = 0.8
"""Em: pieces of a row that are farther apart may be cells of a table."""
NARROW_GAP = 0.45
"""Em: and those that are farther apart than this, parts of one."""
MAX_NOTE_GAP = 6.0
"""Em: the text of a note begins this near to its raised mark."""
TOUCHING = 0.12
"""Em: pieces closer than this are parts of one word; the narrowest space is about 0.2 em."""


def _goes_on(row: Row, piece: Row) -> bool:
    if row.is_field or (piece.is_field and _WORDS.search(row.text)):
        return False  # but the number of a field goes before it
    is_beside = same_row(row, piece) or _marks_note(row, piece)
    return is_beside and piece.left >= row.right - OVERLAP * max(piece.size, row.size)


def _is_beside_two(lines: Sequence[Row], piece: Row) -> bool:
    """Whether a piece stands beside a label of two lines, halfway down, and not beside one line."""
    if len(lines) < 2:
        return False
    a, b = lines
    apart = abs(piece.top + piece.bottom - a.top - b.bottom) / 2
    if apart >= HALFWAY * piece.height or not _WORDS.search(a.text):
        return False
    is_below = b.top > a.top + 0.5 * a.height and b.top - a.bottom < a.height
    is_label = is_below and abs(a.left - b.left) < a.size and len(b.cells) < 2
    gap = max(piece.left - max(a.right, b.right), min(a.left, b.left) - piece.right)
    return is_label and gap > CELL_GAP * b.size


HALFWAY = 0.25
"""Row heights that the middle of such a piece is from the middle of the label at most."""


def _repeats_number(row: Row, piece: Row) -> bool:
    """Whether a piece has the number again that a field begins with: that of a line of a form."""
    if not row.is_field or piece.is_field or not piece.text[0].isdigit():
        return False
    is_behind = piece.left >= row.right and same_row(row, piece)
    return is_behind and row.text.startswith(f"{piece.text} ")


def _marks_note(mark: Row, note: Row) -> bool:
    """Whether a raised mark stands before the first line of a note, perhaps with room between."""
    is_mark = _NOTE_MARK.fullmatch(mark.text) and mark.size <= MARK_SIZE * note.size
    is_raised = mark.top < note.top + 0.2 * note.height and note.top < mark.bottom < note.bottom
    return bool(is_mark) and is_raised and note.left - mark.right <= MAX_NOTE_GAP * note.size


_NOTE_MARK = re.compile(r"\d{1,3}|[a-z]|[*†‡§¶#]{1,3}")


def _side_by_side(a: Row, b: Row) -> Row:
    """Two pieces of one row as one; the height and font size are those of the longer text."""
    touching = b.left - a.right < TOUCHING * max(a.size, b.size)
    if b.text[:1].isdigit() and (a.text[-1:].isdigit() or _is_note_of(a, b)):
        touching = False  # two figures of a picture or a table, never one
    touching = touching or _is_drop_cap(a, b)
    text = a.text.rstrip("\ufffe") + ("" if touching else " ") + b.text
    longer = a if len(a.text) >= len(b.text) else b
    return Row(
        text=text,
        left=min(a.left, b.left),
        top=longer.top,
        right=max(a.right, b.right),
        bottom=longer.bottom,
        size=longer.size,
        turn=a.turn,
        in_table=a.in_table or b.in_table,
        block=a.block,
        cell=a.cell,
        role=a.role,
        is_field=b.is_field,
        bold=a.bold and b.bold,
        typewriter=a.typewriter and b.typewriter,
        cells=_cells(a, b),
    )


def _is_drop_cap(a: Row, b: Row) -> bool:
    """Whether a large first letter stands before the rest of its word."""
    if not is_capital_of(a.text, b.text) or a.size < DROP_CAP * b.size:
        return False
    return b.left - a.right < CELL_GAP * b.size


def _is_note_of(a: Row, b: Row) -> bool:
    return has_note_apart(a.text) and _marks(a, b)


def _cells(a: Row, b: Row) -> tuple[Cell, ...]:
    """The cells of two pieces side by side: where they are close, the last and the first are one.

    The mark of an item is no cell.
    """
    if not a.cells and _marks_note(a, b):
        return b.cells
    own, further = (row.cells or (Cell(row.left, row.right, row.text),) for row in (a, b))
    last, first = own[-1], further[0]
    if b.left - a.right >= CELL_GAP * max(a.size, b.size):
        return (*own, *further)
    return (*own[:-1], _one_cell(last, first, a.size), *further[1:])


def _one_cell(a: Cell, b: Cell, size: float) -> Cell:
    """Two cells that are close as one; its parts are theirs, of which the inner two may be one."""
    gap = b.left - a.right
    space = " " if gap > TOUCHING * size else ""
    parts = (*(a.parts or (a,)), *(b.parts or (b,)))
    if gap < NARROW_GAP * size:
        i = len(a.parts or (a,))
        inner = Cell(parts[i - 1].left, parts[i].right, parts[i - 1].text + space + parts[i].text)
        parts = (*parts[: i - 1], inner, *parts[i + 1 :])
    return Cell(a.left, b.right, a.text + space + b.text, parts if len(parts) > 1 else ())


def _with_values(rows: list[Row], values: Sequence[Row]) -> list[Row]:
    """The rows with each value after the closest row beside or above it."""
    after: dict[int, list[Row]] = {}  # by index of the row; -1 for values above all rows
    for value in values[:MAX_ROWS]:
        distances = [  # downwards first: a label is mostly in the same row as its value
            (
                max(0.0, value.top - row.bottom),
                not same_row(row, value),
                max(0.0, value.left - row.right),
                i,
            )
            for i, row in enumerate(rows[:MAX_ROWS])
            if row.turn == value.turn and row.top <= value.top + 0.5 * value.height
        ]
        after.setdefault(min(distances)[-1] if distances else -1, []).append(value)
    ordered = list(after.get(-1, ()))
    for i, row in enumerate(rows):
        ordered += [row, *after.get(i, ())]
    return _joined_rows(ordered)


# ---- tables drawn column by column -----------------------------------------------------------

MIN_CELLS = 3
"""A column of a table has at least this many figures one below the other."""
MAX_FIGURE = 24
"""A number, date or amount has no more characters than this."""
DIGITS = 0.4
"""At least this share of a figure's characters are digits: signs, units and months are the rest."""
MATCHED = 0.7
"""The share of a column's figures that must have another cell beside them, and of the rows between
its first and last figure that must not be prose."""
MAX_ROW_GAP, MAX_ROWS_BESIDE = 1.0, 4
"""Row heights between a table and a row of it without a figure in the column that was found; and
how many such rows there may be above, and below."""
MAX_ROWS = 3000
"""On a page with more rows than this, no tables are sought: it takes time with their square."""
_WORDS = re.compile(r"[^\W\d_]{2,}")


def _row_wise(rows: list[Row]) -> list[Row]:
    """The rows, with tables that were drawn column by column put together row by row."""
    i = 0
    while i < len(rows) <= MAX_ROWS:
        end = _column_end(rows, i)
        if end - i >= MIN_CELLS and (members := _table_around(rows, i, end)):
            rows, i = _with_table(rows, members), i + 1
        else:
            i = end
    return rows


def _column_end(rows: Sequence[Row], i: int) -> int:
    """Where the column of figures that begins at row i ends; i + 1 if there is none."""
    end = i
    while end < len(rows) and not rows[end].in_table and _is_figure(rows[end].text):
        if end > i and not _is_below(rows[end - 1], rows[end]):
            break
        end += 1
    return max(end, i + 1)


def _is_figure(text: str) -> bool:
    """A number, a date, an amount: short, mostly digits."""
    if len(text) > MAX_FIGURE:
        return False
    digits = sum(character.isdigit() for character in text)
    return digits > 0 and digits >= DIGITS * len(text.replace(" ", ""))


def _is_below(a: Row, b: Row) -> bool:
    """Whether b is the next cell of a's column: aligned left or right, up to 3 rows below."""
    aligned = min(abs(a.left - b.left), abs(a.right - b.right)) < max(a.size, b.size)
    return aligned and -0.2 * a.height <= b.top - a.bottom < 3 * a.height


def _table_around(rows: Sequence[Row], start: int, end: int) -> list[int]:
    """Indices of all rows of the table that the figures `rows[start:end]` belong to, or none."""
    figures = rows[start:end]
    top, bottom = figures[0].top, figures[-1].bottom
    middles = [(i, (row.top + row.bottom) / 2) for i, row in enumerate(rows)]
    inside = [i for i, middle in middles if top <= middle <= bottom and not rows[i].in_table]
    others = [i for i in inside if not start <= i < end and not _is_prose(rows[i].text)]
    matched = sum(any(same_row(figure, rows[i]) for i in others) for figure in figures)
    if matched < MATCHED * len(figures) or len(others) < MATCHED * (len(inside) - len(figures)):
        return []
    members = {*range(start, end), *others}
    for side in (-1, 1) * MAX_ROWS_BESIDE:
        members |= _row_beside(rows, members, side)
    return sorted(members)


def _row_beside(rows: Sequence[Row], members: set[int], side: int) -> set[int]:
    """Indices of the cells of a row right above (-1) or below (1) a table: its heads, its total."""
    table = [rows[i] for i in members]
    left, right = min(row.left for row in table), max(row.right for row in table)
    top, bottom = min(row.top for row in table), max(row.bottom for row in table)
    gaps = {
        i: top - row.bottom if side < 0 else row.top - bottom
        for i, row in enumerate(rows)
        if i not in members
        and not (row.in_table or row.is_field or _is_prose(row.text))
        and left - row.size <= row.left
        and row.right <= right + row.size
    }
    near = {i: gap for i, gap in gaps.items() if -0.5 <= gap / rows[i].height < MAX_ROW_GAP}
    if not near:
        return set()
    nearest = rows[min(near, key=lambda i: near[i])]
    cells = {i for i in near if same_row(nearest, rows[i])}
    return cells if len(cells) > 1 and all(_is_over_one(rows[i], table) for i in cells) else set()


def _is_over_one(cell: Row, table: Sequence[Row]) -> bool:
    return any(cell.left < other.right and other.left < cell.right for other in table)


def _is_prose(text: str) -> bool:
    """Whether a row is a line of a paragraph: six words or more, half of them in lower case."""
    words = _WORDS.findall(text)
    small = sum(word.islower() for word in words)
    return len(words) >= 6 and small >= 0.5 * len(words) and sum(map(len, words)) > 0.6 * len(text)


def _with_table(rows: Sequence[Row], members: Sequence[int]) -> list[Row]:
    """The rows with the cells at `members` joined row by row, where the first of them is."""
    cells = sorted((rows[i] for i in members), key=lambda row: (row.top + row.bottom) / 2)
    table: list[list[Row]] = []
    for cell in cells:
        if table and same_row(table[-1][0], cell):
            table[-1].append(cell)
        else:
            table.append([cell])
    joined = [replace(_joined(row), in_table=True) for row in table]
    taken = set(members)
    after = (row for i, row in enumerate(rows) if i > members[0] and i not in taken)
    return [*rows[: members[0]], *joined, *after]


def _joined(cells: list[Row]) -> Row:
    cells = sorted(cells, key=lambda cell: cell.left)
    row = cells[0]
    for cell in cells[1:]:
        row = _side_by_side(row, cell)
    return row
