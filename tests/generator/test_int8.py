"""The second pass in 8-bit integers: exact products, rows that do not depend on each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ragctx.generator.reader import int8_kernels
from ragctx.generator.reader.checkpoint import rounded
from ragctx.generator.reader.int8 import Int8Linear, Int8Network, in_int8
from ragctx.generator.reader.int8_kernels import Kernel, Product, is_exact, quickest_kernel
from tests.support.tiny_reader import NETWORK, READER, tiny_network


def plain(matrix: Tensor) -> Product:
    return lambda rows: rows @ matrix.float().t()


PLAIN = Kernel(least=-100, most=100, rows=16, product=plain)
KERNELS = [PLAIN, *filter(is_exact, int8_kernels._kernels())]


@pytest.fixture(autouse=True)
def _choose_again() -> Iterator[None]:
    quickest_kernel.cache_clear()
    yield
    quickest_kernel.cache_clear()


sizes = st.tuples(st.integers(1, 300), st.integers(1, 50), st.integers(1, 70))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.product.__name__)
@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=st.integers(0, 10_000))
@torch.inference_mode()
def test_an_int8_product_is_that_of_the_rounded_matrix_with_the_rounded_rows(
    kernel: Kernel, size: tuple[int, int, int], seed: int
) -> None:
    torch.manual_seed(seed)
    rows, width, out = size
    weight, bias, x = torch.randn(out, width), torch.randn(out), torch.randn(rows, width)
    whole, scale = rounded(weight)
    low, high = x.double().aminmax(dim=1, keepdim=True)
    step = ((high - low) / (kernel.most - kernel.least)).clamp(min=1e-12)
    steps = (x - low) / step
    given = (low + steps.round() * step).float()
    assert ((given - x).abs() <= step / 2 + 1e-6).all()
    expected = F.linear(given, whole.float() * scale[:, None], bias)
    found = Int8Linear(weight, bias, kernel)(x[None])[0]
    # Half-way between two steps float32 may round to the other one than float64 does.
    settled = ((steps % 1 - 0.5).abs() > 1e-3).all(1)
    torch.testing.assert_close(found[settled], expected[settled], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.product.__name__)
@torch.inference_mode()
def test_a_rows_int8_product_does_not_depend_on_other_rows(kernel: Kernel) -> None:
    linear = Int8Linear(torch.randn(20, 48), torch.randn(20), kernel)
    rows = torch.randn(3 * kernel.rows, 48) * torch.logspace(-3, 3, 3 * kernel.rows)[:, None]
    together = linear(rows)
    for i in (0, 1, kernel.rows, 3 * kernel.rows - 1):
        assert torch.equal(linear(rows[[i, 5]])[0], together[i])


@torch.inference_mode()
def test_a_second_pass_in_8_bits_is_close_to_that_in_floats() -> None:
    cached = READER.encode([(5, 6, 7, 8), (9, 10)])
    question = READER.read_question((3, 4, 2), cached)
    early = [passage.early for passage in cached]
    int8 = Int8Network(NETWORK, PLAIN)
    assert len(int8.second_pass_layers()) == len(NETWORK.second_pass_layers())
    pairs = zip(
        int8.second_pass(early, question), NETWORK.second_pass(early, question), strict=True
    )
    for rounded_states, exact in pairs:
        assert F.cosine_similarity(rounded_states, exact, dim=-1).min() > 0.99
        assert not rounded_states.equal(exact)


def test_kernels_that_overflow_or_are_missing_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As products of bytes are added up on processors before AVX-512 VNNI: in 16 bits."""

    def overflowing(matrix: Tensor) -> Product:
        def product(rows: Tensor) -> Tensor:
            pairs = rows[:, None].mul(matrix).unflatten(2, (-1, 2)).sum(3)
            return pairs.clamp(-(2**15), 2**15 - 1).sum(2)

        return product

    def missing(matrix: Tensor) -> Product:
        raise RuntimeError("no such kernel")

    bad = [
        Kernel(least=-150, most=150, rows=16, product=overflowing),
        Kernel(least=0, most=9, rows=16, product=missing),
    ]
    monkeypatch.setattr(int8_kernels, "_kernels", lambda: iter(bad))
    assert quickest_kernel() is None and in_int8(NETWORK) is NETWORK
    quickest_kernel.cache_clear()
    monkeypatch.setattr(int8_kernels, "_kernels", lambda: iter([*bad, PLAIN]))
    assert isinstance(in_int8(tiny_network()), Int8Network)


def test_an_unknown_processor_keeps_the_network_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert in_int8(NETWORK) is NETWORK


def test_without_wide_registers_integers_are_not_multiplied_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There torch's `_int_mm` is exact, and was taken: 37 times slower than float32."""
    for capability, least in (("AVX2", [0]), ("AVX512", [-127, 0])):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        assert [kernel.least for kernel in int8_kernels._kernels()] == least
