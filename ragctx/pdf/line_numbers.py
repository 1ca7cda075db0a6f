"""Leaves out the numbers that count a page's lines in its margin, as in contracts and pleadings.

Numbers count lines if they stand one below the other beside all other text, grow from one to the
next by the same step, and the lines that they stand beside are running text. Rows of a table may be
numbered as well: those numbers stay. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ragctx.pdf.columns import are_running_text
from ragctx.pdf.row import Row, same_row

MIN_NUMBERS, MIN_NUMBERS_OF_STEPS = 8, 4
"""At least this many numbers, one apart or in larger steps ("5, 10, 15, 20")."""
ALIGNED = 0.6
"""Em: line numbers end, or begin, this close to one line."""
_NUMBER = re.compile(r"[0-9]{1,4}")


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
        grows = int(b.text) - int(a.text)
        if grows > 0 and grows == step and runs[-1][-1] is a:
            runs[-1].append(b)
        elif grows > 0:
            runs.append([a, b])
            step = grows
        else:
            step = 0
    return [run for run in runs if len(run) >= _fewest(run)]


def _fewest(run: Sequence[Row]) -> int:
    return MIN_NUMBERS if int(run[1].text) - int(run[0].text) == 1 else MIN_NUMBERS_OF_STEPS


def _stand_outside(run: Sequence[Row], others: Sequence[Row]) -> bool:
    """Whether the numbers stand beside running text, all of them on one side of it."""
    top, bottom = run[0].top, run[-1].bottom
    beside = [piece for piece in others if piece.bottom > top and piece.top < bottom]
    outermost = all(piece.left >= max(number.right for number in run) for piece in beside) or all(
        piece.right <= min(number.left for number in run) for piece in beside
    )
    lines = [piece for piece in beside if any(same_row(piece, number) for number in run)]
    return outermost and len(lines) >= MIN_NUMBERS_OF_STEPS and are_running_text(beside)
