"""Citations: labels and quotes of an answer, checked against the text of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.citations.abstention import is_abstention as is_abstention
    from ragctx.citations.resolve import cite as cite
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "cite": "ragctx.citations.resolve",
            "is_abstention": "ragctx.citations.abstention",
        },
    )
