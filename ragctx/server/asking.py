"""Requests that ask: for an answer, whole or as it is written, for passages, for a prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ragctx.explanation.view import explanation_view
from ragctx.records import Answer
from ragctx.server.bodies import Asked, asked, body_of
from ragctx.server.events import Event, EventStream, Line, unless_gone
from ragctx.server.metrics import Metrics
from ragctx.server.queueing import BUSY, BusyError, Queue, in_thread
from ragctx.server.service import Service
from ragctx.views import answer_view, prompt_view, search_view


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The handlers of what is asked."""

    service: Service
    queue: Queue
    metrics: Metrics

    async def ask(self, request: Request) -> Response | EventStream:
        """Answer a question: whole, or as events if the client accepts them."""
        asking = await self._asked(request)
        if not takes_events(request):
            return JSONResponse(answer_view(await self.whole_answer(asking, request)))

        async def work(line: Line) -> None:
            answer = await self.answer(asking, line, lambda text: line.tell("text", {"text": text}))
            line.tell("answer", answer_view(answer))

        return self.stream(work)

    async def search(self, request: Request) -> Response:
        """The passages that match a question best."""
        asking = await self._asked(request)
        with self.queue.place():
            hits = await in_thread(self.service.search, asking)
        return JSONResponse(search_view(asking.by_itself, hits))

    async def prompt(self, request: Request) -> Response:
        """The prompt for a question, with certificate and ledger."""
        asking = await self._asked(request)
        with self.queue.place():
            return JSONResponse(prompt_view(await in_thread(self.service.prompt, asking)))

    async def explain(self, request: Request) -> Response:
        """Why each passage is in the prompt or not."""
        asking = await self._asked(request)
        with self.queue.place():
            return JSONResponse(explanation_view(await in_thread(self.service.explain, asking)))

    async def _asked(self, request: Request) -> Asked:
        body = body_of(await request.body())
        return asked(body, self.service.retrieval, self.service.assembly)

    async def whole_answer(self, asking: Asked, request: Request) -> Answer:
        """The answer, unless the client hangs up. Raises BusyError, HungUpError."""
        with self.queue.place():
            return await unless_gone(
                lambda line: self.answer(asking, line, lambda text: line.check()), request.receive
            )

    async def answer(self, asking: Asked, line: Line, on_text: Callable[[str], None]) -> Answer:
        """The answer, when it is its turn. Raises HungUpError if the client is gone."""
        async with self.queue.models:
            line.check()
            answer = await in_thread(self.service.ask, asking, on_text)
        self.metrics.add_answer(answer)
        return answer

    def stream(
        self,
        work: Callable[[Line], Awaitable[None]],
        shown: Callable[[Event], str] = Event.as_sse,
        end: str = "",
    ) -> EventStream:
        """A response that sends what the work tells, in a place of its own."""
        self.queue.require_place()

        async def in_a_place(line: Line) -> None:
            try:
                with self.queue.place():
                    await work(line)
            except BusyError:  # somebody took it since
                line.tell("error", {"message": BUSY})

        return EventStream(in_a_place, shown, end)


def takes_events(request: Request) -> bool:
    """Whether a client wants to be told as things happen."""
    return "text/event-stream" in request.headers.get("accept", "")
