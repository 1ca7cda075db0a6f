"""How a model's keys turn with their place, and keys turned to another place.

A RoPE model turns pairs of a key's numbers by angles that grow with the token's place (Su et al.
2021, arXiv 2104.09864). Two turns add up, so that the keys of a text read at one place, turned by
the difference, are those of the text at another. Which pairs, and how fast, differs from model to
model, and from layer to layer: it is not read off the code but found by trying, and what is found
holds by that test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ragctx.generator.huggingface.kept_prefixes import Layers
from ragctx.generator.huggingface.reading import ReadingModel

_PROBE_TOKENS = 12
_MOST_PLACE = 1000  # of the probe: with larger angles float32 itself grows coarse; by hand
_TOLERANCE = 2e-3  # standard deviations of the keys, for float32; wrong turns are off by one
_COARSE = 0.25  # the same for 16-bit types, as a root mean square; by hand


@dataclass(frozen=True, slots=True)
class Turning:
    """How a layer's keys turn: radians per token of each pair of numbers, the first of the key.

    `interleaved`: pairs are neighbours (0 and 1), else halves apart.
    """

    frequencies: Tensor
    interleaved: bool

    def turned(self, keys: Tensor, tokens: int) -> Tensor:
        """Keys of shape (…, tokens, width), each moved by `tokens` places.

        Angles are float64, then float32: at place 128,000 float32 angles are off by 0.01.
        """
        angles = tokens * self.frequencies.double()
        cos, sin = angles.cos().float(), angles.sin().float()
        width = 2 * len(angles)
        turning, still = keys[..., :width].float(), keys[..., width:]
        if self.interleaved:
            first, second = turning[..., 0::2], turning[..., 1::2]
        else:
            first, second = turning.chunk(2, dim=-1)
        pair = (first * cos - second * sin, second * cos + first * sin)
        moved = torch.stack(pair, -1).flatten(-2) if self.interleaved else torch.cat(pair, -1)
        return torch.cat((moved.to(keys.dtype), still), -1)


def find_turnings(reading: ReadingModel, window: int) -> tuple[Turning, ...] | None:
    """How each layer's keys turn; None if some do otherwise than all ids turning alike.

    Compares the keys and values of a few ids at the beginning of a text with those in its middle.
    `window` is how many tokens the model holds.
    """
    place = min(_MOST_PLACE, window - _PROBE_TOKENS)
    usable = reading.reuses_prefix and reading.takes_positions and reading.rope_border is None
    if not usable or place < 1:
        return None
    token_ids = [1 + 7 * i % (reading.vocabulary_size - 1) for i in range(_PROBE_TOKENS)]
    first, moved = reading.layers_at(token_ids, 0), reading.layers_at(token_ids, place)
    candidates = list(_candidates(reading.model))
    found: list[Turning] = []
    for (keys, values), (there, values_there) in zip(first, moved, strict=True):
        turning = next((c for c in candidates if _close(c.turned(keys, place), there)), None)
        if turning is None or not _close(values, values_there):
            return None
        found.append(turning)
    return tuple(found)


def moved_layers(layers: Layers, turnings: Sequence[Turning], tokens: int) -> Layers:
    """Keys and values of a text, moved by `tokens` places."""
    return tuple(
        (turning.turned(keys, tokens), values)
        for (keys, values), turning in zip(layers, turnings, strict=True)
    )


def _candidates(model: Any) -> Iterator[Turning]:
    """What the model's own tables of frequencies allow."""
    for name, table in model.named_buffers():
        own = name.rpartition(".")[2]
        if own.endswith("inv_freq") and not own.startswith("original"):
            yield from (Turning(table, interleaved) for interleaved in (False, True))


def _close(first: Tensor, second: Tensor) -> bool:
    error = (first.float() - second.float()) / second.float().std().clamp(min=1e-6)
    if first.dtype == torch.float32:
        return bool(error.abs().max() < _TOLERANCE)  # NaN is not close
    # single numbers are far off in 16 bits: by 0.8 in a model of 30 layers whose mean was 0.05
    return bool(error.square().mean().sqrt() < _COARSE)
