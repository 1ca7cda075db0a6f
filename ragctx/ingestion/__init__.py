"""From files on disk to an index: which files, how they are read and cut, and what is reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.ingestion.cached import open_cached as open_cached
    from ragctx.ingestion.finding import find_files as find_files
    from ragctx.ingestion.finding import find_pdfs as find_pdfs
    from ragctx.ingestion.progress import Progress as Progress
    from ragctx.ingestion.run import ingest as ingest
    from ragctx.ingestion.run import page_problems as page_problems
    from ragctx.ingestion.settings import CHUNK_TOKENS as CHUNK_TOKENS
    from ragctx.ingestion.settings import IngestSettings as IngestSettings
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "CHUNK_TOKENS": "ragctx.ingestion.settings",
            "IngestSettings": "ragctx.ingestion.settings",
            "Progress": "ragctx.ingestion.progress",
            "find_files": "ragctx.ingestion.finding",
            "find_pdfs": "ragctx.ingestion.finding",
            "ingest": "ragctx.ingestion.run",
            "open_cached": "ragctx.ingestion.cached",
            "page_problems": "ragctx.ingestion.run",
        },
    )
