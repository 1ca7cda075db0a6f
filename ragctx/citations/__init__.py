"""Citations: labels and quotes of an answer, checked against the text of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.citations.abstention import abstained as abstained
    from ragctx.citations.resolve import cite as cite
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "abstained": "ragctx.citations.abstention",
            "cite": "ragctx.citations.resolve",
        },
        moved={"is_abstention": "ragctx.citations.abstention:is_abstention"},
    )
