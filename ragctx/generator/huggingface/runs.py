"""What a model has read of one text: transformers' cache, and the ids whose keys it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragctx.generator.huggingface.kept_prefixes import Layers

if TYPE_CHECKING:
    from transformers import DynamicCache


@dataclass(slots=True)
class Run:
    """A cache and the ids whose keys and values it holds, one for one.

    `kind` names the rotation of its keys where a model has more than one (longrope), else "".
    """

    cache: DynamicCache
    token_ids: list[int]
    kind: str = ""

    def append(self, layers: Layers, token_ids: Sequence[int]) -> None:
        """Add ids whose keys and values are known."""
        for i, (keys, values) in enumerate(layers):
            self.cache.update(keys, values, i)
        self.token_ids.extend(token_ids)

    @property
    def layers(self) -> Layers:
        """Keys and values of each layer, each of shape (1, heads, tokens, width)."""
        layers: list[Any] = self.cache.layers
        return tuple((layer.keys, layer.values) for layer in layers)


def keeps_every_token(config: Any) -> bool:
    """True if a plain cache can hold all of a model's state: keys and values of every token.

    A layer that slides attends to a window of them, which its mask sees to. Recurrent layers have
    a state instead, which cannot be cut back.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    # subtle: mixed kinds of layers are subclasses of these, so that isinstance would let them in
    layers = DynamicCache(config=config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def new_cache(config: Any, *, plain: bool, layers: Layers = ()) -> DynamicCache:
    """An empty cache, or one that holds `layers`.

    A plain one keeps every token, also in layers that slide. Without `plain`, each layer gets its
    own kind of cache, as `generate` does it.
    """
    from transformers import DynamicCache

    if not plain:
        return DynamicCache(config=config)
    cache = DynamicCache()
    for i, (keys, values) in enumerate(layers):
        cache.update(keys, values, i)
    return cache
