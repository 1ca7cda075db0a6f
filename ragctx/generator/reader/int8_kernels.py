"""Products of many rows with a matrix of 8-bit integers, exact, by what the processor is quick at.

Where a processor adds products of bytes up in 16 bits (before AVX-512 VNNI), two of them can be too
large: there the rows have 7 bits, which cannot overflow. Neither kernel is public, so each is tried
on the largest numbers before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.reader.checkpoint import rounded

Product = Callable[[Tensor], Tensor]
"""(rows, in) -> (rows, out), whole numbers as float32."""


class Kernel(NamedTuple):
    """A way to multiply."""

    least: int  # number in a row,
    most: int  # and the largest
    rows: int  # multiplied at once: what comes out of them stays in a processor's cache
    product: Callable[[Tensor], Product]  # of a matrix (out, in) of int8


@cache
def quickest_kernel() -> Kernel | None:
    """The first that is there and exact; None where floats are quicker."""
    return next(filter(is_exact, _kernels()), None)


def _kernels() -> Iterator[Kernel]:
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == "AVX512":  # without it torch multiplies one by one, 37 times slower
        yield Kernel(least=-127, most=127, rows=128, product=_by_int_mm)
    if capability in ("AVX2", "AVX512"):
        yield Kernel(least=0, most=127, rows=256, product=_by_onednn)


def is_exact(kernel: Kernel) -> bool:
    """Whether the largest numbers of either sign are multiplied without overflow."""
    matrix = torch.full((64, 384), 127, dtype=torch.int8)
    matrix[::2] = -127
    rows = torch.full((32, 384), float(kernel.most))
    rows[::2] = kernel.least
    try:
        found = kernel.product(matrix)(rows)
    except (AttributeError, RuntimeError):  # a torch without the kernel
        return False
    return torch.equal(found, rows @ matrix.float().t())


def _by_int_mm(matrix: Tensor) -> Product:
    turned = matrix.t()
    return lambda rows: torch._int_mm(rows.to(torch.int8), turned).float()


def _by_onednn(matrix: Tensor) -> Product:
    scale, zero = torch.ones(len(matrix)), torch.zeros(len(matrix), dtype=torch.long)
    packed = torch.ops.onednn.qlinear_prepack(matrix, None)
    # scale and zero point of the rows, the matrix with its own, no bias, scale and zero point and
    # type of what comes out, and nothing done to it afterwards
    settings: tuple[Any, ...] = (
        1.0,
        0,
        packed,
        scale,
        zero,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )

    def product(rows: Tensor) -> Tensor:
        whole = rows.to(torch.int8).view(torch.uint8)  # straight to uint8 takes seven times as long
        found: Tensor = torch.ops.onednn.qlinear_pointwise.default(whole, *settings)
        return found

    return product


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
