"""Writing token by token: cached equals uncached, rounding is all that is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from ragctx.generator.reader.int8_kernels import TILE, Int8RowProduct, RowProduct, row_product
from ragctx.generator.reader.prefill import concatenate
from torch import Tensor

from ragctx.generator.reader.checkpoint import dequantise, quantise, rounded
from ragctx.generator.reader.decode import Decoder, LikeliestToken, NextTokenScorer, decode_tokens
from ragctx.generator.reader.kv_cache import KVCache
from tests.support.tiny_reader import (
    NETWORK,
    READER,
    TINY,
    Tokens,
    one_pass,
    prompts,
    tiny_network,
    tokens,
)


def whole_product(weight: Tensor, bias: Tensor) -> RowProduct:
    return lambda row: F.linear(row, weight, bias)


def token_probabilities(
    scorer: NextTokenScorer, state: Tensor, context: Tensor, content: Tensor, context_ids: Tensor
) -> Tensor:
    """Of each vocabulary token as the next one, written or copied: (vocabulary,)."""
    write = scorer.vocabulary_scores(state)
    copy = scorer.start_scores(state, context).masked_fill(~content, -1e9)
    shares = torch.cat((write, copy)).softmax(0)
    return shares[: len(write)].index_add(0, context_ids, shares[len(write) :])


@settings(max_examples=20, deadline=None)
@given(prompt=prompts)
@torch.inference_mode()
def test_cached_decoding_writes_the_ids_of_uncached_decoding(
    prompt: tuple[list[Tokens], Tokens],
) -> None:
    passages, question = prompt
    ids = torch.tensor([t for passage in passages for t in passage])
    cached = READER.encode(passages)
    context, content = torch.cat([s.states for s in cached]), torch.ones(len(ids)) > 0

    def likeliest(state: Tensor) -> int:
        return int(token_probabilities(NETWORK, state, context, content, ids).argmax())

    states, kv_cache = READER.prefill(question, cached)
    steps = Decoder(NETWORK, whole_product).steps_after(kv_cache, kv_cache.length, 6)
    written = decode_tokens(states.answer, steps, likeliest, stop=0, max_new_tokens=6)
    expected: Tokens = ()
    while len(expected) < 6:
        token = likeliest(one_pass(passages, question, answer=expected)[-1][-1])
        if token == 0:
            break
        expected = (*expected, token)
    assert written == expected


@settings(max_examples=25, deadline=None)
@given(prompt=prompts, written=tokens)
@torch.inference_mode()
def test_steps_of_rounded_weights_are_one_pass_through_the_rounded_network(
    prompt: tuple[list[Tokens], Tokens], written: Tokens
) -> None:
    """Nothing but the weights is rounded, in every state and score."""
    cached = READER.encode(prompt[0])
    kv_cache, decoder = concatenate(NETWORK, cached), Decoder(NETWORK, Int8RowProduct)
    steps = decoder.steps_after(kv_cache, kv_cache.length, len(written))
    network = tiny_network()
    network.load_state_dict(dequantise(quantise(NETWORK.state_dict())))
    multiplied, network.embeddings = network.embeddings, NETWORK.embeddings  # looked up: whole
    positions = torch.arange(kv_cache.length, kv_cache.length + len(written))[None]
    causal = torch.ones(len(written), len(written), dtype=torch.bool).tril()
    at_once, _ = network.read(torch.tensor([written]), positions, kv_cache, causal)
    network.embeddings = multiplied
    for i, token in enumerate(written):
        state = steps(token)
        torch.testing.assert_close(state, at_once.last[0, i], atol=1e-3, rtol=1e-3)
    context = torch.randn(5, TINY.width)
    for found, expected in (
        (decoder.vocabulary_scores(state), network.vocabulary_scores(state)),
        (decoder.start_scores(state, context), network.start_scores(state, context)),
    ):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_token_probabilities_sum_to_one_and_copying_adds_to_writing() -> None:
    context, ids = torch.randn(4, TINY.width), torch.tensor([7, 8, 7, 9])
    content = torch.tensor([True, True, True, False])
    shares = token_probabilities(NETWORK, torch.randn(TINY.width), context, content, ids)
    assert shares.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert shares.shape == (TINY.vocabulary,)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(0, 12))
@torch.inference_mode()
def test_the_likeliest_token_is_that_of_all_probabilities(seed: int, length: int) -> None:
    torch.manual_seed(seed)
    context, ids = torch.randn(length, TINY.width), torch.randint(5, 9, (length,))
    content, state = torch.rand(length) < 0.7, torch.randn(TINY.width)
    shares = token_probabilities(NETWORK, state, context, content, ids)
    found = LikeliestToken(NETWORK, context, content, ids)(state)
    assert shares[found].item() == pytest.approx(shares.max().item(), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 70), out=st.integers(1, 2 * TILE + 3), seed=st.integers(0, 10_000))
@torch.inference_mode()
def test_a_rows_product_is_that_of_the_rounded_matrix(width: int, out: int, seed: int) -> None:
    torch.manual_seed(seed)
    weight, bias, row = torch.randn(out, width), torch.randn(out), torch.randn(width)
    whole, scale = rounded(weight)
    expected = F.linear(row, whole.float() * scale[:, None], bias)
    found = Int8RowProduct(weight, bias)(row)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_an_unknown_processor_multiplies_whole_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias, row = torch.randn(7, 12), torch.randn(7), torch.randn(12)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert torch.equal(row_product(weight, bias)(row), F.linear(row, weight, bias))


def test_only_a_single_row_without_padding_can_be_continued() -> None:
    kv_cache = concatenate(NETWORK, READER.encode([(5, 6, 7)]))
    padded = replace(kv_cache, mask=torch.ones(1, 3, dtype=torch.bool))
    two = KVCache(tuple(k.repeat(2, 1, 1, 1) for k in kv_cache.keys), kv_cache.values)
    for wrong in (padded, two):
        with pytest.raises(ValueError, match="single row without padding"):
            Decoder(NETWORK).steps_after(wrong, 3, 2)
