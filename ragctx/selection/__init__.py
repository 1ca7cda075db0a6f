"""Selection: which candidates go into the prompt under a budget, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.selection.relevance import relevances as relevances
    from ragctx.selection.selectors import SELECTORS as SELECTORS
    from ragctx.selection.selectors import Selector as Selector
    from ragctx.selection.selectors import fill as fill
    from ragctx.selection.selectors import knapsack as knapsack
    from ragctx.selection.selectors import prefix as prefix
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "SELECTORS": "ragctx.selection.selectors",
            "Selector": "ragctx.selection.selectors",
            "fill": "ragctx.selection.selectors",
            "knapsack": "ragctx.selection.selectors",
            "prefix": "ragctx.selection.selectors",
            "relevances": "ragctx.selection.relevance",
        },
    )
