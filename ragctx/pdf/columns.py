"""The order in which a person reads the pieces of a page: by column, and down each column.

Pieces come in the order in which they were drawn. That is how programs write a page, and mostly how
it is read, so it is kept wherever the page itself does not speak against it: where the drawing goes
back up in a column, and where it runs across two columns of text.

Columns are found as in a recursive XY cut (Nagy, Seth and Viswanathan 1992, "A prototype document
image analysis system for technical journals"): a gutter of white from top to bottom parts them, and
what crosses it (a title, a footnote) parts what is above from what is below. Pure.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from ragctx.pdf.row import Row, is_before, same_row

MAX_PIECES = 2000
"""On a page with more pieces than this, the order of drawing is kept: seeking takes time with their
square."""
MIN_LINES = 3
"""A column has at least this many lines beside those of the other column."""
MIN_GUTTER = 0.8
"""Em: a gutter is at least this wide."""
FULL = 0.6
"""A line of running text fills this share of its column; half of a column's lines do, or more."""
LONG = 16
"""Characters of a line of running text, at least: cells of a table have fewer."""
MAX_CROSSING = 0.34
"""At most this share of the lines may cross a gutter."""
MAX_CUTS = 8
"""White bands across that are tried, where no gutter goes from top to bottom."""
MAX_IN_GUTTER = 3
"""Pieces that may end in a gutter: the number of the page, cells of a table below."""
INDENT = 3.0
"""Em: first lines of paragraphs are indented by less."""
MAX_PLACES, MAX_BESIDE = 8, 2
"""Places that are tried, and columns beyond the second. They bound the time; newspapers have more.
"""
LEVEL = 0.6
"""The share of a table's rows, at least, that are level with lines of the text in its column."""
JUMP = 3.0
"""Row heights from one piece to the next, above which the drawing jumps."""
MAX_DEPTH = 6
"""Columns within columns that are sought."""


class Evidence(NamedTuple):
    """What shows columns: `is_text` tells the pieces of one, and whether lone pieces count.

    A lone piece is alone at its height, as the number of a page is: it may be where a gutter is.
    `jumps_count` tells whether what was drawn after a jump is put where it stands: so are the
    labels of a form, which are drawn in any order, while a picture's are best kept together.
    `tables_count` tells whether a table beside running text is a column.
    """

    is_text: Callable[[Sequence[Row]], bool]
    lone_count: bool
    jumps_count: bool = False
    tables_count: bool = False


def in_columns(pieces: Sequence[Row], evidence: Evidence | None = None) -> list[Row]:
    """The pieces of one page, all turned one way, in reading order.

    Without `evidence`, they are in the order in which a program drew them.

    >>> def line(text: str, left: float, top: float) -> Row:
    ...     wide = 5 * len(text)
    ...     return Row(text=text, left=left, top=top, right=left + wide, bottom=top + 10, size=10)
    >>> left = [line(f"left column, line {i}", 0, 12 * i) for i in range(3)]
    >>> right = [line(f"right column, line {i}", 150, 12 * i) for i in range(3)]
    >>> across = [piece for both in zip(left, right) for piece in both]
    >>> in_columns(across) == [*left, *right]
    True
    """
    if len(pieces) > MAX_PIECES:
        return list(pieces)
    return _ordered(_foot_last(pieces), MAX_DEPTH, evidence or IN_DRAWN_ORDER)


def _foot_last(pieces: Sequence[Row]) -> list[Row]:
    """The pieces, those last that were drawn before all that stands above them: notes and feet.

    What goes on above and to the right is the next column.
    """
    tops = list(accumulate((piece.top for piece in pieces), min))
    rights = list(accumulate((piece.right for piece in pieces), max))
    bottoms = list(accumulate((piece.bottom for piece in reversed(pieces)), max))[::-1]
    lefts = list(accumulate((piece.left for piece in reversed(pieces)), min))[::-1]
    cuts = [
        i for i in range(1, len(pieces)) if bottoms[i] <= tops[i - 1] and lefts[i] < rights[i - 1]
    ]
    parts = [pieces[start:end] for start, end in pairwise([0, *cuts, len(pieces)])]
    return [piece for part in reversed(parts) for piece in part]


def _ordered(pieces: list[Row], depth: int, evidence: Evidence) -> list[Row]:
    gutter = _gutter(pieces, evidence) if depth and len(pieces) >= 2 * MIN_LINES else None
    if gutter is None and evidence is IN_NO_ORDER and depth:
        for above, below in _cut_across(pieces):
            if _gutter(above, evidence) or _gutter(below, evidence):
                return [
                    part for half in (above, below) for part in _ordered(half, depth - 1, evidence)
                ]
    if gutter is None:
        return downwards(pieces, jumps_count=evidence.jumps_count)
    ordered: list[Row] = []
    for crosses, band in _bands(pieces, gutter):
        if crosses:
            ordered += downwards(band, jumps_count=evidence.jumps_count)
        else:
            left = [piece for piece in band if piece.right <= gutter]
            right = [piece for piece in band if piece.right > gutter]
            ordered += _ordered(left, depth - 1, evidence)
            ordered += _ordered(right, depth - 1, evidence)
    return ordered


def _bands(pieces: Sequence[Row], gutter: float) -> list[tuple[bool, list[Row]]]:
    """From top to bottom: what crosses the gutter, and what stands beside it in between."""
    by_middle = sorted(pieces, key=lambda piece: piece.top + piece.bottom)
    crossing = {id(piece) for piece in pieces if piece.left < gutter < piece.right}
    marked = [(id(piece) in crossing, piece) for piece in by_middle]
    drawn = {id(piece): i for i, piece in enumerate(pieces)}
    return [
        (crosses, sorted((piece for _, piece in band), key=lambda piece: drawn[id(piece)]))
        for crosses, band in groupby(marked, key=lambda pair: pair[0])
    ]


def _cut_across(pieces: Sequence[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """What is above and below a white band across all of the pieces, the widest band first."""
    by_top = sorted(pieces, key=lambda piece: piece.top)
    bottoms = accumulate((piece.bottom for piece in by_top), max)
    whites = [b.top - bottom for bottom, b in zip(bottoms, by_top[1:], strict=False)]
    widest = sorted(range(len(whites)), key=lambda i: -whites[i])[:MAX_CUTS]
    for i in widest:
        if whites[i] > 0 and min(i + 1, len(pieces) - i - 1) >= 2 * MIN_LINES:
            level = by_top[i + 1].top
            yield (
                [piece for piece in pieces if piece.top < level],
                [piece for piece in pieces if piece.top >= level],
            )


# ---- gutters ---------------------------------------------------------------------------------


def _gutter(pieces: Sequence[Row], evidence: Evidence, depth: int = MAX_BESIDE) -> float | None:
    """The x at which two columns of running text part; None if there are none.

    Of the places between pieces, the one that the fewest pieces cross. `depth` is how many columns
    more may stand to the right of it.
    """
    places = (x for x in _places(pieces, evidence) if _parts_columns(pieces, x, evidence, depth))
    return next(places, None)


def _places(pieces: Sequence[Row], evidence: Evidence) -> list[float]:
    """The middles of the white between pieces, first those that the fewest pieces cross."""
    em = statistics.median(piece.size for piece in pieces)
    lefts, rights = sorted(p.left for p in pieces), sorted(p.right for p in pieces)
    ends = rights if evidence.lone_count else sorted(p.right for p in _with_others_beside(pieces))
    found: dict[float, tuple[int, float]] = {}
    for left in dict.fromkeys(lefts):
        ended = bisect_right(ends, left)
        whites = (left - end for end in reversed(ends[max(0, ended - MAX_IN_GUTTER - 1) : ended]))
        white = next((white for white in whites if white >= MIN_GUTTER * em), None)
        if white is not None:
            middle = left - white / 2
            crossing = bisect_left(lefts, middle) - bisect_right(rights, middle)
            if crossing <= MAX_CROSSING * len(pieces):
                found[middle] = crossing, -white
    # The lines of a scan are ragged, and begin at many places that are all but one.
    least = 0.5 * MIN_GUTTER * em if evidence.tables_count else 0.0
    return _far_apart(sorted(found, key=lambda middle: found[middle]), least)


def _far_apart(places: Sequence[float], least: float) -> list[float]:
    """The first `MAX_PLACES` places, without those that are nearer to one before than `least`."""
    kept: list[float] = []
    for place in places:
        if all(abs(place - other) >= least for other in kept):
            kept.append(place)
            if len(kept) == MAX_PLACES:
                break
    return kept


def _with_others_beside(pieces: Sequence[Row]) -> list[Row]:
    """The pieces without those that are alone at their height, as the number of a page is."""
    by_top = sorted(pieces, key=lambda piece: piece.top)
    bottoms = [-math.inf, *accumulate((piece.bottom for piece in by_top), max)]
    tops = [*(piece.top for piece in by_top[1:]), math.inf]
    return [
        piece
        for piece, above, below in zip(by_top, bottoms, tops, strict=False)
        if above > piece.top or below < piece.bottom
    ]


def _parts_columns(pieces: Sequence[Row], gutter: float, evidence: Evidence, depth: int) -> bool:
    left = [piece for piece in pieces if piece.right <= gutter]
    right = [piece for piece in pieces if piece.left >= gutter]
    if not _stand_beside(left, right) or _is_indent(pieces, gutter):
        return False
    if not evidence.is_text(left):
        return evidence.tables_count and evidence.is_text(right) and _is_table_apart(left, right)
    return (
        evidence.is_text(right)
        or (depth > 0 and _gutter(right, evidence, depth - 1) is not None)
        or (evidence.tables_count and _is_table_apart(right, left))
    )


def _is_table_apart(pieces: Sequence[Row], text: Sequence[Row]) -> bool:
    """Whether pieces are rows of a table with labels of their own, beside lines of other text.

    Most rows of a table that the text is a column of would be level with one of its lines.
    """
    top, bottom = min(line.top for line in text), max(line.bottom for line in text)
    rows: list[list[Row]] = []
    for piece in sorted(pieces, key=lambda piece: piece.top + piece.bottom):
        if rows and same_row(rows[-1][0], piece):
            rows[-1].append(piece)
        elif top < piece.bottom and piece.top < bottom:
            rows.append([piece])
    several = [row for row in rows if len(row) > 1]
    labelled = [row for row in several if min(row, key=_left).text[:1].isalpha()]
    if len(labelled) < max(MIN_LINES, 0.5 * len(rows)):
        return False
    level = sum(any(_is_level(row[0], line) for line in text) for row in rows)
    return level < LEVEL * len(rows)


def _is_level(a: Row, b: Row) -> bool:
    """Whether two pieces have their middles at one height."""
    return abs(a.top + a.bottom - b.top - b.bottom) < 0.5 * min(a.height, b.height)


def _left(piece: Row) -> float:
    return piece.left


def _is_indent(pieces: Sequence[Row], gutter: float) -> bool:
    """Whether the gutter is the white before indented lines of a column that it cuts."""
    near = [p for p in pieces if p.right > gutter and abs(p.left - gutter) < INDENT * p.size]
    cut = sum(piece.left < gutter for piece in near)
    return cut >= MIN_LINES and cut > len(near) - cut


def are_running_text(pieces: Sequence[Row]) -> bool:
    """Whether most of the pieces are lines of running text that fill their column."""
    return sum(map(bool, _full(pieces))) >= 0.5 * max(1, len(pieces))


def are_mostly_text(pieces: Sequence[Row]) -> bool:
    """Whether most of the characters are in such lines: a table may stand in the column."""
    letters = sum(len(piece.text) for piece in pieces)
    return sum(_full(pieces)) >= 0.5 * max(1, letters)


IN_DRAWN_ORDER = Evidence(is_text=are_running_text, lone_count=True)
IN_FORM = Evidence(is_text=are_running_text, lone_count=True, jumps_count=True)
IN_NO_ORDER = Evidence(is_text=are_mostly_text, lone_count=False, tables_count=True)
"""For pieces whose order says nothing; where it does, this takes tables for columns."""


def _full(pieces: Sequence[Row]) -> list[int]:
    """The lengths of the pieces that fill their column as lines of text do; 0 for the others."""
    if len(pieces) < MIN_LINES:
        return []
    edges = sorted(piece.right for piece in pieces), sorted(piece.left for piece in pieces)
    width = edges[0][int(0.9 * len(pieces))] - edges[1][int(0.1 * len(pieces))]
    return [
        len(piece.text) * (len(piece.text) >= LONG and piece.right - piece.left >= FULL * width)
        for piece in pieces
    ]


def _stand_beside(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Whether both columns have lines at the same heights."""
    top = max(min(piece.top for piece in column) for column in (left, right))
    bottom = min(max(piece.bottom for piece in column) for column in (left, right))
    beside = (
        sum(piece.bottom > top and piece.top < bottom for piece in column)
        for column in (left, right)
    )
    return min(beside) >= MIN_LINES


# ---- down a column ---------------------------------------------------------------------------


def downwards(pieces: Sequence[Row], *, jumps_count: bool = False) -> list[Row]:
    """The pieces of one column from top to bottom, and otherwise as they were drawn.

    Where the drawing goes back up, to a place above the piece before, or above all, a new run
    begins; with `jumps_count`, also where it goes far down, or up anywhere. Each run is put in
    above the first piece that stands below it, up to where that comes before what is left of the
    run.

    >>> def line(text: str, top: float) -> Row:
    ...     return Row(text=text, left=0, top=top, right=60, bottom=top + 10, size=10)
    >>> [row.text for row in downwards([line("third", 24), line("second", 12), line("first", 0)])]
    ['first', 'second', 'third']
    """
    runs: list[list[Row]] = []
    tops = accumulate((piece.top for piece in pieces), min, initial=math.inf)
    rights = accumulate((piece.right for piece in pieces), max, initial=-math.inf)
    for piece, top, right in zip(pieces, tops, rights, strict=False):
        last = runs[-1][-1] if runs else None
        jumps = jumps_count and last is not None and _jumps(last, piece)
        is_head = piece.bottom <= top and piece.left < right
        if last is not None and not jumps and not is_head and not _goes_back(last, piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    ordered = runs[0] if runs else []
    for run in runs[1:]:
        while run:
            at = _place_of(run, ordered)
            length = _length_before(run, ordered[at] if at < len(ordered) else None)
            ordered, run = [*ordered[:at], *run[:length], *ordered[at:]], run[length:]
    return ordered


def _jumps(a: Row, b: Row) -> bool:
    """Whether b stands above a, or far below it."""
    far = b.bottom <= a.top or b.top - a.bottom > JUMP * a.height
    return far and not same_row(a, b)


def _goes_back(a: Row, b: Row) -> bool:
    """Whether b stands above a in the same column, or to its left in the same row."""
    if same_row(a, b):
        return is_before(b, a)
    return b.bottom <= a.top + 0.5 * a.height and b.left < a.right and a.left < b.right


def _length_before(run: Sequence[Row], following: Row | None) -> int:
    """How many pieces of a run, at least one, come before the piece that follows it."""
    if following is None:
        return len(run)
    passed = (i for i in range(1, len(run)) if _goes_back(run[i], following))
    return next(passed, len(run))


def _place_of(run: Sequence[Row], ordered: Sequence[Row]) -> int:
    """Index of the piece before which a run belongs."""
    first = run[0]

    def is_after(piece: Row) -> bool:
        """Whether the run stands above a piece, or to its left in the same row."""
        if same_row(piece, first):
            return is_before(first, piece)
        below = piece.top >= first.top + 0.5 * first.height
        return below and piece.left < max(p.right for p in run) and piece.right > first.left

    return next((i for i, piece in enumerate(ordered) if is_after(piece)), len(ordered))
