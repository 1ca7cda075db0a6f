"""The training forward pass is the inference graph; targets point at the answers."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.batches import batches, make_batch
from training.calibrate import PRECISION, best_threshold, logistic, refusal_scores
from training.common import set_dropout
from training.data import (
    CLS,
    MASK,
    SENTENCE_ENDS,
    SEP,
    Passage,
    Question,
    answer_places,
    load_passages,
    nearest_sentences,
    occurrences,
    thinned,
    token_span,
    visits,
)
from training.evaluate import rows_of
from training.forward import Batch, encode, losses, question_rows, read, second_pass
from training.kv_cache import KVCache
from training.measure import unseen_rows
from training.network import EncodedBatch, QuestionStates, TorchNetwork, question_mask
from training.rope import rotate
from training.transformer import Shape

TINY = Shape(layers=3, width=32, heads=4, feed_forward=48, vocabulary=120)


def network() -> TorchNetwork:
    torch.manual_seed(0)
    made = TorchNetwork(TINY, alone=1)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def passages(rng: random.Random, count: int) -> list[Passage]:
    made = []
    for _ in range(count):
        ids = [rng.randint(1, 99) for _ in range(rng.randint(4, 12))]
        first = rng.randrange(len(ids))
        last = min(len(ids) - 1, first + rng.randint(0, 3))
        asked = Question(tuple(rng.randint(1, 99) for _ in range(3)), ((first, last),))
        made.append(Passage("made", ids, [asked]))
    return made


def made_batch(seed: int, distractors: int, null: float, answer_tokens: int = 4) -> Batch:
    rng = random.Random(seed)
    step = [(p, p.questions) for p in passages(rng, 5)]
    return make_batch(
        step,
        rng,
        max_distractors=distractors,
        null_share=null,
        context_window=300,
        answer_tokens=answer_tokens,
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
@torch.inference_mode()
def test_encoding_without_padding_equals_encoding_with_it(seed: int) -> None:
    made, batch = network(), made_batch(seed, 0, 0.0)
    plain = made.encode(batch.passages, batch.passage_mask)
    packed = encode(made, batch.passages, batch.passage_mask)
    mask = batch.passage_mask
    for one, other in ((packed.early, plain.early), (packed.states, plain.states)):
        torch.testing.assert_close(one[mask], other[mask], atol=2e-4, rtol=2e-3)
    for one, other in zip(packed.keys + packed.values, plain.keys + plain.values, strict=True):
        one, other = (x.transpose(1, 2)[mask] for x in (one, other))
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), distractors=st.integers(0, 4), null=st.floats(0, 1))
@torch.inference_mode()
def test_training_reads_a_question_as_inference_does(
    seed: int, distractors: int, null: float
) -> None:
    """One by one, over just the passages it sees, at their places, as the reader has them."""
    made, batch = network(), made_batch(seed, distractors, null, answer_tokens=0)
    encoded = encode(made, batch.passages, batch.passage_mask)
    asked = read(made, encoded, batch)
    rows, mask = seen_rows(asked, batch)
    for i in range(len(batch.group)):
        g = int(batch.group[i])
        slots, places = batch.slots[g].tolist(), batch.places[g].tolist()
        seen = [j for j in range(len(slots)) if not (batch.gone[i] and slots[j] == g)]
        length = int(mask[i].sum())
        begin = int(batch.begins[i])
        alone, _ = made.read(
            batch.tokens[g, begin : begin + length][None],
            batch.positions[g, begin : begin + length][None],
            concatenated(made, batch, encoded, [(slots[j], places[j]) for j in seen]),
            question_mask(length),
        )
        torch.testing.assert_close(alone.by_layer[0], rows[i][:, mask[i]], atol=3e-4, rtol=3e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), distractors=st.integers(0, 4), null=st.floats(0, 1))
@torch.inference_mode()
def test_trainings_second_pass_is_that_of_inference(
    seed: int, distractors: int, null: float
) -> None:
    """One question and one passage at a time, without the padding of the batch."""
    made, batch = network(), made_batch(seed, distractors, null, answer_tokens=0)
    encoded = encode(made, batch.passages, batch.passage_mask)
    asked = read(made, encoded, batch)
    passages = torch.tensor([[g, (g + 1) % len(batch.slots)] for g in batch.group.tolist()])
    found = second_pass(made, batch, encoded, asked, passages)
    rows, mask = seen_rows(asked, batch)
    for i, slots in enumerate(passages.tolist()):
        own = QuestionStates(rows[i][:, mask[i]])
        for k, g in enumerate(slots):
            n = int(batch.passage_mask[g].sum())
            (alone,) = made.second_pass([encoded.early[g, :n]], own)
            torch.testing.assert_close(found[i, k, :n], alone, atol=3e-4, rtol=3e-3)


@torch.inference_mode()
def test_dropout_is_for_training_only() -> None:
    made, batch = network(), made_batch(1, 0, 0.0)
    plain = encode(made, batch.passages, batch.passage_mask).states
    set_dropout(made, 0.5)
    assert not torch.allclose(encode(made, batch.passages, batch.passage_mask).states, plain)
    made.eval()
    torch.testing.assert_close(encode(made, batch.passages, batch.passage_mask).states, plain)


def seen_rows(asked: QuestionStates, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(Q, layers, longest, width): each question's states; and the mask of its tokens."""
    parts = [question_rows(part, batch) for part in asked.by_layer.unbind(-3)]
    return torch.stack([rows for rows, _ in parts], 1), parts[0][1]


def test_a_student_that_is_its_own_teacher_has_nothing_to_imitate() -> None:
    made, batch = network().eval(), made_batch(4, 3, 0.3)
    assert losses(made, batch, writing=False).imitation == 0
    same = losses(made, batch, writing=False, teacher=made).imitation.item()
    assert same == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("null", [0.0, 1.0])
def test_imitating_a_teacher_with_full_attention_brings_the_student_nearer(null: float) -> None:
    """Where all own passages are gone there are starts to imitate, and no ends."""
    made, batch = network(), made_batch(5, 4, null)
    teacher = TorchNetwork(TINY, alone=0).eval().requires_grad_(False)
    for parameter in teacher.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    found = []
    for _ in range(100):
        imitation = losses(made, batch, writing=False, teacher=teacher).imitation
        optimizer.zero_grad()
        imitation.backward()
        optimizer.step()
        found.append(imitation.item())
    assert found[0] > 0.01 and found[-1] < 0.5 * found[0]


def concatenated(
    made: TorchNetwork, batch: Batch, encoded: EncodedBatch, slots: list[tuple[int, int]]
) -> KVCache:
    keys: list[list[torch.Tensor]] = [[] for _ in made.layers]
    values: list[list[torch.Tensor]] = [[] for _ in made.layers]
    for passage, place in slots:
        n = int(batch.passage_mask[passage].sum())
        cos, sin = made.rotation(place + torch.arange(n))
        for layer in range(len(made.layers)):
            keys[layer].append(rotate(encoded.keys[layer][passage, :, :n], cos, sin))
            values[layer].append(encoded.values[layer][passage, :, :n])
    return KVCache(
        tuple(torch.cat(parts, 1)[None] for parts in keys),
        tuple(torch.cat(parts, 1)[None] for parts in values),
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), distractors=st.integers(0, 4), null=st.floats(0, 1))
def test_targets_point_at_the_answer_or_at_nothing(
    seed: int, distractors: int, null: float
) -> None:
    rng = random.Random(seed)
    step = [(p, p.questions) for p in passages(rng, 5)]
    batch = made_batch(seed, distractors, null)
    for row, (passage, (question,)) in enumerate(step):
        (first, last) = question.spans[0]
        answer = passage.token_ids[first : last + 1]
        g, start, length = int(batch.group[row]), int(batch.first[row]), int(batch.length[row])
        assert g == row and batch.passages[g, start : start + length].tolist() == answer
        assert batch.starts[row].sum() == 1 and batch.starts[row, start]
        assert g in batch.slots[g].tolist()
        if batch.null[row]:
            others = [i for i in batch.slots[g].tolist() if i != g]
            assert others and not any(step[i][0].holds(answer) for i in others)
        at = int(batch.mask_at[row])
        assert batch.tokens[g, at] == MASK and batch.tokens[g, at - 1] == SEP
        assert batch.asking[g, at - 1] and not batch.asking[g, at]
        ends = batch.places[g] + batch.passage_mask[batch.slots[g]].sum(1)
        assert int(batch.positions[g, int(batch.begins[row])]) >= int(ends.max())
    assert (batch.passages[:, 0] == CLS).all()


def test_every_right_answer_is_asked_for_and_the_preferred_one_most() -> None:
    question = Question((7, 8), ((3, 3), (1, 4), (6, 7)))
    passage = Passage("made", list(range(20, 32)), [question])
    rng, asked = random.Random(4), []
    for _ in range(300):
        batch = make_batch(
            [(passage, [question])],
            rng,
            max_distractors=0,
            null_share=0.0,
            context_window=300,
            answer_tokens=0,
        )
        assert batch.starts[0].nonzero()[:, 0].tolist() == [2, 4, 7]
        first, length = int(batch.first[0]), int(batch.length[0])
        asked.append((first - 1, first + length - 2))
    counts = [asked.count(span) for span in question.spans]
    assert sum(counts) == 300 and counts[0] > 160 and min(counts) > 25


def test_a_passage_that_holds_another_right_answer_is_not_called_null() -> None:
    question = Question((7, 8), ((0, 0), (4, 5)))
    own = Passage("made", [11, 12, 13, 14, 15, 16], [question])
    other = Passage("made", [50, 15, 16, 51], [Question((9,), ((0, 0),))])
    for seed in range(20):
        batch = make_batch(
            [(own, own.questions), (other, other.questions)],
            random.Random(seed),
            max_distractors=1,
            null_share=1.0,
            context_window=300,
            answer_tokens=0,
        )
        assert not batch.null[0]


def test_a_question_that_nothing_answers_sees_its_passage_and_aims_at_nothing() -> None:
    asked = [Question((7, 8), ()), Question((7, 9), ((1, 2),))]
    own = Passage("made", [11, 12, 13, 14], asked)
    other = Passage("made", [50, 51, 52], [Question((9,), ((0, 0),))])
    for seed in range(20):
        batch = make_batch(
            [(own, asked), (other, other.questions)],
            random.Random(seed),
            max_distractors=1,
            null_share=0.0,
            context_window=300,
            answer_tokens=4,
        )
        assert batch.null.tolist() == [True, False, False] and not batch.gone.any()
        assert not batch.blind.any() and not batch.starts[0].any()
        assert (batch.answers[0] == -100).all() and (batch.answers[1] != -100).any()
        assert torch.isfinite(losses(network(), batch, writing=True).start)


@pytest.mark.parametrize(("rows", "limit", "left"), [(300, 40, 40), (300, 99, 60), (200, 40, 0)])
def test_refusal_is_measured_on_rows_that_fitted_nothing(
    tmp_path: Path, rows: int, limit: int, left: int
) -> None:
    path = tmp_path / "made.dev.jsonl"
    made = [{"id": i, "question": f"{i}?", "answers": [f"{i}"]} for i in range(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    fitted = rows_of(path, 240)
    unseen = [row["id"] for row in unseen_rows(path, 240, limit)]
    assert len(set(unseen)) == left and not {row["id"] for row in fitted}.intersection(unseen)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_a_thinned_passage_keeps_its_answers_and_loses_whole_sentences(
    seed: int, share: float
) -> None:
    rng = random.Random(seed)
    end = min(SENTENCE_ENDS)
    sentences = [[*(rng.randint(1, 99) for _ in range(rng.randint(1, 6))), end] for _ in range(6)]
    ids = [token for sentence in sentences for token in sentence]
    first = rng.randrange(len(ids))
    span = (first, min(len(ids) - 1, first + rng.randint(0, 4)))
    passage = Passage("made", ids, [Question((1,), (span,))])
    thin, (question,) = thinned(passage, passage.questions, share, rng)
    ((a, b),) = question.spans
    assert thin.token_ids[a : b + 1] == ids[span[0] : span[1] + 1]
    left = iter(sentences)
    starts = [0, *(i + 1 for i, token in enumerate(thin.token_ids[:-1]) if token == end)]
    for start, stop in zip(starts, [*starts[1:], len(thin.token_ids)], strict=True):
        assert thin.token_ids[start:stop] in left  # whole, and in the order they stood in
    assert share > 0 or thin.token_ids == ids


def test_a_training_step_lowers_the_loss_on_its_own_batch() -> None:
    rng, made = random.Random(3), network()
    step = [(p, p.questions) for p in passages(rng, 6)]
    batch = make_batch(
        step, rng, max_distractors=2, null_share=0.2, context_window=300, answer_tokens=4
    )
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    totals = []
    for _ in range(120):
        parts = losses(made, batch, writing=True)
        total = parts.start + parts.second_start + parts.end + parts.writing
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.6 * totals[0]


def test_steps_hold_every_visit_once_and_no_passage_twice() -> None:
    rng = random.Random(1)
    made = passages(rng, 30)
    round_ = visits({"a": made}, {"a": 2.0}, 5, 0.5, rng)
    steps = list(batches(round_, 60, 8))
    assert sum(len(step) for step in steps) == len(round_) == 60
    for step in steps:
        assert len({id(p) for p, _ in step}) == len(step)


def test_an_answer_is_found_as_whole_words_first() -> None:
    assert occurrences("art in Bart, art", "art") == [(0, 3), (13, 16)]
    assert occurrences("Bartleby", "art") == [(1, 4)]
    assert token_span([(0, 3), (4, 6)], 4, 6) == (1, 1)
    assert token_span([(0, 3)], 7, 9) is None


def test_of_an_answers_many_places_those_count_that_others_touch() -> None:
    text = "Four men came. One of the main four, it is said, was tall; four others left."
    places = answer_places(text, ["four", "One of the main four"])
    assert [text[a:b] for a, b in places] == ["four", "One of the main four"]
    assert text[: places[0][0]].endswith("main ")
    assert len(answer_places("a tin, a tin", ["tin"])) == 2
    assert answer_places(text, ["seven"]) == []


def test_a_long_passage_is_cut_around_an_answer(tmp_path: Path) -> None:
    from training.common import bundled_tokenizer

    context = " ".join(f"word{i}" for i in range(400)) + " the answer stands here."
    rows = [{"context": context, "question": "where?", "answers": ["answer stands"]}]
    path = tmp_path / "long.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    tokenizer = bundled_tokenizer()
    (passage,) = load_passages(path, tokenizer, chunk_tokens=64, question_tokens=20)
    ((first, last),) = passage.questions[0].spans
    assert len(passage.token_ids) == 64
    assert tokenizer.decode(passage.token_ids[first : last + 1]) == "answer stands"


def test_runs_of_neighbours_hold_passages_that_share_rare_words() -> None:
    rng, asked = random.Random(2), Question((1,), ((0, 0),))
    made = [
        Passage("made", [g * 50 + rng.randrange(30) for _ in range(20)], [asked])
        for g in range(4)
        for _ in range(6)
    ]
    round_ = [passage for passage, _ in visits({"a": made}, {"a": 1.0}, 5, 1.0, rng)]
    subjects = [[p.token_ids[0] // 50 for p in round_[i : i + 6]] for i in range(0, 24, 6)]
    assert sum(len(set(run)) == 1 for run in subjects) >= 3


def test_a_threshold_is_as_high_as_its_precision_allows() -> None:
    there, absent = [i / 100 for i in range(30, 100)], [i / 100 for i in range(0, 70)]
    threshold = best_threshold(there, absent)
    found = refusal_scores(there, absent, threshold)
    assert found["precision"] >= PRECISION - 0.02 and found["recall"] > 0.4
    assert best_threshold([0.1], [0.9]) == 0.0


def test_logistic_regression_finds_the_weights_that_made_the_labels() -> None:
    random_source = np.random.default_rng(0)
    evidence = np.column_stack((np.ones(4000), random_source.normal(size=4000)))
    likely = 1 / (1 + np.exp(-(evidence @ [0.5, 2.0])))
    labels = (random_source.random(4000) < likely).astype(float)
    assert logistic(evidence, labels) == pytest.approx([0.5, 2.0], abs=0.2)


def test_an_answer_that_stands_nowhere_becomes_the_sentences_nearest_to_it() -> None:
    text = "It rained for days. Tin is a soft metal that melts easily. We left."
    found = nearest_sentences(text, "a metal that is soft")
    assert found and text[slice(*found)] == "Tin is a soft metal that melts easily."
    assert nearest_sentences(text, "the king of Spain") is None


def test_a_pretraining_question_is_a_sentence_of_the_passage_that_was_taken_out() -> None:
    from training.common import bundled_tokenizer, load_config
    from training.pretrain import passage_of

    text = (
        "Tin melts at 232 degrees. Lead is heavier than tin. The Roman plumbers knew both metals. "
        "At 232 degrees tin is a liquid. Later the Roman plumbers were forgotten."
    )
    tokenizer = bundled_tokenizer()
    for seed in range(8):
        passage = passage_of(text, tokenizer, load_config(), random.Random(seed))
        assert passage and passage.questions
        left = tokenizer.decode(passage.token_ids)
        for question in passage.questions:
            ((first, last),) = question.spans
            answer = tokenizer.decode(passage.token_ids[first : last + 1])
            at = question.token_ids.index(MASK)
            before, after = question.token_ids[:at], question.token_ids[at + 1 :]
            sentence = " ".join(
                part for part in (tokenizer.decode(before), answer, tokenizer.decode(after)) if part
            )
            assert sentence.replace(" .", ".") in text.lower()
            assert sentence.replace(" .", ".") not in left and answer in left
    assert passage_of("Nothing recurs in here.", tokenizer, load_config(), random.Random(0)) is None


def test_pretraining_leaves_out_what_held_out_questions_are_about(tmp_path: Path) -> None:
    from training.common import load_config
    from training.pretrain import held_out, load_texts, shingles

    asked = (
        "Tin melts at 232 degrees. Lead is heavier than tin. The Roman plumbers knew both metals. "
        "At 232 degrees tin is a liquid. Later the Roman plumbers were forgotten by most people."
    )
    other = asked.replace("Tin", "Zinc").replace("tin", "zinc").replace("Roman", "Saxon")
    other = other.replace("232", "419").replace("were forgotten by most", "were no longer")
    with gzip.open(tmp_path / "metals.txt.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(f"{text} {text}\n" for text in [asked.upper(), *[other] * 9])
    with gzip.open(tmp_path / "metals.dev.jsonl.gz", "wt", encoding="utf-8") as rows:
        rows.write(json.dumps({"question": "What melts?", "context": asked, "answers": []}) + "\n")
        rows.write(json.dumps({"question": "Which?", "ctxs": []}) + "\n")
    config = load_config()
    config = replace(config, texts=tmp_path, pretrain={**config.pretrain, "sets": {"metals": 1.0}})
    hidden = held_out(tmp_path)
    assert hidden == shingles(asked)
    everything, allowed = load_texts(config)["metals"], load_texts(config, hidden)["metals"]
    assert 0 < len(allowed) < len(everything)
