"""A row of a page: a piece of a line, a line, a row of a table, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Cell(NamedTuple):
    """A part of a row with a gap before and after it, and its place along the row.

    `parts` are those of it that have narrower gaps between them, wider than between words; none if
    it has no such gaps.
    """

    left: float
    right: float
    text: str
    parts: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of text: a line of a paragraph, a heading, a row of a table.

    `turn` counts quarter turns against the page as shown; `size` is the font size. Coordinates are
    in points, or in characters and lines (see `unplaced`). `cells` are the parts of a row that has
    gaps; none if it has none, one if it has none but narrow ones. In a tagged file, `block` is the
    number of the paragraph or table row that it is part of, `cell` that of its cell, and `role`
    what that block is ("H1", "P", "TR"); else 0, 0 and "".
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    turn: int = 0
    in_table: bool = False
    block: int = 0
    cell: int = 0
    role: str = ""
    is_field: bool = False  # a form field with its label
    bold: bool = False
    typewriter: bool = False  # all letters are equally wide
    cells: tuple[Cell, ...] = ()

    @property
    def is_placed(self) -> bool:
        """Whether the row's place is in points: rows in lines are one unit high."""
        return self.bottom - self.top > 1

    @property
    def height(self) -> float:
        """How tall the row is, never zero."""
        return max(self.bottom - self.top, 0.1)


def unplaced(text: str) -> list[Row]:
    """Rows of text that came without places, as a typewriter would set them.

    >>> [(row.top, row.right) for row in unplaced("One\\n\\nThree")]
    [(0, 3), (2, 5)]
    """
    rows = []
    for i, line in enumerate(text.splitlines()):
        if line.strip():
            indent = len(line) - len(line.lstrip())
            rows.append(
                Row(
                    text=line.strip(),
                    left=indent,
                    top=i,
                    right=len(line.rstrip()),
                    bottom=i + 1,
                    size=2.0,
                )
            )
    return rows


def same_row(a: Row, b: Row) -> bool:
    """Whether two rows are beside each other: over half of the less tall one's height is shared."""
    shared = min(a.bottom, b.bottom) - max(a.top, b.top)
    return shared > 0.5 * min(a.height, b.height)


OVERLAP = 0.5
"""Em: a piece that goes on with a row may begin this far before its end (kerning, italics)."""


def is_before(a: Row, b: Row) -> bool:
    """Whether a ends where b begins, of two pieces of one row."""
    return a.left < b.left and a.right <= b.left + OVERLAP * max(a.size, b.size)
