"""The two ways to an MCP server: standard input and output, or streamable HTTP.

Over standard input and output one client has the server to itself, as its child; standard output
carries the protocol and nothing else. Over HTTP anybody who gets past the guard of `ragctx serve`
may call (`ragctx.server.guard`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ragctx.server.guard import MAX_BODY_BYTES, Guard, Guarded, TooLargeError, error_response

PATH = "/mcp"
"""Where the server is, over HTTP."""
MAX_SESSIONS = 256
"""Clients at once, over HTTP; one that is silent for half an hour is forgotten."""


def serve_stdio(server: Server[Any], began: Callable[[], None]) -> None:
    """Serve the one client at standard input and output, until it closes them.

    `began` is called first: by then, whatever else writes to standard output gets to standard
    error.
    """

    async def serving() -> None:
        async with stdio_server() as (reading, writing):
            began()
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(serving)


def create_mcp_app(
    server: Server[Any], guard: Guard | None = None, *, beside: ASGIApp | None = None
) -> ASGIApp:
    """The server at `PATH`, as an ASGI application.

    Args:
        server: of `create_server`; one application for each.
        guard: who may call; by default anybody on this computer.
        beside: another application (`ragctx.server.create_app`), which gets all other requests.
    """
    # The guard checks Host, Origin and the token, so the SDK does not.
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY_BYTES,
        max_sessions=MAX_SESSIONS,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    app.add_exception_handler(TooLargeError, _too_large)
    guarded = Guarded(app, guard or Guard())
    if beside is None:
        return guarded

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with app.router.lifespan_context(app):
                await beside(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == PATH:
            await guarded(scope, receive, send)
        else:
            await beside(scope, receive, send)

    return both


async def _too_large(request: Request, error: Exception) -> Response:
    return error_response(413, str(error))
