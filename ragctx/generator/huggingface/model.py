"""Any local Hugging Face causal language model as a generator: ids in, ids out.

This module has a decode loop of its own. `transformers.generate` is not used, because with a filled
cache it is silently wrong in several cases (a cache that covers the whole prompt, another prefix of
the same length, prompt lookup) and leaves the cache dirty when a callback raises; the tests compare
with it. What is read and what is kept of it is in `reading`, what is loaded from where in `load`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from torch import Tensor

from ragctx.arguments import require_kind
from ragctx.attribution import Attribution
from ragctx.errors import BudgetError, InputError
from ragctx.generator.cache_stats import CacheStats, StoreStats
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface.apart import ApartReading
from ragctx.generator.huggingface.attribution import attribute
from ragctx.generator.huggingface.grounding import Grounding
from ragctx.generator.huggingface.reading import ReadingModel
from ragctx.generator.huggingface.runs import Run
from ragctx.generator.huggingface.sampling import choose_token, only, random_source
from ragctx.generator.huggingface.streaming import StopTexts, TextStream
from ragctx.generator.thought import ThoughtSplitter, calls_tool, opener_at_end
from ragctx.records import FinishReason, Generation, Prompt
from ragctx.tokens.tokenizer import Tokenizer, within_text


class HuggingFaceGenerator:
    """A loaded causal model that reuses what it has read before of a prompt's beginning.

    Make one with `ragctx.generator.huggingface.load`. Safe to call from several threads.
    """

    template = "qa"
    only_language = ""

    def __init__(
        self,
        reading: ReadingModel,
        tokenizer: Tokenizer,
        *,
        context_window: int,
        end_ids: frozenset[int],
        decoding: Decoding,
        grounded: bool = False,
        reuse_passages: bool = False,
        numbers: str = "",
    ) -> None:
        self.reading = reading
        self.name = reading.name
        self.tokenizer = tokenizer
        self.context_window = context_window
        self.end_ids = end_ids
        self.grounded = grounded
        self._decoding = decoding
        self._apart = ApartReading(reading, window=context_window) if reuse_passages else None
        self._numbers = numbers  # of its weights, unless they are float32
        self._notes: list[str] = []

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer `prompt` with at most `prompt.max_new_tokens` tokens.

        The end token is not part of `token_ids`, whose decoding is the thought, if the model has
        one, and `text`. `on_text` gets the text piece by piece. Whatever it raises passes through.

        Raises BudgetError if prompt and answer do not fit the model, InputError for ids that are
        not this model's, ModelError if the model's scores are not numbers.
        """
        require_kind("prompt", prompt, Prompt, "make one with assemble")
        self._check(prompt)
        grounding = self._grounding(prompt) if self.grounded else None
        began = time.perf_counter()
        run, logits, reused = self._read(prompt)
        prefilled = time.perf_counter()
        written = ThoughtSplitter(opener_at_end(prompt.text), on_text)
        token_ids, reason = self._decode(
            run, logits, prompt.max_new_tokens, written.push, grounding=grounding
        )
        written.finish(ended=reason == "stop")
        self._keep(run)
        decode_s = time.perf_counter() - prefilled
        return Generation(
            text=written.answer,
            token_ids=tuple(token_ids),
            finish_reason="tool_call" if calls_tool(written.answer) else reason,
            prefill_s=prefilled - began,
            decode_s=decode_s,
            reused_tokens=reused,
            thought=written.thought,
            approximate=self._apart is not None,
        )

    def attribute(self, prompt: Prompt, generation: Generation) -> tuple[Attribution, ...]:
        """For each passage, in prompt order, the answer's log-probability with and without it.

        See `ragctx.generator.huggingface.attribution`. Raises InputError for an empty answer.
        """
        return attribute(prompt, generation, self._log_probability)

    def next_scores(self, token_ids: Sequence[int]) -> Tensor:
        """Scores (logits) of the token after `token_ids`: shape (vocabulary,), float32.

        Reuses and keeps the cache as `generate` does.
        """
        self.reading.require_own_ids(token_ids)
        run, logits, _ = self.reading.read(token_ids)
        self.reading.keep(run)
        return logits

    def cache_stats(self) -> tuple[CacheStats, StoreStats | None]:
        """What is kept of earlier prompts, in memory and, where a folder was named, on disk."""
        prefixes = self.reading.prefixes
        return prefixes.stats, None if prefixes.files is None else prefixes.files.stats

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        """How many ids at the beginning of a prompt would not be read again."""
        return 0 if self._apart else self.reading.cached_tokens(token_ids)

    @property
    def caches_prompts(self) -> bool:
        """True if a prompt's cache is kept for the next one: see `ReadingModel.reuses_prefix`."""
        return self.reading.reuses_prefix

    @property
    def decoding(self) -> str:
        """Either "greedy", or temperature, limits and seed; stop texts; and what bounds it."""
        bounds = ", grounded" * self.grounded
        return f"{self._decoding.words}{bounds}{', approximate' if self._apart else ''}"

    def identity(self) -> tuple[str, ...]:
        """Name, decoding and type of numbers; the rest is in the model's directory."""
        return (self.name, self.decoding, *([self._numbers] if self._numbers else []))

    def forget(self) -> None:
        """Free what is kept in memory; the next call finds what is on disk, if anything."""
        self.reading.prefixes.clear()

    def note(self, text: str) -> None:
        """Have something told with the next answer."""
        self._notes.append(text)

    def take_notes(self) -> tuple[str, ...]:
        """What there is to tell since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    @property
    def kv_bytes_per_token(self) -> int | None:
        """Bytes of keys and values per token, measured on what is kept; None when nothing is.

        Also None for models whose cache does not grow with every token (recurrent ones).
        """
        tokens = self.reading.prefixes.held_tokens
        return self.reading.prefixes.stats.held_bytes // tokens if tokens else None

    def _check(self, prompt: Prompt) -> None:
        self.reading.require_own_ids(prompt.token_ids)
        if prompt.max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {prompt.max_new_tokens}; it must be at least 1")
        missing = len(prompt.token_ids) + prompt.max_new_tokens - self.context_window
        if missing > 0:
            raise BudgetError(
                f"the prompt has {len(prompt.token_ids)} tokens and {prompt.max_new_tokens} are "
                f"kept for the answer, {missing} more than the {self.context_window} that "
                f"{self.name} holds: lower budget_tokens or max_new_tokens"
            )

    def _grounding(self, prompt: Prompt) -> Grounding:
        if opener_at_end(prompt.text):
            raise InputError(
                f"{self.name} is made to think before it answers, and a grounded answer holds only "
                "the passages' words: turn thinking off, --template-option enable_thinking=false, "
                "or leave --grounded out"
            )
        encode = within_text(self.tokenizer).encode
        return Grounding(prompt.passages, encode, self.tokenizer.decode)

    # ---- read, decode ------------------------------------------------------------------------

    def _read(self, prompt: Prompt) -> tuple[Run, Tensor, int]:
        """Read the prompt; the run, the next token's scores and the tokens reused."""
        return self._apart.read(prompt) if self._apart else self.reading.read(prompt.token_ids)

    def _keep(self, run: Run) -> None:
        if not self._apart:  # which keeps what it reads by itself
            self.reading.keep(run)

    def _log_probability(self, prompt: Prompt, token_ids: Sequence[int]) -> float:
        """Of ids as the answer to a prompt."""
        run, logits, _ = self._read(prompt)
        log_probability = self.reading.log_probability(run, logits, token_ids)
        self._keep(run)
        return log_probability

    def _decode(
        self,
        run: Run,
        logits: Tensor,
        max_new_tokens: int,
        on_piece: Callable[[str], None],
        *,
        grounding: Grounding | None = None,
    ) -> tuple[list[int], FinishReason]:
        """Decode token by token until an end token or the limit; return ids and reason."""
        stream = TextStream(self.tokenizer.decode)
        until = StopTexts(self._decoding.stop, on_piece)
        source = random_source(self._decoding)
        token_ids: list[int] = []
        reason: FinishReason = "length"
        places = Grounding.start
        while True:
            if grounding is not None:
                allowed = grounding.allowed(places)
                if grounding.may_end(places):
                    allowed |= self.end_ids
                if not allowed:
                    reason = "stop"
                    break
                logits = only(logits, allowed)
            token = choose_token(logits, self._decoding, source)
            if token in self.end_ids:
                reason = "stop"
                break
            if grounding is not None:
                places = grounding.after(places, token)
            token_ids.append(token)
            if until.push(stream.push(token)):
                return token_ids, "stop"
            if len(token_ids) == max_new_tokens:
                break
            logits = self.reading.step(run, token)
        if until.push(stream.finish()):
            return token_ids, "stop"
        until.finish()
        return token_ids, reason
