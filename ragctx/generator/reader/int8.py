"""The network in 8-bit integers, as its matrices ship: for the second look.

A matrix product of integers takes a third to a half of the time of one in float32. Each row that
goes in is rounded to steps between its least and its largest value, so no row's result depends on
its neighbours. What that rounding costs is in the model card; what is kept of a passage, and the
first look, stay in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ragctx.generator.reader.checkpoint import rounded
from ragctx.generator.reader.int8_kernels import Kernel, quickest_kernel
from ragctx.generator.reader.network import ReaderNetwork
from ragctx.transformer import Layer, unfilled

TINIEST = 1e-12
"""Least range of a row: rows of one value are that value."""


class PackedLinear(nn.Module):
    """What `nn.Linear` computes, weight and input rounded row by row."""

    scale: Tensor
    sums: Tensor  # of each of the weight's rows
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, kernel: Kernel) -> None:
        super().__init__()
        packed, scale = rounded(weight)
        self.kernel, self.product = kernel, kernel.product(packed)
        self.register_buffer("scale", scale)
        self.register_buffer("sums", packed.sum(1) * scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out), float32."""
        rows = x.reshape(-1, x.shape[-1])
        out = x.new_empty(len(rows), len(self.bias))
        size = self.kernel.rows
        for given, into in zip(torch.split(rows, size), torch.split(out, size), strict=True):
            self._multiply(given, into)
        return out.view(*x.shape[:-1], -1)

    def _multiply(self, x: Tensor, out: Tensor) -> None:
        least, most = self.kernel.least, self.kernel.most
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)  # aminmax: ten times slower
        step = (high - low).clamp_(min=TINIEST).div_(most - least)
        zero = low - least * step  # what the number 0 stands for
        products = self.product((x - zero).mul_(1 / step).round_())
        torch.addcmul(self.bias, zero, self.sums, out=out)
        out.addcmul_(products.mul_(step), self.scale)


class PackedLayer(Layer):
    """A layer whose matrices are packed, those of queries, keys and values as one."""

    def __init__(self, whole: Layer, kernel: Kernel) -> None:
        nn.Module.__init__(self)
        self.heads = whole.heads
        thirds = (whole.query, whole.key, whole.value)
        weight, bias = (
            torch.cat([getattr(part, name) for part in thirds]) for name in ("weight", "bias")
        )
        self.asking = PackedLinear(weight, bias, kernel)
        self.output, self.up, self.down = (  # type: ignore[assignment]
            PackedLinear(part.weight, part.bias, kernel)
            for part in (whole.output, whole.up, whole.down)
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
    """A network whose layers of the second look are packed; all else is `whole`'s."""

    def __init__(self, whole: ReaderNetwork, kernel: Kernel) -> None:
        with unfilled():
            super().__init__(whole.shape, whole.alone)
        self.load_state_dict(whole.state_dict(), assign=True)
        self.packed = nn.ModuleList(PackedLayer(layer, kernel) for layer in whole.live())
        self.requires_grad_(False)

    def live(self) -> list[Layer]:
        """The layers of the second look, packed."""
        return [layer for layer in self.packed if isinstance(layer, Layer)]


def packed(network: ReaderNetwork) -> ReaderNetwork:
    """The network in 8 bits, or `network` itself where floats are quicker."""
    on_cpu = network.vocabulary_bias.device.type == "cpu"
    kernel = quickest_kernel() if on_cpu else None
    return network if kernel is None else PackedNetwork(network, kernel).eval()
