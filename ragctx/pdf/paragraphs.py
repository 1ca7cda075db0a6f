"""From rows to running text: which line ends are the author's, and which only the page's.

A line that ended because the column did goes on after a space; a hyphen that divides a word there
is removed. A line that its author ended (a heading, a row of a table, an item of a list, a line of
code) keeps its line end. Paragraphs are parted by an empty line. What tells that the author ended
a line: the first word of the next line would have fitted on it.

The thresholds below were chosen by hand on the PDFs of the test collection, and are given in font
sizes (em) or in line heights, so that they hold for any size of type.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ragctx.pdf.columns import are_running_text
from ragctx.pdf.line_joining import (
    HYPHEN,
    goes_on_as_url,
    goes_on_as_url_in_code,
    join_broken,
    whole_words,
)
from ragctx.pdf.pitches import usual_pitches
from ragctx.pdf.row import Row, same_row
from ragctx.pdf.typed_lines import is_line_of_code
from ragctx.text.line_shapes import (
    NEIGHBOURS,
    are_items,
    begins_bullet,
    begins_item,
    ends_clause,
    ends_in_amount,
    is_labelled,
    is_lone_marker,
    is_spaceless,
    is_table_row,
)

SAME_SIZE = (0.87, 1.15)
"""Rows are of one font size if the ratio of their sizes is between these: 10 and 11 points may be
one paragraph (superscripts change the measured size), 10 and 12 are not."""
MIN_STEP, MAX_STEP = 0.2, 12.0
"""A next line is this far below, in line heights. Less is beside or above it, more is elsewhere:
in both cases another column or block of text begins."""
PARAGRAPH_STEP = 1.35
"""A step larger than this many usual steps begins a paragraph."""
MAX_ROW_GAP = 4.0
"""Rows of tables that are farther apart than this many row heights are of two tables."""
MAX_PITCH, MAX_DOUBLE_PITCH = 1.6, 2.6
"""Line heights that the usual step counts as at most; the second, where the lines are running text:
that is set with double spacing, while a list of short lines has empty ones."""
MAX_FIELD_STEP = 3.0
"""Fields of a form belong together up to this step, in line heights: boxes need room."""
FULL_LINE = 2.0
"""Em: a line that ends this close to the column's edge, or closer, is full."""
SPREAD = 0.75
"""Em per character: a wider row has gaps in it, for letters are about half an em wide."""
MIN_INDENT, MAX_INDENT = 0.7, 5.0
"""Em: a first line is indented by at least and at most this much."""


def running_text(rows: Sequence[Row], words: Mapping[str, int]) -> str:
    r"""The rows as text with paragraphs.

    Args:
        rows: a page's rows, in reading order.
        words: how often the document has each word, in lower case, hyphenated ones included.

    >>> from ragctx.pdf.row import unplaced
    >>> page = "A Heading\nThe first line of a long par-\nagraph, which wraps and goes\non here."
    >>> running_text(unplaced(page), {})
    'A Heading\nThe first line of a long paragraph, which wraps and goes on here.'
    """
    if not rows:
        return ""
    pitches = _pitches(rows)
    parts, is_new = [whole_words(rows[0].text, words)], True
    for i in range(1, len(rows)):
        mark = _break_between(rows, i, pitches, is_new)
        text = whole_words(rows[i].text, words)
        parts[-1] = _with_mark(parts[-1], mark, text, words)
        parts.append(text)
        is_new = mark != " "
    return "".join(parts).replace(HYPHEN, "-")


def _pitches(rows: Sequence[Row]) -> dict[int, float]:
    """The usual step from line to line of each font size, if it is one within a paragraph.

    Only the size that most of the page has may be double spaced: labels of pictures stand apart.
    """
    letters: Counter[int] = Counter()
    for row in rows:
        letters[round(row.size)] += len(row.text)
    (main, _), *_ = letters.most_common(1)
    pitches = {}
    for size, pitch in usual_pitches(rows).items():
        lines = [row for row in rows if round(row.size) == size]
        is_text = size == main and are_running_text(lines)
        most = MAX_DOUBLE_PITCH if is_text else MAX_PITCH
        pitches[size] = min(pitch, most * statistics.median(row.height for row in lines))
    return pitches


def count_words(pages: Sequence[Sequence[Row]]) -> Counter[str]:
    """How often each word is in the rows, in lower case; halves at line ends do not count."""
    words: Counter[str] = Counter()
    for rows in pages:
        words.update(_WORD.findall("\n".join(_without_halves(rows))))
    counts: Counter[str] = Counter()
    for word, count in words.items():
        counts[word.lower()] += count
    return counts


def _without_halves(rows: Sequence[Row]) -> Iterator[str]:
    """The texts of rows without the words that a hyphen divides at their ends."""
    broken = False
    for row in rows:
        text = row.text.partition(" ")[2] if broken else row.text
        broken = row.text[-1] in _HYPHENS
        yield text.rpartition(" ")[0] if broken else text


_HYPHENS = f"-\u2010{HYPHEN}"
_WORD = re.compile(r"[^\W\d_]+(?:-\w+)*")


def _with_mark(text: str, mark: str, following: str, words: Mapping[str, int]) -> str:
    """`text` with what parts it from the row that follows."""
    if mark == " ":
        return join_broken(text, following, words).removesuffix(following)
    return text + mark


def _break_between(rows: Sequence[Row], i: int, pitches: Mapping[int, float], is_new: bool) -> str:
    """What parts row i from row i - 1, by their places and by the file's tags: see `_by_place`."""
    a, b = rows[i - 1], rows[i]
    mark = _by_place(rows, i, pitches, is_new)
    is_next = a.block != b.block and a.block > 0 and b.block > 0
    if mark != " " or not is_next or a.text.endswith(HYPHEN):
        return mark
    if a.role == b.role and a.role not in _ITEMS and not ends_clause(a.text):
        return mark  # some programs make a paragraph of every line
    return "\n" if b.role in _ITEMS else "\n\n"


_ITEMS = ("LI", "TOCI", "TR")


def _by_place(rows: Sequence[Row], i: int, pitches: Mapping[int, float], is_new: bool) -> str:
    """What parts row i from row i - 1: " " (the line goes on), a line end, or an empty line.

    `pitches` are the usual steps from line to line, by font size (`usual_pitches`); `is_new` is
    whether row i - 1 began a paragraph or line.
    """
    a, b = rows[i - 1], rows[i]
    if a.turn != b.turn:
        return "\n\n"
    if a.text.endswith(HYPHEN):
        return " "
    if a.in_table or b.in_table:
        together = a.in_table and b.in_table and b.top - a.bottom < MAX_ROW_GAP * a.height
        return "\n" if together else "\n\n"
    step = b.bottom - a.bottom
    if a.is_field or b.is_field:
        return "\n" if -0.5 <= step / a.height <= MAX_FIELD_STEP else "\n\n"
    if step <= MIN_STEP * a.height or step > MAX_STEP * a.height:
        return _after_jump(rows, i)
    if not _are_of_one_size(a, b):
        return "\n\n"
    usual = pitches.get(round(a.size), a.height)
    if step > PARAGRAPH_STEP * usual:
        return "\n\n"
    return "\n" if _ends_here(rows, i, is_new) else " "


def _are_of_one_size(a: Row, b: Row) -> bool:
    return SAME_SIZE[0] < a.size / b.size < SAME_SIZE[1]


def _after_jump(rows: Sequence[Row], i: int) -> str:
    """What parts row i from row i - 1 if it begins another column, or is elsewhere altogether.

    A paragraph goes on in the next column if its line was full and the next begins in mid-sentence.
    """
    a, b = rows[i - 1], rows[i]
    goes_on = b.text[0].islower() or (is_spaceless(b.text[0]) and len(a.text) > 8)
    if not (goes_on and _are_of_one_size(a, b)) or ends_clause(a.text):
        return "\n\n"
    is_full = a.right >= _right_edge(rows, i - 1, a, a) - FULL_LINE * a.size
    return " " if is_full else "\n\n"


def _ends_here(rows: Sequence[Row], i: int, is_new: bool) -> bool:
    """Whether the author ended row i - 1, though row i follows at the usual distance."""
    a, b = rows[i - 1], rows[i]
    are_typed = a.typewriter and b.typewriter
    if are_typed and is_line_of_code(rows, i):
        return not goes_on_as_url_in_code(a.text, b.text) or _would_have_fitted(rows, i)
    if is_lone_marker(a.text) and not are_typed:
        return False
    if is_table_row(a.text, b.text):
        return True
    if goes_on_as_url(a.text, b.text):
        return False
    if _begins_another(rows, i):
        return True
    if _is_spread(a) or _is_spread(b) or ends_in_amount(a.text):
        return True
    if _would_have_fitted(rows, i):
        return not (a.text[-1] in ",-" and b.text[0].islower())
    if begins_item(b.text) and (ends_clause(a.text) or begins_bullet(b.text)):
        return True
    return _is_first_line(rows, i, is_new)


def _counts_on(rows: Sequence[Row], i: int) -> bool:
    """Whether row i begins with the number after that of a row above it: the next note."""
    number = _NOTE.match(rows[i].text)
    if number is None:
        return False
    before = f"{int(number[1]) - 1} "
    above = rows[max(0, i - NEIGHBOURS) : i]
    return any(row.text.startswith(before) and _begin_alike(row, rows[i]) for row in above)


_NOTE = re.compile(r"(\d{1,3}) \S")


def _is_label(row: Row) -> bool:
    """Whether a short row may be what the line below it is called: in bold or in capitals."""
    return row.bold or (len(row.text) >= MIN_LABEL and row.text.isupper())


MIN_LABEL, MAX_LABEL = 4, 30
"""Characters of a label over a line: fewer capitals are an abbreviation at the end of one."""


def _begins_another(rows: Sequence[Row], i: int) -> bool:
    """Whether row i is a heading, code, a label, a labelled value or a note, where one may be."""
    a, b = rows[i - 1], rows[i]
    if b.bold and not a.bold and (ends_clause(a.text) or b.left < a.left - MIN_INDENT * b.size):
        return True
    is_indented = b.left > a.left + MIN_INDENT * b.size
    if b.typewriter and not a.typewriter and ends_clause(a.text) and is_indented:
        return True
    is_narrow = len(a.text) <= MAX_LABEL and len(b.text) <= MAX_LABEL
    if is_narrow and _is_label(a) != _is_label(b) and _are_labels_over_lines(rows, i):
        return True
    if _begin_alike(a, b) and are_items(a.text, b.text):
        return True
    if b.text[0].isupper() and is_labelled(a.text) and is_labelled(b.text):
        return True
    is_end = ends_clause(a.text) or a.text[-1] == "/"  # of an address
    return is_end and b.text[0].isdigit() and _counts_on(rows, i)


def _begin_alike(a: Row, b: Row) -> bool:
    return abs(a.left - b.left) < 0.5 * a.size


def _are_labels_over_lines(rows: Sequence[Row], i: int) -> bool:
    """Whether labels and short lines take turns around row i, as in a narrow column of facts."""
    column = [
        row
        for row in rows[max(0, i - NEIGHBOURS) : i + NEIGHBOURS]
        if _begin_alike(row, rows[i]) and not row.in_table
    ]
    labels = [_is_label(row) for row in column]
    turns = sum(is_label and not is_next for is_label, is_next in pairwise(labels))
    return turns >= 2 and all(len(row.text) <= MAX_LABEL for row in column)


def _is_spread(row: Row) -> bool:
    """Whether the row is far wider than its letters: cells with gaps between them.

    Other scripts have wider letters, and a few capitals may be wide as well: neither counts.
    """
    width = row.right - row.left
    is_wide = width > SPREAD * row.size * len(row.text)
    return len(row.text) >= 8 and is_wide and row.text.isascii()


def _would_have_fitted(rows: Sequence[Row], i: int) -> bool:
    """Whether the first word of row i would have fitted at the end of row i - 1."""
    a, b = rows[i - 1], rows[i]
    word = b.text[:1] if is_spaceless(b.text[0]) else b.text.split(None, 1)[0]
    letter = (b.right - b.left) / max(len(b.text), 1)  # points, the mean
    need = (len(word) + 1.5) * letter  # a space before it, and half a letter because letters differ
    room = _right_edge(rows, i - 1, a, b) - a.right
    return room > need + 0.04 * (a.right - a.left)  # 4 % of the line, by hand


def _right_edge(rows: Sequence[Row], i: int, a: Row, b: Row) -> float:
    """The right edge of the column of two rows, in points, judged by the rows around row i.

    Best are rows that begin where these do, if two of them end within a tenth of the width: in a
    column of code or of items, no row need be full.
    """
    left, right = min(a.left, b.left), max(a.right, b.right)
    turn, size = rows[i].turn, rows[i].size
    around = [
        row
        for row in rows[max(0, i - NEIGHBOURS) : i + NEIGHBOURS + 2]
        if row.left < right
        and row.right > left
        and row.turn == turn
        and not row.in_table
        and 0.8 < row.size / size < 1.25
    ]
    around.append(rows[i])
    near_a, near_b = 0.5 * a.size, 0.5 * b.size
    aligned = [
        row.right
        for row in around
        if abs(row.left - a.left) < near_a or abs(row.left - b.left) < near_b
    ]
    edge = max(aligned)
    close = edge - 0.1 * (right - left)
    if len([end for end in aligned if end > close]) >= 2:
        return edge
    return max([row.right for row in around])


def _is_first_line(rows: Sequence[Row], i: int, is_new: bool) -> bool:
    """Whether row i is indented, or hangs out, as the first line of a paragraph does."""
    a, b = rows[i - 1], rows[i]
    em = max(a.size, b.size)
    shift = (b.left - a.left) / em
    if abs(shift) < MIN_INDENT or same_row(a, b):
        return False
    if abs(shift) > MAX_INDENT:  # not an indent, but centred lines may differ by as much
        return abs((a.left + a.right) - (b.left + b.right)) > 2 * em
    if shift < 0:  # out again: goes on after a first line, is new after a hanging one
        return not is_new and ends_clause(a.text)
    if begins_item(a.text):  # row i is the item's second line, set below the first one's text
        return False
    after = rows[i + 1] if i + 1 < len(rows) else None
    comes_back = after is not None and abs(after.left - a.left) < 0.5 * a.size
    return comes_back and (ends_clause(a.text) or not b.text[0].islower())
