"""How many pages a file seems to hold, whatever its page tree says."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

_PAGE = re.compile(rb"/Type\s{0,9}/Page(?![A-Za-z])")


def written_pages(path: Path) -> int:
    """The page objects that stand in a file uncompressed; 0 if it cannot be looked at.

    A page tree may count fewer, and readers that believe it leave the others out without a word.
    It may count fewer rightly, too: a file that was changed holds its old pages as well.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return sum(1 for _ in _PAGE.finditer(data))
    except (OSError, ValueError):
        return 0
