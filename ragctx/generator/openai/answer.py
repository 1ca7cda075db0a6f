"""A served model's answer, put together from the events of its stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ragctx.generator.openai.events import Event, Joined, Usage
from ragctx.generator.thought import ThoughtSplitter, calls_tool

_CUT = ("length", "max_tokens", "MAX_TOKENS", "model_length")
_TOOLS = ("tool_calls", "function_call", "tool_use")


@dataclass(slots=True)
class ServedAnswer:
    """Collects events; what is answer goes to `on_text` as it comes.

    `opener` is the mark with which the chat template opens the thought. It does so in vain where
    the server itself tells thought and answer apart.
    """

    opener: str
    on_text: Callable[[str], None] | None
    finish: str | None = None  # in the server's words; None while it has not ended
    usage: Usage = field(default_factory=Usage)
    refused: bool = False
    _called: bool = False
    _thoughts: list[str] = field(default_factory=list)  # that came as such
    _written: ThoughtSplitter | None = None
    _joined: Joined = field(default_factory=Joined)
    _joined_thought: Joined = field(default_factory=Joined)
    _began: float = field(default_factory=time.perf_counter)
    _first: float | None = None  # when the first text came
    _ended: float = 0.0

    def take(self, event: Event) -> None:
        """Take the next event."""
        self.usage = event.usage or self.usage
        self._called = self._called or event.calls_tool
        self.refused = self.refused or bool(event.refusal)
        if self._first is None and (event.text or event.thought or event.refusal):
            self._first = time.perf_counter()
        if event.thought:
            self._thoughts.append(self._joined_thought.take(event.thought))
        if text := self._joined.take(event.text + event.refusal):
            self._splitter.push(text)
        self.finish = event.finish or self.finish

    def done(self) -> None:
        """The server says that it has sent all; not every server also gives a reason."""
        if self.finish is None and self._first is not None:
            self.finish = "stop"

    def cut(self) -> None:
        """Take no more, though the server would send more."""
        self.finish = _CUT[0]

    def end(self) -> None:
        """There are no more events."""
        if rest := self._joined.rest():
            self._splitter.push(rest)
        self._splitter.finish(ended=not self.is_cut)
        self._ended = time.perf_counter()

    @property
    def _splitter(self) -> ThoughtSplitter:
        if self._written is None:
            opener = "" if self._thoughts else self.opener
            self._written = ThoughtSplitter(opener, self.on_text)
        return self._written

    @property
    def text(self) -> str:
        """The answer."""
        return self._splitter.answer

    @property
    def thought(self) -> str:
        """The thought, as the server tells it, or else as it stands in the text."""
        return "".join(self._thoughts).strip() or self._splitter.thought

    @property
    def is_cut(self) -> bool:
        """Whether the limit of tokens ended it."""
        return self.finish in _CUT

    @property
    def calls_tool(self) -> bool:
        """Whether a tool is called in place of an answer."""
        is_called = self.finish in _TOOLS or (self._called and not self.text.strip())
        return is_called or calls_tool(self.text)

    @property
    def prefill_s(self) -> float:
        """Seconds to the first text, waiting for the server included."""
        return (self._ended if self._first is None else self._first) - self._began

    @property
    def decode_s(self) -> float:
        """Seconds from the first text to the last."""
        return 0.0 if self._first is None else self._ended - self._first
