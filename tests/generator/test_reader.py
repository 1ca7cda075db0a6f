"""Laws of the bundled reader: cached equals uncached, passages may come in any order.

The reference is a plain one-pass forward in torch over the whole prompt with the whole mask written
out: slow, and obviously right.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ragctx.errors import InputError, TemplateError
from ragctx.generator.reader.asked_number import asks_number, tells_number
from ragctx.generator.reader.calibration import Calibration, evidence_of
from ragctx.generator.reader.checkpoint import dequantise, quantise, reader_files
from ragctx.generator.reader.context import Layout
from ragctx.generator.reader.kv_cache import concatenate
from ragctx.generator.reader.network import MAX_SPAN_TOKENS, question_mask
from ragctx.generator.reader.passage_cache import PassageCache
from ragctx.generator.reader.passages import CachedPassage
from ragctx.generator.reader.passes import PassResult, Prior, second_pass
from ragctx.generator.reader.reader import load_bundled
from ragctx.generator.reader.rope import angles
from ragctx.generator.reader.spans import ECHO, NUMBERLESS, Span, best_spans, by_agreement, is_echo
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit
from ragctx.text.words import words_of
from ragctx.threads import THREADS
from tests.support.tiny_reader import (
    NETWORK,
    READER,
    TINY,
    TORCH,
    Tokens,
    one_pass,
    prompts,
    tiny_network,
    tiny_reader,
    tokens,
)
from training.graphs import runnable
from training.rope import angles as torch_angles
from training.rope import rotate

HALF = tiny_reader(TORCH, np.float16)


def close(found: NDArray[Any], expected: Tensor | NDArray[Any], tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)


@settings(max_examples=40, deadline=None)
@given(prompt=prompts, first=st.integers(0, 300))
def test_cached_passages_give_the_states_of_one_pass(
    prompt: tuple[list[Tokens], Tokens], first: int
) -> None:
    passages, question = prompt
    cached = READER.encode(passages)
    states = one_pass(passages, question, first)
    for kept, layer in (("early", TORCH.alone), ("states", -2)):
        found = np.concatenate([getattr(s, kept) for s in cached])
        close(found, states[layer][: -len(question)])
    expected = torch.stack([s[-len(question) :] for s in states[TORCH.alone :]])
    close(READER.read_question(question, cached).by_layer, expected)
    longer = NETWORK.read(
        question, concatenate(cached, first), visible=question_mask(len(question))
    )
    close(longer.states.by_layer, expected)


@settings(max_examples=25, deadline=None)
@given(prompt=prompts, first=st.integers(1, 3000))
def test_shifting_every_position_changes_nothing(
    prompt: tuple[list[Tokens], Tokens], first: int
) -> None:
    passages, question = prompt
    cached = READER.encode(passages)
    here, there = (NETWORK.read_question(question, concatenate(cached, at)) for at in (0, first))
    close(here.by_layer, there.by_layer, 1e-3)


@settings(max_examples=25, deadline=None)
@given(passages=st.lists(tokens, min_size=2, max_size=6))
def test_a_cached_passage_does_not_depend_on_its_neighbours(passages: list[Tokens]) -> None:
    together = READER.encode(passages)
    for passage, kept in zip(passages, together, strict=True):
        (alone,) = READER.encode([passage])
        for field in fields(CachedPassage):
            assert np.array_equal(getattr(alone, field.name), getattr(kept, field.name))


def test_the_shipped_reader_encodes_passages_alone_as_together_to_the_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With however many threads: rounding in the second pass can amplify the least difference."""
    reader = load_bundled()
    words = "the pump moves water from the tank to the boiler every year".split()
    passages = [(101, *reader.tokenizer.encode(" ".join(words * n)), 102) for n in (1, 7, 2, 20, 3)]
    alone = [reader.encode([passage])[0] for passage in passages]
    for threads in ("1", "2", "5"):
        monkeypatch.setenv(THREADS, threads)
        for one, other in zip(alone, reader.encode(passages), strict=True):
            for field in fields(CachedPassage):
                assert np.array_equal(getattr(one, field.name), getattr(other, field.name))


def test_any_order_of_cached_passages_equals_one_pass_in_that_order() -> None:
    passages: list[Tokens] = [(5, 6, 7), (8, 9), (10, 11, 12, 13)]
    cached = READER.encode(passages)
    for order in itertools.permutations(range(3)):
        asked = READER.read_question((3, 4, 2), [cached[i] for i in order])
        close(asked.last, one_pass([passages[i] for i in order], (3, 4, 2))[-1][-3:])


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_reading_an_answer_in_pieces_equals_reading_it_at_once(cut: int) -> None:
    kv_cache = concatenate(READER.encode([(5, 6, 7), (8, 9)]), first=11)
    ids, causal = [2, 20, 21, 22, 23], np.tri(5) > 0
    at_once = NETWORK.read(ids, kv_cache, visible=causal)
    head = NETWORK.read(ids[:cut], kv_cache, visible=causal[:cut, :cut])
    rest = 5 - cut
    tail = NETWORK.read(ids[cut:], head.kv_cache, offset=cut, visible=causal[:rest, :rest])
    close(np.concatenate((head.states.last, tail.states.last)), at_once.states.last)
    assert tail.kv_cache.length == at_once.kv_cache.length == 10
    assert tail.kv_cache.end == at_once.kv_cache.end == 21


def test_rotation_depends_on_the_difference_of_positions_only() -> None:
    q, k = torch.randn(1, 8), torch.randn(1, 8)

    def score(p: int, s: int) -> Tensor:
        at_p, at_s = (torch_angles(torch.tensor([i]), 8) for i in (p, s))
        return rotate(q, *at_p) @ rotate(k, *at_s).T

    torch.testing.assert_close(score(7, 3), score(100_007, 100_003), atol=1e-4, rtol=1e-4)


@given(positions=st.lists(st.integers(0, 200_000), min_size=1, max_size=20))
def test_angles_are_those_that_the_network_was_trained_with(positions: list[int]) -> None:
    for found, trained in zip(
        angles(np.array(positions), 8), torch_angles(torch.tensor(positions), 8), strict=True
    ):
        np.testing.assert_allclose(found, trained[:, 4:], atol=1e-6)  # there, both halves


@pytest.mark.parametrize("alone", range(TINY.layers))
def test_a_second_pass_is_the_last_layers_over_the_passage_followed_by_the_question(
    alone: int,
) -> None:
    """Wherever the passage was in the prompt."""
    network = tiny_network(alone=alone)
    reader = tiny_reader(network)
    layers = [*network.shared()[alone:], network.second]
    assert len(layers) == TINY.layers - alone + 1

    @settings(max_examples=25, deadline=None)
    @given(passages=st.lists(tokens, min_size=1, max_size=4), asked=tokens)
    def check(passages: list[Tokens], asked: Tokens) -> None:
        cached = reader.encode(passages)
        question = reader.network.read_question(asked, concatenate(cached, first=7))
        found = reader.network.second_pass([each.early for each in cached], question)
        for i, passage in enumerate(passages):
            seen = torch.tensor(cached[i].early)
            for layer, following in zip(layers, torch.tensor(question.by_layer), strict=True):
                row = torch.cat((seen, following))[None]
                q, k, v = layer.project(row)
                cos, sin = network.rotation(torch.arange(row.shape[1]))
                attended = F.scaled_dot_product_attention(
                    rotate(q, cos, sin), rotate(k, cos, sin), v
                )
                seen = layer.finish(row, attended)[0, : len(passage)]
            close(found[i], seen)

    check()


@settings(max_examples=30, deadline=None)
@given(prompt=prompts)
def test_the_heads_are_those_that_were_trained(prompt: tuple[list[Tokens], Tokens]) -> None:
    states = one_pass(*prompt)[-1]
    answer, context = states[-1], states[:-1]
    state, around = answer.numpy(), context.numpy()
    close(NETWORK.start_scores(state, around), TORCH.start_scores(answer, context), 1e-3)
    ends = TORCH.end_scores(answer, context[0], context[:96])
    close(NETWORK.end_scores(state, around[:96]), ends, 1e-3)
    close(NETWORK.null_score(state), TORCH.null_score(answer))
    close(NETWORK.second_null_score(state), TORCH.second_null_score(answer))
    close(NETWORK.relevance_scores(around), TORCH.relevance_scores(context))
    close(NETWORK.vocabulary_scores(state), TORCH.vocabulary_scores(answer), 1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 30), limit=st.integers(1, 60))
def test_best_spans_equals_an_exhaustive_search(seed: int, length: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    answer = rng.normal(size=TINY.width).astype(np.float32)
    context = rng.normal(size=(length, TINY.width)).astype(np.float32)
    content = rng.random(length) > 0.2
    content[0] = True
    begins = rng.random(length) > 0.8
    null_score = NETWORK.second_null_score
    spans, null = best_spans(
        NETWORK,
        answer,
        context,
        content,
        null_score,
        begins=begins,
        beam=length,
        max_tokens=limit,
    )
    starts = np.where(content, NETWORK.start_scores(answer, context), -1e9)
    log_start = torch.tensor(np.concatenate((starts, null_score(answer)))).log_softmax(0)
    best: tuple[float, int, int] = (-1e30, 0, 0)
    for i in range(length):
        stop = i
        while stop < min(length, i + min(limit, MAX_SPAN_TOKENS)) and content[stop]:
            if stop > i and begins[stop]:
                break
            stop += 1
        if stop == i:
            continue
        ends = torch.tensor(NETWORK.end_scores(answer, context[i:stop])).log_softmax(0)
        for j in range(i, stop):
            best = max(best, (float(log_start[i] + ends[j - i]), i, j))
    top = spans[0]
    assert top.log_probability == pytest.approx(best[0], abs=1e-3)
    assert content[top.first : top.last + 1].all() and top.last - top.first < limit
    assert not begins[top.first + 1 : top.last + 1].any()
    assert null == pytest.approx(float(log_start[-1]), abs=1e-4)


def test_a_passages_relevance_lifts_all_its_starts_by_as_much() -> None:
    cached = READER.encode([(5, 6, 7), (8, 9, 10, 11)])
    asked, known = READER.read_question((3, 4, 2), cached), np.zeros(7, dtype=np.float32)
    content = [np.array([False, True, True]), np.array([False, True, True, True])]
    begins = [np.zeros_like(mask) for mask in content]
    layout = Layout(own=content, content=content, begins=begins, rows=[[], []])
    lifted = tiny_network(alone=TORCH.alone)
    lifted.relevance.bias.add_(2.0)
    plain, found = (
        second_pass(
            network=network,
            passages=cached,
            layout=layout,
            question=asked,
            chosen=[0, 1],
            log_odds=known,
        )
        for network in (NETWORK, runnable(lifted, np.float32))
    )
    assert len(set(plain.log_odds.tolist())) == 2  # one for each passage
    close(found.log_odds, plain.log_odds + 2.0)
    close(found.states, plain.states)


WORDS = st.lists(st.sampled_from(["red", "the", "Red,", "fox", "1990", "$"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(st.tuples(WORDS.map(" ".join), st.floats(-8, 0)), min_size=1, max_size=8),
    question=st.sampled_from(["Which fox?", "How many foxes?"]),
)
def test_the_answer_agreed_on_most_has_the_best_expected_f1(
    drawn: list[tuple[str, float]], question: str
) -> None:
    """Against token F1 between bags of words, weighed by how likely each span is."""
    found = [Span(first=i, last=i, log_probability=likely) for i, (_, likely) in enumerate(drawn)]
    weights = [
        math.exp(
            likely
            - ECHO * is_echo(text, question)
            - NUMBERLESS * (asks_number(question) and not tells_number(text))
        )
        for text, likely in drawn
    ]

    def expected(span: Span) -> float:
        own = Counter(words_of(drawn[span.first][0]))
        f1 = 0.0
        for (text, _), weight in zip(drawn, weights, strict=True):
            theirs = Counter(words_of(text))
            common, size = (own & theirs).total(), own.total() + theirs.total()
            f1 += weight / sum(weights) * (2 * common / size if common else 0.0)
        return f1

    texts = [text for text, _ in drawn]
    ordered = [expected(span) for span in by_agreement(found, texts, question)]
    assert ordered == pytest.approx(sorted(map(expected, found), reverse=True), abs=1e-5)


def test_a_number_is_answered_where_one_is_asked_for() -> None:
    """The likelier "fair value per unit" was the answer to "How much was each unit worth?"."""
    spans = (
        Span(first=3, last=6, log_probability=-0.4),
        Span(first=8, last=8, log_probability=-1.6),
    )
    texts = ["fair value per unit", "149.73"]
    assert by_agreement(spans, texts, "How much was each unit worth?")[0] == spans[1]
    assert by_agreement(spans, texts, "Which column comes first?")[0] == spans[0]


def test_the_same_words_elsewhere_support_an_answer() -> None:
    """By their places they would not: "1990" alone was the likeliest of four, and won."""
    spans = (
        Span(first=9, last=9, log_probability=-0.9),
        Span(first=3, last=4, log_probability=-1.3),
        Span(first=30, last=31, log_probability=-1.3),
        Span(first=50, last=51, log_probability=-3.0),
    )
    texts = ["1990", "Tin Hall", "tin hall", "the hall"]
    ordered = by_agreement(spans, texts, "Where was it shown?")
    assert [span.first for span in ordered][:2] == [3, 30]


def test_the_question_is_no_answer_to_itself() -> None:
    """It was: "Linear fingering is also known as what?" got "linear fingering"."""
    spans, texts = (
        (Span(first=1, last=2, log_probability=-0.5), Span(first=9, last=9, log_probability=-1.7)),
        ["linear fingering", "chromatic"],
    )
    told = by_agreement(spans, texts, "Linear fingering is also known as what?")
    chosen = by_agreement(spans, texts, "Is it linear fingering or chromatic?")
    assert (told[0].first, chosen[0].first) == (9, 1)


def test_evidence_compares_the_passages_with_each_other() -> None:
    result = PassResult(
        spans=(Span(first=0, last=1, log_probability=-0.5, proximity=0.6),),
        first_null=math.log(0.8),
        second_null=math.log(0.2),
        passages=(-3, -1e9, -1),
        best_proximity=0.7,
    )
    question = [5000, 6000]
    found = evidence_of(result, [{5000}, set(), {5000, 6000}], 0, question)
    assert found.second_pass == pytest.approx(math.log(4)) and found.first_pass == pytest.approx(
        -math.log(4)
    )
    assert found.span == -0.5 and found.lead == 2
    (hidden,) = {
        evidence_of(replace(result, passages=p), [{1}, {2}], 0, question).lead
        for p in ((-1.0, -1e9), (-1e9, -1.0))
    }
    assert hidden == 20
    assert (found.proximity, found.best_proximity) == (0.6, 0.7) and 0 < found.covered < 1
    assert found.others == pytest.approx(found.covered / 2) and not found.alone
    alone = evidence_of(replace(result, passages=(-1.0,)), [{5000}], 0, question)
    assert alone.covered == found.covered and alone.others == 0 and alone.alone
    assert alone.lead == 0


def cached_passage(n: int) -> CachedPassage:
    keys, states = np.zeros((1, 1, n, 2)), np.zeros((n, 2))
    return CachedPassage(keys=keys, values=keys.copy(), early=states, states=states.copy())


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), max_size=12),
    bound=st.integers(0, 400),
)
def test_the_cache_is_bounded_and_gives_what_encoding_gives(
    requests: list[list[int]], bound: int
) -> None:
    cache, encoded = PassageCache(bound), 0

    def encode(passages: list[Tokens]) -> list[CachedPassage]:
        nonlocal encoded
        encoded += len(passages)
        return [cached_passage(len(passage)) for passage in passages]

    for request in requests:
        wanted = [(7,) * n for n in request]
        given_, reused = cache.fetch(wanted, encode)
        assert [s.states.shape[0] for s in given_] == request
        assert 0 <= reused <= sum(request)
        assert cache.stats.held_bytes <= bound
        assert cache.stats.held_bytes == sum(s.nbytes for s in cache._held.values())
    stats = cache.stats
    assert stats.hits + stats.misses == sum(map(len, requests))


def test_a_second_request_reuses_every_token() -> None:
    cache = PassageCache(10**6)
    passages: list[Tokens] = [(1, 2, 3), (4, 5)]
    cache.fetch(passages, lambda missing: [cached_passage(len(c)) for c in missing])
    _, reused = cache.fetch(passages, lambda missing: pytest.fail("encoded again"))
    assert reused == 5


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(InputError, match="-1"):
        PassageCache(-1)


def test_quantised_weights_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    weights = {
        "matrix": rng.normal(size=(5, 7)).astype(np.float32),
        "vector": rng.normal(size=4).astype(np.float32),
        "zero": np.zeros((2, 2), dtype=np.float32),
    }
    packed = quantise(weights)
    assert packed["matrix"].dtype == np.int8
    back = dequantise(packed)
    assert set(back) == set(weights)
    step = np.abs(weights["matrix"]).max(1, keepdims=True) / 127
    assert (np.abs(back["matrix"] - weights["matrix"]) <= step / 2 + 1e-6).all()
    assert np.array_equal(back["vector"], weights["vector"])
    assert np.array_equal(back["zero"], weights["zero"])
    kept = dequantise(packed, but=("matrix",))
    assert kept["matrix"] is packed["matrix"] and set(kept) == {*weights, "matrix.scale"}


@settings(max_examples=20, deadline=None)
@given(prompt=prompts)
def test_half_precision_passages_are_the_same_from_encoding_and_from_the_cache(
    prompt: tuple[list[Tokens], Tokens],
) -> None:
    """Kept in half precision from the start, so that an answer never depends on the cache."""
    passages, question = prompt
    HALF.forget()
    cold, _ = HALF.cache.fetch(passages, HALF.encode)
    warm, reused = HALF.cache.fetch(passages, lambda _: pytest.fail("encoded again"))
    assert {part.dtype for part in (cold[0].keys, cold[0].early)} == {np.dtype(np.float16)}
    assert reused == sum(map(len, passages))
    first, again = (HALF.read_question(question, each) for each in (cold, warm))
    assert np.array_equal(first.by_layer, again.by_layer)
    exact = one_pass(passages, question)[-1][-1]
    assert F.cosine_similarity(torch.tensor(first.answer), exact, dim=0) > 0.999


@pytest.mark.parametrize("template", ["qa", "plain"])
def test_another_models_template_is_refused_by_name(template: str) -> None:
    """The plain template has no [MASK] at its end: the reader used to answer nonsense."""
    reader = load_bundled()
    hits = [Hit.from_text(1, 1.0, "Tin melts at 232 degrees.")]
    prompt = build_prompt(
        load_template(template),
        "When does tin melt?",
        place(hits),
        reader.tokenizer,
        context_window=2048,
        max_new_tokens=32,
    )
    with pytest.raises(TemplateError, match="--template reader"):
        reader.generate(prompt)


def test_the_shipped_reader_copies_its_answer_and_says_where_from() -> None:
    reader = load_bundled()
    texts = ["Tin melts at 232 degrees Celsius.", "The bridge was opened in 1932."]
    hits = [Hit.from_text(i + 1, 1.0, text) for i, text in enumerate(texts)]
    prompt = build_prompt(
        load_template("reader"),
        "When was the bridge opened?",
        place(hits),
        reader.tokenizer,
        context_window=2048,
        max_new_tokens=32,
    )
    reader.threshold = 0.0
    first = reader.generate(prompt)
    (span,) = first.spans
    own = prompt.passages[span.passage]
    assert own.own_text[span.start : span.end] == first.text
    again = reader.generate(prompt)
    assert again.text == first.text and first.reused_tokens == 0
    assert again.reused_tokens == sum(len(p.token_ids) for p in prompt.passages)
    reader.threshold = 1.1
    assert reader.generate(prompt).finish_reason == "abstain"


@pytest.mark.parametrize(("similarity", "answers"), [(0.1, False), (0.6, True), (None, True)])
def test_a_question_about_something_else_is_refused(similarity: float, answers: bool) -> None:
    """Asked who is king of Spain, the reader named a librarian with a confidence of 0.81."""
    reader = load_bundled()
    reader.threshold = 0.001  # anything above nothing
    hit = replace(Hit.from_text(1, 1.0, "Josefa Wren leads the choir."), similarity=similarity)
    prompt = build_prompt(
        load_template("reader"),
        "Who is the king of Spain?",
        place([hit]),
        reader.tokenizer,
        context_window=2048,
        max_new_tokens=32,
    )
    given = reader.generate(prompt)
    assert (given.finish_reason == "stop") == answers
    assert answers or given.confidence == 0.0


def test_a_question_in_a_passages_own_words_is_about_it_however_low_its_cosine() -> None:
    """A note on a garden says when the paths are mown, in one line of eight: it was refused."""
    reader = load_bundled()
    reader.threshold = 0.001  # anything above nothing
    text = "The tomato bed gets 1.5 litres a day from the drip line. Paths are mown in April."
    prompt = build_prompt(
        load_template("reader"),
        "When are the paths mown?",
        place([replace(Hit.from_text(1, 1.0, text), similarity=0.2)]),
        reader.tokenizer,
        context_window=2048,
        max_new_tokens=32,
    )
    assert reader.generate(prompt).text.endswith("April")


def test_a_readers_identity_changes_with_every_setting_that_its_answers_depend_on() -> None:
    reader = load_bundled()
    identities = {reader.identity()}
    for name, value in (
        ("threshold", 0.5),
        ("prior", Prior(proximity=1.0)),
        ("calibration", Calibration((0.0,) * 10)),
        ("min_similarity", 0.5),
    ):
        setattr(reader, name, value)
        identities.add(reader.identity())
    assert len(identities) == 5
    assert load_bundled().identity() == load_bundled().identity() in identities


def test_a_readers_identity_is_spelt_as_in_the_first_release() -> None:
    """Else the profiles and answers that were stored under hashes of it would not be found."""
    reader = load_bundled()
    assert reader.prior.proximity and "nearness" in reader.identity()[3]
    assert "proximity" not in repr(reader.identity())
    assert set(reader_files().identity()["prior"]) == {
        *("rank", "similarity", "nearness", "row", "column")
    }


def test_a_reader_that_forgot_reads_every_passage_again() -> None:
    reader = tiny_reader(TORCH)
    reader.cache.fetch([(5, 6), (7, 8)], reader.encode)
    assert reader.caches_prompts and reader.cache.stats.held == 2
    reader.forget()
    _, reused = reader.cache.fetch([(5, 6), (7, 8)], reader.encode)
    assert reused == 0


def test_a_passage_whose_cosine_is_not_known_gets_a_typical_one() -> None:
    """With log-odds of 0, half of the questions over another retriever's hits were refused."""
    prior = Prior(rank=0.5, similarity=8.0)
    unknown, high, low = (
        replace(Hit.from_text(1, 1.0, "text"), similarity=c) for c in (None, 0.8, 0.1)
    )
    assert prior.log_odds(low) < prior.log_odds(unknown) < prior.log_odds(high)
