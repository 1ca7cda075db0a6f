"""What became of each file of an ingest run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ragctx.documents import PageStatus, PdfStatus

IngestOutcome = Literal[
    "added",
    "replaced",
    "completed",
    "unchanged",
    "moved",
    "duplicate",
    "removed",
    "vanished",
    "failed",
]
"""What an ingest run did with one file. `completed`: its text was in the index, and its vectors are
now, too; `moved`: its content was in the index under a path that is
gone; `vanished`: it is no longer on disk, and the index still holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRow:
    """One file's row in the ingest ledger."""

    path: str
    outcome: IngestOutcome
    status: PdfStatus
    document_id: str = ""
    pages: int = 0
    chunks: int = 0
    reader: str = ""
    seconds: float = 0.0
    message: str = ""  # one line: the fact and the remedy
    page_problems: tuple[tuple[int, PageStatus], ...] = ()
    warnings: tuple[str, ...] = ()
