"""What each layer of a model keeps of a token, found by running it on shapes alone.

torch's meta device computes shapes and no numbers, so that this takes no weights and seconds at
most, whatever the model's size. It knows what a config does not say: whether a latent is kept or
what is made of it (MLA, which depends on the version of transformers), which layers share their
keys, and how wide those are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ragctx.generator.huggingface.config import rope_is_fixed
from ragctx.generator.huggingface.plan import LayerNumbers
from ragctx.generator.huggingface.runs import keeps_every_token, new_cache
from ragctx.generator.huggingface.weights import quiet_transformers

_READS = (2, 4)  # tokens of the two runs that are compared: fewer than any window


def layer_numbers(directory: Path) -> LayerNumbers | None:
    """What is kept of a token as this runtime reads; None for a model that cannot be run so.

    That is one with code of its own, or whose code asks for numbers; in transformers 4 any.
    """
    with quiet_transformers():
        import transformers

        loader: Any = transformers
        try:
            config = loader.AutoConfig.from_pretrained(str(directory), local_files_only=True)
            with torch.device("meta"), torch.inference_mode():
                # 16 bits, in which all of transformers' ways to run experts know their shapes
                model = loader.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
                text = config.get_text_config(decoder=True)
                plain = keeps_every_token(config) and rope_is_fixed(text)
                few, more = (_kept(model, tokens, plain=plain) for tokens in _READS)
        except Exception:  # each model has its own way to fail; its config stands in
            return None
    step = _READS[1] - _READS[0]
    numbers = ((b - a) // step for a, b in zip(few, more, strict=True))
    return LayerNumbers(tuple(numbers), plain)


def _kept(model: Any, tokens: int, *, plain: bool) -> list[int]:
    """The numbers of each layer's keys and values after a text of `tokens` tokens."""
    cache: Any = new_cache(model.config, plain=plain)
    model(input_ids=torch.zeros((1, tokens), dtype=torch.long), past_key_values=cache)
    parts = ((getattr(layer, name, None) for name in ("keys", "values")) for layer in cache.layers)
    return [sum(p.numel() for p in part if isinstance(p, torch.Tensor)) for part in parts]
