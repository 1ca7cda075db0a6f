"""One process that keeps index and models warm: a page to ask on, and an API for programs.

- `service`: what can be asked, without any web
- `bodies`: what a request may say
- `guard`: who may ask, and how much at once
- `queueing`, `events`: whose turn it is, and answers as they are written
- `asking`: questions; `document_api`, `uploads`, `pages`: documents
- `chat`, `openai_api`, `conversation`, `errands`: the protocol that OpenAI's clients speak
- `metrics`, `counting`: what was done, in numbers
- `app`: all of it under its addresses

Needs the extra `ragctx[serve]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.server.app import create_app as create_app
    from ragctx.server.guard import Guard as Guard
    from ragctx.server.service import Service as Service
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Guard": "ragctx.server.guard",
            "Service": "ragctx.server.service",
            "create_app": "ragctx.server.app",
        },
    )
