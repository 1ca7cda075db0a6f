"""Tables of contents in text: they name what a document tells, and tell nothing themselves."""

from __future__ import annotations

import re

MIN_ENTRIES = 3
"""A table of contents has at least this many lines that end in a page's number."""
ENTRIES = 0.6
"""And they are at least this share of its lines: some titles run over two."""
_ENTRY = re.compile(r"(?:\t|[.·…]\s?)\s{0,9}(\d{1,4})\Z")
_TAIL = 40


def is_contents(text: str) -> bool:
    r"""Whether a text is mostly a table of contents: its lines end in numbers that never fall.

    >>> is_contents("1 Tin\t3\n2 Lead\t7\n3 Zinc . . . . . 12"), is_contents("Tin\t232\nLead\t327")
    (True, False)
    """
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    found = [int(entry[1]) for line in lines if (entry := _ENTRY.search(line[-_TAIL:]))]
    return len(found) >= max(MIN_ENTRIES, ENTRIES * len(lines)) and found == sorted(found)
