"""A causal model with a memory: it reads a text from where that differs from what it has read.

Cached equals uncached: for any split of a text and any reuse the greedy ids are the same and the
scores agree to 1e-3 in float32, also where a longrope model's text crosses its border. (In bfloat16
and float16 the order of additions shows.)
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ragctx.errors import InputError, ModelError
from ragctx.generator.huggingface.config import rope_border, rope_is_fixed
from ragctx.generator.huggingface.kept_prefixes import KeptPrefixes, Layers
from ragctx.generator.huggingface.memory import is_out_of_memory
from ragctx.generator.huggingface.runs import Run, keeps_every_token, new_cache
from ragctx.generator.huggingface.weights import CausalModel, first_line, is_in_8_bits

_PREFILL_TOKENS = 1024  # per forward pass: bounds the memory of a long prompt's prefill; by hand


class ReadingModel:
    """Reads ids, gives scores of the next, and keeps what it read in `prefixes`.

    Several threads may use it: each text has a `Run` of its own.
    """

    def __init__(
        self,
        model: CausalModel,
        *,
        name: str,
        prefixes: KeptPrefixes,
        prefill_tokens: int = _PREFILL_TOKENS,
    ) -> None:
        self.model, self.name, self.prefixes = model, name, prefixes
        self.prefill_tokens = prefill_tokens
        self.vocabulary_size = int(model.get_input_embeddings().weight.shape[0])
        parameters = inspect.signature(model.forward).parameters
        self.takes_positions = "position_ids" in parameters
        self._last_only = "logits_to_keep" in parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"  # the older name
        config = model.config.get_text_config(decoder=True)
        self.reuses_prefix = keeps_every_token(model.config) and rope_is_fixed(config)
        self.rope_border = rope_border(config)
        self._like: Layers = ()  # what a run's layers look like, once there was one

    def read(self, token_ids: Sequence[int]) -> tuple[Run, Tensor, int]:
        """Read a text; the run, the next token's scores and the tokens reused."""
        run = self._begun(token_ids)
        reused = len(run.token_ids)
        return run, self.extend(run, token_ids[reused:]), reused

    def read_alone(self, token_ids: Sequence[int]) -> tuple[Run, int]:
        """Read a text without asking what comes next, and keep it; the run and the tokens reused.

        For models whose keys depend on a token's place alone.
        """
        run = self._known(token_ids, token_ids)
        reused = len(run.token_ids)
        if reused < len(token_ids):
            self.extend(run, token_ids[reused:])
            self.keep(run)
        return run, reused

    def extend(self, run: Run, token_ids: Sequence[int]) -> Tensor:
        """Read more of a text, in pieces of bounded size; the next token's scores."""
        # A layer that forgets (recurrent) may read a text in pieces by another route.
        size = self.prefill_tokens if self.reuses_prefix else len(token_ids)
        done = 0
        while True:
            # Beyond a longrope border the rotation goes by the last token that is read with others.
            least = (self.rope_border or 0) + 1 - len(run.token_ids)
            stop = done + max(size, least)
            logits = self.forward(run, token_ids[done:stop])
            done = stop
            if done >= len(token_ids):
                return logits

    def step(self, run: Run, token: int) -> Tensor:
        """Read one more token; the next one's scores."""
        if self.kind(len(run.token_ids) + 1) == run.kind:
            return self.forward(run, [token])
        # the rotation is another from here on: read it all again
        self.keep(run)
        longer = [*run.token_ids, token]
        run.cache, run.token_ids, run.kind = self.new_run().cache, [], self.kind(len(longer))
        return self.forward(run, longer)

    def forward(self, run: Run, token_ids: Sequence[int]) -> Tensor:
        """Append ids to the run in one pass; the next token's scores, (vocabulary,) float32."""
        return self._scores(run, token_ids, 1)[-1]

    def log_probability(self, run: Run, logits: Tensor, token_ids: Sequence[int]) -> float:
        """Of some ids, each after those before it, behind a run whose next scores are `logits`."""
        if self.kind(len(run.token_ids) + len(token_ids)) == run.kind:
            scores = [logits[None]]
            if token_ids[1:]:
                scores.append(self._scores(run, token_ids[:-1], len(token_ids) - 1))
            rows = torch.cat(scores)
        else:
            rows = torch.stack([logits, *(self.step(run, token) for token in token_ids[:-1])])
        chosen = torch.tensor(token_ids, device=rows.device)[:, None]
        return float(rows.double().log_softmax(-1).gather(1, chosen).sum())

    @torch.inference_mode()
    def layers_at(self, token_ids: Sequence[int], place: int) -> Layers:
        """Keys and values of ids that stand alone, the first of them at `place` of a text."""
        run = self.new_run()
        places = torch.arange(place, place + len(token_ids), device=self.model.device)
        self.model(
            input_ids=torch.tensor([list(token_ids)], device=self.model.device),
            position_ids=places[None],
            use_cache=True,
            **{self._cache_name: run.cache},
        )
        return run.layers

    @torch.inference_mode()
    def _scores(self, run: Run, token_ids: Sequence[int], rows: int) -> Tensor:
        """Append ids to the run; the scores after each of the last ones, (rows, vocabulary)."""
        device = self.model.device
        arguments: dict[str, Any] = {self._cache_name: run.cache}
        if self._last_only:
            arguments["logits_to_keep"] = rows
        if self.takes_positions:  # some count from 0 again, whatever is cached (Bamba in 5.23)
            first = len(run.token_ids)
            arguments["position_ids"] = torch.arange(first, first + len(token_ids))[None].to(device)
        try:
            output = self.model(
                input_ids=torch.tensor([list(token_ids)], device=device),  # (1, new tokens)
                use_cache=True,
                **arguments,
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            tokens = len(run.token_ids) + len(token_ids)
            raise ModelError(
                f"memory ran out while {self.name} read {tokens} tokens on {device}: lower "
                "--budget-tokens, or take --dtype bfloat16 or int8"
            ) from error
        run.token_ids.extend(token_ids)
        logits: Tensor = output.logits[0, -rows:].float()
        if logits.isnan().any():
            dtype = self.model.dtype
            remedy = (
                "its weights are damaged: copy it again"
                if dtype == torch.float32
                else f"{str(dtype).removeprefix('torch.')} is too coarse for it: --dtype float32"
            )
            raise ModelError(f"{self.name} gives scores that are not numbers; {remedy}")
        return logits

    # ---- what is kept ------------------------------------------------------------------------

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        """How many ids at the beginning of a text would not be read again."""
        if not self.reuses_prefix:
            return 0
        return self.prefixes.length(token_ids[:-1], kind=self.kind(len(token_ids)))

    def keep(self, run: Run) -> None:
        """Keep what was read for later texts."""
        if self.reuses_prefix:
            self.prefixes.keep(run.token_ids, run.layers, kind=run.kind)

    def kind(self, tokens: int) -> str:
        """Which rotation the keys of a text of that length have."""
        return "long" if self.rope_border is not None and tokens > self.rope_border else ""

    def new_run(self, layers: Layers = (), token_ids: Sequence[int] = (), kind: str = "") -> Run:
        """A run that holds the keys and values of some ids; by default of none."""
        cache = new_cache(self.model.config, plain=self.reuses_prefix, layers=layers)
        return Run(cache, list(token_ids), kind)

    def _begun(self, token_ids: Sequence[int]) -> Run:
        """A run that holds the longest prefix of `token_ids` known, but never all of them.

        The last token must be read again, since its scores are what the next token comes from.
        """
        if not self.reuses_prefix:
            return self.new_run(kind=self.kind(len(token_ids)))
        return self._known(token_ids[:-1], token_ids)

    def _known(self, beginning: Sequence[int], token_ids: Sequence[int]) -> Run:
        kind = self.kind(len(token_ids))
        layers = self.prefixes.longest(beginning, kind=kind, like=self._like)
        known = layers[0][0].shape[-2] if layers else 0
        return self.new_run(layers, token_ids[:known], kind)

    # ---- checks ------------------------------------------------------------------------------

    def require_own_ids(self, token_ids: Sequence[int]) -> None:
        """Raise InputError for no ids, or ids that are not in the model's vocabulary."""
        if not token_ids:
            raise InputError("the prompt has no tokens; give at least one")
        for token in (min(token_ids), max(token_ids)):
            if not 0 <= token < self.vocabulary_size:
                raise InputError(
                    f"token id {token} is not in the vocabulary of {self.name} (0 to "
                    f"{self.vocabulary_size - 1}): build the prompt with generator.tokenizer"
                )

    def self_test(self) -> None:
        """Raise `ModelError` unless reading a few ids in pieces equals reading them at once.

        Finds models that ignore the cache, are not causal, or keep their state elsewhere: all of
        those would otherwise silently answer nonsense.
        """
        token_ids = [1 + i % (self.vocabulary_size - 1) for i in range(6)]
        try:
            whole = self.forward(self.new_run(), token_ids)
            run = self.new_run()
            self.forward(run, token_ids[:4])
            for token in token_ids[4:]:
                pieces = self.forward(run, [token])
        except ModelError:
            raise
        except Exception as error:
            in_8_bits = any(map(is_in_8_bits, self.model.parameters()))
            remedy = (
                "torchao cannot run all its layers in 8 bits: leave --dtype int8 out"
                if in_8_bits
                else "check that the download is complete and that transformers knows this model, "
                "or name a server that runs it (--model URL#NAME)"
            )
            raise ModelError(f"{self.name} cannot be run: {first_line(error)}; {remedy}") from error
        cached = run.cache.get_seq_length() if self.reuses_prefix else len(token_ids)
        self._like = run.layers if self.reuses_prefix else ()
        # in standard deviations of the scores, chosen by hand: 16-bit types differ by more
        tolerance = 0.05 if self.model.dtype == torch.float32 else 1.0
        difference = float((whole - pieces).abs().max() / whole.std().clamp(min=1e-3))
        if cached != len(token_ids) or not difference < tolerance:  # not <: NaN too
            raise ModelError(
                f"{self.name} is not a causal model that keeps its keys and values in "
                f"transformers' cache (kept {cached} of {len(token_ids)} tokens; scores of a text "
                f"read in pieces are off by {difference:.2g} standard deviations): use another "
                "model, or a server that runs it (--model URL#NAME)"
            )
