"""What a local model will need and hold, from its config and file headers: nothing is loaded.

A step of decoding reads all weights and all that is cached once, so that it is bound by memory
bandwidth; prefill computes with all weights for each token at once, so that it is bound by
arithmetic. The numbers here are those of the model as this runtime keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ragctx.errors import ModelError
from ragctx.generator.huggingface.config import window_of

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_RECURRENT = ("linear_attention", "mamba", "mamba2", "recurrent", "conv", "rwkv")
_NEVER_ATTENDS = ("mamba", "mamba2", "falcon_mamba", "rwkv")  # model types
_BEYOND = {
    "none": "positions are learnt one by one: nothing beyond the window can be read",
    "default": "answers soon turn to nonsense beyond the trained length",
    "linear": "positions are squeezed by the factor: somewhat worse at every length",
    "dynamic": "positions are squeezed as the text grows, so that no cache is kept between prompts",
    "yarn": "trained for its factor: the window holds, short texts are a little worse",
    "llama3": "trained for its factor: the window holds",
    "longrope": "other rotations beyond the original length, so that no cache is kept for long",
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
    growing_layers: int  # of which each token's keys and values are kept
    sliding_layers: int  # that keep those of the last `sliding_window` tokens
    recurrent_layers: int  # that keep a state of fixed size
    sliding_window: int | None
    attention: str  # "MHA", "GQA", "MQA", "MLA" or "none"
    kv_bytes_per_token: int  # of the layers that grow
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
) -> Plan:
    """The plan of the model in a directory; `weights` are the numbers in its files.

    `kv_dtype` and `weights_bytes` are for weights in 8 bits (dtype "int8"): what it computes in,
    and what they take. By default `dtype`, and all numbers in it.

    Raises ModelError if its config cannot be read or lacks what a plan needs.
    """
    config = _config(directory / "config.json")
    kv_dtype = kv_dtype or dtype
    size = _BYTES[kv_dtype]
    weights_bytes = weights * size if weights_bytes is None else weights_bytes
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    kinds = _kinds_of_layers(config, layers)
    sliding, recurrent = kinds.count("sliding"), kinds.count("recurrent")
    growing = layers - sliding - recurrent
    attention, per_layer = _attention(config) if growing or sliding else ("none", 0)
    try:
        stated: int | None = window_of(SimpleNamespace(**config))
    except ModelError:
        stated = None
    slides_after = _whole(config.get("sliding_window")) if sliding else None
    per_token = growing * per_layer * size
    fixed = sliding * per_layer * size * (slides_after or 0)
    left = None if free_bytes is None else free_bytes - weights_bytes - fixed
    fitting = None if left is None else (max(0, left) // per_token if per_token else stated)
    bounds = {"window": stated, "memory": fitting, "budget": context_tokens}
    known = {bound: tokens for bound, tokens in bounds.items() if tokens is not None}
    binds = min(known, key=known.__getitem__, default="window")
    tokens = known.get(binds, 0)
    kv = tokens * per_token + sliding * per_layer * size * min(tokens, slides_after or tokens)
    rope = _rope_kind(config)
    return Plan(
        name=name,
        dtype=dtype,
        kv_dtype=kv_dtype,
        weights=weights,
        weights_bytes=weights_bytes,
        layers=layers,
        growing_layers=growing,
        sliding_layers=sliding,
        recurrent_layers=recurrent,
        sliding_window=slides_after,
        attention=attention,
        kv_bytes_per_token=per_token,
        window_tokens=stated,
        rope=rope,
        beyond=_BEYOND.get(rope, "not known for this kind"),
        context_tokens=tokens,
        kv_bytes=kv,
        free_bytes=free_bytes,
        fitting_tokens=fitting,
        binds=binds,
        prefill_flops=2.0 * weights * tokens + 2.0 * growing * per_layer * tokens**2 / 2,
        step_bytes=weights_bytes + kv,
    )


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


def _kinds_of_layers(config: Mapping[str, Any], layers: int) -> list[str]:
    """Of each layer: "growing", "sliding" or "recurrent"."""
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


def _attention(config: Mapping[str, Any]) -> tuple[str, int]:
    """The kind of attention, and the numbers of keys and values for a token in one layer."""
    heads = _first(config, "num_attention_heads", "n_head", "num_heads", "n_heads")
    if _whole(config.get("kv_lora_rank")):
        # kept as keys and values of every head, as transformers does, not compressed
        key = (_whole(config.get("qk_nope_head_dim")) or 0) + _first(config, "qk_rope_head_dim")
        return "MLA", heads * (key + _first(config, "v_head_dim"))
    stated = (config.get(name) for name in ("num_key_value_heads", "n_head_kv", "num_kv_heads"))
    otherwise = 1 if config.get("multi_query") else heads
    kv_heads = next(filter(None, map(_whole, stated)), otherwise)
    width = _whole(config.get("head_dim"))
    width = width or _first(config, "hidden_size", "n_embd", "d_model") // heads
    kind = "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"
    return kind, 2 * kv_heads * width


def _rope_kind(config: Mapping[str, Any]) -> str:
    table = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(table, dict):
        inner = next((v for v in table.values() if isinstance(v, dict)), table)
        return str(inner.get("rope_type", inner.get("type", "default")))
    return "default" if "rope_theta" in config else "none"
