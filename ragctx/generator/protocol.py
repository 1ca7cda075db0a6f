"""What every generator is to the rest of the house: token ids in, token ids and text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ragctx.records import Generation, Prompt
from ragctx.tokens.tokenizer import Tokenizer


@runtime_checkable
class Generator(Protocol):
    """A model that answers a prompt: the bundled reader, or a local Hugging Face model."""

    @property
    def name(self) -> str:
        """What the model is called in answers and reports."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids `generate` reads: budgets are counted with this one."""

    @property
    def context_window(self) -> int:
        """Tokens the model can hold at once, prompt and answer together."""

    @property
    def template(self) -> str:
        """Name of the prompt template this model is used with unless another is asked for."""

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer `prompt` with at most `prompt.max_new_tokens` tokens.

        `on_text` gets the answer piece by piece as it comes; the pieces, joined, are exactly
        `Generation.text`.
        """
