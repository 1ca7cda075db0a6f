"""The network in 8-bit integers, as its matrices ship: for the second look, and for writing.

A matrix product of integers takes a third of the time of one in float32, and a step of writing,
which is one row through every matrix, reads a quarter of the memory. Each row that goes in is
rounded with a scale of its own, so no row's result depends on its neighbours. What that rounding
costs is in the model card; what is kept of a passage, and the first look, stay in float32.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ragctx.generator.network import ReaderNetwork
from ragctx.generator.weights import rounded
from ragctx.transformer import Layer, unfilled

ROWS = 128
"""Rows multiplied at once: what comes out of them stays in a processor's cache."""

STEP = 16
"""The kernel for a single row reads in steps of so many values, and past the end of others."""

TINIEST = 1e-12
"""Least scale of a row, times 127: rows of zeros stay zeros."""


class PackedLinear(nn.Module):
    """What `nn.Linear` computes, weight and input rounded to 8 bits with one scale for each row.

    A single row goes in as bfloat16, through a kernel that has less to prepare. Many rows are
    multiplied in float32 where the processor is not quick at integers.
    """

    weight: Tensor
    scale: Tensor
    short: Tensor  # the scale in bfloat16, for a single row
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        packed, scale = rounded(weight)
        self.whole = None if multiplies_integers() else weight.detach()
        self.register_buffer("weight", packed)
        self.register_buffer("scale", scale)
        self.register_buffer("short", scale.bfloat16())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out), float32."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) == 1 and not rows.shape[1] % STEP:
            out = self.bias + torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.short)
        elif self.whole is not None:
            out = F.linear(rows, self.whole, self.bias)
        else:
            out = x.new_empty(len(rows), len(self.bias))
            for given, into in zip(torch.split(rows, ROWS), torch.split(out, ROWS), strict=True):
                self._multiply(given, into)
        return out.view(*x.shape[:-1], -1)

    def _multiply(self, x: Tensor, out: Tensor) -> None:
        scale = x.abs().amax(dim=1, keepdim=True).clamp_(min=TINIEST).div_(127)
        whole = (x / scale).round_().to(torch.int8)
        products = torch._int_mm(whole, self.weight.t()).float().mul_(scale)
        torch.addcmul(self.bias, products, self.scale, out=out)


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
    """A network whose layers, copying and writing are packed; all else is `whole`'s."""

    def __init__(self, whole: ReaderNetwork) -> None:
        with unfilled():
            super().__init__(whole.shape, whole.alone)
        self.load_state_dict(whole.state_dict(), assign=True)
        self.layers = nn.ModuleList(map(PackedLayer, whole.shared()))
        self.second = PackedLayer(whole.second)
        self.start, self.transform = (  # type: ignore[assignment]
            PackedLinear(part.weight, part.bias) for part in (whole.start, whole.transform)
        )
        self.requires_grad_(False)

    @cached_property
    def to_vocabulary(self) -> PackedLinear:
        """Half of all weights, and needed for writing only."""
        return PackedLinear(self.embeddings.tokens.weight, self.vocabulary_bias)

    def written_scores(self, transformed: Tensor) -> Tensor:
        """As the whole network's."""
        return cast(Tensor, self.to_vocabulary(transformed))


def packed(network: ReaderNetwork) -> ReaderNetwork:
    """The network in 8 bits, or `network` itself where the processor has no kernel for them."""
    on_cpu = network.vocabulary_bias.device.type == "cpu"
    known = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return PackedNetwork(network).eval() if on_cpu and known else network


@cache
def multiplies_integers() -> bool:
    """Whether products of 8-bit matrices are fast and exact here: older kernels overflow.

    Without AVX-512 torch multiplies integers one by one: 219 ms instead of 6 for 270 rows.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    largest = torch.full((32, 64), 127, dtype=torch.int8)
    try:
        products = torch._int_mm(largest, -largest.t())
    except (AttributeError, RuntimeError):  # a torch without the kernel
        return False
    return bool((products == -127 * 127 * 64).all())
