"""What a local model will need and hold, from its config and file headers: nothing is loaded.

A step of decoding reads the weights and all that is cached once, so that it is bound by memory
bandwidth; prefill computes with those weights for each token at once, so that it is bound by
arithmetic. Of mixed experts a token uses a few. The numbers here are those of the model as this
runtime keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ragctx.errors import ModelError
from ragctx.generator.huggingface.config import window_of


class LayerNumbers(NamedTuple):
    """Numbers of keys and values that each layer keeps of a token."""

    of_layer: tuple[int, ...]  # 0 for one that recurs or shares another's
    keeps_every_token: bool  # also in layers that slide, whose prompts are reused


_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads")
_RECURRENT = ("linear_attention", "mamba", "mamba2", "recurrent", "conv", "rwkv")
_NEVER_ATTENDS = ("mamba", "mamba2", "falcon_mamba", "rwkv")  # model types
_BEYOND = {
    "none": "positions are learnt one by one: nothing beyond the window can be read",
    "default": "answers soon turn to nonsense beyond the trained length",
    "linear": "positions are squeezed by the factor: somewhat worse at every length",
    "dynamic": "positions are squeezed as the text grows, so that no cache is kept between prompts",
    "yarn": "trained for its factor: the window holds, short texts are a little worse",
    "llama3": "trained for its factor: the window holds",
    "longrope": "other rotations beyond the original length, where all is read once more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a model needs.

    Weights' bytes are those at `dtype`, all others at `kv_dtype`; tokens are prompt and answer
    together.
    """

    name: str
    dtype: str
    kv_dtype: str  # that of keys and values; another where weights are held in 8 bits
    weights: int  # numbers
    weights_bytes: int
    layers: int
    growing_layers: int  # that attend to every token
    sliding_layers: int  # that attend to the last `sliding_window` tokens
    recurrent_layers: int  # that keep a state of fixed size
    sliding_window: int | None
    sliding_keeps_all: bool  # whether those keep every token all the same, to be reused
    attention: str  # "MHA", "GQA", "MQA", "MLA" or "none"
    kv_bytes_per_token: int  # of the layers that keep every token
    window_tokens: int | None  # trained, as stated; None if the config states none
    rope: str
    beyond: str  # what happens beyond the trained length
    context_tokens: int  # planned for
    kv_bytes: int  # at that length, sliding layers included
    free_bytes: int | None
    fitting_tokens: int | None  # beside the weights, in the free memory
    binds: str  # "window", "memory" or "budget": what bounds the context
    prefill_flops: float  # of a prompt of that length
    step_bytes: int  # read for each new token at that length


def plan_model(
    directory: Path,
    *,
    name: str,
    dtype: str,
    weights: int,
    free_bytes: int | None,
    context_tokens: int | None = None,
    kv_dtype: str | None = None,
    weights_bytes: int | None = None,
    read: int | None = None,
    kept: LayerNumbers | None = None,
) -> Plan:
    """The plan of the model in a directory; `weights` are the numbers in its files.

    `kv_dtype` and `weights_bytes` are for weights in 8 bits (dtype "int8"): what it computes in,
    and what they take. By default `dtype`, and all numbers in it. Of the weights `read` are
    used for one token (`read_numbers`), by default all. `kept` is what each layer keeps of a token
    (`layer_numbers`), by default what its config lets suppose.

    Raises ModelError if its config cannot be read or lacks what a plan needs.
    """
    config = _config(directory / "config.json")
    kv_dtype = kv_dtype or dtype
    size = _BYTES[kv_dtype]
    weights_bytes = weights * size if weights_bytes is None else weights_bytes
    kinds = _kinds_of_layers(config)
    if kept is None:
        kept = _supposed(config, kinds)
    elif not _whole(config.get("num_kv_shared_layers")):  # a layer without keys and values recurs
        pairs = zip(kinds, kept.of_layer, strict=False)
        kinds = [kind if numbers else "recurrent" for kind, numbers in pairs]
    cache = _Cache.of(kinds, kept, config, size)
    window = _window(config)
    fitting = None if free_bytes is None else cache.tokens_in(free_bytes - weights_bytes)
    bounds = {"window": window, "memory": fitting, "budget": context_tokens}
    known = {bound: tokens for bound, tokens in bounds.items() if tokens is not None}
    binds = min(known, key=known.__getitem__, default="window")
    tokens = known.get(binds, 0)
    rope = _rope_kind(config)
    used = read / weights if read and weights else 1.0
    return Plan(
        name=name,
        dtype=dtype,
        kv_dtype=kv_dtype,
        weights=weights,
        weights_bytes=weights_bytes,
        layers=len(kinds),
        growing_layers=kinds.count("growing"),
        sliding_layers=kinds.count("sliding"),
        recurrent_layers=kinds.count("recurrent"),
        sliding_window=cache.window,
        sliding_keeps_all=kept.keeps_every_token,
        attention=_attention(config) if any(kept.of_layer) else "none",
        kv_bytes_per_token=cache.growing,
        window_tokens=window,
        rope=rope,
        beyond=_BEYOND.get(rope, "not known for this kind"),
        context_tokens=tokens,
        kv_bytes=cache.bytes_at(tokens),
        free_bytes=free_bytes,
        fitting_tokens=window if fitting is None and free_bytes is not None else fitting,
        binds=binds,
        prefill_flops=2.0 * used * weights * tokens + _attention_flops(config, kinds, tokens),
        step_bytes=round(used * weights_bytes) + cache.bytes_at(tokens),
    )


class _Cache(NamedTuple):
    """Bytes that one token adds to the KV cache, and where that ends."""

    growing: int  # of the layers that keep every token
    sliding: int  # of those that keep no more than `window` tokens
    window: int | None  # of the layers that slide

    @classmethod
    def of(
        cls, kinds: Sequence[str], kept: LayerNumbers, config: Mapping[str, Any], size: int
    ) -> _Cache:
        window = _whole(config.get("sliding_window")) if "sliding" in kinds else None
        bounded = 0
        if window and not kept.keeps_every_token:
            pairs = zip(kinds, kept.of_layer, strict=False)
            bounded = sum(numbers for kind, numbers in pairs if kind == "sliding")
        return cls((sum(kept.of_layer) - bounded) * size, bounded * size, window)

    def bytes_at(self, tokens: int) -> int:
        return tokens * self.growing + min(tokens, self.window or tokens) * self.sliding

    def tokens_in(self, free: int) -> int | None:
        """Tokens whose keys and values `free` bytes hold; None if there is no end to them."""
        full = self.sliding * (self.window or 0)
        if free < full:
            return max(0, free) // (self.growing + self.sliding)
        return (free - full) // self.growing if self.growing else None


def _config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read ({error}); copy the model again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file} does not hold a JSON object; copy the model again")
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _first(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if (value := _whole(config.get(name))) is not None:
            return value
    raise ModelError(f"the config states no {names[0]}; there is no plan for such a model")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _kinds_of_layers(config: Mapping[str, Any]) -> list[str]:
    """Of each layer: "growing", "sliding" or "recurrent"."""
    layers = _first(config, *_LAYERS)
    if config.get("model_type") in _NEVER_ATTENDS:
        return ["recurrent"] * layers
    stated = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(stated, list) and len(stated) == layers:
        return [
            "recurrent" if kind in _RECURRENT else "sliding" if "slid" in str(kind) else "growing"
            for kind in stated
        ]
    slides = _whole(config.get("sliding_window")) and config.get("use_sliding_window", True)
    return ["sliding" if slides else "growing"] * layers


def _attention(config: Mapping[str, Any]) -> str:
    """The kind of attention, by its name in the literature."""
    if _whole(config.get("kv_lora_rank")):
        return "MLA"
    heads, kv_heads = _first(config, *_HEADS), _kv_heads(config)
    return "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"


def _kv_heads(config: Mapping[str, Any]) -> int:
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        return 1
    stated = (config.get(name) for name in ("num_key_value_heads", "n_head_kv", "num_kv_heads"))
    return next(filter(None, map(_whole, stated)), _first(config, *_HEADS))


def _head_width(config: Mapping[str, Any]) -> int:
    width = _whole(config.get("head_dim"))
    return width or _first(config, "hidden_size", "n_embd", "d_model") // _first(config, *_HEADS)


def _supposed(config: Mapping[str, Any], kinds: Sequence[str]) -> LayerNumbers:
    """What each layer keeps of a token, by its config."""
    keeps_all = "recurrent" not in kinds and _rope_kind(config) != "dynamic"
    if all(kind == "recurrent" for kind in kinds):
        return LayerNumbers((0,) * len(kinds), keeps_all)
    if _whole(config.get("kv_lora_rank")):
        # as keys and values of every head: the most that there can be
        key = (_whole(config.get("qk_nope_head_dim")) or 0) + _first(config, "qk_rope_head_dim")
        each = _first(config, *_HEADS) * (key + _first(config, "v_head_dim"))
    else:
        each = 2 * _kv_heads(config) * _head_width(config)
    numbers = [0 if kind == "recurrent" else each for kind in kinds]
    shared = _whole(config.get("num_kv_shared_layers")) or 0
    return LayerNumbers((*numbers[: len(kinds) - shared], *([0] * shared)), keeps_all)


def _attention_flops(config: Mapping[str, Any], kinds: Sequence[str], tokens: int) -> float:
    """Of all scores and weighted sums: each token looks at those before it, or at its window."""
    if all(kind == "recurrent" for kind in kinds):
        return 0.0
    window = _whole(config.get("sliding_window")) or tokens
    seen = {"growing": tokens / 2, "sliding": min(tokens / 2, window), "recurrent": 0}
    pairs = tokens * sum(seen[kind] for kind in kinds)
    return 4.0 * pairs * _first(config, *_HEADS) * _head_width(config)


def _window(config: Mapping[str, Any]) -> int | None:
    try:
        return window_of(SimpleNamespace(**config))
    except ModelError:
        return None


def _rope_kind(config: Mapping[str, Any]) -> str:
    table = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(table, dict):
        inner = next((v for v in table.values() if isinstance(v, dict)), table)
        return str(inner.get("rope_type", inner.get("type", "default")))
    return "default" if "rope_theta" in config else "none"
