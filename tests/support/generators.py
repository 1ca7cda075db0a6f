"""Stand-ins for models: they say what they are told to, and keep the prompts they were given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ragctx.records import CopiedGuess, CopiedSpan, Generation, Prompt
from tests.support.fakes import WordTokenizer


class ScriptedGenerator:
    """Says `answer`, word by word; abstains when that is empty."""

    name = "scripted"
    template = "qa"
    caches_prompts = False
    decoding = "greedy"

    def __init__(self, answer: str = "", *, context_window: int = 4096) -> None:
        self.answer = answer
        self.context_window = context_window
        self.tokenizer = WordTokenizer()
        self.prompts: list[Prompt] = []
        self.only_language = ""

    def identity(self) -> tuple[str, ...]:
        return self.name, "greedy", self.answer

    def forget(self) -> None:
        """It caches nothing."""

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.prompts.append(prompt)
        if not self.answer:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=0.1,
                decode_s=0.0,
                reused_tokens=0,
                confidence=0.125,
            )
        if on_text:
            for piece in re.findall(r"\s*\S+", self.answer):
                on_text(piece)
        ids = tuple(self.tokenizer.encode(self.answer))
        return Generation(
            text=self.answer,
            token_ids=ids,
            finish_reason="stop",
            prefill_s=0.1,
            decode_s=0.2,
            reused_tokens=7,
            confidence=None,
        )


class CopyingGenerator(ScriptedGenerator):
    """Copies `answer` from the first passage that holds it, as the bundled reader does."""

    name = "copying"
    template = "plain"

    def __init__(
        self,
        answer: str = "",
        *,
        context_window: int = 4096,
        confidence: float = 0.75,
        others: Sequence[str] = (),
    ) -> None:
        super().__init__(answer, context_window=context_window)
        self.confidence = confidence
        self.others = others  # alternatives, each copied from the first passage that holds it

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.prompts.append(prompt)
        for number, passage in enumerate(prompt.passages):
            start = passage.own_text.find(self.answer)
            if self.answer and start >= 0:
                if on_text:
                    on_text(self.answer)
                span = CopiedSpan(number, start, start + len(self.answer))
                return Generation(
                    text=self.answer,
                    token_ids=(1, 2),
                    finish_reason="stop",
                    prefill_s=0.1,
                    decode_s=0.0,
                    reused_tokens=0,
                    confidence=self.confidence,
                    spans=(span,),
                    alternatives=tuple(self._guess(prompt, other) for other in self.others),
                )
        return Generation(
            text="",
            token_ids=(),
            finish_reason="abstain",
            prefill_s=0.1,
            decode_s=0.0,
            reused_tokens=0,
            confidence=0.125,
        )

    def _guess(self, prompt: Prompt, text: str) -> CopiedGuess:
        """`text` where it stands first."""
        for number, passage in enumerate(prompt.passages):
            start = passage.own_text.find(text)
            if start >= 0:
                return CopiedGuess(text, CopiedSpan(number, start, start + len(text)))
        raise AssertionError(f"no passage holds {text!r}")
