"""Leaves out the numbers that count a page's lines in its margin, as in contracts and pleadings.

Numbers count lines if they stand one below the other beside all other text, grow from one to the
next by the same step, and the lines that they stand beside are running text; or if they count empty
lines as well, at even distances, as those of pleadings do, whose lines are short. Rows of a table
may be numbered as well: those numbers stay. Pure.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from itertools import pairwise

from ragctx.pdf.columns import are_running_text
from ragctx.pdf.row import Row, same_row

MIN_NUMBERS, MIN_NUMBERS_OF_STEPS = 8, 4
"""At least this many numbers, one apart or in larger steps ("5, 10, 15, 20")."""
ALIGNED = 0.6
"""Em: line numbers end, or begin, this close to one line."""
EVENLY, SAME_STEP = 0.6, 0.35
"""The share of numbers with a sign behind them ("3:", "3.") that must be as far below the one
before as most are, and the share of that step by which they may differ: those of paragraphs are
not."""
MIN_EMPTY = 2
"""Numbers that must stand beside empty lines, with text further down."""
MIN_GOING_ON = 0.25
"""The share of the lines beside such numbers that must begin in mid-sentence: items do not."""
_NUMBER = re.compile(r"([0-9]{1,4})[:.)]?")


def without_line_numbers(pieces: Sequence[Row]) -> list[Row]:
    """The pieces of one page, all turned one way, without line numbers.

    >>> def line(text: str, left: float, top: float) -> Row:
    ...     wide = 5 * len(text)
    ...     return Row(text=text, left=left, top=top, right=left + wide, bottom=top + 10, size=10)
    >>> numbers = [line(str(i + 1), 0, 12 * i) for i in range(8)]
    >>> prose = [line("the pump must be oiled and cleaned", 50, 12 * i) for i in range(8)]
    >>> without_line_numbers([*numbers, *prose]) == prose
    True
    """
    numbers = [piece for piece in pieces if _NUMBER.fullmatch(piece.text)]
    if len(numbers) < MIN_NUMBERS_OF_STEPS:
        return list(pieces)
    others = [piece for piece in pieces if not _NUMBER.fullmatch(piece.text)]
    counting: set[int] = set()
    for column in _aligned(numbers):
        for run in _runs(column):
            if _stand_outside(run, others):
                counting |= {id(number) for number in run}
    return [piece for piece in pieces if id(piece) not in counting]


def _aligned(numbers: Sequence[Row]) -> list[list[Row]]:
    """The numbers that stand one below the other, right-aligned, from top to bottom."""
    columns: list[list[Row]] = []
    for number in sorted(numbers, key=lambda number: number.right):
        if columns and number.right - columns[-1][-1].right <= ALIGNED * number.size:
            columns[-1].append(number)
        else:
            columns.append([number])
    return [sorted(column, key=lambda number: number.top) for column in columns]


def _runs(column: Sequence[Row]) -> list[list[Row]]:
    """The longest stretches in which each number is above the one before by the same step."""
    runs: list[list[Row]] = []
    step = 0
    for a, b in pairwise(column):
        grows = _value(b) - _value(a)
        if grows > 0 and grows == step and runs[-1][-1] is a:
            runs[-1].append(b)
        elif grows > 0:
            runs.append([a, b])
            step = grows
        else:
            step = 0
    return [run for run in runs if len(run) >= _fewest(run)]


def _fewest(run: Sequence[Row]) -> int:
    return MIN_NUMBERS if _value(run[1]) - _value(run[0]) == 1 else MIN_NUMBERS_OF_STEPS


def _value(number: Row) -> int:
    match = _NUMBER.fullmatch(number.text)
    return int(match[1]) if match else 0


def _stand_outside(run: Sequence[Row], others: Sequence[Row]) -> bool:
    """Whether the numbers stand beside running text, all of them on one side of it."""
    top, bottom = run[0].top, run[-1].bottom
    beside = [piece for piece in others if piece.bottom > top and piece.top < bottom]
    outermost = all(piece.left >= max(number.right for number in run) for piece in beside) or all(
        piece.right <= min(number.left for number in run) for piece in beside
    )
    lines = [piece for piece in beside if any(same_row(piece, number) for number in run)]
    if not (outermost and len(lines) >= MIN_NUMBERS_OF_STEPS):
        return False
    if _count_empty_lines(run, beside):
        return True
    if not are_running_text(beside):
        return False
    return run[0].text.isdigit() or (_is_even(run) and _go_on(lines))


def _count_empty_lines(run: Sequence[Row], beside: Sequence[Row]) -> bool:
    """Whether the numbers are at even distances, some of them beside nothing, with text below.

    Rows of a table that are left empty are the last ones.
    """
    heights = sorted((piece.top, piece.bottom) for piece in beside)
    last = max(bottom for _, bottom in heights)
    empty = sum(
        number.bottom < last
        and not any(top < number.bottom and number.top < bottom for top, bottom in heights)
        for number in run
    )
    return empty >= MIN_EMPTY and len(run) >= MIN_NUMBERS and _is_even(run)


def _is_even(run: Sequence[Row]) -> bool:
    """Whether most of the numbers are one step below the one before."""
    steps = [b.top - a.top for a, b in pairwise(run)]
    usual = statistics.median(steps)
    return sum(abs(step - usual) <= SAME_STEP * usual for step in steps) >= EVENLY * len(steps)


def _go_on(lines: Sequence[Row]) -> bool:
    """Whether some of the lines begin in mid-sentence."""
    return sum(line.text[0].islower() for line in lines) >= MIN_GOING_ON * len(lines)
