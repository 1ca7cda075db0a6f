"""The second pass in 8-bit integers, the form in which its matrices ship.

A matrix product of integers takes a third to a half of the time of one in float32. Each input row
is rounded to equal steps between its smallest and its largest value, so the result of a row does
not depend on the other rows. The model card tells what the rounding costs. What is cached of a
passage and the first pass stay in floating point.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ragctx.generator.reader.checkpoint import rounded
from ragctx.generator.reader.int8_kernels import Kernel, quickest_kernel
from ragctx.generator.reader.network import ReaderNetwork
from ragctx.transformer import Layer, unfilled

MIN_RANGE = 1e-12
"""Least difference between a row's largest and smallest value: avoids dividing by 0 where all
values of a row are equal."""


class Int8Linear(nn.Module):
    """`nn.Linear` with the weight and the input rounded row by row."""

    scale: Tensor  # (out,)
    sums: Tensor  # (out,): sum of each row of the rounded weight
    bias: Tensor  # (out,)

    def __init__(self, weight: Tensor, bias: Tensor, kernel: Kernel) -> None:
        super().__init__()
        integers, scale = rounded(weight)
        self.kernel, self.product = kernel, kernel.product(integers)
        self.register_buffer("scale", scale)
        self.register_buffer("sums", integers.sum(1) * scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out), float32."""
        rows = x.reshape(-1, x.shape[-1])
        out = x.new_empty(len(rows), len(self.bias))
        size = self.kernel.rows
        for block, into in zip(torch.split(rows, size), torch.split(out, size), strict=True):
            self._multiply(block, into)
        return out.view(*x.shape[:-1], -1)

    def _multiply(self, x: Tensor, out: Tensor) -> None:
        """Write the product for a block of rows (rows, in) into `out` (rows, out)."""
        least, most = self.kernel.least, self.kernel.most
        # not aminmax, which takes ten times as long
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        step = (high - low).clamp_(min=MIN_RANGE).div_(most - least)
        zero = low - least * step  # the value that the integer 0 represents
        products = self.product((x - zero).mul_(1 / step).round_())
        torch.addcmul(self.bias, zero, self.sums, out=out)
        out.addcmul_(products.mul_(step), self.scale)


class Int8Layer(Layer):
    """A `Layer` with matrices of 8-bit integers; query, key and value are one product."""

    def __init__(self, layer: Layer, kernel: Kernel) -> None:
        nn.Module.__init__(self)
        self.heads = layer.heads
        parts = (layer.query, layer.key, layer.value)
        self.query_key_value = Int8Linear(
            torch.cat([part.weight for part in parts]),
            torch.cat([part.bias for part in parts]),
            kernel,
        )
        self.output, self.up, self.down = (  # type: ignore[assignment]
            Int8Linear(part.weight, part.bias, kernel)
            for part in (layer.output, layer.up, layer.down)
        )
        self.output_norm, self.down_norm = layer.output_norm, layer.down_norm

    def project(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values, each (B, heads, T, head_width), in one product."""
        q, k, v = self.query_key_value(states).chunk(3, dim=-1)
        return self._split(q), self._split(k), self._split(v)

    def keys_values(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Compute keys and values, each (B, heads, T, head_width)."""
        _, k, v = self.project(states)
        return k, v


class Int8Network(ReaderNetwork):
    """A `ReaderNetwork` whose second-pass layers compute in 8-bit integers.

    Everything else, heads included, is shared with `network`.
    """

    def __init__(self, network: ReaderNetwork, kernel: Kernel) -> None:
        with unfilled():
            super().__init__(network.shape, network.alone)
        self.load_state_dict(network.state_dict(), assign=True)
        self.int8_layers = nn.ModuleList(
            Int8Layer(layer, kernel) for layer in network.second_pass_layers()
        )
        self.requires_grad_(False)

    def second_pass_layers(self) -> list[Layer]:
        """The layers of the second pass, in 8-bit integers."""
        return [layer for layer in self.int8_layers if isinstance(layer, Layer)]


def in_int8(network: ReaderNetwork) -> ReaderNetwork:
    """The network with its second pass in 8 bits; `network` itself where floats are quicker."""
    on_cpu = network.vocabulary_bias.device.type == "cpu"
    kernel = quickest_kernel() if on_cpu else None
    return network if kernel is None else Int8Network(network, kernel).eval()
