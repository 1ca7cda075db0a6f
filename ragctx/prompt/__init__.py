"""The prompt: templates, frames and segments of token ids, counted exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.prompt.build import build_prompt as build_prompt
    from ragctx.prompt.build import check_text_count as check_text_count
    from ragctx.prompt.build import passage_costs as passage_costs
    from ragctx.prompt.frame import frame_tokens as frame_tokens
    from ragctx.prompt.frame import room_for_passages as room_for_passages
    from ragctx.prompt.template import Template as Template
    from ragctx.prompt.template import load_template as load_template
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Template": "ragctx.prompt.template",
            "build_prompt": "ragctx.prompt.build",
            "check_text_count": "ragctx.prompt.build",
            "frame_tokens": "ragctx.prompt.frame",
            "load_template": "ragctx.prompt.template",
            "passage_costs": "ragctx.prompt.build",
            "room_for_passages": "ragctx.prompt.frame",
        },
    )
