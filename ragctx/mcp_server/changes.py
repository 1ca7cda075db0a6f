"""Tells clients that the list of documents has changed, whoever changed it.

The index is looked at again and again, since another process may write to it. Clients of the
protocol before 2026-07-28 are told as they are; later ones open a stream for what they want to know
(`subscriptions/listen`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourcesListChanged

EVERY_S = 2.0
"""Seconds between two looks, or more: looking takes no more than a `_SHARE`th of a thread."""
_SHARE = 50
_CLIENTS = 256  # that are told; of more, those that came last

Context = ServerRequestContext[dict[str, object]]


class Changes:
    """Looks at the documents, by `look`, and tells clients when it sees others than before."""

    def __init__(self, look: Callable[[], Hashable], every_s: float = EVERY_S) -> None:
        self._look, self._every_s = look, every_s
        self._bus = InMemorySubscriptionBus()
        self._clients: deque[ServerSession] = deque(maxlen=_CLIENTS)
        self.listen = ListenHandler(self._bus)

    async def remember(self, context: Context, params: types.NotificationParams | None) -> None:
        """A client of the older protocol is there."""
        self._clients.append(context.session)

    @asynccontextmanager
    async def watching(self, server: object) -> AsyncIterator[dict[str, object]]:
        """A server's life: looks while it lasts."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            try:
                yield {}
            finally:
                self.listen.close()
                group.cancel_scope.cancel()

    async def _watch(self) -> None:
        known: Hashable = None
        while True:
            began = time.monotonic()
            try:
                seen = await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True)
            except Exception:  # whatever keeps them from being read is told to those who call
                seen = known
            if known is not None and seen != known:
                await self._tell()
            known = seen
            await anyio.sleep(max(self._every_s, _SHARE * (time.monotonic() - began)))

    async def _tell(self) -> None:
        await self._bus.publish(ResourcesListChanged())
        for client in list(self._clients):
            try:
                await client.send_resource_list_changed()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._clients.remove(client)  # it has left
