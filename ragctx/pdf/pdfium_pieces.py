"""A page's characters, as pdfium places them, gathered into pieces of lines.

pdfium gives lines that run across columns, and guesses spaces and line ends: between any two signs
of Chinese, between all letters of a heading that is set wide. Here only what is drawn counts. A
piece ends where its row has a wide gap, a word where the gap is wider than those between letters;
what belongs together is decided where the whole page is seen (`ragctx.pdf.layout`).
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import NamedTuple

from ragctx.pdf.geometry import Box, on_page
from ragctx.pdf.messages import LineMessage
from ragctx.pdf.pdfium_calls import address, has_no_letter
from ragctx.pdf.pdfium_from_right import parts_from_right, text_from_right, unturned
from ragctx.pdf.pdfium_runs import FAR_BACK, WORD_GAP, Run, Sheet, is_right_to_left, runs
from ragctx.pdf.visibility import Placed
from ragctx.text.line_shapes import DROP_CAP, has_note_apart, is_capital_of, is_spaceless

WIDE_GAP = 0.9
"""Em: characters of a row farther apart are of different pieces. Spaces are 0.2 to 0.6 em wide."""
MAX_WORD_GAP = 0.25
"""Em: letters farther apart than this are of different words; between `WORD_GAP` and this it
depends on the page. Narrow spaces of justified lines are 0.12 em, loosely set letters as much
apart."""
WORD_GAP_SET_WIDE = 0.25
"""Em: the same where letters are set wide, and with that unevenly."""
GUESSED = 0.75
"""Where pdfium makes up a space, this share of the gap is enough."""
SPACELESS_GAP = 0.6
"""Em: the same for scripts that are written without spaces."""
RAISED, SMALLER = 0.2, 0.9
"""A mark above the line stands this much (em) higher than its neighbour, and is this much smaller.
"""


class Piece(NamedTuple):
    """A piece of a line, and the share (0 to 1) of its characters whose font names no letters."""

    message: LineMessage
    unmapped: float
    placed: Placed
    runs: Sequence[Run]


def pieces(sheet: Sheet, codes: str, start: int) -> list[Piece]:
    """The pieces of the characters `codes` from number `start` on, as they were drawn.

    Characters outside of what is shown of the page are left out.
    """
    found = _rows(runs(sheet, codes, start))
    rows = [(part, _gaps(part)) for row in found for part in _labels_apart(row)]
    word_gap = _word_gap(rows)
    return [_piece(sheet, part) for row, gaps in rows for part in _split(row, gaps, word_gap)]


def parted(sheet: Sheet, piece: Piece, box: Box) -> list[Piece]:
    """The piece, in parts: the words that have their middle in a box on the page, and the others.

    What is a space within the piece need be none between parts.
    """
    parts = [list(part) for _, part in groupby(piece.runs, key=partial(_has_middle_of, box))]
    rows = [(part, _gaps(part)) for part in parts]
    word_gap = _word_gap(rows)
    cut = [_piece(sheet, part) for row, gaps in rows for part in _split(row, gaps, word_gap)]
    return cut if len(parts) > 1 else [piece]


def _has_middle_of(box: Box, run: Run) -> bool:
    left, bottom, right, top = on_page(run.box, run.turn)
    return box[0] <= (left + right) / 2 <= box[2] and box[1] <= (bottom + top) / 2 <= box[3]


# ---- rows and pieces -------------------------------------------------------------------------


def _rows(found: Iterable[Run]) -> Iterator[list[Run]]:
    """Runs that were drawn one after another in one row, in one direction of writing."""
    row: list[Run] = []
    for run in found:
        if row and not _go_on(row[-1], run):
            yield row
            row = []
        row.append(run)
    if row:
        yield row


def _go_on(a: Run, b: Run) -> bool:
    if a.drawn is not b.drawn and (
        a.turn != b.turn
        or a.drawn.in_layer != b.drawn.in_layer
        or a.drawn.is_faint != b.drawn.is_faint
    ):
        return False
    (_, top, right, bottom), (next_left, next_top, _, next_bottom) = a.box, b.box
    if top != next_top or bottom != next_bottom:
        shared = min(bottom, next_bottom) - max(top, next_top)
        if shared <= 0.5 * max(0.1, min(bottom - top, next_bottom - next_top)):
            return False
    if is_right_to_left(a.text[0]) or is_right_to_left(b.text[0]):  # pdfium puts them in order
        return b.before != "line"
    if next_left >= a.last_left:
        return True
    return next_left >= right - FAR_BACK * max(a.size, b.size)


def _labels_apart(row: list[Run]) -> list[list[Run]]:
    """The row; or a label that is set wide, and the value behind it, in another size, by itself."""
    if row[0].size == row[-1].size or len(row[0].text) > 1:
        return [row]
    parts = [list(part) for _, part in groupby(row, key=_size_of)]
    return parts if len(parts) == 2 and _usual_gap(parts[0], _gaps(parts[0])) else [row]


def _size_of(run: Run) -> float:
    return run.size


def _gaps(row: Sequence[Run]) -> list[float]:
    """Em from each run of a row to the next."""
    return [(b.box[0] - a.box[2]) / (max(a.size, b.size) or 0.1) for a, b in pairwise(row)]


def _word_gap(rows: Sequence[tuple[Sequence[Run], Sequence[float]]]) -> float:
    """Em between letters of different words: half of the page's usual space.

    A sixth of all gaps are spaces, so the largest tenth begins among them. (Those within runs are
    the smallest.)
    """
    count = sum(len(run.text) for row, _ in rows for run in row) - len(rows)
    largest = count - int(0.9 * count)
    gaps = sorted(gap for _, gaps in rows for gap in gaps)
    usual = gaps[-largest] if 0 < largest <= len(gaps) else 0.0
    return min(max(usual / 2, WORD_GAP), MAX_WORD_GAP)


class _Part(NamedTuple):
    """A part of a row and its text in parts: a space, what stands between two spaces.

    `cuts` tells behind which of them, and before which run, there is a narrow gap.
    """

    runs: Sequence[Run]
    texts: Sequence[str]
    cuts: Sequence[tuple[int, int]] = ()


def _split(row: Sequence[Run], gaps: Sequence[float], word_gap: float) -> Iterator[_Part]:
    """The pieces of a row, parted at wide gaps, with their text."""
    if any(is_right_to_left(run.text[0]) for run in row):
        yield from (
            _Part(part, (text_from_right(unturned(part)),))
            for part in parts_from_right(row, WIDE_GAP)
        )
        return
    usual, start, parts = _usual_gap(row, gaps), 0, [row[0].text]
    cuts: list[tuple[int, int]] = []
    word_gap = usual + WORD_GAP_SET_WIDE if usual else word_gap
    guess_gap = word_gap if usual else max(WORD_GAP, GUESSED * word_gap)
    overhung, shrunk = 0.0, _shrunk(row)  # the first, until it is needed
    for i, gap in enumerate(gaps, start=1):
        before, enough = row[i].before, word_gap
        if before:
            is_beside_letter = row[i].text[0].isalpha() or row[i - 1].text[-1].isalpha()
            enough = guess_gap * shrunk if is_beside_letter else guess_gap
            if gap <= enough and before != "drawn" and _hangs(row, i):
                enough = overhung = overhung or _beside_overhang(row, gaps, enough)
        if gap > usual + WIDE_GAP and not (before == "drawn" and _is_full_space(row, i, gap)):
            yield _Part(row[start:i], parts, cuts)
            start, parts, cuts = i, [], []
        elif before == "drawn" or (gap > enough and not _is_in_word(row, i, gap)):
            parts.append(" " * (gap > 0 or row[i].text[0] not in _CLOSE))
        elif row[i].size != row[i - 1].size:
            parts.append(_set_off(row, i))
        if gap > FIGURE_GAP and i > start and not usual and _is_narrow_gap(row, i, gap):
            cuts.append((len(parts), i - start))
        parts.append(row[i].text)
    yield _Part(row[start:], parts, cuts)


def _shrunk(row: Sequence[Run]) -> float:
    """How many times as large as its font size says a row is drawn, roughly; at most 1.

    Programs that make PDFs of web pages scale all of a page: its gaps are narrower, too.
    """
    if _height(row[0]) >= SHRUNK:
        return 1.0
    tallest = max(map(_height, row))
    return tallest / USUAL_HEIGHT if tallest < SHRUNK else 1.0


def _height(run: Run) -> float:
    """Em."""
    return (run.box[3] - run.box[1]) / (run.size or 0.1)


USUAL_HEIGHT, SHRUNK = 1.1, 0.85
"""Em: how tall the boxes of letters mostly are; lower ones are of letters that were drawn smaller
than their font size says."""


def _is_narrow_gap(row: Sequence[Run], i: int, gap: float) -> bool:
    """Whether the gap before run i may be one between cells; less is enough between figures."""
    before, after = row[i - 1].text[-1], row[i].text[0]
    if before in _LEADING and after in _LEADING:
        return False
    if gap > NARROW_GAP:
        return True
    is_one = before.isdigit() and _THOUSANDS.match(row[i].text)  # "10 000"
    return before in _ENDS_FIGURE and after in _BEGINS_FIGURE and not is_one


NARROW_GAP, FIGURE_GAP = 0.45, 0.3
"""Em: wider than the spaces between most words, and between two figures."""
_LEADING = ".…·_"
_CLOSE = ".,:;)%"  # a space before them that takes no room is none ("3 .2")
_THOUSANDS = re.compile(r"\d{3}(?!\d)")
_ENDS_FIGURE, _BEGINS_FIGURE = "0123456789%)-–—−*†", "0123456789(-–—−$€£+±"


def _beside_overhang(row: Sequence[Run], gaps: Sequence[float], gap: float) -> float:
    """Em that make a space of one that pdfium makes up beside a letter that hangs over.

    It is less than `gap`, which is enough elsewhere: in italics, the boxes of f and j reach into
    the space. But not where pdfium makes up spaces within words.
    """
    others = [gaps[k - 1] > gap for k in range(1, len(row)) if row[k].before and not _hangs(row, k)]
    return OVERHANG * gap if sum(others) >= MOSTLY_SPACES * len(others) else gap


def _hangs(row: Sequence[Run], i: int) -> bool:
    return row[i - 1].text[-1] in _OVERHANGING or row[i].text[0] in _OVERHANGING


OVERHANG = 0.35
"""The share of a gap that is enough beside a letter that hangs over."""
_OVERHANGING = "fjpy"
MOSTLY_SPACES = 0.9
"""The share of the spaces made up in a row that must be wide enough to trust the others."""


TYPEWRITER_GAP = 0.3
"""Em: half of a typewriter's space."""


def _is_full_space(row: Sequence[Run], i: int, gap: float) -> bool:
    """Whether a space that was drawn before run i is as wide as the Chinese or Japanese signs."""
    around = row[i - 1].text[-1] + row[i].text[0]
    return gap <= MAX_FULL_SPACE and all(map(is_spaceless, around))


MAX_FULL_SPACE = 1.2
"""Em: an ideographic space is one wide."""


def _is_in_word(row: Sequence[Run], i: int, gap: float) -> bool:
    """Whether run i and the one before are of a script without spaces, and not far apart.

    Or of one word whose first letter goes down several lines, or that is set in a typewriter's
    letters, whose spaces are as wide as they are.
    """
    if gap > SPACELESS_GAP:
        return False
    a, b = row[i - 1], row[i]
    if a.drawn.is_typewriter and b.drawn.is_typewriter:
        return gap <= TYPEWRITER_GAP
    if a.size >= DROP_CAP * b.size and is_capital_of(a.text, b.text):
        return True
    return is_spaceless(a.text[-1]) and is_spaceless(b.text[0])


def _usual_gap(row: Sequence[Run], gaps: Sequence[float]) -> float:
    """Em between the letters of a row that is set wide; 0 if it is not.

    Single letters with spaces between them look the same; but in a row that is set wide some gaps
    are spaces and therefore wider, unless all of it is one word in capitals.
    """
    close = sum(len(run.text) for run in row) - len(row)  # gaps within runs
    if len(gaps) < MIN_SET_WIDE or len(gaps) <= close:
        return _gap_in_short_word(row, gaps)
    between = [  # letters: dots that lead to a page number are set wide anywhere
        (gap, b.before == "drawn")
        for gap, (a, b) in zip(gaps, pairwise(row), strict=True)
        if a.text[-1].isalnum() and b.text[0].isalnum()
    ]
    undrawn = [gap for gap, is_drawn in between if not is_drawn]
    if len(undrawn) < MIN_SET_WIDE or len(undrawn) <= close:
        return 0.0
    usual = statistics.median(undrawn + [WORD_GAP] * close)
    if not WORD_GAP < usual < MAX_SET_WIDE:
        return 0.0
    has_spaces = len(undrawn) < len(between) or max(undrawn) > usual + WORD_GAP_SET_WIDE
    is_capital = all(letter.isupper() for run in row for letter in run.text)
    return usual if has_spaces or is_capital else 0.0


def _gap_in_short_word(row: Sequence[Run], gaps: Sequence[float]) -> float:
    """The same for a label of three or four capitals ("FROM") with small, even gaps."""
    is_word = all(len(run.text) == 1 and run.text.isupper() for run in row)
    if len(gaps) < MIN_SHORT or not is_word or any(run.before == "drawn" for run in row[1:]):
        return 0.0
    is_even = max(gaps) < MAX_SHORT_GAP and max(gaps) - min(gaps) < UNEVEN
    return max(gaps) if is_even and min(gaps) > WORD_GAP else 0.0


MIN_SHORT, MAX_SHORT_GAP, UNEVEN = 2, 0.4, 0.2
"""Gaps of such a label, and em: their largest, and by how much they differ, as letters do."""
MAX_SET_WIDE = 0.8
"""Em: letters farther apart are the cells of a table."""
MIN_SET_WIDE = 4
"""Gaps that must be wide before letters are taken for set wide: "A B" is two words."""


def _set_off(row: Sequence[Run], i: int) -> str:
    """What parts run i from the one before it where no space was drawn.

    "10" and a raised "6" are "10^6", "320" and a raised "1" are a number and a note, and must never
    become 3201; nor a number and a lowered one. "320." and a raised "1" must not become 320.1, and
    a word with the number of a note is still that word.
    """
    last, run = row[i - 1], row[i]
    before, first = last.text[-1], run.text[0]
    if i == 1 and run.text[1:2].islower() and _is_raised(run, last):
        return " " * (last.text.isdigit() or _is_note_letter(row, 0))  # a note: but "14C" is none
    if _is_note_letter(row, i) and _is_raised(last, run):
        base = _end_of_word(row, i)
        return " " * (before.isdigit() or (len(base) == 3 and base.isalpha()))
    if not (first.isdigit() or (first in _SIGNS and before.isdigit())):
        return ""
    if _is_raised(last, run):
        base = _end_of_word(row, i)
        if before.isdigit():
            return "^" if base.endswith("10") and not base[:-2].isdigit() else " "
        return " " * has_note_apart(base)
    smaller, larger = sorted((last.size, run.size))
    return " " if before.isdigit() and first.isdigit() and smaller < SMALLER * larger else ""


def _is_note_letter(row: Sequence[Run], i: int) -> bool:
    """Whether run i is the letter of a note, or several; "1er" and "no" are one word."""
    return _NOTE_LETTERS.fullmatch(row[i].text) is not None


_NOTE_LETTERS = re.compile(r"[a-df-h](?:,[a-df-h])*,?")


def _end_of_word(row: Sequence[Run], i: int) -> str:
    """The last letters, three if there are as many, of the word that ends before run i."""
    start = i - 1
    text = row[start].text
    while len(text) < 3 and start and not row[start].before:
        start -= 1
        text = row[start].text + text
    return text[-3:]


_SIGNS = "+-\u2212\u2013"


def _is_raised(base: Run, mark: Run) -> bool:
    higher = base.box[3] - mark.box[3]
    return mark.size < SMALLER * base.size and higher > RAISED * base.size


def _piece(sheet: Sheet, part: _Part) -> Piece:
    row, text = part.runs, "".join(part.texts)
    middle, box = _middle(row), _around(row)
    first, other, last = row[0].drawn, row[len(row) // 2].drawn, row[-1].drawn
    message: LineMessage = {
        "text": text,
        "turn": (row[0].turn - sheet.frame.turn) % 4,
        "left": round(box[0], 1),
        "top": round(middle.box[1], 1),
        "right": round(box[2], 1),
        "bottom": round(middle.box[3], 1),
        "size": round(middle.size, 1),
        "block": 0,
        "cell": 0,
        "role": "",
        "bold": first.is_bold and other.is_bold and last.is_bold,
    }
    if part.cuts:
        message["parts"] = list(_parts(part))
    if first.is_typewriter and other.is_typewriter and last.is_typewriter:
        message["typewriter"] = True
    width = box[2] - box[0] if len(text) >= MIN_SQUEEZED else math.inf
    visible = min(middle.size, SQUEEZED * width / len(text))
    placed = Placed(row[0].drawn, on_page(box, row[0].turn), visible)
    return Piece(message, _unmapped_share(sheet, row), placed, row)


SQUEEZED, MIN_SQUEEZED = 6.0, 4
"""Letters at least this many times as tall as they are wide are seen by their width; judged by that
many, for an accent has none."""


def _parts(part: _Part) -> Iterator[tuple[str, float, float]]:
    """What is between narrow gaps, with its left and right edge."""
    ends = (*part.cuts, (len(part.texts), len(part.runs)))
    for (text, run), (text_end, run_end) in pairwise(((0, 0), *ends)):
        runs = part.runs[run:run_end]
        left, right = min(run.box[0] for run in runs), max(run.box[2] for run in runs)
        yield "".join(part.texts[text:text_end]).strip(), round(left, 1), round(right, 1)


def _middle(row: Sequence[Run]) -> Run:
    """The run of the letter of middle size."""
    first = row[0]
    edges = first.size, first.box[1], first.box[3]
    if all((run.size, run.box[1], run.box[3]) == edges for run in row):
        return first
    left = sum(len(run.text) for run in row) // 2
    for run in sorted(row, key=lambda run: run.size):
        left -= len(run.text)
        if left < 0:
            return run
    return row[-1]


def _unmapped_share(sheet: Sheet, row: Sequence[Run]) -> float:
    """Share of the first letter, one in the middle and the last whose font names none."""
    some = {row[0].at, row[len(row) // 2].at, row[-1].at + len(row[-1].text) - 1}
    textpage = address(sheet.textpage.raw)
    return [has_no_letter(textpage, at) for at in some].count(1) / len(some)


def _around(row: Sequence[Run]) -> Box:
    lefts, tops, rights, bottoms = zip(*(run.box for run in row), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
