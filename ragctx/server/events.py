"""Answers as they are written: what a thread makes is sent piece by piece (server-sent events)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio.to_thread

from ragctx.errors import RagctxError

Data: TypeAlias = object
Tell: TypeAlias = Callable[[str, Data], None]
"""Told an event's name and its data, which becomes JSON."""
MAX_UNSENT = 1000
"""Events that wait for a client that does not read; it is given up then."""


class HungUpError(Exception):
    """The client is gone: the work for it ends."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing told."""

    name: str
    data: Data

    def as_sse(self) -> str:
        """The event as it goes over the wire.

        >>> Event("text", {"text": "two weeks"}).as_sse()
        'event: text\\ndata: {"text": "two weeks"}\\n\\n'
        """
        return f"event: {self.name}\ndata: {json.dumps(self.data)}\n\n"


async def events_of(work: Callable[[Tell], None]) -> AsyncIterator[Event]:
    """The events that `work` tells, while it runs in a thread of its own.

    It is ended at its next event when nobody takes them any more. An error of ragctx's own becomes
    an event "error".
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    is_gone = False

    def tell(name: str, data: Data) -> None:
        if is_gone or queue.qsize() > MAX_UNSENT:
            raise HungUpError
        loop.call_soon_threadsafe(queue.put_nowait, Event(name, data))

    def working() -> None:
        try:
            work(tell)
        except HungUpError:
            pass
        except RagctxError as error:
            failed = Event("error", {"message": str(error)})
            loop.call_soon_threadsafe(queue.put_nowait, failed)
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    task = asyncio.ensure_future(anyio.to_thread.run_sync(working))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        is_gone = True
