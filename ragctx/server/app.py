"""The addresses of the server, and what is behind each."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ragctx import __version__
from ragctx.errors import BudgetError, IndexLockedError, InputError, RagctxError
from ragctx.generator.cache_stats import TellsCache
from ragctx.server.asking import Asking
from ragctx.server.chat import Chat
from ragctx.server.counting import Counted
from ragctx.server.document_api import DocumentApi
from ragctx.server.events import EventStream, HungUpError, os_words
from ragctx.server.guard import COOKIE, Guard, Guarded, TooLargeError, error_response
from ragctx.server.metrics import Metrics
from ragctx.server.openapi import openapi
from ragctx.server.queueing import BUSY, BusyError, Queue
from ragctx.server.service import Service

MAX_AT_ONCE = 64
"""Requests that are worked on or wait for the model; one more is told to come again (503)."""
HUNG_UP = 499
"""Status of a request whose client was gone before it was answered, as nginx counts it."""
_STATIC = {
    "/": ("index.html", "text/html"),
    "/app.css": ("app.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/docs": ("docs.html", "text/html"),
    "/docs.js": ("docs.js", "text/javascript"),
}
Handler: TypeAlias = Callable[[Request], Awaitable[Response | EventStream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The handlers of what is about the server itself."""

    service: Service
    queue: Queue
    metrics: Metrics
    began_s: float

    async def health(self, request: Request) -> Response:
        """Whether the server is there."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def numbers(self, request: Request) -> Response:
        """What was done, for Prometheus."""
        now = {
            "ragctx_at_once": float(self.queue.at_once),
            "ragctx_up_seconds": time.time() - self.began_s,
        }
        generator = self.service.generator
        if isinstance(generator, TellsCache):
            memory, disk = generator.cache_stats()
            for place, stats in (("memory", memory), ("disk", disk)):
                if stats is not None:
                    now |= {
                        f"ragctx_{place}_cache_{name}": float(value)
                        for name, value in asdict(stats).items()
                    }
        return PlainTextResponse(self.metrics.text(now))

    async def api(self, request: Request) -> Response:
        """What the API is, for programs."""
        return JSONResponse(openapi(__version__))

    async def static(self, request: Request) -> Response:
        """The page and what belongs to it; a token in its address becomes a cookie."""
        name, kind = _STATIC[request.url.path]
        token = request.query_params.get("token", "")
        if token:  # so that it does not stay in the address
            response = Response(status_code=303, headers={"location": request.url.path})
            is_https = request.url.scheme == "https"
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=is_https)
            return response
        content = (files("ragctx.server") / "static" / name).read_bytes()
        return Response(content, media_type=f"{kind}; charset=utf-8")


def create_app(
    service: Service,
    guard: Guard | None = None,
    *,
    max_at_once: int = MAX_AT_ONCE,
    metrics: Metrics | None = None,
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        service: what is asked.
        guard: who may ask; by default anybody on this computer.
        max_at_once: requests that are worked on or wait at most.
        metrics: what `/metrics` tells, where others count too; by default its own.

    >>> app = create_app(Service(index=index, embedder=embedder, generator=reader))
    ... # doctest: +SKIP
    """
    queue, metrics, began_s = Queue(most=max_at_once), metrics or Metrics(), time.time()
    server = Server(service=service, queue=queue, metrics=metrics, began_s=began_s)
    asking = Asking(service=service, queue=queue, metrics=metrics)
    guard = guard or Guard()
    documents = DocumentApi(service=service, queue=queue, max_upload_bytes=guard.max_upload_bytes)
    chat = Chat(asking=asking, began_s=int(began_s))
    routes = [
        Route(path, _answering(handler, metrics), methods=[method])
        for method, path, handler in (
            ("POST", "/ask", asking.ask),
            ("POST", "/search", asking.search),
            ("POST", "/prompt", asking.prompt),
            ("POST", "/explain", asking.explain),
            ("GET", "/documents", documents.documents),
            ("PUT", "/documents/{document}", documents.upload),
            ("DELETE", "/documents/{document}", documents.remove),
            ("GET", "/documents/{document}/pages/{page}.png", documents.page_png),
            ("GET", "/documents/{document}/pages/{page}/text", documents.page_text),
            ("GET", "/documents/{document}/pages/{page}/boxes", documents.page_boxes),
            ("POST", "/v1/chat/completions", chat.completions),
            ("GET", "/v1/models", chat.models),
            ("GET", "/v1/models/{model}", chat.model),
            ("POST", "/v1/embeddings", chat.embeddings),
            ("GET", "/healthz", server.health),
            ("GET", "/metrics", server.numbers),
            ("GET", "/openapi.json", server.api),
            *(("GET", path, server.static) for path in _STATIC),
        )
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_there})
    return Counted(Guarded(app, guard), metrics)


def _answering(handler: Handler, metrics: Metrics) -> Handler:
    """The handler, with its errors as answers."""

    @functools.wraps(handler)
    async def handle(request: Request) -> Response | EventStream:
        try:
            return await handler(request)
        except BusyError:
            metrics.add("ragctx_busy_total")
            return error_response(503, BUSY, "busy")
        except tuple(_STATUS) as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            kind = type(error).__name__ if status == 500 else ""
            return error_response(status, _words(error), kind)

    return handle


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return os_words(error)
    if isinstance(error, LookupError):
        return str(error.args[0])
    return str(error) or "the client has hung up"


_STATUS: dict[type[Exception], int] = {
    TooLargeError: 413,
    HungUpError: HUNG_UP,
    ClientDisconnect: HUNG_UP,
    IndexLockedError: 503,
    InputError: 400,
    BudgetError: 400,
    RagctxError: 500,
    LookupError: 404,
    OSError: 500,
}
"""What errors are answered with: the first that fits."""


async def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = f"{request.method} {request.url.path} is not here; see /docs"
    return error_response(status, reason)
