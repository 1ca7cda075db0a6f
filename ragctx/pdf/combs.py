"""Words and numbers written with a letter to a box: a form's comb, letters set very wide. Pure.

Such letters stand at one distance, one to a cell, and there is nothing like it in the rows beside
them, but for other combs with words before each: else it would be a table. Letters or figures that
count (A B C, 1 2 3) are heads or choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ragctx.pdf.row import Cell, Row

MIN_LETTERS = 5
"""A comb has at least this many: a postal code."""
MIN_GAP, MAX_PITCH, EVEN = 0.3, 2.5, 0.2
"""Em: between the letters of a comb there is at least so much white; their middles are at most so
far apart, and their distances differ by no more. Chosen by hand."""
MAX_STEP = 3.0
"""Row heights: rows that are nearer may be those of one table."""


def with_combs_whole(rows: Sequence[Row]) -> list[Row]:
    """The rows of a page, in reading order, with the letters of each comb as one cell.

    >>> cells = tuple(Cell(16 * k, 16 * k + 6, letter) for k, letter in enumerate("12051987"))
    >>> date = Row(text="1 2 0 5 1 9 8 7", left=0, top=0, right=118, bottom=9, size=9, cells=cells)
    >>> with_combs_whole([date])[0].text
    '12051987'
    """
    return [
        _whole(rows, i) if len(row.cells) >= MIN_LETTERS - 1 else row for i, row in enumerate(rows)
    ]


def _whole(rows: Sequence[Row], i: int) -> Row:
    row = rows[i]
    parts = [part for cell in row.cells for part in (cell.parts or (cell,))]
    cells: list[Cell] = []
    start = 0
    while start < len(parts):
        end = _comb_end(parts, start, row.size)
        comb = parts[start:end]
        if len(comb) >= MIN_LETTERS and not _counts(comb) and not _is_of_table(rows, i, comb):
            cells.append(Cell(comb[0].left, comb[-1].right, "".join(c.text for c in comb)))
        else:
            cells += comb
        start = end
    if len(cells) == len(parts):
        return row
    return replace(row, text=" ".join(cell.text for cell in cells), cells=tuple(cells))


def _comb_end(parts: Sequence[Cell], start: int, size: float) -> int:
    """Where the letters end that stand at one distance from `start` on; at least one part later."""
    end = start + 1
    while end < len(parts) and _is_letter(parts[start]) and _is_letter(parts[end]):
        pitch = _middle(parts[end]) - _middle(parts[end - 1])
        first = _middle(parts[start + 1]) - _middle(parts[start])
        gap = parts[end].left - parts[end - 1].right
        is_even = abs(pitch - first) <= EVEN * size and pitch <= MAX_PITCH * size
        if not is_even or gap < MIN_GAP * size:
            break
        end += 1
    return end


def _is_letter(part: Cell) -> bool:
    return len(part.text) == 1 and part.text.isalnum()


def _middle(part: Cell) -> float:
    return (part.left + part.right) / 2


def _counts(comb: Sequence[Cell]) -> bool:
    """Whether the letters go up, or down, one by one."""
    steps = {ord(b.text) - ord(a.text) for a, b in pairwise(comb)}
    return steps in ({1}, {-1})


def _is_of_table(rows: Sequence[Row], i: int, comb: Sequence[Cell]) -> bool:
    """Whether rows beside row i have cells at the places of a comb, more than half of them.

    But a form may have some combs one below the other, each with its label: a table of as few rows
    has heads.
    """
    first, last = i, i
    while _has_at(rows, first, first - 1, comb):
        first -= 1
    while _has_at(rows, last, last + 1, comb):
        last += 1
    beside = rows[first : last + 1]
    inside = [_inside(row, comb) for row in beside]
    are_combs = (
        len(beside) <= MAX_COMBS
        and all(inside)
        and not any(_are_heads(a, b) for a, b in pairwise(inside))
    )
    return len(beside) > 1 and not are_combs


def _has_at(rows: Sequence[Row], i: int, k: int, comb: Sequence[Cell]) -> bool:
    """Whether row k is near row i, and has cells at the places of a comb."""
    return (
        0 <= k < len(rows)
        and abs(rows[k].top - rows[i].top) <= MAX_STEP * rows[i].height
        and sum(_is_at(rows[k], part) for part in comb) > 0.5 * len(comb)
    )


def _inside(row: Row, comb: Sequence[Cell]) -> str:
    """The letters of a row from where a comb begins; none if there is more, or no label before."""
    parts = [part for cell in row.cells for part in (cell.parts or (cell,))]
    inside = [part.text for part in parts if part.left >= comb[0].left - 1]
    has_label = any(part.right < comb[0].left and len(part.text) > 1 for part in parts)
    return "".join(inside) if has_label and all(len(text) == 1 for text in inside) else ""


def _are_heads(upper: str, lower: str) -> bool:
    """Whether the letters of one row may be heads of the columns below ("MTWTFSS")."""
    return len(upper) == len(lower) and upper.isalpha() and lower.isdecimal()


MAX_COMBS = 4
"""Combs one below the other, at most: a table of figures has more rows, or heads."""


def _is_at(row: Row, part: Cell) -> bool:
    """Whether a short cell of a row is over or under a part."""
    return any(
        cell.left < part.right and part.left < cell.right and len(cell.text) <= MAX_CELL
        for whole in row.cells
        for cell in (whole.parts or (whole,))
    )


MAX_CELL = 4
"""Characters of a cell under or over a letter, in a table of single letters or figures."""
