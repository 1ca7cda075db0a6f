"""Requests in the protocol of OpenAI, as their clients send them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ragctx.errors import InputError
from ragctx.follow_ups import Turn
from ragctx.server.asking import Asking
from ragctx.server.bodies import (
    MAX_EARLIER,
    MAX_QUESTION_CHARACTERS,
    Asked,
    Body,
    asked,
    body_of,
)
from ragctx.server.conversation import question_in
from ragctx.server.errands import errand_in
from ragctx.server.events import Event, EventStream, Line
from ragctx.server.openai_api import (
    END,
    MODEL,
    Completion,
    embeddings_view,
    model_view,
    models_view,
)
from ragctx.server.queueing import in_thread
from ragctx.text.well_formed import well_formed
from ragctx.views import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The handlers under /v1."""

    asking: Asking
    began_s: int  # when the server was started, in seconds since 1970

    async def completions(self, request: Request) -> Response | EventStream:
        """Answer the question that a conversation ends with."""
        body = body_of(await request.body())
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise InputError('there are no "messages"; send [{"role": "user", "content": "…"}]')
        question, earlier = question_in(messages)
        sources = await in_thread(self.asking.service.sources)
        completion = Completion(
            base_url=str(request.base_url),
            pages={source.path: source.document_id for source in sources},
        )
        errand = errand_in(question)
        if not body.get("stream"):
            if errand is not None:
                return JSONResponse(completion.errand(errand))
            asking = self._asked(body, question, earlier)
            return JSONResponse(completion.whole(await self.asking.whole_answer(asking, request)))
        options = body.get("stream_options")
        with_usage = isinstance(options, Mapping) and options.get("include_usage") is True
        if errand is not None:
            return _stream_of(completion.errand_pieces(errand, with_usage=with_usage))
        return self._streamed(completion, self._asked(body, question, earlier), with_usage)

    def _streamed(self, completion: Completion, asking: Asked, with_usage: bool) -> EventStream:
        async def work(line: Line) -> None:
            written: list[str] = []

            def on_text(text: str) -> None:
                written.append(text)
                line.tell("chunk", completion.piece(text))

            line.tell("chunk", completion.first())
            answer = await self.asking.answer(asking, line, on_text)
            for chunk in completion.last(answer, "".join(written), with_usage=with_usage):
                line.tell("chunk", chunk)

        return self.asking.stream(work, Event.as_data, end=END)

    def _asked(self, body: Body, question: str, earlier: Sequence[Turn]) -> Asked:
        """The question with the settings that the protocol has; the others do nothing here."""
        service = self.asking.service
        settings: dict[str, object] = {"question": question}
        for name in ("max_completion_tokens", "max_tokens"):
            most = body.get(name)
            if most is not None:  # a bound, not a reserve: it may be all that a model has
                settings["max_new_tokens"] = (
                    min(most, service.generator.context_window // 2)
                    if isinstance(most, int)
                    else most
                )
        plain = asked(settings, service.retrieval, service.assembly)
        return replace(plain, earlier=tuple(map(_bounded, earlier[-MAX_EARLIER:])))

    async def models(self, request: Request) -> Response:
        """The one model there is."""
        return JSONResponse(models_view(self.began_s))

    async def model(self, request: Request) -> Response:
        """That model, by its name. Raises LookupError for any other."""
        if request.path_params["model"] != MODEL:
            raise LookupError(f"there is one model, {MODEL!r}")
        return JSONResponse(model_view(self.began_s))

    async def embeddings(self, request: Request) -> Response:
        """Vectors of texts, by the index's embedder."""
        body = body_of(await request.body())
        with self.asking.queue.place():
            embedder = self.asking.service.embedder
            return JSONResponse(await in_thread(embeddings_view, body, embedder))


def _bounded(turn: Turn) -> Turn:
    """A turn that is no longer than a question may be, as text that can be encoded."""
    most = MAX_QUESTION_CHARACTERS
    question, answer = (" ".join(well_formed(text[:most]).split()) for text in turn)
    return Turn(question, answer)


def _stream_of(chunks: Iterable[View]) -> EventStream:
    async def work(line: Line) -> None:
        for chunk in chunks:
            line.tell("chunk", chunk)

    return EventStream(work, Event.as_data, END)
