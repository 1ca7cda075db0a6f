"""A matrix times one row, as each step of writing needs it: 8-bit weights, at memory speed.

A kernel made for embedding bags adds up rows of bytes, each times a weight of its own. With a
matrix's columns as the rows and the given row's values as the weights, that is their product, and
quicker than torch's kernel for one row of 8-bit weights. The weights are rounded as they ship, the
row not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.weights import rounded

RowProduct = Callable[[Tensor], Tensor]
"""(in,) -> (out,)."""

TILE = 12 * (16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8)
"""Outputs added up together: as many sums as the kernel keeps in twelve registers."""

ZERO = 128
"""The byte that stands for 0."""


class RoundedProduct:
    """What `F.linear` gives for one row, the weights rounded to 8 bits."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        whole, scale = rounded(weight)
        self.outputs, width = whole.shape
        self.tiles = -(-self.outputs // TILE)
        lacking = self.tiles * TILE - self.outputs
        values = (F.pad(whole, (0, 0, 0, lacking)).to(torch.int16) + ZERO).to(torch.uint8)
        columns = values.view(self.tiles, TILE, width).transpose(1, 2).reshape(-1, TILE)
        # behind each row its scale and its offset, as the kernel wants them
        ends = torch.tensor([1.0, -ZERO]).view(torch.uint8).expand(len(columns), -1)
        self.columns = torch.cat((columns, ends), 1)
        self.numbers = torch.arange(len(columns), dtype=torch.int32)
        self.begins = torch.arange(0, len(columns), width, dtype=torch.int32)
        self.scale, self.bias = F.pad(scale, (0, lacking)), F.pad(bias, (0, lacking))

    def __call__(self, row: Tensor) -> Tensor:
        """(in,) -> (out,), float32."""
        sums = torch.ops.quantized.embedding_bag_byte_rowwise_offsets.default(
            self.columns,
            self.numbers,
            self.begins,
            per_sample_weights=row.expand(self.tiles, -1).contiguous().view(-1),
        )
        return torch.addcmul(self.bias, sums.view(-1), self.scale)[: self.outputs]


def row_product(weight: Tensor, bias: Tensor) -> RowProduct:
    """In 8 bits where the processor has the kernel, else as it is."""
    known = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if known and weight.device.type == "cpu":
        return RoundedProduct(weight, bias)
    return partial(F.linear, weight=weight, bias=bias)
