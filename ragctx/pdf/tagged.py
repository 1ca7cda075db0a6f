"""The rows of a page whose file says in which order its blocks are read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

from ragctx.pdf.row import Cell, Row, same_row

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
    tagged, others = _with_chosen(tagged, others)
    top = min(piece.top for piece in tagged)
    above = [piece for piece in others if piece.bottom <= top]
    below = [piece for piece in others if piece.bottom > top]
    tagged.sort(key=lambda piece: (piece.block, piece.cell))
    blocks = _with_lines_whole([list(block) for _, block in groupby(tagged, _block)])
    rows = [row for block in blocks for row in _read_block(block, read)]
    return [*read(above), *rows, *read(below)]


def _with_chosen(tagged: Sequence[Row], others: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The pieces of blocks with those of no block that stand right behind one, and the others.

    Browsers leave what is chosen from a list in no block, though its label is in one.
    """
    if len(others) > MAX_LOOSE:
        return list(tagged), list(others)
    after: dict[int, Row] = {}  # by id of the piece before it
    for other in others:
        behind = [piece for piece in tagged if _is_right_behind(piece, other)]
        if len(behind) == 1 and not other.block:
            after.setdefault(id(behind[0]), other)
    taken = {id(other) for other in after.values()}
    whole: list[Row] = []
    for piece in tagged:
        whole.append(piece)
        if chosen := after.get(id(piece)):
            block, cell, role = piece.block, piece.cell, piece.role
            whole.append(replace(chosen, block=block, cell=cell, role=role))
    return whole, [other for other in others if id(other) not in taken]


def _is_right_behind(piece: Row, other: Row) -> bool:
    gap = (other.left - piece.right) / piece.size
    is_level = abs(piece.bottom - other.bottom) < LEVEL * piece.size
    return is_level and 0 <= gap <= MAX_BEHIND and other.turn == piece.turn


MAX_LOOSE = 60
"""Pieces of no block that are looked at: with more, a page is hardly tagged."""
MAX_BEHIND = 1.2
"""Em from a label to what is chosen, at most: a list has a border, and some room within."""


def _block(piece: Row) -> int:
    return piece.block


def _with_lines_whole(blocks: Sequence[list[Row]]) -> list[list[Row]]:
    """The blocks, with those that are parts of one line made one: a label and its value.

    Browsers make a block of each box, and boxes stand side by side.
    """
    whole: list[list[Row]] = []
    for block in blocks:
        if whole and _is_line(whole[-1]) and _is_line(block) and _is_behind(whole[-1], block):
            whole[-1] = [*whole[-1], *block]
        else:
            whole.append(block)
    return whole


def _is_line(block: Sequence[Row]) -> bool:
    return block[0].role == "P" and all(same_row(block[0], piece) for piece in block)


def _is_behind(a: Sequence[Row], b: Sequence[Row]) -> bool:
    is_level = abs(a[-1].bottom - b[0].bottom) < LEVEL * b[0].size
    return is_level and min(p.left for p in b) >= max(p.right for p in a)


LEVEL = 0.5
"""Em by which such parts may be higher or lower."""


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
