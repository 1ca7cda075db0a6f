"""Explanation: why a prompt has the passages it has, in words, as a bar and as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.explanation.fates import Explanation as Explanation
    from ragctx.explanation.fates import Fate as Fate
    from ragctx.explanation.fates import explain as explain
    from ragctx.explanation.page import explanation_page as explanation_page
    from ragctx.explanation.view import explanation_view as explanation_view
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Explanation": "ragctx.explanation.fates",
            "Fate": "ragctx.explanation.fates",
            "explain": "ragctx.explanation.fates",
            "explanation_page": "ragctx.explanation.page",
            "explanation_view": "ragctx.explanation.view",
        },
    )
