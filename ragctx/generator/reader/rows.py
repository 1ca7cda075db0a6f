"""The rows of tables in a passage, as tokens: what belongs to a row though it stands apart from it.

A row is read with its table's header and the label above it, not with the rows between: see
`ragctx.generator.reader.proximity`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragctx.generator.reader.cells import LEADER
from ragctx.tables import TAB, TableSpan, header_rows, table_spans

_LEADER = re.compile(LEADER)
_FIGURES = re.compile(r"[\d.,()%$€£¥+\-–—\s]+")
_FIGURE = re.compile(r"(?:^|\s)[($€£¥+\-–—]*\s?\d[\d.,]*\)?(?:\s?%\)?)?")

Offsets = Sequence[tuple[int, int]]
"""(start, end) of each token in a text."""

Piece = tuple[int, int]
"""(start, end) in a text."""

Numbers = Callable[[int, int], range]
"""A piece of a text -> the numbers of its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, in token numbers of its passage.

    `own` are the tokens of the label above the row, and its own, which are `tokens`; `since` is the
    first token of the table's rows, behind the header, and `until` the first behind the table.
    `header` are the tokens of the names of its columns, and `columns` has, for each cell, its
    tokens and those of its column's name; it is empty where cells and names do not pair. `figures`
    are those at which another figure begins, where several stand in one cell.
    """

    own: tuple[int, ...]
    tokens: range
    since: int
    until: int
    header: range
    columns: tuple[tuple[range, tuple[int, ...]], ...] = ()
    figures: tuple[int, ...] = ()


def rows_of(text: str, offsets: Offsets, first: int = 0) -> list[Row]:
    """The rows of all tables in a text; the first token of `offsets` has the number `first`.

    >>> text = "\\tMelts\\tCosts\\nTin\\t232\\t30"
    >>> offsets = [(1, 6), (7, 12), (13, 16), (17, 20), (21, 23)]
    >>> row = rows_of(text, offsets)[0]
    >>> row.tokens, row.header
    (range(2, 5), range(0, 2))
    """
    starts = [start for start, _ in offsets]

    def tokens(start: int, end: int) -> range:
        return range(first + bisect_left(starts, start), first + bisect_left(starts, end))

    laid_out = _LEADER.sub(lambda dots: TAB + " " * (len(dots[0]) - 1), text)
    return [row for span in table_spans(laid_out) for row in _rows(laid_out, span, tokens)]


def _rows(text: str, span: TableSpan, tokens: Numbers) -> Iterator[Row]:
    lines = [text[start:end] for start, end in span.lines]
    count = header_rows(lines)
    header, label = span.lines[:count], (0, 0) if count else _label_before(text, span.start)
    inside = tokens(min(span.lines[min(count, len(lines) - 1)][0], label[0] or span.end), span.end)
    for start, end in span.lines[count:]:
        if TAB not in text[start:end]:
            label = (start, end)
            continue
        cells = _cells(text, (start, end))
        yield Row(
            own=(*tokens(*label), *tokens(start, end)),
            tokens=tokens(start, end),
            since=inside.start,
            until=inside.stop,
            header=tokens(header[0][0], header[-1][1]) if header else range(0),
            columns=tuple(
                (tokens(*cell), tuple(i for name in _above(text, header, k) for i in tokens(*name)))
                for k, cell in enumerate(cells)
                if header and len(_cells(text, header[-1])) == len(cells)
            ),
            figures=tuple(
                tokens(at, end).start for cell in cells for at in further_figures(text, *cell)
            ),
        )


def _label_before(text: str, start: int) -> Piece:
    """The line before a table without a header, if it ends like a label."""
    line = text.rfind("\n", 0, max(0, start - 1)) + 1, start - 1
    return line if text[line[0] : line[1]].endswith(":") else (0, 0)


def _cells(text: str, line: Piece) -> list[Piece]:
    """The cells of a row, empty ones too."""
    bounds = [line[0] - 1, *(i for i in range(*line) if text[i] == TAB), line[1]]
    return [(a + 1, b) for a, b in pairwise(bounds)]


def further_figures(text: str, start: int, end: int) -> list[int]:
    """Where each figure but the first begins in a cell of nothing but figures.

    Columns that are set too tightly come as one cell. "98 452" is one figure.

    >>> further_figures("7,168 10,435", 0, 12), further_figures("$ 51 $ 50", 0, 9)
    ([6], [5])
    >>> further_figures("98 452", 0, 6), further_figures("6601 ft", 0, 7)
    ([], [])
    """
    cell = text[start:end]
    if not _FIGURES.fullmatch(cell):
        return []
    found = list(_FIGURE.finditer(cell))
    if all(re.fullmatch(r"\s?\d{3}", one[0]) for one in found[1:]):
        return []
    return [start + one.start() + len(one[0]) - len(one[0].lstrip()) for one in found[1:]]


def _above(text: str, header: Sequence[Piece], column: int) -> Iterator[Piece]:
    """The names over a column: in each row of the header the last that is not empty up to there."""
    for line in header:
        cells = _cells(text, line)[: column + 1]
        named = [cell for cell in cells if text[slice(*cell)].strip()]
        if named:
            yield named[-1]
