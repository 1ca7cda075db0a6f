r"""Tables in a text: lines whose cells are parted by tabs, as `ragctx.pdf.tables` sets them.

    \tThree Months Ended\t\tNine Months Ended         header rows
    \tJuly 1, 2023\tJune 25, 2022\tJuly 1, 2023
    Net sales:                                        a label
    Products\t60,584\t63,355\t230,901                 rows

An empty cell leaves its tab, so a cell's column is the number of tabs before it in its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragctx.records import Chunk

TAB = "\t"
MAX_HEADER_ROWS = 4
"""Rows at a table's top that may be its header. Chosen by hand."""
MAX_LABELS = 3
"""Lines without a tab that may follow each other within a table. Chosen by hand."""
MAX_NAME_WORDS = 8
"""Words of a column's name in one row. Chosen by hand: a cell of prose has more."""

_LINE = re.compile(r"[^\n]+")
_YEAR = re.compile(r"(?:19|20)\d\d[A-Za-z]?")
_WORD = re.compile(r"[^\W\d_]{3,}")
_FOOTNOTE = r"(?:\s?\(\w\)|\s\d)?"
_PERIOD = re.compile(
    r"(?:(?:FY|CY|Q[1-4]|H[12]|[1-4]Q)[ '’]?(?:(?:19|20)?\d\d)?"  # FY19, Q1 2020
    rf"|(?:19|20)\d\d(?:[/–-](?:(?:19|20)?\d\d))?){_FOOTNOTE}"  # 2019, 2018/19
)
_DAY = re.compile(rf"\d\d?[/.]\d\d?[/.](?:19|20)\d\d{_FOOTNOTE}")  # 30/9/2018


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    """A cell: `chunk.text[start:end] == text`, and what its row and column are called.

    `row` is the row's first cell; `group` is the label above the row, "" if there is none.
    """

    text: str
    row: str
    column: str
    group: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, or what of it a chunk has. A row holds its cells that are not empty.

    `columns` are the names of the columns, from the header rows in the chunk or in its lead-in, ""
    where there is none; `start` and `end` are its characters in `chunk.text`.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    start: int
    end: int


def tables_of(chunk: Chunk) -> tuple[Table, ...]:
    r"""The tables that are, whole or in part, in a chunk's text.

    >>> text = "Tin\t232\t30\nLead\t\t20"
    >>> chunk = Chunk(
    ...     id="d:0-20",
    ...     document_id="d",
    ...     start=0,
    ...     end=len(text),
    ...     first_page=1,
    ...     last_page=1,
    ...     text=text,
    ...     token_count=9,
    ...     lead_in="Metal\tMelts\tCosts",
    ... )
    >>> [(cell.row, cell.column, cell.text) for row in tables_of(chunk)[0].rows for cell in row]
    [('Tin', 'Melts', '232'), ('Tin', 'Costs', '30'), ('Lead', 'Costs', '20')]
    """
    told = [line for line in chunk.lead_in.split("\n") if TAB in line]
    tables = []
    for span in table_spans(chunk.text, least=1):
        labels = _labels_before(chunk.text, span) if told else None
        header = span.header(chunk.text) if labels is None else told
        lines = [*labels, *span.lines] if labels is not None else span.lines[len(header) :]
        tables.append(_table(chunk.text, lines, header, span))
    return tuple(tables)


def _labels_before(text: str, span: TableSpan) -> list[tuple[int, int]] | None:
    """The lines between a text's beginning and a table: labels, if the text begins within it.

    None if it does not.
    """
    before = text[: span.start]
    lines = [match.span() for match in _LINE.finditer(before)]
    return lines if "\n\n" not in before and len(lines) <= MAX_LABELS else None


def _table(
    text: str, lines: Sequence[tuple[int, int]], header: Sequence[str], span: TableSpan
) -> Table:
    columns = column_names([line.split(TAB) for line in header])
    rows, group = [], ""
    for start, end in lines:
        cells = list(_cells(text, start, end))
        if len(cells) == 1 and not text[start:end].startswith(TAB):
            group = cells[0][3]
            continue
        first = cells[0][3] if cells and cells[0][0] == 0 else ""
        rows.append(
            tuple(
                TableCell(
                    text=cell,
                    row=first,
                    column=columns[k] if k < len(columns) else "",
                    group=group,
                    start=left,
                    end=right,
                )
                for k, left, right, cell in cells
                if k > 0
            )
        )
    return Table(columns=columns, rows=tuple(rows), start=span.start, end=span.end)


def _cells(text: str, start: int, end: int) -> Iterator[tuple[int, int, int, str]]:
    """(Column, start, end, text) of the cells of a line that are not empty."""
    at = start
    for k, cell in enumerate(text[start:end].split(TAB)):
        if cell.strip():
            left = at + len(cell) - len(cell.lstrip())
            yield k, left, left + len(cell.strip()), cell.strip()
        at += len(cell) + 1


def column_names(header: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names of a table's columns from the cells of its header rows.

    A cell of an upper row that has empty cells to its right stands above them all.

    >>> column_names([["", "2023", "", "2022"], ["", "Q1", "Q2", "Q1"]])
    ('', '2023 Q1', '2023 Q2', '2022 Q1')
    """
    width = max(map(len, header), default=0)
    filled = [_spread(row, width) for row in header[:-1]]
    last = [*header[-1], *[""] * width][:width] if header else []
    names = []
    for k in range(width):
        above = [row[k] if last[k] or header[i][k : k + 1] else "" for i, row in enumerate(filled)]
        names.append(" ".join(part.strip() for part in (*above, last[k]) if part.strip()))
    return tuple(names)


def _spread(row: Sequence[str], width: int) -> list[str]:
    """The row's cells, each also over the empty ones to its right."""
    cells, held = [], ""
    for k in range(width):
        held = row[k] if k < len(row) and row[k].strip() else held
        cells.append(held)
    return cells


# ---- where tables are --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TableSpan:
    """A table in a text: the (start, end) of its lines, leading tabs included."""

    lines: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        """Where its first line begins."""
        return self.lines[0][0]

    @property
    def end(self) -> int:
        """Where its last line ends."""
        return self.lines[-1][1]

    def header(self, text: str) -> list[str]:
        """Its header rows; none if it seems to have none."""
        rows = [text[start:end] for start, end in self.lines]
        return rows[: header_rows(rows)]


def table_spans(text: str, *, least: int = 2) -> list[TableSpan]:
    """The tables of a text, in order: at least `least` lines with a tab, and labels between them.

    An empty line parts two tables.
    """
    spans: list[TableSpan] = []
    held: list[tuple[int, int]] = []
    rows = 0  # of `held`, up to the last line with a tab
    before = -1

    def close() -> None:
        if sum(TAB in text[start:end] for start, end in held[:rows]) >= least:
            spans.append(TableSpan(tuple(held[:rows])))

    if TAB not in text:
        return spans
    for match in _LINE.finditer(text):
        start, end = match.span()
        has_tab = TAB in match[0]
        if held and (start != before + 1 or (not has_tab and len(held) - rows >= MAX_LABELS)):
            close()
            held, rows = [], 0
        if has_tab or held:
            held.append((start, end))
            rows = len(held) if has_tab else rows
        before = end
    close()
    return spans


def header_rows(rows: Sequence[str]) -> int:
    r"""How many of the lines at a table's top are its header.

    They hold names where the rows below hold figures. Without figures, the first row is the header
    of a table of three columns or more whose cells there are all short; two columns of words are
    names and values, without a header.

    >>> header_rows(["\tMelts\tCosts", "Tin\t232\t30"]), header_rows(["Name\tAnn", "Town\tBonn"])
    (1, 0)
    """
    count = 0
    for number, row in enumerate(rows[:MAX_HEADER_ROWS], start=1):
        cells = row.split(TAB)[1:]
        if cells and not any(map(str.strip, cells)):
            continue  # "Fiscal Year 2019" over all columns; below the header it is a label
        if not _are_names(cells):
            break
        count = number
    figures = any(_has_figures(row) for row in rows[count:])
    if count == len(rows):
        count = min(count, 1)
    if figures:
        return count
    cells = rows[0].split(TAB) if rows else []
    short = all(cell.strip() and len(cell.split()) <= MAX_NAME_WORDS for cell in cells)
    return 1 if count and len(cells) > 2 and len(rows) > 1 and short else 0


def _are_names(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    if filled and all(map(_DAY.fullmatch, filled)):
        return True  # but beside other names, as in a list of people, a day is no name
    return bool(filled) and not any(
        (is_figure(cell) and not _PERIOD.fullmatch(cell)) or len(cell.split()) > MAX_NAME_WORDS
        for cell in filled
    )


def _has_figures(row: str) -> bool:
    return any(is_figure(cell.strip()) for cell in row.split(TAB)[1:])


def is_figure(cell: str) -> bool:
    """Whether a cell holds a number: digits for the most part, and no year.

    >>> [is_figure(cell) for cell in ("60,584", "$ 1.27", "(265)", "2023", "July 1, 2023", "Tin")]
    [True, True, True, False, False, False]
    """
    digits = sum(map(str.isdigit, cell))
    if not digits or _YEAR.fullmatch(cell) or _WORD.search(cell):
        return False
    return digits >= 0.4 * len(cell.replace(" ", ""))
