"""Columns of figures that stand closer than cells mostly do: their words are cells. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ragctx.pdf.row import Cell, Row

_FIGURE = re.compile(
    r"(?!\d\d?\)\Z)[-–—−+±<>≤≥~≈(\[$€£¥]*\d(?:[\d.,:/]*\d)?\s?[%)\]*†‡]*|[-–—−]|n/?a", re.IGNORECASE
)
MIN_PARTS = 3
"""A row whose only gaps are narrow has at least this number of words, all but the first figures."""
MIN_ROWS = 2
"""Rows of figures, at least, that show columns."""


def has_figures_apart(row: Row) -> bool:
    """Whether a row without wide gaps is a label with figures beside it.

    >>> cells = (Cell(0, 9, "Tin"), Cell(14, 24, "232"), Cell(29, 39, "7.3"))
    >>> whole = (Cell(0, 39, "Tin 232 7.3", cells),)
    >>> row = Row(text="Tin 232 7.3", left=0, top=0, right=39, bottom=9, size=9, cells=whole)
    >>> has_figures_apart(row), len(with_tight_cells([row, row])[0].cells)
    (True, 3)
    """
    return len(row.cells) == 1 and len(row.cells[0].parts) >= MIN_PARTS and _are_figures(row)


def with_tight_cells(rows: Sequence[Row]) -> list[Row]:
    """The rows of a table, its figures in cells of their own, and the heads above them."""
    figures = [row for row in rows if any(cell.parts for cell in row.cells) and _are_figures(row)]
    if len(figures) < MIN_ROWS:
        return list(rows)
    own = {id(row) for row in figures}
    columns = [part for row in figures for cell in row.cells for part in cell.parts[1:]]
    return [
        _split(row, columns, is_head=id(row) not in own)
        if any(cell.parts for cell in row.cells)
        else row
        for row in rows
    ]


def _are_figures(row: Row) -> bool:
    """Whether each cell with narrow gaps has nothing but figures behind its first word."""
    return all(_FIGURE.fullmatch(part.text) for cell in row.cells for part in cell.parts[1:])


def _split(row: Row, columns: Sequence[Cell], *, is_head: bool) -> Row:
    cells: list[Cell] = []
    for cell in row.cells:
        is_split = cell.parts and (not is_head or _are_over(cell.parts, columns))
        cells += cell.parts if is_split else [cell]
    return replace(row, cells=tuple(cells))


def _are_over(parts: Sequence[Cell], columns: Sequence[Cell]) -> bool:
    """Whether each word of a head but the first is over figures, and no two over the same."""
    below = [
        {i for i, c in enumerate(columns) if c.left < part.right and part.left < c.right}
        for part in parts
    ]
    is_shared = any(a & b for i, a in enumerate(below) for b in below[:i])
    return all(below[1:]) and not is_shared
