"""Laws of the bundled reader: cached equals uncached, passages may come in any order.

The reference is a plain one-pass forward over the whole prompt with the whole mask written out:
slow, and obviously right.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from ragctx.generator.reader.prefill import concatenate, question_mask
from torch import Tensor

from ragctx.errors import InputError, TemplateError
from ragctx.generator.reader.calibration import Calibration, evidence_of
from ragctx.generator.reader.checkpoint import dequantise, quantise, reader_files
from ragctx.generator.reader.kv_cache import KVCache
from ragctx.generator.reader.network import MAX_SPAN_TOKENS, QuestionStates
from ragctx.generator.reader.passage_cache import PassageCache
from ragctx.generator.reader.passages import CachedPassage
from ragctx.generator.reader.passes import PassResult, Prior, first_pass, second_pass
from ragctx.generator.reader.reader import load_bundled
from ragctx.generator.reader.rope import angles, rotate
from ragctx.generator.reader.spans import ECHO, Span, best_spans, by_agreement, is_echo
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit
from ragctx.text.words import words_of
from tests.support.tiny_reader import (
    NETWORK,
    READER,
    TINY,
    Tokens,
    one_pass,
    prompts,
    tiny_network,
    tiny_reader,
    tokens,
)


@settings(max_examples=40, deadline=None)
@given(prompt=prompts, first=st.integers(0, 300))
@torch.inference_mode()
def test_cached_passages_give_the_states_of_one_pass(
    prompt: tuple[list[Tokens], Tokens], first: int
) -> None:
    passages, question = prompt
    cached = READER.encode(passages)
    states = one_pass(passages, question, first)
    for kept, layer in (("early", NETWORK.alone), ("states", -2)):
        found = torch.cat([getattr(s, kept) for s in cached])
        whole = states[layer][: -len(question)]
        torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)
    expected = QuestionStates(torch.stack([s[-len(question) :] for s in states[NETWORK.alone :]]))
    for asked in (READER.read_question(question, cached), READER.prefill(question, cached)[0]):
        torch.testing.assert_close(asked, expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(prompt=prompts, first=st.integers(1, 3000))
@torch.inference_mode()
def test_shifting_every_position_changes_nothing(
    prompt: tuple[list[Tokens], Tokens], first: int
) -> None:
    passages, question = prompt
    cached = READER.encode(passages)
    here, there = (READER.prefill(question, cached, at)[0] for at in (0, first))
    torch.testing.assert_close(here, there, atol=1e-3, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(passages=st.lists(tokens, min_size=2, max_size=6))
@torch.inference_mode()
def test_a_cached_passage_does_not_depend_on_its_neighbours(passages: list[Tokens]) -> None:
    together = READER.encode(passages)
    for passage, kept in zip(passages, together, strict=True):
        (alone,) = READER.encode([passage])
        for field in fields(CachedPassage):
            assert torch.equal(getattr(alone, field.name), getattr(kept, field.name))


@torch.inference_mode()
def test_any_order_of_cached_passages_equals_one_pass_in_that_order() -> None:
    passages: list[Tokens] = [(5, 6, 7), (8, 9), (10, 11, 12, 13)]
    cached = READER.encode(passages)
    for order in itertools.permutations(range(3)):
        asked = READER.read_question((3, 4, 2), [cached[i] for i in order])
        expected = one_pass([passages[i] for i in order], (3, 4, 2))[-1][-3:]
        torch.testing.assert_close(asked.last, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
@torch.inference_mode()
def test_reading_an_answer_in_pieces_equals_reading_it_at_once(cut: int) -> None:
    cached = READER.encode([(5, 6, 7), (8, 9)])
    kv_cache = concatenate(NETWORK, cached)
    ids, positions = torch.tensor([[2, 20, 21, 22, 23]]), torch.arange(5, 10)[None]
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    at_once, _ = NETWORK.read(ids, positions, kv_cache, causal)
    head, longer = NETWORK.read(ids[:, :cut], positions[:, :cut], kv_cache, causal[:cut, :cut])
    rest = 5 - cut
    tail, _ = NETWORK.read(ids[:, cut:], positions[:, cut:], longer, causal[:rest, :rest])
    in_pieces = torch.cat((head.last, tail.last), 1)
    torch.testing.assert_close(in_pieces, at_once.last, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_padding_in_the_past_is_never_seen() -> None:
    (cached,) = READER.encode([(5, 6, 7)])
    kv_cache = concatenate(NETWORK, [cached])
    grown = KVCache(
        tuple(F.pad(k, (0, 0, 0, 2), value=9.0) for k in kv_cache.keys),
        tuple(F.pad(v, (0, 0, 0, 2), value=9.0) for v in kv_cache.values),
        torch.tensor([[True, True, True, False, False]]),
    )
    ids, positions = torch.tensor([[3, 2]]), torch.tensor([[3, 4]])
    plain, _ = NETWORK.read(ids, positions, kv_cache, question_mask(2))
    masked, _ = NETWORK.read(ids, positions, grown, question_mask(2))
    torch.testing.assert_close(plain.last, masked.last, atol=1e-5, rtol=1e-5)


def test_rotation_depends_on_the_difference_of_positions_only() -> None:
    q, k = torch.randn(1, 8), torch.randn(1, 8)

    def score(p: int, s: int) -> Tensor:
        at_p, at_s = (angles(torch.tensor([i]), 8) for i in (p, s))
        return rotate(q, *at_p) @ rotate(k, *at_s).T

    torch.testing.assert_close(score(7, 3), score(100_007, 100_003), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("alone", range(TINY.layers))
@settings(max_examples=25, deadline=None)
@given(passages=st.lists(tokens, min_size=1, max_size=4), asked=tokens)
@torch.inference_mode()
def test_a_second_pass_is_the_last_layers_over_the_passage_followed_by_the_question(
    alone: int, passages: list[Tokens], asked: Tokens
) -> None:
    """Wherever the passage was in the prompt."""
    network = tiny_network(alone=alone)
    reader = tiny_reader(network=network)
    cached = reader.encode(passages)
    question = reader.prefill(asked, cached, first=7)[0]
    found = network.second_pass([each.early for each in cached], question)
    layers = [*network.shared()[alone:], network.second]
    assert len(layers) == TINY.layers - alone + 1
    for i, passage in enumerate(passages):
        seen = cached[i].early
        for layer, following in zip(layers, question.by_layer, strict=True):
            row = torch.cat((seen, following))[None]
            q, k, v = layer.project(row)
            cos, sin = network.rotation(torch.arange(row.shape[1]))
            attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
            seen = layer.finish(row, attended)[0, : len(passage)]
        torch.testing.assert_close(found[i], seen, atol=1e-4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 30), limit=st.integers(1, 60))
@torch.inference_mode()
def test_best_spans_equals_an_exhaustive_search(seed: int, length: int, limit: int) -> None:
    torch.manual_seed(seed)
    answer, context = torch.randn(TINY.width), torch.randn(length, TINY.width)
    content = torch.rand(length) > 0.2
    content[0] = True
    null_score = NETWORK.second_null_score
    spans, null = best_spans(
        NETWORK, answer, context, content, null_score, beam=length, max_tokens=limit
    )
    starts = NETWORK.start_scores(answer, context).masked_fill(~content, -1e9)
    log_start = torch.cat((starts, null_score(answer))).log_softmax(0)
    best: tuple[float, int, int] = (-1e30, 0, 0)
    for i in range(length):
        stop = i
        while stop < min(length, i + min(limit, MAX_SPAN_TOKENS)) and content[stop]:
            stop += 1
        if stop == i:
            continue
        ends = NETWORK.end_scores(answer, context[i], context[i:stop]).log_softmax(0)
        for j in range(i, stop):
            best = max(best, (float(log_start[i] + ends[j - i]), i, j))
    top = spans[0]
    assert top.log_probability == pytest.approx(best[0], abs=1e-3)
    assert content[top.first : top.last + 1].all() and top.last - top.first < limit
    assert null == pytest.approx(float(log_start[-1]), abs=1e-4)


@torch.inference_mode()
def test_a_passages_relevance_lifts_all_its_starts_by_as_much() -> None:
    cached = READER.encode([(5, 6, 7), (8, 9, 10, 11)])
    asked, known = READER.read_question((3, 4, 2), cached), torch.zeros(7)
    content = [torch.tensor([False, True, True]), torch.tensor([False, True, True, True])]
    first = first_pass(NETWORK, cached, content, asked.answer, known)
    plain = second_pass(
        network=NETWORK,
        passages=cached,
        content=content,
        question=asked,
        first=first,
        log_odds=known,
    )
    lifted = tiny_network(alone=NETWORK.alone)
    lifted.relevance.bias.add_(2.0)
    found = second_pass(
        network=lifted,
        passages=cached,
        content=content,
        question=asked,
        first=first,
        log_odds=known,
    )
    assert plain.log_odds.unique().numel() == 2  # one for each passage
    torch.testing.assert_close(found.log_odds, plain.log_odds + 2.0)
    torch.testing.assert_close(found.states, plain.states)


WORDS = st.lists(st.sampled_from(["red", "the", "Red,", "fox", "1990", "$"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(drawn=st.lists(st.tuples(WORDS.map(" ".join), st.floats(-8, 0)), min_size=1, max_size=8))
def test_the_answer_agreed_on_most_has_the_best_expected_f1(drawn: list[tuple[str, float]]) -> None:
    """Against token F1 between bags of words, weighed by how likely each span is."""
    found = [Span(first=i, last=i, log_probability=likely) for i, (_, likely) in enumerate(drawn)]
    weights = [math.exp(likely - ECHO * is_echo(text, "Which fox?")) for text, likely in drawn]

    def expected(span: Span) -> float:
        own = Counter(words_of(drawn[span.first][0]))
        f1 = 0.0
        for (text, _), weight in zip(drawn, weights, strict=True):
            theirs = Counter(words_of(text))
            common, size = (own & theirs).total(), own.total() + theirs.total()
            f1 += weight / sum(weights) * (2 * common / size if common else 0.0)
        return f1

    texts = [text for text, _ in drawn]
    ordered = [expected(span) for span in by_agreement(found, texts, "Which fox?")]
    assert ordered == pytest.approx(sorted(map(expected, found), reverse=True), abs=1e-5)


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
    keys, states = torch.zeros(1, 1, n, 2), torch.zeros(n, 2)
    return CachedPassage(keys=keys, values=keys.clone(), early=states, states=states.clone())


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
    weights = {"matrix": torch.randn(5, 7), "vector": torch.randn(4), "zero": torch.zeros(2, 2)}
    packed = quantise(weights)
    assert packed["matrix"].dtype == torch.int8
    back = dequantise(packed)
    assert set(back) == set(weights)
    step = weights["matrix"].abs().amax(1, keepdim=True) / 127
    assert ((back["matrix"] - weights["matrix"]).abs() <= step / 2 + 1e-6).all()
    assert torch.equal(back["vector"], weights["vector"])
    assert torch.equal(back["zero"], weights["zero"])


@settings(max_examples=20, deadline=None)
@given(prompt=prompts)
@torch.inference_mode()
def test_half_precision_passages_are_the_same_from_encoding_and_from_the_cache(
    prompt: tuple[list[Tokens], Tokens],
) -> None:
    """Kept in half precision from the start, so that an answer never depends on the cache."""
    passages, question = prompt
    reader = tiny_reader(torch.float16)
    cold, _ = reader.cache.fetch(passages, reader.encode)
    warm, reused = reader.cache.fetch(passages, lambda _: pytest.fail("encoded again"))
    assert reused == sum(map(len, passages))
    first, again = (reader.read_question(question, each) for each in (cold, warm))
    assert torch.equal(first.by_layer, again.by_layer)
    exact = one_pass(passages, question)[-1][-1]
    assert F.cosine_similarity(first.answer, exact, dim=0) > 0.999


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
    assert set(reader_files().identity()["prior"]) == {"rank", "similarity", "nearness"}


def test_a_reader_that_forgot_reads_every_passage_again() -> None:
    reader = tiny_reader()
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
