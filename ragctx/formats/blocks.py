"""What the reader of a format gives: blocks of text in reading order, and what is to be told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ragctx.text.well_formed import well_formed

MAX_SPAN = 100
"""Columns or rows that one cell may cover. Chosen by hand: a file may claim a thousand million."""
SMALLEST_POINTS = 1.5
"""Smaller letters are not seen. As in PDFs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A heading, a paragraph, an item of a list, a table with a row a line, or lines of code."""

    text: str
    depth: int | None = None  # of a heading, from 0
    tight: bool = False  # stands in the line below the block before it: a further item of a list
    hidden: bool = False  # nobody sees it
    opens: bool = False  # a section begins with it, however small: after a form feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All blocks of a file. `notes` are for its row of the ledger."""

    blocks: tuple[Block, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    is_whole: bool = True  # nothing is known to be missing

    def as_json(self) -> str:
        """The content as one line of JSON."""
        blocks = [[b.text, b.depth, b.tight, b.hidden, b.opens] for b in self.blocks]
        return json.dumps(
            {"blocks": blocks, "title": self.title, "notes": self.notes, "whole": self.is_whole}
        )

    @classmethod
    def from_json(cls, message: dict[str, Any]) -> Content:
        """The content that `as_json` gave. Raises ValueError for anything else.

        >>> content = Content(blocks=(Block(text="Tin", depth=0),), title="Metals")
        >>> Content.from_json(json.loads(content.as_json())) == content
        True
        """
        try:
            return cls(
                blocks=tuple(map(_block, message["blocks"])),
                title=_text(message["title"]),
                notes=tuple(map(_text, message["notes"])),
                is_whole=message["whole"] is True,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not what a reader sends: {error}") from error


def _block(fields: Sequence[Any]) -> Block:
    text, depth, tight, hidden, opens = fields
    if not (depth is None or (isinstance(depth, int) and 0 <= depth < 100)):
        raise ValueError(f"the depth of a heading is {depth!r}")
    return Block(
        text=_text(text),
        depth=depth,
        tight=tight is True,
        hidden=hidden is True,
        opens=opens is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return well_formed(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table, and how many columns and rows it covers."""

    text: str
    columns: int = 1
    rows: int = 1


def table_text(rows: Iterable[Sequence[Cell]]) -> str:
    r"""A table with its rows as lines and its cells set apart by tabs, as tables of PDFs are.

    What a cell covers beside or below itself is empty cells. Rows without text are left out.

    >>> head, year = Cell(text="Metal", rows=2), Cell(text="2024", columns=2)
    >>> table_text([[head, year], [Cell(text="Q1"), Cell(text="Q2")], [Cell(text="Tin")]])
    'Metal\t2024\n\tQ1\tQ2\nTin'
    """
    lines = ("\t".join(cells).rstrip("\t") for cells in _spread(rows))
    return "\n".join(line for line in lines if line)


def _spread(rows: Iterable[Sequence[Cell]]) -> Iterator[list[str]]:
    below: dict[int, int] = {}  # how many more rows each column is covered from above
    for row in rows:
        line: list[str] = []
        left, below = below, {}
        for cell in row:
            while left.get(len(line)):
                line.append("")
            for k in range(min(max(cell.columns, 1), MAX_SPAN)):
                below[len(line)] = min(max(cell.rows, 1), MAX_SPAN) - 1
                line.append("" if k else " ".join(cell.text.split()))
        below |= {k: n - 1 for k, n in left.items() if n and k not in below}
        yield line
