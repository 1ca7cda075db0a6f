"""Exact products of floating-point rows with a matrix of 8-bit integers, on quick CPU kernels.

`Kernel` multiplies many rows at once (the second pass), `Int8RowProduct` a single row (decoding).

Processors before AVX-512 VNNI add up products of two bytes in 16 bits, where the sum of two can
overflow. There the rows have only 7 bits, which cannot. Neither kernel is a public interface of
torch, so each is tried on the largest numbers before it is used.
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
"""(rows, in) -> (rows, out), whole numbers held in float32."""


class Kernel(NamedTuple):
    """How rows of whole numbers are multiplied with an int8 matrix on this processor."""

    least: int  # smallest number that a row may hold
    most: int  # largest one
    rows: int  # rows multiplied at once, so that the products stay in the processor's cache
    product: Callable[[Tensor], Product]  # prepares a matrix (out, in) of int8


@cache
def quickest_kernel() -> Kernel | None:
    """The first kernel that exists here and is exact; None where floats are quicker."""
    for kernel in _kernels():
        if is_exact(kernel):
            return kernel
    return None


def _kernels() -> Iterator[Kernel]:
    """The kernels to try on this processor, quickest first.

    Blocks of 128 rows, written in place, were quicker than blocks of 256 with AVX-512
    (training/LOG.md); without it their number was chosen by hand.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == "AVX512":  # without it torch multiplies one by one, 37 times slower
        yield Kernel(least=-127, most=127, rows=128, product=_by_int_mm)
    if capability in ("AVX2", "AVX512"):
        yield Kernel(least=0, most=127, rows=256, product=_by_onednn)


def is_exact(kernel: Kernel) -> bool:
    """Whether the kernel multiplies the largest numbers of either sign without overflow."""
    matrix = torch.full((64, 384), 127, dtype=torch.int8)
    matrix[::2] = -127
    rows = torch.full((32, 384), float(kernel.most))
    rows[::2] = kernel.least
    try:
        products = kernel.product(matrix)(rows)
    except (AttributeError, RuntimeError):  # this torch does not have the kernel
        return False
    return torch.equal(products, rows @ matrix.float().t())


def _by_int_mm(matrix: Tensor) -> Product:
    transposed = matrix.t()
    return lambda rows: torch._int_mm(rows.to(torch.int8), transposed).float()


def _by_onednn(matrix: Tensor) -> Product:
    scales, zero_points = torch.ones(len(matrix)), torch.zeros(len(matrix), dtype=torch.long)
    settings: tuple[Any, ...] = (
        1.0,  # scale of the rows
        0,  # zero point of the rows
        torch.ops.onednn.qlinear_prepack(matrix, None),
        scales,  # of the matrix
        zero_points,
        None,  # bias
        1.0,  # scale of the output
        0,  # zero point of the output
        torch.float32,  # type of the output
        "none",  # operation applied to the output
        [],  # arguments of that operation
        "",  # its algorithm
    )

    def product(rows: Tensor) -> Tensor:
        # via int8, since converting floats straight to uint8 takes seven times as long
        integers = rows.to(torch.int8).view(torch.uint8)
        products: Tensor = torch.ops.onednn.qlinear_pointwise.default(integers, *settings)
        return products

    return product


RowProduct = Callable[[Tensor], Tensor]
"""(in,) -> (out,)."""

TILE = 12 * (16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8)
"""Outputs of a row product that are added up together. The kernel keeps their sums in twelve
vector registers, each of which holds 16 floats with AVX-512 and 8 without."""

ZERO = 128
"""The byte that represents 0: the kernel's bytes are unsigned, 0 to 255."""


class Int8RowProduct:
    """`F.linear` for a single row, with the weights rounded to 8 bits.

    The matrix product is written as the weighted sums that torch's embedding bag computes: it has
    an 8-bit kernel that reads each weight once. Output tile t is the sum of its columns, weighted
    by the row.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        integers, scale = rounded(weight)
        self.outputs, width = integers.shape
        self.tiles = -(-self.outputs // TILE)
        padding = self.tiles * TILE - self.outputs
        values = (F.pad(integers, (0, 0, 0, padding)).to(torch.int16) + ZERO).to(torch.uint8)
        columns = values.view(self.tiles, TILE, width).transpose(1, 2).reshape(-1, TILE)
        # the kernel expects the bytes of a scale and an offset after each column
        scale_and_offset = torch.tensor([1.0, -ZERO]).view(torch.uint8).expand(len(columns), -1)
        self.columns = torch.cat((columns, scale_and_offset), 1)
        self.column_numbers = torch.arange(len(columns), dtype=torch.int32)
        self.tile_starts = torch.arange(0, len(columns), width, dtype=torch.int32)
        self.scale, self.bias = F.pad(scale, (0, padding)), F.pad(bias, (0, padding))

    def __call__(self, row: Tensor) -> Tensor:
        """(in,) -> (out,), float32."""
        sums = torch.ops.quantized.embedding_bag_byte_rowwise_offsets.default(
            self.columns,
            self.column_numbers,
            self.tile_starts,
            per_sample_weights=row.expand(self.tiles, -1).contiguous().view(-1),
        )
        return torch.addcmul(self.bias, sums.view(-1), self.scale)[: self.outputs]


def row_product(weight: Tensor, bias: Tensor) -> RowProduct:
    """A row product in 8 bits where the processor has the kernel, else with the given weights."""
    has_kernel = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if has_kernel and weight.device.type == "cpu":
        return Int8RowProduct(weight, bias)
    return partial(F.linear, weight=weight, bias=bias)
