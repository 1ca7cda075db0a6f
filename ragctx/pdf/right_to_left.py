"""Pages that are read from right to left, seen in a mirror: there all else is as anywhere. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ragctx.pdf.row import Cell, Row


def are_right_to_left(rows: Iterable[Row]) -> bool:
    """Whether most letters of the rows are of a script that is written from right to left."""
    text = "".join(row.text for row in rows)
    if text.isascii():
        return False
    ways: Counter[str] = Counter()
    for character, count in Counter(text).items():
        ways[unicodedata.bidirectional(character)] += count
    return ways["R"] + ways["AL"] > ways["L"]


def with_brackets_turned(text: str) -> str:
    """The text, with its brackets turned where all of them close before they open.

    What opens on the right looks like what closes elsewhere, and is taken for it.

    >>> with_brackets_turned("שלוש שנים)36 חודש ( ועוד"), with_brackets_turned("(a) b")
    ('שלוש שנים (36 חודש) ועוד', '(a) b')
    """
    signs = "".join(sign for sign in text if sign in "()")
    if not signs or signs != ")(" * (len(signs) // 2):
        return text
    turned = text.translate({ord("("): ")", ord(")"): "("})
    return re.sub(r" ?\( ?", " (", turned.replace(" )", ")")).strip()


def mirrored(row: Row) -> Row:
    """The row with its place, and the places of its cells, in a mirror; its text stays as it is.

    >>> row = Row(text="שלום", left=10, top=0, right=30, bottom=9, size=9)
    >>> mirrored(row).left, mirrored(mirrored(row)) == row
    (-30, True)
    """
    cells = tuple(map(_mirrored_cell, row.cells))
    return replace(row, left=-row.right, right=-row.left, cells=cells)


def _mirrored_cell(cell: Cell) -> Cell:
    return Cell(-cell.right, -cell.left, cell.text, tuple(map(_mirrored_cell, cell.parts)))
