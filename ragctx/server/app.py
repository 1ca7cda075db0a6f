"""The addresses of the server, and what is behind each. Work is done in threads."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ragctx import __version__
from ragctx.errors import BudgetError, InputError, RagctxError
from ragctx.explanation.view import explanation_view
from ragctx.file_formats import unit_of
from ragctx.ingestion.progress import Progress
from ragctx.pdf.page_image import PageImage
from ragctx.records import Answer
from ragctx.server import openai_api, pages
from ragctx.server.bodies import Asked, Body, asked, body_of
from ragctx.server.conversation import question_in
from ragctx.server.events import Event, Tell, events_of
from ragctx.server.guard import COOKIE, Guard, Guarded, TooLargeError, error_response
from ragctx.server.metrics import Metrics
from ragctx.server.openapi import openapi
from ragctx.server.service import Service
from ragctx.server.uploads import file_name_of, folder_for, received
from ragctx.text.wording import counted
from ragctx.views import answer_view, ingest_row_view, prompt_view, search_view

MAX_AT_ONCE = 64
"""Requests that are worked on or wait for the model; one more is told to come again (503)."""
_STATIC = {
    "/": ("index.html", "text/html"),
    "/app.css": ("app.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/docs": ("docs.html", "text/html"),
    "/docs.js": ("docs.js", "text/javascript"),
}
T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


class BusyError(Exception):
    """More requests than `MAX_AT_ONCE`."""


@dataclass(slots=True, kw_only=True)
class Server:
    """The handlers, over one service."""

    service: Service
    guard: Guard
    max_at_once: int = MAX_AT_ONCE
    metrics: Metrics = field(default_factory=Metrics)
    began: float = field(default_factory=time.time)
    at_once: int = 0

    # ---- asking ----------------------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        """Answer a question: whole, or as events if the client accepts them."""
        asking = await self._asked(request)
        if "text/event-stream" not in request.headers.get("accept", ""):
            return JSONResponse(answer_view(await self._in_thread(self._answer, asking)))

        def work(tell: Tell) -> None:
            answer = self._answer(asking, lambda text: tell("text", {"text": text}))
            tell("answer", answer_view(answer))

        return self._stream(work, Event.as_sse)

    async def search(self, request: Request) -> Response:
        """The passages that match a question best."""
        asking = await self._asked(request)
        hits = await self._in_thread(self.service.search, asking)
        return JSONResponse(search_view(asking.question, hits))

    async def prompt(self, request: Request) -> Response:
        """The prompt for a question, with certificate and ledger."""
        asking = await self._asked(request)
        return JSONResponse(prompt_view(await self._in_thread(self.service.prompt, asking)))

    async def explain(self, request: Request) -> Response:
        """Why each passage is in the prompt or not."""
        asking = await self._asked(request)
        return JSONResponse(explanation_view(await self._in_thread(self.service.explain, asking)))

    def _answer(self, asking: Asked, on_text: Callable[[str], None] | None = None) -> Answer:
        answer = self.service.ask(asking, on_text)
        self.metrics.add_answer(answer)
        return answer

    async def _asked(self, request: Request) -> Asked:
        body = body_of(await request.body())
        return asked(body, self.service.retrieval, self.service.assembly)

    # ---- documents -------------------------------------------------------------------------

    async def documents(self, request: Request) -> Response:
        """What is in the index."""
        sources = await self._in_thread(self.service.sources)
        names = ("path", "document_id", "pages", "unit", "chunks", "status", "title", "stored")
        rows = [{name: getattr(source, name) for name in names} for source in sources]
        return JSONResponse({"documents": rows})

    async def upload(self, request: Request) -> Response:
        """Take in a document, and tell its row of the ingest ledger."""
        name = file_name_of(request.path_params["name"])
        folder = folder_for(self.service.index.path)
        path = await received(request.stream(), folder, name)
        if "text/event-stream" not in request.headers.get("accept", ""):
            row = await self._in_thread(self.service.add, path)
            return JSONResponse(ingest_row_view(row), 200 if row.outcome != "failed" else 422)

        def work(tell: Tell) -> None:
            def on_page(path: str, done: int, pages: int) -> None:
                tell("page", {"done": done, "pages": pages})

            def on_embedded(done: int, chunks: int) -> None:
                tell("embedded", {"done": done, "chunks": chunks})

            progress = Progress(on_page=on_page, on_embedded=on_embedded)
            tell("row", ingest_row_view(self.service.add(path, progress)))

        return self._stream(work, Event.as_sse)

    async def remove(self, request: Request) -> Response:
        """Take a document out of the index; its file goes only if it was uploaded."""
        document_id = request.path_params["id"]
        uploads = folder_for(self.service.index.path).resolve()

        def work() -> int:
            paths = [s.path for s in self.service.sources() if s.document_id == document_id]
            if not paths:
                raise LookupError(f"there is no document {document_id!r}; see /documents")
            removed = self.service.remove(document_id)
            for path in map(Path, paths):
                if path.parent.resolve() == uploads:
                    path.unlink(missing_ok=True)
            return removed

        return JSONResponse({"removed": await self._in_thread(work)})

    async def page_png(self, request: Request) -> Response:
        """A page as it looks, with a quote marked."""
        image = await self._in_thread(self._picture, request)
        return Response(image.png, media_type="image/png")

    async def page_boxes(self, request: Request) -> Response:
        """Where a quote is on the picture of a page."""
        return JSONResponse(pages.boxes_view(await self._in_thread(self._picture, request)))

    async def page_text(self, request: Request) -> Response:
        """A page or section as it was read."""
        number = pages.page_number(request.path_params["page"])
        document = await self._in_thread(self.service.document, request.path_params["id"])
        if number > len(document.pages):
            count = counted(len(document.pages), unit_of(document.path))
            raise LookupError(f"{document.id} has {count}, not {number}")
        return PlainTextResponse(document.pages[number - 1].text)

    def _picture(self, request: Request) -> PageImage:
        number = pages.page_number(request.path_params["page"])
        address = pages.PageAddress.of(self.service.path_of(request.path_params["id"]), number)
        quote = request.query_params.get("quote") or None
        return pages.picture(address, quote, pages.scale_of(request.query_params.get("scale")))

    # ---- OpenAI's protocol -----------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        """Answer the question that a conversation ends with."""
        body = body_of(await request.body())
        asking = self._asked_in_chat(body)
        sources = await self._in_thread(self.service.sources)
        completion = openai_api.Completion(
            base_url=str(request.base_url),
            pages={source.path: source.document_id for source in sources},
        )
        if not body.get("stream"):
            return JSONResponse(completion.whole(await self._in_thread(self._answer, asking)))
        options = body.get("stream_options")
        with_usage = isinstance(options, Mapping) and options.get("include_usage") is True

        def work(tell: Tell) -> None:
            written: list[str] = []

            def on_text(text: str) -> None:
                written.append(text)
                tell("chunk", completion.piece(text))

            tell("chunk", completion.first())
            answer = self._answer(asking, on_text)
            for chunk in completion.last(answer, "".join(written), with_usage=with_usage):
                tell("chunk", chunk)

        return self._stream(work, _as_data, end="data: [DONE]\n\n")

    def _asked_in_chat(self, body: Body) -> Asked:
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise InputError('there are no "messages"; send [{"role": "user", "content": "…"}]')
        settings: dict[str, object] = {"question": question_in(messages)}
        for name in ("max_completion_tokens", "max_tokens"):
            if body.get(name) is not None:
                settings["max_new_tokens"] = body[name]
        return asked(settings, self.service.retrieval, self.service.assembly)

    async def models(self, request: Request) -> Response:
        """The one model there is."""
        return JSONResponse(openai_api.models_view(int(self.began)))

    async def embeddings(self, request: Request) -> Response:
        """Vectors of texts, by the index's embedder."""
        body, embedder = body_of(await request.body()), self.service.embedder
        view = await self._in_thread(openai_api.embeddings_view, body, embedder)
        return JSONResponse(view)

    # ---- the server itself -----------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Whether the server is there."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def numbers(self, request: Request) -> Response:
        """What was done, for Prometheus."""
        now = {"ragctx_at_once": float(self.at_once), "ragctx_up_seconds": time.time() - self.began}
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
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
            return response
        content = (files("ragctx.server") / "static" / name).read_bytes()
        return Response(content, media_type=f"{kind}; charset=utf-8")

    # ---- how work is done ------------------------------------------------------------------

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place among those that are worked on. Raises BusyError if there is none."""
        if self.at_once >= self.max_at_once:
            self.metrics.add("ragctx_busy_total")
            raise BusyError
        self.at_once += 1
        try:
            yield
        finally:
            self.at_once -= 1

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        with self._place():
            return await anyio.to_thread.run_sync(functools.partial(work, *arguments))

    def _stream(
        self, work: Callable[[Tell], None], shown: Callable[[Event], str], end: str = ""
    ) -> Response:
        if self.at_once >= self.max_at_once:
            self.metrics.add("ragctx_busy_total")
            raise BusyError

        async def sent() -> AsyncIterator[str]:
            with self._place():
                async for event in events_of(work):
                    yield shown(event)
                yield end

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(sent(), media_type="text/event-stream", headers=headers)


def _as_data(event: Event) -> str:
    data = {"error": event.data} if event.name == "error" else event.data
    return f"data: {json.dumps(data)}\n\n"


def create_app(
    service: Service, guard: Guard | None = None, *, max_at_once: int = MAX_AT_ONCE
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        service: what is asked.
        guard: who may ask; by default anybody on this computer.
        max_at_once: requests that are worked on or wait at most.

    >>> app = create_app(Service(index=index, embedder=embedder, generator=reader))
    ... # doctest: +SKIP
    """
    server = Server(service=service, guard=guard or Guard(), max_at_once=max_at_once)
    routes = [
        Route(path, _counted(server, path, handler), methods=[method])
        for method, path, handler in (
            ("POST", "/ask", server.ask),
            ("POST", "/search", server.search),
            ("POST", "/prompt", server.prompt),
            ("POST", "/explain", server.explain),
            ("GET", "/documents", server.documents),
            ("PUT", "/documents/{name}", server.upload),
            ("DELETE", "/documents/{id}", server.remove),
            ("GET", "/documents/{id}/pages/{page}.png", server.page_png),
            ("GET", "/documents/{id}/pages/{page}/text", server.page_text),
            ("GET", "/documents/{id}/pages/{page}/boxes", server.page_boxes),
            ("POST", "/v1/chat/completions", server.chat),
            ("GET", "/v1/models", server.models),
            ("POST", "/v1/embeddings", server.embeddings),
            ("GET", "/healthz", server.health),
            ("GET", "/metrics", server.numbers),
            ("GET", "/openapi.json", server.api),
            *(("GET", path, server.static) for path in _STATIC),
        )
    ]
    handlers = {HTTPException: _not_there}
    return Guarded(Starlette(routes=routes, exception_handlers=handlers), server.guard)


def _counted(server: Server, path: str, handler: Handler) -> Handler:
    """The handler, with its errors as answers, counted."""

    @functools.wraps(handler)
    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        response = await _answered(handler, request)
        server.metrics.add("ragctx_requests_total", route=path, status=str(response.status_code))
        server.metrics.add("ragctx_request_seconds_total", time.perf_counter() - began, route=path)
        return response

    return handle


async def _answered(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except BusyError:
        return error_response(503, "others wait already; try again in a second", "busy")
    except TooLargeError as error:
        return error_response(413, str(error))
    except ClientDisconnect:  # nobody reads what is said
        return error_response(400, "the request ended before all of it was sent")
    except OSError as error:
        return error_response(500, f"cannot write or read: {error.strerror or error}")
    except LookupError as error:
        return error_response(404, str(error.args[0]))
    except (InputError, BudgetError) as error:
        return error_response(400, str(error))
    except RagctxError as error:
        return error_response(500, str(error), type(error).__name__)


async def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = f"{request.method} {request.url.path} is not here; see /docs"
    return error_response(status, reason)
