"""What an ingest tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragctx.records import IngestRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Functions to call while ingesting; each does nothing unless replaced.

    Files are read by several threads, which call `on_file` and `on_page`, one at a time.
    """

    on_files: Callable[[int], None] = lambda count: None  # the number of files to do
    on_sizes: Callable[[Sequence[int]], None] = lambda sizes: None  # bytes of each of them
    on_file: Callable[[str], None] = lambda path: None  # work on this file begins
    on_page: Callable[[str, int, int], None] = lambda path, done, pages: None
    """A page of a file was read: its path, how many were read by now, how many there are."""
    on_read: Callable[[str], None] = lambda path: None
    """A file was read, or need not or cannot be; in the order of the files."""
    on_embedded: Callable[[int, int], None] = lambda done, chunks: None
    """Chunks that have their vectors, and all chunks so far of the files to be embedded."""
    on_row: Callable[[IngestRow], None] = lambda row: None  # a file is done; in their order
