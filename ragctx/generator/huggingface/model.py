"""Any local Hugging Face causal language model as a generator: ids in, ids out.

This module has a decode loop of its own. `transformers.generate` is not used, because with a filled
cache it is silently wrong in several cases (a cache that covers the whole prompt, another prefix of
the same length, prompt lookup) and leaves the cache dirty when a callback raises; the tests compare
with it.

Cached equals uncached: for any split of the prompt and any reuse the greedy ids are the same and
the scores agree to 1e-3 in float32, also where a longrope model's answer crosses its border. (In
bfloat16 and float16 the order of additions shows.)
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ragctx.arguments import require_kind
from ragctx.errors import BudgetError, InputError, ModelError
from ragctx.generator.cache_stats import CacheStats, StoreStats
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface.config import end_ids, rope_border, rope_is_fixed, window_of
from ragctx.generator.huggingface.grounding import Grounding
from ragctx.generator.huggingface.hub import hub_name
from ragctx.generator.huggingface.kept_prefixes import KeptPrefixes, Layers
from ragctx.generator.huggingface.memory import best_device, check_memory, quick_dtype
from ragctx.generator.huggingface.own_tokenizer import differing_tokens, require_own_tokenizer
from ragctx.generator.huggingface.runs import Run, keeps_every_token, new_cache
from ragctx.generator.huggingface.sampling import choose_token, only, random_source
from ragctx.generator.huggingface.streaming import StopTexts, TextStream
from ragctx.generator.huggingface.weights import (
    CausalModel,
    check_directory,
    first_line,
    load_model,
    quick_identity,
    quiet_transformers,
)
from ragctx.generator.kept_files import STORE_BYTES, KeptFiles
from ragctx.generator.thought import ThoughtSplitter, calls_tool, opener_at_end
from ragctx.paths import expanded
from ragctx.records import FinishReason, Generation, Prompt
from ragctx.tokens.load import load_tokenizer, with_template_options
from ragctx.tokens.tokenizer import Tokenizer, within_text

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_AUTO = "auto"
_PREFILL_TOKENS = 1024  # per forward pass: bounds the memory of a long prompt's prefill; by hand

KEPT_BYTES = 2**30
"""Bytes of keys and values kept in memory for later prompts, unless another bound is given."""

_FILE_SUFFIX = ".prefix"


def load_huggingface(
    directory: str | Path,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    context_window: int | None = None,
    fallback_window: int | None = None,
    decoding: Decoding | None = None,
    grounded: bool = False,
    tokenizer: Tokenizer | None = None,
    template_options: Mapping[str, object] | None = None,
    kept_bytes: int = KEPT_BYTES,
    kv_cache: Path | None = None,
    kv_cache_bytes: int = STORE_BYTES,
) -> HuggingFaceGenerator:
    """Load a causal language model from a local directory (safetensors only, no remote code).

    Args:
        directory: holds config.json, *.safetensors and the tokenizer's files.
        dtype: "float32", "bfloat16", "float16", or "auto": the weights' own where the device
            computes with it quickly.
        device: where torch runs it, e.g. "cpu", "cuda" or "mps"; "auto" takes what there is.
        context_window: tokens the model holds; by default what its config states.
        fallback_window: the same for a model whose config states nothing.
        decoding: greedy by default.
        grounded: whether answers are bound to the passages' own words, see `grounding`.
        tokenizer: by default the one in the directory.
        template_options: what its chat template is told, such as {"enable_thinking": False}.
        kept_bytes: of keys and values in memory, for prompts that begin as earlier ones did.
        kv_cache: a folder where they are kept for other processes too.
        kv_cache_bytes: at most in that folder.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelError: not a directory, no weights, pickled weights, damaged or incomplete files, a
            model that needs its own code, or one that does not keep a KV cache as it should.
        TokenizerError: its tokenizer cannot be read.
        InputError: unknown dtype or device, or a tokenizer that is not the model's.
    """
    directory = expanded(directory)
    if dtype not in (*_DTYPES, _AUTO):
        raise InputError(f"dtype is {dtype!r}; valid: {_AUTO}, {', '.join(_DTYPES)}")
    check_directory(directory)
    where = best_device() if device == _AUTO else _device(device)
    precision = quick_dtype(directory, where) if dtype == _AUTO else _DTYPES[dtype]
    check_memory(directory, precision, where)
    given = tokenizer
    tokenizer = with_template_options(
        tokenizer or load_tokenizer(str(directory)), template_options or {}
    )
    model = load_model(directory, precision, where)
    vocabulary_size = int(model.get_input_embeddings().weight.shape[0])
    require_own_tokenizer(tokenizer, directory if given else None, vocabulary_size)
    config = model.config.get_text_config(decoder=True)
    configs = (getattr(model, "generation_config", None), model.config, config)
    files = None if kv_cache is None else KeptFiles(kv_cache, kv_cache_bytes, suffix=_FILE_SUFFIX)
    generator = HuggingFaceGenerator(
        model,
        tokenizer,
        name=hub_name(directory) or directory.resolve().name,
        context_window=window_of(config, context_window, fallback_window),
        end_ids=end_ids(configs, directory, tokenizer),
        decoding=decoding or Decoding(),
        grounded=grounded,
        prefixes=KeptPrefixes(kept_bytes, model=_identity(directory, precision), files=files),
    )
    if files is not None and not generator.reuses_prefix:
        generator.note(
            f"{generator.name} forgets what it read: nothing of it is kept in {kv_cache}"
        )
    with quiet_transformers():
        generator.self_test()
        generator.compare_prompts(directory, template_options or {})
    return generator


class HuggingFaceGenerator:
    """A loaded causal model that reuses what it has read before of a prompt's beginning.

    Make one with `load_huggingface`. Safe to call from several threads.
    """

    template = "qa"
    only_language = ""

    def __init__(
        self,
        model: CausalModel,
        tokenizer: Tokenizer,
        *,
        name: str,
        context_window: int,
        end_ids: frozenset[int],
        decoding: Decoding,
        prefixes: KeptPrefixes,
        grounded: bool = False,
        prefill_tokens: int = _PREFILL_TOKENS,
    ) -> None:
        self.name = name
        self.grounded = grounded
        self.tokenizer = tokenizer
        self.context_window = context_window
        self.end_ids = end_ids
        self._decoding = decoding
        self.vocabulary_size = int(model.get_input_embeddings().weight.shape[0])
        self._model = model
        self._prefill_tokens = prefill_tokens
        parameters = inspect.signature(model.forward).parameters
        self._last_only = "logits_to_keep" in parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"  # the older name
        config = model.config.get_text_config(decoder=True)
        self.reuses_prefix = keeps_every_token(model.config) and rope_is_fixed(config)
        self._rope_border = rope_border(config)
        self.prefixes = prefixes
        self._like: Layers = ()  # what a run's layers look like, once there was one
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
        began = time.perf_counter()
        run, logits, reused = self._prefill(prompt.token_ids)
        prefilled = time.perf_counter()
        written = ThoughtSplitter(opener_at_end(prompt.text), on_text)
        grounding = self._grounding(prompt) if self.grounded else None
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
        )

    def next_scores(self, token_ids: Sequence[int]) -> Tensor:
        """Scores (logits) of the token after `token_ids`: shape (vocabulary,), float32.

        Reuses and keeps the cache as `generate` does.
        """
        self._check_ids(token_ids)
        run, logits, _ = self._prefill(token_ids)
        self._keep(run)
        return logits

    def cache_stats(self) -> tuple[CacheStats, StoreStats | None]:
        """What is kept of earlier prompts, in memory and, where a folder was named, on disk."""
        files = self.prefixes.files
        return self.prefixes.stats, None if files is None else files.stats

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        """How many ids at the beginning of a prompt would not be read again."""
        if not self.reuses_prefix:
            return 0
        return self.prefixes.length(token_ids[:-1], kind=self._kind(len(token_ids)))

    @property
    def caches_prompts(self) -> bool:
        """True if a prompt's cache is kept for the next one: see `reuses_prefix`."""
        return self.reuses_prefix

    @property
    def decoding(self) -> str:
        """Either "greedy", or temperature, limits and seed; stop texts; and what bounds it."""
        return self._decoding.words + ", grounded" * self.grounded

    def identity(self) -> tuple[str, ...]:
        """Name, decoding and type of numbers; the rest is in the model's directory."""
        dtype = self._model.dtype
        return (self.name, self.decoding, *([] if dtype == torch.float32 else [str(dtype)]))

    def forget(self) -> None:
        """Free what is kept in memory; the next call finds what is on disk, if anything."""
        self.prefixes.clear()

    def compare_prompts(self, directory: Path, template_options: Mapping[str, object]) -> None:
        """Note if a prompt's tokens are not those that transformers gives the model."""
        differing = differing_tokens(self.tokenizer, directory, template_options)
        if differing:
            self.note(
                f"prompts for {self.name} differ from its own chat template: {differing} of a "
                "small prompt's tokens are others, so that answers may be worse than they could be"
            )

    def note(self, text: str) -> None:
        """Have something told with the next answer."""
        self._notes.append(text)

    def take_notes(self) -> tuple[str, ...]:
        """What there is to tell since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def self_test(self) -> None:
        """Raise `ModelError` unless reading a few ids in pieces equals reading them at once.

        Finds models that ignore the cache, are not causal, or keep their state elsewhere: all of
        those would otherwise silently answer nonsense.
        """
        token_ids = [1 + i % (self.vocabulary_size - 1) for i in range(6)]
        try:
            whole = self._forward(self._new_run(), token_ids)
            run = self._new_run()
            self._forward(run, token_ids[:4])
            for token in token_ids[4:]:
                pieces = self._forward(run, [token])
        except Exception as error:
            raise ModelError(f"{self.name} cannot be run: {first_line(error)}") from error
        cached = run.cache.get_seq_length() if self.reuses_prefix else len(token_ids)
        self._like = run.layers if self.reuses_prefix else ()
        # in standard deviations of the scores, chosen by hand: 16-bit types differ by more
        tolerance = 0.05 if self._model.dtype == torch.float32 else 1.0
        difference = float((whole - pieces).abs().max() / whole.std().clamp(min=1e-3))
        if cached != len(token_ids) or not difference < tolerance:  # not <: NaN too
            raise ModelError(
                f"{self.name} is not a causal model that keeps its keys and values in "
                f"transformers' cache (kept {cached} of {len(token_ids)} tokens; scores of a text "
                f"read in pieces are off by {difference:.2g} standard deviations): use another "
                "model"
            )

    @property
    def kv_bytes_per_token(self) -> int | None:
        """Bytes of keys and values per token, measured on what is kept; None when nothing is.

        Also None for models whose cache does not grow with every token (recurrent ones).
        """
        tokens = self.prefixes.held_tokens
        return self.prefixes.stats.held_bytes // tokens if tokens else None

    def _grounding(self, prompt: Prompt) -> Grounding:
        if opener_at_end(prompt.text):
            raise InputError(
                f"{self.name} is made to think before it answers, and a grounded answer holds only "
                "the passages' words: turn thinking off, --template-option enable_thinking=false, "
                "or leave --grounded out"
            )
        encode = within_text(self.tokenizer).encode
        return Grounding(prompt.passages, encode, self.tokenizer.decode)

    def _check(self, prompt: Prompt) -> None:
        self._check_ids(prompt.token_ids)
        if prompt.max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {prompt.max_new_tokens}; it must be at least 1")
        missing = len(prompt.token_ids) + prompt.max_new_tokens - self.context_window
        if missing > 0:
            raise BudgetError(
                f"the prompt has {len(prompt.token_ids)} tokens and {prompt.max_new_tokens} are "
                f"kept for the answer, {missing} more than the {self.context_window} that "
                f"{self.name} holds: lower budget_tokens or max_new_tokens"
            )

    def _check_ids(self, token_ids: Sequence[int]) -> None:
        if not token_ids:
            raise InputError("the prompt has no tokens; give at least one")
        for token in (min(token_ids), max(token_ids)):
            if not 0 <= token < self.vocabulary_size:
                raise InputError(
                    f"token id {token} is not in the vocabulary of {self.name} (0 to "
                    f"{self.vocabulary_size - 1}): build the prompt with generator.tokenizer"
                )

    # ---- prefill, decode ---------------------------------------------------------------------

    def _prefill(self, token_ids: Sequence[int]) -> tuple[Run, Tensor, int]:
        """Read the prompt; return the run, the next token's scores and the tokens reused."""
        run = self._begun(token_ids)
        reused = len(run.token_ids)
        # A layer that forgets (recurrent) may read a text in pieces by another route.
        size = self._prefill_tokens if self.reuses_prefix else len(token_ids)
        start = reused
        while start < len(token_ids):
            # Beyond a longrope border the rotation goes by the last token that is read with others.
            end = max(start + size, (self._rope_border or 0) + 1)
            logits = self._forward(run, token_ids[start:end])
            start = end
        return run, logits, reused

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
            crossing = self._kind(len(run.token_ids) + 1) != run.kind
            logits = self._read_again(run, token) if crossing else self._forward(run, [token])
        if until.push(stream.finish()):
            return token_ids, "stop"
        until.finish()
        return token_ids, reason

    @torch.inference_mode()
    def _forward(self, run: Run, token_ids: Sequence[int]) -> Tensor:
        """Append `token_ids` to the run; return the next token's scores, (vocabulary,) float32."""
        device = self._model.device
        arguments: dict[str, Any] = {self._cache_name: run.cache}
        if self._last_only:
            arguments["logits_to_keep"] = 1
        output = self._model(
            input_ids=torch.tensor([list(token_ids)], device=device),  # (1, new tokens)
            use_cache=True,
            **arguments,
        )
        run.token_ids.extend(token_ids)
        logits: Tensor = output.logits[0, -1].float()
        if logits.isnan().any():
            raise ModelError(f"{self.name} gives scores that are not numbers: try dtype='float32'")
        return logits

    # ---- what is kept ------------------------------------------------------------------------

    def _kind(self, tokens: int) -> str:
        """Which rotation the keys of a text of that length have."""
        return "long" if self._rope_border is not None and tokens > self._rope_border else ""

    def _new_run(self, layers: Layers = (), token_ids: Sequence[int] = (), kind: str = "") -> Run:
        cache = new_cache(self._model.config, plain=self.reuses_prefix, layers=layers)
        return Run(cache, list(token_ids), kind)

    def _begun(self, token_ids: Sequence[int]) -> Run:
        """A run that holds the longest prefix of `token_ids` known, but never all of them.

        The last token must be read again, since its scores are what the next token comes from.
        """
        kind = self._kind(len(token_ids))
        if not self.reuses_prefix:
            return self._new_run(kind=kind)
        layers = self.prefixes.longest(token_ids[:-1], kind=kind, like=self._like)
        known = layers[0][0].shape[-2] if layers else 0
        return self._new_run(layers, token_ids[:known], kind)

    def _read_again(self, run: Run, token: int) -> Tensor:
        """Read a run's ids and one more from the start: their rotation is another from here on."""
        self._keep(run)
        longer = [*run.token_ids, token]
        run.cache, run.token_ids, run.kind = self._new_run().cache, [], self._kind(len(longer))
        return self._forward(run, longer)

    def _keep(self, run: Run) -> None:
        if self.reuses_prefix:
            self.prefixes.keep(run.token_ids, run.layers, kind=run.kind)


# ---- loading -------------------------------------------------------------------------------------


def _device(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError(f'device is {name!r}; valid: "cpu", "cuda", "cuda:1", "mps"') from error


def _identity(directory: Path, precision: torch.dtype) -> str:
    """What keys and values depend on beside the ids."""
    import transformers

    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{quick_identity(directory)} {precision} {versions}"
