"""What a passage goes on from when it begins in the middle of a table or of a list.

A row of a table means little without the table's header rows, an item little without the sentence
that opens the list. Whoever cuts a text keeps these together where they fit, and gives them along
where they do not. Both are stretches of the text itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ragctx.tables import TableSpan, table_spans
from ragctx.text.line_shapes import begins_item

MAX_LEAD_IN = 400
"""Characters of a lead-in: two or three header rows, a long sentence. Chosen by hand."""
MAX_CAPTION = 240
"""Characters of a line above a table that counts as its caption. Chosen by hand."""

_LINE = re.compile(r"[^\n]+")
_CAPTION = re.compile(
    r"(?:table|exhibit|schedule)\s+[\dA-Z]|\(?(?:(?:dollars|amounts|figures|numbers)\s+)?in\s+"
    r"(?:the\s+)?(?:\w+\s+of\s+)?(?:thousands|millions|billions|percent|units|us\$|usd|eur)",
    re.IGNORECASE,
)
_CAPTION_BELOW = re.compile(r"\n{1,3}table\s+[\dA-Z][^\n]{0,400}", re.IGNORECASE)
_SENTENCE_BEFORE = re.compile(r"[.!?]\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class ListSpan:
    """A list and the sentence that opens it: characters of the text, half open."""

    opening: int  # where the sentence begins
    start: int  # of the first item
    end: int


Span = TypeVar("Span", TableSpan, ListSpan)


@dataclass(frozen=True)
class LeadIns:
    """The tables and lists of a text, by what a stretch of it goes on from.

    >>> text = "Not covered are:\\n- wear;\\n- rust;\\n\\nMetal\\tMelts\\tCosts\\nTin\\t232\\t9"
    >>> lead_ins = LeadIns(text)
    >>> lead_ins.before(text.index("- rust")), lead_ins.before(text.index("Tin"))
    ('Not covered are:', 'Metal\\tMelts\\tCosts')
    >>> lead_ins.before(text.index("Metal"))
    ''
    """

    text: str

    @cached_property
    def tables(self) -> list[TableSpan]:
        """The tables, in order."""
        return table_spans(self.text)

    @cached_property
    def lists(self) -> list[ListSpan]:
        """The lists that a sentence with a colon opens, in order."""
        return list_spans(self.text)

    def before(self, start: int) -> str:
        """What a stretch that begins at `start` goes on from; "" if nothing."""
        table = _last(self.tables, start)
        if table is not None and start < table.end:
            return self._of_table(table, start)
        items = _last(self.lists, start)
        if items is not None and items.start <= start < items.end:
            return self.text[items.opening : items.start].strip()[-MAX_LEAD_IN:]
        return ""

    def _of_table(self, table: TableSpan, start: int) -> str:
        spans = table.lines[: self._header_lengths[table.start]]
        header = [self.text[a:b] for a, b in spans if b <= start]
        kept = [*self._caption(table), *header]
        while kept and sum(map(len, kept)) > MAX_LEAD_IN:
            kept = kept[1:]
        return "\n".join(line.rstrip() for line in kept)

    @cached_property
    def _header_lengths(self) -> dict[int, int]:
        """How many header rows each table has, by where it begins."""
        return {table.start: len(table.header(self.text)) for table in self.tables}

    def _caption(self, table: TableSpan) -> list[str]:
        above = self.text[max(0, table.start - MAX_CAPTION - 8) : table.start].rstrip()
        line = above.rpartition("\n")[2]
        return [line.strip()] if len(line) <= MAX_CAPTION and _CAPTION.match(line.strip()) else []

    def _caption_end(self, end: int) -> int:
        """Where the caption below a table that ends here ends; `end` if there is none."""
        found = _CAPTION_BELOW.match(self.text, end)
        return found.end() if found else end

    @cached_property
    def together(self) -> list[tuple[int, int]]:
        """Stretches that should not be cut: tables with a caption below, lists with an opening."""
        tables = [(table.start, self._caption_end(table.end)) for table in self.tables]
        return sorted([*tables, *((items.opening, items.end) for items in self.lists)])

    @cached_property
    def openings(self) -> set[int]:
        """Where header rows and openings end: what follows belongs to them."""
        counts = self._header_lengths
        tables = {t.lines[counts[t.start] - 1][1] for t in self.tables if counts[t.start]}
        return tables | {self._end_before(items.start) for items in self.lists}

    def _end_before(self, start: int) -> int:
        while start > 0 and self.text[start - 1].isspace():
            start -= 1
        return start


def _last(spans: Sequence[Span], start: int) -> Span | None:
    """The last of the spans that begins at `start` or before."""
    at = bisect_right(spans, start, key=lambda span: span.start) - 1
    return spans[at] if at >= 0 else None


def list_spans(text: str) -> list[ListSpan]:
    r"""The lists of a text that a line with a colon at its end opens, in order.

    >>> list_spans("We sell tin:\n1. cans\n2. foil\n\nCall us.")
    [ListSpan(opening=0, start=13, end=28)]
    """
    spans: list[ListSpan] = []
    opened: tuple[int, int] | None = None  # the line before, if it ends in a colon
    opening = first = end = -1  # of the list that is being read, if `first` is not -1
    for match in _LINE.finditer(text):
        line = match[0].strip()
        if not line:
            continue
        item = begins_item(line)
        if first >= 0 and not item and text.count("\n", end, match.start()) > 1:
            spans.append(ListSpan(opening, first, end))
            first = -1
        if first < 0 and item and opened is not None:
            opening, first = _sentence_start(text, *opened), match.start()
        if first >= 0:
            end = match.end()
        opened = match.span() if line[-1] in ":：" and first < 0 else None
    if first >= 0:
        spans.append(ListSpan(opening, first, end))
    return spans


def _sentence_start(text: str, start: int, end: int) -> int:
    """Where the last sentence of a line begins, or its last `MAX_LEAD_IN` characters."""
    start = max(start, end - MAX_LEAD_IN)
    ends = [match.end() for match in _SENTENCE_BEFORE.finditer(text, start, end)]
    return ends[-1] if ends else start
