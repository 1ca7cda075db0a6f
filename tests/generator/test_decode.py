"""Writing token by token: cached equals uncached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragctx.generator.reader.decode import LikeliestToken, decode_tokens
from ragctx.generator.reader.kv_cache import concatenate
from ragctx.generator.reader.network import question_mask
from tests.support.tiny_reader import NETWORK, READER, TINY, Tokens, one_pass, prompts

Floats = NDArray[np.float32]


def token_probabilities(
    state: Floats, context: Floats, content: NDArray[np.bool_], context_ids: list[int]
) -> Floats:
    """Of each vocabulary token as the next one, written or copied: (vocabulary,)."""
    write = NETWORK.vocabulary_scores(state)
    copy = np.where(content, NETWORK.start_scores(state, context), -np.inf)
    shares = np.exp(np.concatenate((write, copy)) - max(write.max(), copy.max(initial=-np.inf)))
    shares /= shares.sum()
    summed = shares[: len(write)].copy()
    for token, share in zip(context_ids, shares[len(write) :], strict=True):
        summed[token] += share
    return summed


@settings(max_examples=20, deadline=None)
@given(prompt=prompts)
def test_cached_decoding_writes_the_ids_of_uncached_decoding(
    prompt: tuple[list[Tokens], Tokens],
) -> None:
    passages, question = prompt
    ids = [t for passage in passages for t in passage]
    cached = READER.encode(passages)
    context, content = np.concatenate([s.states for s in cached]), np.ones(len(ids)) > 0

    def likeliest(state: Floats) -> int:
        return int(token_probabilities(state, context, content, ids).argmax())

    read = NETWORK.read(question, concatenate(cached), visible=question_mask(len(question)))
    written = decode_tokens(
        NETWORK, read, likeliest, offset=len(question), stop=0, max_new_tokens=6
    )
    expected: Tokens = ()
    while len(expected) < 6:
        token = likeliest(one_pass(passages, question, answer=expected)[-1][-1].numpy())
        if token == 0:
            break
        expected = (*expected, token)
    assert written == expected


def test_decoding_ends_at_the_stop_and_never_writes_it() -> None:
    question = (3, 4, 2)
    read = NETWORK.read(question, concatenate(READER.encode([(5, 6, 7)])))
    chosen = iter((9, 8, 1, 7))
    written = decode_tokens(
        NETWORK, read, lambda _: next(chosen), offset=3, stop=1, max_new_tokens=6
    )
    assert written == (9, 8)
    assert next(chosen) == 7, "nothing is chosen after the stop"


def test_the_cache_grows_by_one_position_a_step_and_tells_its_bytes() -> None:
    kv_cache = concatenate(READER.encode([(5, 6, 7), (8, 9)]))
    longer = NETWORK.read([3], kv_cache).kv_cache
    a_position = 2 * TINY.layers * TINY.width * 4
    assert (kv_cache.nbytes, longer.nbytes) == (5 * a_position, 6 * a_position)
    assert (kv_cache.end, longer.end) == (5, 6)


def test_token_probabilities_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(4, TINY.width)).astype(np.float32)
    content = np.array([True, True, True, False])
    shares = token_probabilities(context[0], context, content, [7, 8, 7, 9])
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert shares.shape == (TINY.vocabulary,)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(0, 12))
def test_the_likeliest_token_is_that_of_all_probabilities(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(length, TINY.width)).astype(np.float32)
    state, ids = rng.normal(size=TINY.width).astype(np.float32), rng.integers(5, 9, length).tolist()
    content = rng.random(length) < 0.7
    shares = token_probabilities(state, context, content, ids)
    found = LikeliestToken(NETWORK, context, content, ids)(state)
    assert shares[found] == pytest.approx(shares.max(), rel=1e-4)
