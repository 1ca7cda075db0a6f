"""How the tokens of a prompt add up, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SegmentKind = Literal["instruction", "passage", "question", "answer"]


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """What one segment of a prompt costs."""

    kind: SegmentKind
    label: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How a prompt's tokens add up: `prompt_tokens + max_new_tokens + slack_tokens` is the window.

    All are tokens of the generator's own tokenizer. `prompt_tokens` is the count of the ids that go
    to the model, the sum over `segments`. `text_tokens` is that of the joined text, where an API
    tokenises it again; None where ids are what is sent.

    `cached_tokens` are those at the prompt's beginning that the generator held when the passages
    were placed for that (`prefer_cached`), `order_saved_tokens` how many more than in the
    placement's own order; None and 0 where they were not.
    """

    context_window: int
    max_new_tokens: int
    budget_tokens: int
    prompt_tokens: int
    segments: tuple[SegmentCount, ...]
    text_tokens: int | None = None
    cached_tokens: int | None = None
    order_saved_tokens: int = 0

    @property
    def slack_tokens(self) -> int:
        """Tokens of the window that neither the prompt nor the answer needs; never below 0."""
        used = max(self.prompt_tokens, self.text_tokens or 0)
        return self.context_window - self.max_new_tokens - used

    def tokens_of(self, kind: SegmentKind) -> int:
        """Tokens of all segments of one kind."""
        return sum(segment.tokens for segment in self.segments if segment.kind == kind)
