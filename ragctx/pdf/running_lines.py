"""Leaves out running heads and feet, page numbers and line numbers, which repeat.

"Page 2 of 3" goes if each page has its own, with words beside it that another page has.

In a document of six pages or more, these are left out: a row at the upper or lower edge that is,
page numbers apart, on a third of the pages; and where most pages have a row at the same height at
that edge, also a row there that repeats on a few pages (a chapter's head) or has the page's own
number in it, if most rows there have. A row is kept the first time if it has no digits, or some
that stay the same (an account at the foot of each invoice), so that nothing is lost to the
document. A row whose other numbers change from page to page carries data ("Amount due: 390.50") and
stays.

The thresholds were chosen by hand on the PDFs of the test collection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ragctx.pdf.row import Row
from ragctx.text.folding import folded

EDGE_ROWS = 3
"""Running lines are sought in this many rows at either edge of a page: a head may have two lines,
with a number beside them."""
MIN_PAGES = 6
"""In documents with fewer pages only rows with page numbers are left out."""
MIN_LINE_NUMBERS = 8
"""At least this many rows in a run, each a number one above the row before, are line numbers."""
MAX_LENGTH = 140
"""A running line has fewer characters than this: a full line of small type has about as many."""
REPEATS = 1 / 3
"""The share of pages on which a row repeats to be a running line; left and right pages may differ,
and chapters begin without one. It is on three pages at least."""
SLOT, SLOT_PAGES = 0.25, 0.6
"""A height at which this share of pages (0.25) has its outermost row is a slot for running lines,
if all slots together serve 0.6 of the pages."""
MIN_TIMES = 3
"""How often a row in a slot, or a page number's distance from the page's position, must occur."""

Edge = Literal["top", "bottom", "side"]
_NUMBER = re.compile(r"\d+|\b[ivxlc]{1,7}\b")
_PAGE_AND_NUMBER = re.compile(r"\bpage\s+(\d{1,5})\b", re.IGNORECASE)
_LONE_NUMBER = re.compile(
    r"(?<!\W)\W*(?:page\s*)?(\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edged:
    """A row at a page's edge; `depth` counts inwards from 0, the outermost.

    `key` is what two running lines have in common: their place and, digits apart, their text.
    """

    page: int
    row: Row
    edge: Edge
    depth: int
    key: tuple[Edge, int, str]

    @property
    def slot(self) -> tuple[Edge, int]:
        """Its edge and height, to 2 points."""
        return self.edge, round(self.row.bottom / 2)


def drop_running_lines(pages: Sequence[Sequence[Row]], labels: Sequence[str]) -> list[list[Row]]:
    """The pages' rows without running heads, feet and page numbers.

    `labels[i]` is what page i calls itself ("xii"). Rows are told apart by identity, not by what
    they hold: equal rows on one page need not both be running lines.
    """
    pages = [_without_line_numbers(rows) for rows in pages]
    edged = [item for i, rows in enumerate(pages) for item in _edge_rows(i, rows)]
    offsets = _number_offsets(edged)
    running = {id(item.row) for item in edged if _is_page_number(item, labels, offsets)}
    running |= _counting(edged, len(pages))
    if len(pages) >= MIN_PAGES:
        data = _data(edged, labels, list(map(_usual_size, pages)))
        edged = [item for item in edged if id(item.row) not in data]
        running |= _repeated(edged, len(pages)) | _in_slots(edged, len(pages), labels, offsets)
    return [_without(rows, running) for rows in pages]


def _edge_rows(page: int, rows: Sequence[Row]) -> list[_Edged]:
    """The short rows at the edges of a page; rows turned otherwise than most are at its side."""
    upright = [row for row in rows if row.turn == rows[0].turn and len(row.text) < MAX_LENGTH]
    upright.sort(key=lambda row: row.top)
    turned = [row for row in rows if row.turn != rows[0].turn and len(row.text) < MAX_LENGTH]
    top, below = upright[:EDGE_ROWS], upright[EDGE_ROWS:]
    bottom = below[-EDGE_ROWS:][::-1]  # the outermost first
    return [
        *(_edged(page, row, "top", depth) for depth, row in enumerate(top)),
        *(_edged(page, row, "bottom", depth) for depth, row in enumerate(bottom)),
        *(_edged(page, row, "side", 1) for row in turned[:EDGE_ROWS]),
    ]


def _edged(page: int, row: Row, edge: Edge, depth: int) -> _Edged:
    height = round(row.bottom / 4) if row.is_placed else 0  # to 4 points
    key = edge, height, _NUMBER.sub("#", folded(row.text))
    return _Edged(page=page, row=row, edge=edge, depth=depth, key=key)


def _without_line_numbers(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows without runs of numbers that count a page's lines in its margin."""
    kept: list[Row] = []
    run: list[Row] = []  # rows that are numbers, each one above the row before
    for row in rows:
        is_number = _LINE_NUMBER.fullmatch(row.text) is not None
        if not (run and is_number and int(row.text) == int(run[-1].text) + 1):
            kept += run if len(run) < MIN_LINE_NUMBERS else []
            run = []
        if is_number:
            run.append(row)
        else:
            kept.append(row)
    return kept + (run if len(run) < MIN_LINE_NUMBERS else [])


_LINE_NUMBER = re.compile(r"[0-9]{1,3}")


def _usual_size(rows: Sequence[Row]) -> float:
    """The size of most letters of a page."""
    letters: Counter[float] = Counter()
    for row in rows:
        letters[row.size] += len(row.text)
    return max(letters, key=lambda size: letters[size], default=0.0)


def _data(edged: Sequence[_Edged], labels: Sequence[str], sizes: Sequence[float]) -> set[int]:
    """Rows that differ in numbers which are not their pages', as ids of the `Row` objects.

    Or in numbers that may be their pages', but are what a label names ("Points: 3") or are part of
    a heading, set larger than most of the page ("Question 3").
    """
    alike: dict[tuple[Edge, int, str], list[_Edged]] = {}
    for item in edged:
        alike.setdefault(item.key, []).append(item)
    return {
        id(item.row)
        for items in alike.values()
        if _change_otherwise(items, labels) or _tell_more(items, sizes)
        for item in items
    }


def _change_otherwise(items: Sequence[_Edged], labels: Sequence[str]) -> bool:
    """Whether, of the numbers in rows that are alike, one changes and does not count the pages."""
    numbers = [_NUMBER.findall(folded(item.row.text)) for item in items]
    most = max(1.0, FEW_VALUES * len(items))
    for values in zip(*numbers, strict=True):
        pairs = list(zip(values, items, strict=True))
        ahead = {_ahead(value, item) for value, item in pairs}
        labelled = sum(value == folded(labels[item.page]) for value, item in pairs)
        counts_pages = None not in ahead and len(ahead) <= most
        if len(set(values)) > most and not counts_pages and labelled < MOSTLY * len(items):
            return True
    return False


def _tell_more(items: Sequence[_Edged], sizes: Sequence[float]) -> bool:
    """Whether rows that are alike, but for numbers, have these for values, or are headings."""
    if len({item.row.text for item in items}) <= max(1.0, FEW_VALUES * len(items)):
        return False
    if all(_VALUE.search(item.row.text) for item in items):
        return True
    if _WORD.search(_PAGE.sub("", items[0].row.text)) is None:
        return False
    return all(item.row.size > HEADING * sizes[item.page] for item in items)


_PAGE = re.compile(r"page|seite|p[áa]gina|sheet|slide|folie|blatt|of|von|de", re.IGNORECASE)
_VALUE = re.compile(rf"(?<!\w)(?!(?:{_PAGE.pattern}|p|s)\b)\w{{2,20}}: ?\d+\W*$", re.IGNORECASE)
HEADING = 1.2
"""A heading is set at least this many times as large as most of its page."""


def _ahead(value: str, item: _Edged) -> int | None:
    """How far a number is ahead of its page's position, if it can be the page's at all."""
    ahead = (_value(value) or 0) - item.page
    if _LONE_NUMBER.fullmatch(item.row.text):
        return ahead
    ends = folded(item.row.text).split()
    stands_out = value in (ends[0], ends[-1]) or _has_named_page(item, value)
    return ahead if stands_out and abs(ahead) <= MAX_AHEAD else None


def _has_named_page(item: _Edged, value: str) -> bool:
    return any(match[1] == value for match in _PAGE_AND_NUMBER.finditer(item.row.text))


MAX_AHEAD = 60
"""A number farther from the page's position is taken for the page's only where it stands alone:
better a head too many than an invoice without its number."""
FEW_VALUES = 0.25
"""A number in a running line stays the same for some pages (a chapter's, a section's), or counts
them, from one again now and then: of values, or of distances to the page, it has no more than this
share of the rows."""
MOSTLY = 0.6
"""The share of rows at one height that must have their pages' numbers in them."""


def _repeated(edged: Sequence[_Edged], pages: int) -> set[int]:
    """Rows that are, digits apart, on many of the pages; as ids of the `Row` objects."""
    pages_of = Counter(key for _, key in {(item.page, item.key) for item in edged})
    many = {key for key, count in pages_of.items() if count >= max(3, pages * REPEATS)}
    return _but_the_first([item for item in edged if item.key in many], _stay_the_same)


def _in_slots(
    edged: Sequence[_Edged], pages: int, labels: Sequence[str], offsets: Counter[int]
) -> set[int]:
    """Heads and feet at the height where most pages have theirs; as ids of the `Row` objects."""
    outer = [item for item in edged if item.depth == 0]
    slots = Counter(item.slot for item in outer)
    usual = {slot for slot, count in slots.items() if count >= SLOT * pages}
    inside = [item for item in outer if item.slot in usual]
    if len({item.page for item in inside}) < SLOT_PAGES * pages:
        return set()
    times = Counter(item.key for item in inside)
    own = [item for item in inside if _has_page_number(item, labels, offsets)]
    slots_of_own = Counter(item.slot for item in own)
    numbered = [item for item in own if slots_of_own[item.slot] >= MOSTLY * slots[item.slot]]
    repeated = [item for item in inside if times[item.key] >= MIN_TIMES]
    return _but_the_first(numbered, _have_account) | _but_the_first(repeated, _stay_the_same)


def _but_the_first(items: Sequence[_Edged], tell_more: Callable[[Sequence[Row]], bool]) -> set[int]:
    """All of these rows, but for the first of those alike that tell more than a number; as ids."""
    alike: dict[tuple[Edge, int, str], list[Row]] = {}
    for item in items:
        alike.setdefault(item.key, []).append(item.row)
    first = {id(rows[0]) for rows in alike.values() if tell_more(rows)}
    return {id(item.row) for item in items} - first


def _stay_the_same(rows: Sequence[Row]) -> bool:
    """Whether rows that are alike have no digits, or the same each time, or an account's."""
    if not any(map(str.isdigit, rows[0].text)):
        return True
    are_same = len({folded(row.text) for row in rows}) == 1
    return _have_account(rows) or (are_same and len(rows) >= MIN_TIMES)


def _have_account(rows: Sequence[Row]) -> bool:
    """Whether rows that are alike have many digits that stay the same, beside a page number."""
    numbers = zip(*(_NUMBER.findall(folded(row.text)) for row in rows), strict=True)
    staying = (values[0] for values in numbers if len(set(values)) == 1)
    return len(rows) >= MIN_TIMES and sum(map(len, staying)) >= MIN_STAYING


MIN_STAYING = 6
"""Digits that stay the same in rows whose page numbers change: an account's or a telephone's, not
those of a date's year or of a chapter."""


def _counting(edged: Sequence[_Edged], pages: int) -> set[int]:
    """Rows with "page 2 of 3" in them, if each page has its own; but for the first of each text."""
    found = [(item, _COUNTED.search(item.row.text)) for item in edged if item.edge != "side"]
    own = [
        (item, match)
        for item, match in found
        if match and (int(match[1]), int(match[2])) == (item.page + 1, pages)
    ]
    if pages < 2 or len({item.page for item, _ in own}) < pages:
        return set()
    first: dict[str, int] = {}  # the first row with these words beside its count
    for item, match in own:
        beside = folded(match.string[: match.start()] + match.string[match.end() :])
        if _WORD.search(beside):
            first.setdefault(beside, id(item.row))
    return {id(item.row) for item, _ in own} - set(first.values())


_COUNTED = re.compile(
    r"(?:\b(?:page|seite|p[áa]g(?:ina)?|p)\b\.? ?)?"
    r"\b(\d{1,5}) ?(?:/|of|von|de|di|sur|van) ?(\d{1,5})\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")


# ---- page numbers ----------------------------------------------------------------------------


def _number_offsets(edged: Sequence[_Edged]) -> Counter[int]:
    """How often a number at an edge is ahead of its page's position in the file, by how much.

    A file without its cover, or with another numbering for the preface, has one such distance for
    many pages. A page counts once for each distance.
    """
    seen: set[tuple[int, int]] = set()  # (page, distance)
    for item in edged:
        words = item.row.text.split()
        for word in {words[0], words[-1]}:
            if (value := _value(word)) is not None:
                seen.add((item.page, value - item.page))
    return Counter(offset for _, offset in seen)


def _value(word: str) -> int | None:
    """The number that a word is, in digits or Roman; None if it is neither."""
    word = folded(word.strip("-–—[]()|.·• "))
    if word.isascii() and word.isdigit() and len(word) < 6:
        return int(word)
    return _roman(word) if word and not word.strip("ivxlc") else None


def _roman(word: str) -> int:
    numerals = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
    values = [numerals[letter] for letter in word]
    total = 0
    for i, value in enumerate(values):
        total += -value if value < max(values[i:]) else value  # "ix": i before x is taken away
    return total


def _is_page_number(item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    """Whether the row is nothing but its page's number."""
    match = _LONE_NUMBER.fullmatch(item.row.text)
    return match is not None and item.depth < 2 and _is_own(match[1], item, labels, offsets)


def _has_page_number(item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    """Whether the row begins or ends with its page's number, or has "page 12" in it."""
    words = item.row.text.split()
    named = [match[1] for match in _PAGE_AND_NUMBER.finditer(item.row.text)]
    return any(_is_own(word, item, labels, offsets) for word in {words[0], words[-1], *named})


def _is_own(word: str, item: _Edged, labels: Sequence[str], offsets: Counter[int]) -> bool:
    """Whether a word is the number of the page it is on."""
    value = _value(word)
    if folded(word) == folded(labels[item.page]) or value == item.page + 1:
        return True
    return value is not None and offsets[value - item.page] >= MIN_TIMES


def _without(rows: Sequence[Row], running: set[int]) -> list[Row]:
    kept = [row for row in rows if id(row) not in running]
    has_words = any(not _LONE_NUMBER.fullmatch(row.text) for row in rows)
    return kept if kept or not has_words else list(rows)  # better a head too many than no page
