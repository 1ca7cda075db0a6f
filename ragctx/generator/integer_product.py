"""Products of many rows with a matrix of 8-bit integers, exact, by what the processor is quick at.

Where a processor adds products of bytes up in 16 bits (before AVX-512 VNNI), two of them can be too
large: there the rows have 7 bits, which cannot overflow. Neither kernel is public, so each is tried
on the largest numbers before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

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
        yield Kernel(-127, 127, 128, _by_int_mm)
    if capability in ("AVX2", "AVX512"):
        yield Kernel(0, 127, 256, _by_onednn)


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

    def product(rows: Tensor) -> Tensor:
        whole = rows.to(torch.int8).view(torch.uint8)  # straight to uint8 takes seven times as long
        found: Tensor = torch.ops.onednn.qlinear_pointwise.default(
            whole, 1.0, 0, packed, scale, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return found

    return product
