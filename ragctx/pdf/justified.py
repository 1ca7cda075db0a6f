"""Lines of running text that were justified: the wide gaps in them part words, not cells. Pure.

All gaps of such a line are as wide, and it ends where the line before or after it does, which has
no wide gaps, or as wide ones elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from ragctx.pdf.row import Cell, Row
from ragctx.text.line_shapes import ends_sentence, is_table_row

SAME_GAP, SAME_SHARE = 0.35, 0.15
"""Em, and a share of the widest: gaps that differ by no more, one or the other, are as wide."""
LOOSE = 1.1
"""How many times as far its letters are from each other, spaces and gaps among them."""
FEW_GAPS, MAX_GAP = 3, 1.6
"""With fewer gaps than this, or beside another line with gaps, none is wider than this, in em."""
MANY_GAPS, EVEN = 4, 0.1
"""That many gaps, or more, that differ by no more em are of no table, unless its cells are in line
with those beside them."""
MIN_WIDTH = 20.0
"""Em: a line that is justified is at least this wide."""
SAME_EDGE, SAME_LINE = 0.5, 0.2
"""Em: lines that differ by no more end at the same place; and cells, in line with others."""
MAX_INDENT = 5.0
"""Em: how much farther in, or out, a line may begin than the one beside it."""
MAX_STEP = 2.5
"""Row heights between two lines of one paragraph, at most."""


def without_justified_gaps(rows: Sequence[Row]) -> list[Row]:
    """The rows of a page, in reading order; lines that were justified have no cells.

    >>> from ragctx.pdf.row import Cell
    >>> cells = tuple(Cell(60 * k, 60 * k + 40, "words") for k in range(5))
    >>> text = " ".join(cell.text for cell in cells)
    >>> wide = Row(text=text, left=0, top=0, right=280, bottom=10, size=10, cells=cells)
    >>> full = replace(wide, text="text " * 10, top=12, bottom=22, cells=())
    >>> len(without_justified_gaps([wide, full])[0].cells), len(without_justified_gaps([wide]))
    (0, 1)
    """
    pitches = _pitches(rows)
    return [
        replace(row, cells=())
        if len(row.cells) > 1 and (_is_justified(rows, i, pitches) or _fills_column(rows, i))
        else row
        for i, row in enumerate(rows)
    ]


def _pitches(rows: Sequence[Row]) -> dict[int, float]:
    """Em from letter to letter of lines without wide gaps, by font size: of those set closely."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if len(row.cells) < 2 and row.right - row.left >= MIN_WIDTH * row.size:
            found.setdefault(round(row.size), []).append(_pitch(row))
    return {size: sorted(pitches)[len(pitches) // 4] for size, pitches in found.items()}


def _pitch(row: Row) -> float:
    return (row.right - row.left) / row.size / max(1, len(row.text))


def _is_justified(rows: Sequence[Row], i: int, pitches: Mapping[int, float]) -> bool:
    row = rows[i]
    if row.in_table or row.is_field or is_table_row(row.text, row.text):
        return False
    gaps = _gaps(row)
    beside = [rows[j] for j in (i - 1, i + 1) if 0 <= j < len(rows)]
    if _is_of_no_table(row, gaps) and not any(_are_in_line(other, row) for other in beside):
        return True
    if any(_stand_in_columns(other, row) for other in beside):
        return False
    is_loose = _pitch(row) >= LOOSE * pitches.get(round(row.size), math.inf)
    if not (is_loose and _are_alike(gaps)) and not _are_between_sentences(row, gaps):
        return False
    return any(_is_line_of_text(other, row) for other in beside)


# ---- narrow columns ----------------------------------------------------------------------------


def _fills_column(rows: Sequence[Row], i: int) -> bool:
    """Whether row i is a line of a narrow column: words with gaps as wide as it takes to fill it.

    The gaps are alike, the first word of the next line would not have fitted in, and lines around
    are as long, some of them without gaps. (A row of a table has figures, room, or gaps of several
    widths.)
    """
    row, gaps = rows[i], _gaps(rows[i])
    is_narrow = NARROWEST * row.size <= row.right - row.left <= WIDEST * row.size
    if not is_narrow or row.in_table or row.is_field or not _is_said(row):
        return False
    if not (_are_alike(gaps) and all(map(_is_apart, row.cells))):
        return False
    is_even = max(gaps) - min(gaps) <= EVEN
    stand = _are_in_line if is_even else _stand_in_columns
    if any(stand(rows[j], row) for j in (i - 1, i + 1) if 0 <= j < len(rows)):
        return False
    room = sum(gaps) - SPACE * len(gaps)
    is_sure = is_even and len(gaps) >= FEW_GAPS
    if not is_sure and i + 1 < len(rows) and not _is_too_long(rows[i + 1], room, row.size):
        return False
    around = [*_filled(rows, i, -1), *_filled(rows, i, 1)]
    return len(around) >= MIN_AROUND and sum(map(_is_of_words, around)) >= MIN_OF_WORDS


def _is_too_long(line: Row, room: float, size: float) -> bool:
    """Whether the first word of a line, and a space before it, would take more than `room` em."""
    first: Row | Cell = line.cells[0] if line.cells else line
    letter = (first.right - first.left) / size / max(1, len(first.text))
    return room < SLACK * letter * len(first.text.split(None, 1)[0]) + SPACE


SPACE, SLACK = 0.25, 1.3
"""Em of a space, and how many times as wide as its letters are in the mean a word may be."""
NARROWEST, WIDEST = 7.0, 25.0
"""Em: a narrow column is at least, and at most, this wide."""
NEAR, MIN_AROUND, MIN_OF_WORDS = 6, 3, 2
"""Lines above a line, and below it, that show its column; how many of them must fill it, and how
many of those must have no wide gaps, or even ones."""


def _is_of_words(line: Row) -> bool:
    gaps = _gaps(line)
    return not gaps or (len(gaps) > 1 and max(gaps) - min(gaps) <= EVEN)


def _is_apart(cell: Cell) -> bool:
    """Whether a cell is one word, or its words, too, are farther apart than mostly."""
    return cell.text.count(" ") < max(1, len(cell.parts))


def _filled(rows: Sequence[Row], i: int, side: int) -> Iterator[Row]:
    """The rows above (-1) or below (1) row i, one line after the other, that fill its column."""
    row, last = rows[i], rows[i]
    for j in range(1, NEAR + 1):
        if not 0 <= i + side * j < len(rows):
            return
        other = rows[i + side * j]
        step = max(other.top - last.bottom, last.top - other.bottom)
        is_next = other.turn == row.turn and abs(other.size - row.size) <= 1
        if not is_next or other.in_table or other.is_field or step > MAX_STEP * row.height:
            return
        ends_alike = abs(other.right - row.right) <= SAME_EDGE * row.size
        if ends_alike and abs(other.left - row.left) <= MAX_INDENT * row.size:
            yield other
        last = other


def _is_said(row: Row) -> bool:
    """Whether half of a row's words, or more, have small letters and no digits."""
    words = row.text.split()
    said = sum(any(map(str.islower, w)) and not any(map(str.isdigit, w)) for w in words)
    return said >= 0.5 * len(words)


def _gaps(row: Row) -> list[float]:
    """Em between the cells of a row."""
    return [(b.left - a.right) / row.size for a, b in pairwise(row.cells)]


def _are_alike(gaps: Sequence[float]) -> bool:
    least, most = min(gaps, default=0.0), max(gaps, default=0.0)
    return most - least <= max(SAME_GAP, SAME_SHARE * most)


def _is_of_no_table(row: Row, gaps: Sequence[float]) -> bool:
    """Whether there are many gaps of one width between words of several widths."""
    widths = [cell.right - cell.left for cell in row.cells]
    are_even = len(gaps) >= MANY_GAPS and max(gaps) - min(gaps) <= EVEN
    return are_even and max(widths) >= 1.5 * min(widths)


def _are_between_sentences(row: Row, gaps: Sequence[float]) -> bool:
    """Whether there are no gaps but after full stops, where some programs leave more room."""
    return max(gaps) <= MAX_GAP and all(ends_sentence(cell.text) for cell in row.cells[:-1])


def _is_line_of_text(other: Row, row: Row) -> bool:
    """Whether another row is a line of the paragraph of which `row` may be a line."""
    step = max(other.top - row.bottom, row.top - other.bottom)
    em = row.size
    if other.in_table or other.is_field or other.turn != row.turn or abs(other.size - em) > 1:
        return False
    ends_before = other.right > row.right and abs(other.left - row.left) <= SAME_EDGE * em
    is_last = ends_before and _are_between_sentences(row, _gaps(row))
    ends_alike = is_last or abs(other.right - row.right) <= SAME_EDGE * em
    if not ends_alike or other.right - other.left < MIN_WIDTH * em:
        return False
    if abs(other.left - row.left) > MAX_INDENT * em or step > MAX_STEP * row.height:
        return False
    gaps = _gaps(row)
    if len(other.cells) < 2:
        return len(gaps) >= FEW_GAPS or max(gaps) <= MAX_GAP
    return max(gaps) <= MAX_GAP and _are_alike(_gaps(other))


def _are_in_line(a: Row, b: Row) -> bool:
    """Whether most of b's cells begin where cells of a begin, or most end where cells of a end.

    (Of many cells, half begin or end somewhere near an edge of another row's.)
    """
    near = SAME_LINE * b.size
    return any(
        sum(any(abs(x - y) <= near for x in theirs) for y in own) > 0.5 * len(own)
        for theirs, own in (
            ([cell.left for cell in a.cells[1:]], [cell.left for cell in b.cells[1:]]),
            ([cell.right for cell in a.cells[:-1]], [cell.right for cell in b.cells[:-1]]),
        )
    )


def _stand_in_columns(a: Row, b: Row) -> bool:
    """Whether cells of b, more than half of those within, begin or end where cells of a do.

    Or there are as many, one over the other.
    """
    if len(a.cells) < 2:
        return False
    if len(a.cells) == len(b.cells) and _are_one_over_the_other(a.cells, b.cells):
        return True
    edges = [edge for cell in a.cells[1:] for edge in (cell.left, cell.right)]
    inner = b.cells[1:-1] or b.cells[1:]
    near = SAME_EDGE * b.size
    aligned = sum(
        any(min(abs(edge - cell.left), abs(edge - cell.right)) <= near for edge in edges)
        for cell in inner
    )
    return aligned > 0.5 * len(inner)


def _are_one_over_the_other(upper: Sequence[Cell], lower: Sequence[Cell]) -> bool:
    edges = [
        (min(a.left, b.left), max(a.right, b.right)) for a, b in zip(upper, lower, strict=True)
    ]
    return all(right < left for (_, right), (left, _) in pairwise(edges))
