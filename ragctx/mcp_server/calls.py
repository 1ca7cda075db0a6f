"""A call of a tool in a thread, which whoever made it may leave at any time.

What was begun for somebody who is gone ends at the next piece of the answer, and what was not begun
never begins; so the model is soon free for others. Its place among the calls that are worked on is
free when the thread is done with it, not before: leaving calls does not make room for more threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ragctx.mcp_server.tools import Result, Tool
from ragctx.server.bodies import Body
from ragctx.server.events import HungUpError


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call. `model` is held by one at a time; `free` gives back the place, once."""

    tool: Tool
    arguments: Body
    model: threading.Lock
    free: Callable[[], None]
    _is_left: threading.Event = field(default_factory=threading.Event)
    _is_begun: threading.Lock = field(default_factory=threading.Lock)  # held once it is

    def run(self) -> Result:
        """Do it. Raises what the tool does, and HungUpError once it was left."""
        if not self._is_begun.acquire(blocking=False):
            raise HungUpError
        try:
            if not self.tool.waits:
                return self.tool.run(self.arguments, self._on_text)
            with self.model:
                self._on_text("")
                return self.tool.run(self.arguments, self._on_text)
        finally:
            self.free()

    def leave(self) -> None:
        """Nobody waits for it any more; said also of one that is done."""
        self._is_left.set()
        if self._is_begun.acquire(blocking=False):
            self.free()

    def _on_text(self, piece: str) -> None:
        if self._is_left.is_set():
            raise HungUpError
