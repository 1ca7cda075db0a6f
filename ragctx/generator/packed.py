"""The network as it writes token by token: its large matrices as 8-bit integers, as they ship.

A step of decoding is one row through every matrix, so its time is the time to read them: 90 MB as
float32, 22 MB as integers, which fit a processor's last cache. Rows are rounded to bfloat16 on
their way in, so scores differ in the third digit; what answers and cites does not come through
here.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ragctx.generator.network import ReaderNetwork
from ragctx.generator.weights import rounded
from ragctx.transformer import Layer, unfilled

STEP = 16
"""The kernel reads rows in steps of so many values, and reads past the end of others."""


class PackedLinear(nn.Module):
    """What `nn.Linear` computes, its weight rounded to 8 bits with one scale for each output."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        if weight.shape[1] % STEP:
            raise ValueError(f"rows of {weight.shape[1]} are no multiple of {STEP}")
        packed, scale = rounded(weight)
        self.register_buffer("weight", packed)
        self.register_buffer("scale", scale.bfloat16())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out), float32."""
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        out = torch._weight_int8pack_mm(rows, self.weight, self.scale)
        return (self.bias + out).view(*x.shape[:-1], -1)


class PackedLayer(Layer):
    """A layer whose matrices are packed, those of queries, keys and values as one."""

    def __init__(self, whole: Layer) -> None:
        nn.Module.__init__(self)
        self.heads = whole.heads
        thirds = (whole.query, whole.key, whole.value)
        self.asking = PackedLinear(
            torch.cat([part.weight for part in thirds]), torch.cat([part.bias for part in thirds])
        )
        self.output, self.up, self.down = (  # type: ignore[assignment]
            PackedLinear(part.weight, part.bias) for part in (whole.output, whole.up, whole.down)
        )
        self.output_norm, self.down_norm = whole.output_norm, whole.down_norm

    def project(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the whole layer's."""
        q, k, v = self.asking(states).chunk(3, dim=-1)
        return self._split(q), self._split(k), self._split(v)

    def keys_values(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """As the whole layer's."""
        _, k, v = self.project(states)
        return k, v


class PackedNetwork(ReaderNetwork):
    """A network whose shared layers, copying and writing are packed; all else is `whole`'s."""

    def __init__(self, whole: ReaderNetwork) -> None:
        with unfilled():
            super().__init__(whole.shape, whole.alone)
        self.load_state_dict(whole.state_dict(), assign=True)
        self.layers = nn.ModuleList(map(PackedLayer, whole.shared()))
        self.start, self.transform = (  # type: ignore[assignment]
            PackedLinear(part.weight, part.bias) for part in (whole.start, whole.transform)
        )
        self.to_vocabulary = PackedLinear(whole.embeddings.tokens.weight, whole.vocabulary_bias)
        self.requires_grad_(False)

    def written_scores(self, transformed: Tensor) -> Tensor:
        """As the whole network's."""
        return cast(Tensor, self.to_vocabulary(transformed))


def packed(network: ReaderNetwork) -> ReaderNetwork:
    """The network for writing, or `network` itself where there is no fast kernel for it."""
    fast = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    on_cpu = network.vocabulary_bias.device.type == "cpu"
    fits = not (network.shape.width % STEP or network.shape.feed_forward % STEP)
    return PackedNetwork(network).eval() if fast and on_cpu and fits else network
