"""What the files of a Hugging Face model state about it, read with suspicion.

Nothing here imports transformers: the functions read files or a loaded config's attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragctx.errors import ModelError
from ragctx.tokens.tokenizer import Tokenizer

_LENGTH_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")


def window_of(config: object, override: int | None = None, fallback: int | None = None) -> int:
    """Tokens the model can hold: `override` if given, else what its config states, or `fallback`.

    YaRN configs often state the length before scaling: there it is at least the original length
    times the factor. Other kinds of scaling are already in the stated length (llama3, longrope) or
    cannot be known from the config (linear, dynamic): give `override` for those.

    Raises ModelError if the config states no length or `override` is below 2.

    >>> from types import SimpleNamespace
    >>> yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    >>> window_of(SimpleNamespace(max_position_embeddings=32768, rope_parameters=yarn))
    131072
    """
    if override is not None:
        if override < 2:
            raise ModelError(f"context_window is {override}; it must be at least 2 tokens")
        return override
    stated = (getattr(config, name, None) for name in _LENGTH_NAMES)
    lengths = [length for length in stated if isinstance(length, int) and length > 0]
    if not lengths:
        if fallback is not None:
            return window_of(config, fallback)
        raise ModelError(
            "the model's config.json states no length: give it, --context-window TOKENS "
            "(context_window=TOKENS)"
        )
    scaled = [lengths[0]]
    for rope in _rope_tables(config):
        original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
        if _rope_type(rope) == "yarn" and original and factor:
            scaled.append(int(original * factor))
    return max(scaled)


def rope_is_fixed(config: object) -> bool:
    """True if a token's key changes with the text's length at `rope_border` only, if at all."""
    kinds = [_rope_type(rope) for rope in _rope_tables(config)]
    return "dynamic" not in kinds and ("longrope" not in kinds or rope_border(config) is not None)


def rope_border(config: object) -> int | None:
    """Tokens beyond which all keys are rotated otherwise (longrope); None for other models.

    >>> from types import SimpleNamespace
    >>> longrope = {"rope_type": "longrope", "original_max_position_embeddings": 4096}
    >>> rope_border(SimpleNamespace(rope_parameters=longrope))
    4096
    """
    name = "original_max_position_embeddings"
    for rope in _rope_tables(config):
        if _rope_type(rope) == "longrope":
            border = rope.get(name) or getattr(config, name, None)
            return border if isinstance(border, int) else None
    return None


def _rope_tables(config: object) -> Iterator[Mapping[str, Any]]:
    """The RoPE parameters: one table, or one for each kind of layer."""
    tables = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if not isinstance(tables, Mapping):
        return
    yield tables
    yield from (table for table in tables.values() if isinstance(table, Mapping))


def _rope_type(rope: Mapping[str, Any]) -> object:
    return rope.get("rope_type", rope.get("type"))


_SAMPLED = ("temperature", "top_p", "top_k", "min_p")


def stated_sampling(directory: Path) -> dict[str, float]:
    """How the model's makers sample from it: what its generation_config.json states of that.

    Raises ModelError if there is no such file, or it states nothing.
    """
    path = directory / "generation_config.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}), so that it is not known how to sample; give "
            "--temperature instead of --sample"
        ) from error
    stated = table if isinstance(table, dict) else {}
    found = {
        name: value
        for name in _SAMPLED
        if isinstance(value := stated.get(name), (int, float)) and not isinstance(value, bool)
    }
    if not found and not stated.get("do_sample"):
        raise ModelError(f"{path} states nothing of sampling; give --temperature, not --sample")
    return {"temperature": 1.0, **found}


def end_ids(configs: Iterable[object], directory: Path, tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that end an answer: those in the model's configs and the tokenizer's own end token."""
    candidates: set[object] = set()
    for config in configs:
        configured = getattr(config, "eos_token_id", None)
        candidates.update(configured if isinstance(configured, (list, tuple)) else [configured])
    end_token = _end_token(directory / "tokenizer_config.json")
    if end_token:
        ids = tokenizer.encode_markup(end_token)
        if len(ids) == 1:
            candidates.update(ids)
    return frozenset(token for token in candidates if isinstance(token, int) and token >= 0)


def _end_token(path: Path) -> str | None:
    """The tokenizer's end token as text; None if it has none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    token = table.get("eos_token") if isinstance(table, dict) else None
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) and content else None
