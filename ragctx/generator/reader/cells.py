"""Where the cells of tables end, in a passage's text: an answer is of one cell."""

from __future__ import annotations

import re

LEADER = r"(?: ?\.){4,}"
"""Dots that lead from a label to its value, as a pattern."""

_APART = re.compile(rf"\t|{LEADER}")
"""What stands between cells."""


def cell_bounds(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The characters of the cell that holds those from `start` to `end`; None outside of tables.

    >>> row = "Net income\\t$ 24,160\\t$ 25,010"
    >>> row[slice(*cell_bounds(row, row.index("24"), row.index("24") + 6))]
    '$ 24,160'
    >>> cell_bounds("The net income was $ 24,160.", 21, 27) is None
    True
    """
    first = text.rfind("\n", 0, start) + 1
    last = (text.find("\n", end) + 1 or len(text) + 1) - 1
    apart = [gap.span() for gap in _APART.finditer(text, first, last)]
    if not apart or "\n" in text[start:end]:
        return None
    low = max((after for _, after in apart if after <= start), default=first)
    high = min((before for before, _ in apart if before >= end), default=last)
    return low, high


def parts_cells(text: str) -> bool:
    """Whether a token's text is nothing but what sets cells apart.

    >>> parts_cells("\\t"), parts_cells(" ....."), parts_cells(".")
    (True, True, False)
    """
    return text.isspace() or bool(_APART.fullmatch(text))
