"""Work for a client that may hang up: answers sent as they are written, or whole.

The work is done in a thread, which tells the client's `Line` what there is to send. When the client
is gone, the line is cut, and the work ends at its next word.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import anyio

from ragctx.errors import RagctxError

Message: TypeAlias = MutableMapping[str, Any]
MAX_UNSENT = 1000
"""Events that wait for a client that does not read; it is given up then."""
PING_S = 15.0
"""Seconds without an event after which something is sent, so that nothing between gives up."""
PING = ": still here\n\n"
T = TypeVar("T")


class HungUpError(Exception):
    """The client is gone: the work for it ends."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing told."""

    name: str
    data: object

    def as_sse(self) -> str:
        """The event as it goes over the wire.

        >>> Event("text", {"text": "two weeks"}).as_sse()
        'event: text\\ndata: {"text": "two weeks"}\\n\\n'
        """
        return f"event: {self.name}\ndata: {json.dumps(self.data)}\n\n"

    def as_data(self) -> str:
        """The event without its name, as OpenAI's clients read it."""
        data = {"error": self.data} if self.name == "error" else self.data
        return f"data: {json.dumps(data)}\n\n"


class Line:
    """To one client: any thread tells, the event loop's own sends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._is_cut = False

    def check(self) -> None:
        """Raise HungUpError if nobody listens any more."""
        if self._is_cut or self._queue.qsize() > MAX_UNSENT:
            raise HungUpError

    def tell(self, name: str, data: object) -> None:
        """Send an event; its data becomes JSON. Raises HungUpError if nobody listens any more."""
        self.check()
        self._put(Event(name, data))

    def mention(self, name: str, data: object) -> None:
        """Send an event of work that goes on whether somebody listens or not."""
        if not self._is_cut:
            self._put(Event(name, data))

    def cut(self) -> None:
        """The client is gone."""
        self._is_cut = True

    def end(self) -> None:
        """There is no more to tell."""
        self._put(None)

    async def events(self) -> AsyncIterator[Event | None]:
        """What was told, until the end; None where nothing was for `PING_S` seconds."""
        while True:
            try:
                event = await asyncio.wait_for(self._queue.get(), PING_S)
            except asyncio.TimeoutError:
                yield None
                continue
            if event is None:
                return
            yield event

    def _put(self, event: Event | None) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, event)


Work: TypeAlias = Callable[[Line], Awaitable[T]]
"""What is done for a client. It waits on the event loop for its turn, and works in a thread."""


async def unless_gone(work: Work[T], receive: Callable[[], Awaitable[Message]]) -> T:
    """What `work` gives, or raises. Raises HungUpError if the client hangs up before that.

    `receive` is the client's, whose request was read to its end.
    """
    line, done, failed = Line(), list[T](), list[Exception]()
    async with anyio.create_task_group() as group:
        group.start_soon(_listen, receive, line, group.cancel_scope)
        try:
            done.append(await work(line))
        except Exception as error:  # as it is, and not in a group of errors
            failed.append(error)
        group.cancel_scope.cancel()
    if failed:
        raise failed[0]
    if not done:
        raise HungUpError
    return done[0]


class EventStream:
    """A response that sends what `work` tells, as it tells it. An error becomes an event "error".

    `shown` is how an event goes over the wire, `end` what is sent when all was told.
    """

    def __init__(
        self, work: Work[None], shown: Callable[[Event], str] = Event.as_sse, end: str = ""
    ) -> None:
        self._work, self._shown, self._end = work, shown, end

    async def __call__(
        self,
        scope: object,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx passes each event on at once
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        line = Line()
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, receive, line, group.cancel_scope)
            group.start_soon(self._run, line)
            async for event in line.events():
                text = PING if event is None else self._shown(event)
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": self._end.encode()})

    async def _run(self, line: Line) -> None:
        try:
            await self._work(line)
        except HungUpError:
            pass
        except RagctxError as error:
            line.mention("error", {"message": str(error)})
        except OSError as error:
            line.mention("error", {"message": os_words(error)})
        finally:
            line.end()


def os_words(error: OSError) -> str:
    """What the system said, without the path that it said it of."""
    return f"cannot write or read: {error.strerror or error}"


async def _listen(
    receive: Callable[[], Awaitable[Message]], line: Line, scope: anyio.CancelScope
) -> None:
    """Wait until the client hangs up; then cut its line, and what waits for its turn."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:  # also when the server is ended, or all was told
        line.cut()
    scope.cancel()
