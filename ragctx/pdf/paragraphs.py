"""From rows to running text: which line ends are the author's, which the page's.

A line that only ended because the page did goes on after a space; a hyphen there is undone. A line
that its author ended (a heading, a row of a table, an item of a list, a line of code) keeps its
line end; between paragraphs stands an empty line. The sign of an author: the first word of the
next line would have fitted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ragctx.pdf.layout import Row, same_row, usual_pitches
from ragctx.pdf.line_joining import HYPHEN, goes_on_as_url, join_broken
from ragctx.text.line_shapes import (
    NEIGHBOURS,
    begins_bullet,
    begins_item,
    ends_clause,
    ends_in_amount,
    is_lone_marker,
    is_spaceless,
    is_table_row,
)


def running_text(rows: Sequence[Row], words: Mapping[str, int]) -> str:
    r"""The rows as text with paragraphs.

    Args:
        rows: a page's rows, in reading order.
        words: how often the document has each word, in lower case, hyphenated ones included.

    >>> from ragctx.pdf.layout import unplaced
    >>> page = "A Heading\nThe first line of a long par-\nagraph, which wraps and goes\non here."
    >>> running_text(unplaced(page), {})
    'A Heading\nThe first line of a long paragraph, which wraps and goes on here.'
    """
    if not rows:
        return ""
    pitches = usual_pitches(rows)
    parts, new = [rows[0].text], True
    for i in range(1, len(rows)):
        mark = _break_between(rows, i, pitches, new)
        parts[-1] = _ended(parts[-1], mark, rows[i].text, words)
        parts.append(rows[i].text)
        new = mark != " "
    return "".join(parts).replace(HYPHEN, "-")


def count_words(pages: Sequence[Sequence[Row]]) -> Counter[str]:
    """How often each word stands in the rows, in lower case; halves at line ends do not count."""
    counts: Counter[str] = Counter()
    for rows in pages:
        broken = False
        for row in rows:
            text = row.text.partition(" ")[2] if broken else row.text
            broken = row.text[-1] in _HYPHENS
            text = text.rpartition(" ")[0] if broken else text
            counts.update(word.lower() for word in _WORD.findall(text))
    return counts


_HYPHENS = f"-\u2010{HYPHEN}"
_WORD = re.compile(r"[^\W\d_]+(?:-\w+)*")


def _ended(text: str, mark: str, following: str, words: Mapping[str, int]) -> str:
    """`text` with what stands between it and the row that follows."""
    if mark == " ":
        return join_broken(text, following, words)[: -len(following)]
    return text + mark


def _break_between(rows: Sequence[Row], i: int, pitches: Mapping[int, float], new: bool) -> str:
    """What stands before row i: " " (it goes on), a line end, or an empty line.

    `new`: whether row i - 1 began a paragraph.
    """
    a, b = rows[i - 1], rows[i]
    if a.turn != b.turn:
        return "\n\n"
    if a.text.endswith(HYPHEN):
        return " "
    if a.in_table or b.in_table:
        return "\n" if a.in_table == b.in_table else "\n\n"
    step = b.bottom - a.bottom
    if step <= 0.2 * a.height or step > 12 * a.height:
        return _after_jump(rows, i)
    if not 0.87 < a.size / b.size < 1.15:
        return "\n\n"
    if step > 1.35 * min(pitches.get(round(a.size), a.height), 1.6 * a.height):
        return "\n\n"
    return "\n" if _ends_here(rows, i, new) else " "


def _after_jump(rows: Sequence[Row], i: int) -> str:
    """Row i begins another column, or stands somewhere else altogether."""
    a, b = rows[i - 1], rows[i]
    alike = 0.87 < a.size / b.size < 1.15
    goes_on = b.text[0].islower() or (is_spaceless(b.text[0]) and len(a.text) > 8)
    full = a.right >= _right_edge(rows, i - 1, [a]) - 2 * a.size
    return " " if alike and goes_on and full and not ends_clause(a.text) else "\n\n"


def _ends_here(rows: Sequence[Row], i: int, new: bool) -> bool:
    """Whether the author ended row i - 1, though row i follows at the usual distance."""
    a, b = rows[i - 1], rows[i]
    if is_lone_marker(a.text):
        return False
    if is_table_row(a.text, b.text):
        return True
    if goes_on_as_url(a.text):
        return False
    if _is_spread(a) or _is_spread(b) or ends_in_amount(a.text):
        return True
    if _has_room(rows, i):
        return not (a.text[-1] in ",-" and b.text[0].islower())
    if begins_item(b.text) and (ends_clause(a.text) or begins_bullet(b.text)):
        return True
    return _is_indented_anew(rows, i, new)


def _is_spread(row: Row) -> bool:
    """Whether the row is far wider than its letters: cells with gaps between them."""
    width = row.right - row.left
    return len(row.text) >= 8 and width > 0.75 * row.size * len(row.text) and row.text.isascii()


def _has_room(rows: Sequence[Row], i: int) -> bool:
    """Whether the first word of row i would have fitted at the end of row i - 1."""
    a, b = rows[i - 1], rows[i]
    word = b.text[:1] if is_spaceless(b.text[0]) else b.text.split(None, 1)[0]
    letter = (b.right - b.left) / max(len(b.text), 1)
    need = (len(word) + 1) * letter + 0.5 * letter
    return _right_edge(rows, i - 1, [a, b]) - a.right > need + 0.04 * (a.right - a.left)


def _right_edge(rows: Sequence[Row], i: int, pair: Sequence[Row]) -> float:
    """How far to the right the column of `pair` goes, seen from the rows around row i.

    Rows that begin where these do tell best, if two of them end alike: in a column of code or of
    items, no row need be full.
    """
    left, right = min(row.left for row in pair), max(row.right for row in pair)
    near = [rows[i]] + [
        row
        for row in rows[max(0, i - NEIGHBOURS) : i + NEIGHBOURS + 2]
        if row.turn == rows[i].turn
        and row.left < right
        and row.right > left
        and not row.in_table
        and 0.8 < row.size / rows[i].size < 1.25
    ]
    aligned = [
        row.right for row in near if any(abs(row.left - one.left) < 0.5 * one.size for one in pair)
    ]
    edge = max(aligned)
    if sum(end > edge - 0.1 * (right - left) for end in aligned) >= 2:
        return edge
    return max(row.right for row in near)


def _is_indented_anew(rows: Sequence[Row], i: int, new: bool) -> bool:
    """Whether row i stands in, or out, as the first line of a paragraph does."""
    a, b = rows[i - 1], rows[i]
    em = max(a.size, b.size)
    shift = (b.left - a.left) / em
    if abs(shift) < 0.7 or same_row(a, b):
        return False
    if abs(shift) > 5:  # no indent is that deep; but lines set around one middle may be
        return abs(a.left + a.right - b.left - b.right) > 2 * em
    if shift < 0:  # out again: after a first line it goes on, after a hanging one it is new
        return not new and ends_clause(a.text)
    if begins_item(a.text):  # what hangs from a bullet
        return False
    after = rows[i + 1] if i + 1 < len(rows) else None
    back = after is not None and abs(after.left - a.left) < 0.5 * a.size
    return back and (ends_clause(a.text) or not b.text[0].islower())
