"""Running heads, running feet, page and line numbers: found because they repeat, and left out.

Found in a document of six pages or more: a row at the upper or lower edge that stands, digits
apart, on a third of the pages; and where most pages have a row at the same height at that edge,
also a row there that repeats on a few pages (a chapter's head) or bears the page's own number. A
row without digits is left where it stands first, so that no words are lost to the document.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragctx.pdf.layout import Row

EDGE_ROWS = 3
"""Running lines are looked for in this many rows at either edge of a page."""
MIN_PAGES = 6
"""In documents with fewer pages only page numbers are left out."""
MIN_LINE_NUMBERS = 8
"""So many rows that hold nothing but numbers counting up by one are the numbers of lines."""
MAX_LENGTH = 140
"""A running line has fewer characters."""

Edge = Literal["top", "bottom", "side"]
_NUMBER = re.compile(r"\d+|\b[ivxlc]{1,7}\b")
_SAYS_PAGE = re.compile(r"\bpage\s+(\d{1,5})\b", re.IGNORECASE)
_LONE_NUMBER = re.compile(
    r"\W*(?:page\s*)?(\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edged:
    """A row at a page's edge. `depth` 0 is the outermost."""

    page: int
    row: Row
    edge: Edge
    depth: int

    @property
    def key(self) -> tuple[Edge, int, str]:
        """What two running lines have in common: where they stand, and digits apart their text."""
        place = round(self.row.bottom / 4) if self.row.is_placed else 0
        return self.edge, place, _NUMBER.sub("#", self.row.text.lower())


def drop_running_lines(pages: Sequence[Sequence[Row]], labels: Sequence[str]) -> list[list[Row]]:
    """The pages' rows without running heads, feet and page numbers.

    `labels[i]` is what page i calls itself.
    """
    pages = [_without_line_numbers(rows) for rows in pages]
    edged = [item for i, rows in enumerate(pages) for item in _edge_rows(i, rows)]
    offsets = _number_offsets(edged)
    running = {id(item.row) for item in edged if _is_page_number(item, labels, offsets)}
    if len(pages) >= MIN_PAGES:
        running |= _repeated(edged, len(pages)) | _in_slots(edged, len(pages), labels, offsets)
    return [_without(rows, running) for rows in pages]


def _edge_rows(page: int, rows: Sequence[Row]) -> list[_Edged]:
    """The rows at both edges of a page, as far as they stand the way most of it does."""
    upright = [row for row in rows if row.turn == rows[0].turn and len(row.text) < MAX_LENGTH]
    upright.sort(key=lambda row: row.top)
    top = [
        _Edged(page=page, row=row, edge="top", depth=k) for k, row in enumerate(upright[:EDGE_ROWS])
    ]
    taken = upright[max(EDGE_ROWS, len(upright) - EDGE_ROWS) :]
    bottom = [
        _Edged(page=page, row=row, edge="bottom", depth=k) for k, row in enumerate(reversed(taken))
    ]
    turned = [row for row in rows if row.turn != rows[0].turn and len(row.text) < MAX_LENGTH]
    return [
        *top,
        *bottom,
        *(_Edged(page=page, row=row, edge="side", depth=1) for row in turned[:EDGE_ROWS]),
    ]


def _without_line_numbers(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows without the numbers that count a page's lines in its margin."""
    numbers = [int(row.text) if _LINE_NUMBER.fullmatch(row.text) else -1 for row in rows]
    starts = [
        i
        for i, number in enumerate(numbers)
        if number < 0 or i == 0 or number != numbers[i - 1] + 1
    ]
    runs = zip(starts, [*starts[1:], len(rows)], strict=bool(starts))
    return [row for a, b in runs for row in rows[a:b] if numbers[a] < 0 or b - a < MIN_LINE_NUMBERS]


_LINE_NUMBER = re.compile(r"[0-9]{1,3}")


def _repeated(edged: Sequence[_Edged], pages: int) -> set[int]:
    pages_of = Counter(key for _, key in {(item.page, item.key) for item in edged})
    many = {key for key, count in pages_of.items() if count >= max(3, pages / 3)}
    return _but_the_first([item for item in edged if item.key in many])


def _in_slots(
    edged: Sequence[_Edged], pages: int, labels: Sequence[str], offsets: Counter[int]
) -> set[int]:
    """Rows at the height where most pages have their head (or foot) that are heads or feet too."""
    outer = [item for item in edged if item.depth == 0]
    slots = Counter((item.edge, round(item.row.bottom / 2)) for item in outer)
    usual = {slot for slot, count in slots.items() if count >= 0.25 * pages}
    inside = [item for item in outer if (item.edge, round(item.row.bottom / 2)) in usual]
    if len({item.page for item in inside}) < 0.6 * pages:
        return set()
    times = Counter(item.key for item in inside)
    numbered = {id(item.row) for item in inside if _bears_number(item, labels, offsets)}
    return numbered | _but_the_first([item for item in inside if times[item.key] >= 3])


def _but_the_first(items: Sequence[_Edged]) -> set[int]:
    """All of these rows, but of each that has no digits the first."""
    first: dict[tuple[Edge, int, str], int] = {}
    for item in items:
        if not any(map(str.isdigit, item.row.text)):
            first.setdefault(item.key, id(item.row))
    return {id(item.row) for item in items} - set(first.values())


# ---- page numbers ----------------------------------------------------------------------------


def _number_offsets(edged: Sequence[_Edged]) -> Counter[int]:
    """How often the number at an edge is so much larger than the page's place in the file."""
    found: set[tuple[int, int]] = set()
    for item in edged:
        words = item.row.text.split()
        for word in {words[0], words[-1]}:
            if (value := _value(word)) is not None:
                found.add((item.page, value - item.page))
    return Counter(offset for _, offset in found)


def _value(word: str) -> int | None:
    word = word.strip("-–—[]()|.·• ").lower()
    if word.isascii() and word.isdigit() and len(word) < 6:
        return int(word)
    return _roman(word) if word and not word.strip("ivxlc") else None


def _roman(word: str) -> int:
    worth = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
    values = [worth[letter] for letter in word]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def _is_page_number(item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    match = _LONE_NUMBER.fullmatch(item.row.text)
    return match is not None and item.depth < 2 and _is_own(match[1], item, labels, offsets)


def _bears_number(item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    words = item.row.text.split()
    said = [match[1] for match in _SAYS_PAGE.finditer(item.row.text)]
    return any(_is_own(word, item, labels, offsets) for word in {words[0], words[-1], *said})


def _is_own(word: str, item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    value = _value(word)
    if word.lower() == labels[item.page].lower() or value == item.page + 1:
        return True
    return value is not None and offsets[value - item.page] >= 3


def _without(rows: Sequence[Row], running: set[int]) -> list[Row]:
    kept = [row for row in rows if id(row) not in running]
    words = [row for row in rows if not _LONE_NUMBER.fullmatch(row.text)]
    return kept if kept or not words else list(rows)  # better a head too many than no page
