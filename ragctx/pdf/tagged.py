"""The rows of a page whose file says in which order its blocks are read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

from ragctx.pdf.row import Cell, Row

Read: TypeAlias = Callable[[Sequence[Row]], list[Row]]
"""The rows of pieces, by their places."""

MAX_TABLE_ROW = 600
"""Characters: a longer row of a table is no row, but a page that was laid out as a table."""


def in_tagged_order(pieces: Sequence[Row], read: Read) -> list[Row]:
    """The rows of pieces of which most are part of a block, block by block; `read` reads one block.

    A row of a table becomes one row, its cells from left to right. What is in no block (running
    heads), or is turned otherwise than they are (what is printed across the page), comes first if
    it stands above all of them, else last.
    """
    turn = Counter(piece.turn for piece in pieces if piece.block).most_common(1)[0][0]
    tagged = [piece for piece in pieces if piece.block and piece.turn == turn]
    others = [piece for piece in pieces if not (piece.block and piece.turn == turn)]
    top = min(piece.top for piece in tagged)
    above = [piece for piece in others if piece.bottom <= top]
    below = [piece for piece in others if piece.bottom > top]
    tagged.sort(key=lambda piece: (piece.block, piece.cell))
    rows = [row for _, block in groupby(tagged, _block) for row in _read_block(list(block), read)]
    return [*read(above), *rows, *read(below)]


def _block(piece: Row) -> int:
    return piece.block


def _read_block(block: Sequence[Row], read: Read) -> list[Row]:
    cells = [read(list(cell)) for _, cell in groupby(block, lambda piece: piece.cell)]
    rows = [row for cell in cells for row in cell]
    if block[0].role != "TR" or sum(len(row.text) for row in rows) > MAX_TABLE_ROW:
        return rows
    cells.sort(key=lambda cell: min(row.left for row in cell))  # some are in order of drawing
    return [_table_row(cells)]


def _table_row(cells: Sequence[Sequence[Row]]) -> Row:
    rows = [row for cell in cells for row in cell]
    return replace(
        rows[0],
        text=" ".join(row.text for row in rows),
        left=min(row.left for row in rows),
        top=min(row.top for row in rows),
        right=max(row.right for row in rows),
        bottom=max(row.bottom for row in rows),
        in_table=True,
        cells=tuple(map(_cell, cells)),
    )


def _cell(rows: Sequence[Row]) -> Cell:
    left, right = min(row.left for row in rows), max(row.right for row in rows)
    return Cell(left, right, " ".join(row.text for row in rows))
