"""How far lines are apart on a page, from one to the next, by the size of their letters. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from ragctx.pdf.row import Row

TALL, LINE = 1.7, 1.15
"""Em: a row of a table that is taller has several lines, which are about this far apart."""
MAX_STEPS = 2
"""Steps within one row that count: more of them would outweigh the lines of the text."""


def usual_pitches(rows: Sequence[Row]) -> dict[int, float]:
    """The usual distance from one line to the next, by font size (rounded).

    >>> from ragctx.pdf.row import unplaced
    >>> usual_pitches(unplaced("a\\nb\\nc\\n\\nd"))
    {2: 1}
    """
    steps: dict[int, list[float]] = {}
    for a, b in itertools.pairwise(rows):
        step = b.bottom - a.bottom
        if round(a.size) == round(b.size) and 0.2 * a.height < step < 4 * a.height:
            steps.setdefault(round(a.size), []).append(step)
    for row in rows:
        if row.in_table and row.height > TALL * row.size:
            steps.setdefault(round(row.size), []).extend(_steps_within(row))
    return {size: statistics.median_low(steps_of_size) for size, steps_of_size in steps.items()}


def _steps_within(row: Row) -> list[float]:
    """Steps from line to line in a row of several lines."""
    lines = max(2, round(row.height / (LINE * row.size)))
    return [row.height / lines] * min(lines - 1, MAX_STEPS)
