"""The index: a folder with SQLite as the truth and segments beside it, or a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.index.filters import Filter as Filter
    from ragctx.index.index import Index as Index
    from ragctx.index.repair import repair_index as repair_index
    from ragctx.index.repair import verify_index as verify_index
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Filter": "ragctx.index.filters",
            "Index": "ragctx.index.index",
            "repair_index": "ragctx.index.repair",
            "verify_index": "ragctx.index.repair",
        },
    )
