"""What an ingest tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragctx.records import IngestRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Functions to call while ingesting; each does nothing unless replaced."""

    on_files: Callable[[int], None] = lambda count: None  # the number of files to do
    on_sizes: Callable[[Sequence[int]], None] = lambda sizes: None  # bytes of each of them
    on_file: Callable[[str], None] = lambda path: None  # work on this file begins
    on_page: Callable[[int, int], None] = lambda page, pages: None  # page read, pages in the file
    on_embedded: Callable[[int, int], None] = lambda done, chunks: None  # chunks embedded, in all
    on_row: Callable[[IngestRow], None] = lambda row: None  # a file is done
