"""Lines of running text that were justified: the wide gaps in them part words, not cells. Pure.

All gaps of such a line are as wide, and it ends where the line before or after it does, which has
no wide gaps, or as wide ones elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ragctx.pdf.row import Row

SAME_GAP, SAME_SHARE = 0.35, 0.15
"""Em, and a share of the widest: gaps that differ by no more, one or the other, are as wide."""
FEW_GAPS, MAX_GAP = 3, 1.6
"""With fewer gaps than this, or beside another line with gaps, none is wider than this, in em."""
MIN_WIDTH = 20.0
"""Em: a line that is justified is at least this wide."""
SAME_EDGE = 0.5
"""Em: lines that differ by no more end at the same place."""
MAX_INDENT = 5.0
"""Em: how much farther in, or out, a line may begin than the one beside it."""
MAX_STEP = 2.5
"""Row heights between two lines of one paragraph, at most."""


def without_justified_gaps(rows: Sequence[Row]) -> list[Row]:
    """The rows of a page, in reading order; lines that were justified have no cells.

    >>> from ragctx.pdf.row import Cell
    >>> cells = tuple(Cell(60 * k, 60 * k + 40, "words") for k in range(5))
    >>> wide = Row(text="words", left=0, top=0, right=280, bottom=10, size=10, cells=cells)
    >>> full = Row(text="more words", left=0, top=12, right=280, bottom=22, size=10)
    >>> len(without_justified_gaps([wide, full])[0].cells), len(without_justified_gaps([wide]))
    (0, 1)
    """
    return [
        replace(row, cells=()) if len(row.cells) > 1 and _is_justified(rows, i) else row
        for i, row in enumerate(rows)
    ]


def _is_justified(rows: Sequence[Row], i: int) -> bool:
    row = rows[i]
    if row.in_table or row.is_field or not _are_alike(_gaps(row)):
        return False
    beside = (rows[j] for j in (i - 1, i + 1) if 0 <= j < len(rows))
    return any(_is_line_of_text(other, row) for other in beside)


def _gaps(row: Row) -> list[float]:
    """Em between the cells of a row."""
    return [(b.left - a.right) / row.size for a, b in pairwise(row.cells)]


def _are_alike(gaps: Sequence[float]) -> bool:
    least, most = min(gaps, default=0.0), max(gaps, default=0.0)
    return most - least <= max(SAME_GAP, SAME_SHARE * most)


def _is_line_of_text(other: Row, row: Row) -> bool:
    """Whether another row is a line of the paragraph of which `row` may be a line."""
    step = max(other.top - row.bottom, row.top - other.bottom)
    em = row.size
    if other.in_table or other.is_field or other.turn != row.turn or abs(other.size - em) > 1:
        return False
    if abs(other.right - row.right) > SAME_EDGE * em or other.right - other.left < MIN_WIDTH * em:
        return False
    if abs(other.left - row.left) > MAX_INDENT * em or step > MAX_STEP * row.height:
        return False
    gaps = _gaps(row)
    if len(other.cells) < 2:
        return len(gaps) >= FEW_GAPS or max(gaps) <= MAX_GAP
    is_alike = max(gaps) <= MAX_GAP and _are_alike(_gaps(other))
    return is_alike and not _stand_in_columns(other, row)


def _stand_in_columns(a: Row, b: Row) -> bool:
    """Whether half of the cells of b, its first apart, begin or end where cells of a do."""
    edges = [edge for cell in a.cells[1:] for edge in (cell.left, cell.right)]
    aligned = sum(
        any(abs(edge - own) <= SAME_EDGE * b.size for edge in edges for own in cell[:2])
        for cell in b.cells[1:-1]
    )
    return aligned > 0.5 * max(1, len(b.cells) - 2)
