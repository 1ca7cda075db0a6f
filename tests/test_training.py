"""The training forward pass is the inference graph; targets point at the answers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.generator.network import ReaderNetwork
from ragctx.transformer import Shape
from training.batches import batches, make_batch
from training.data import (
    CLS,
    MASK,
    SEP,
    Passage,
    Question,
    load_passages,
    occurrences,
    token_span,
    visits,
)
from training.export import best_threshold
from training.forward import gather, losses, read_all

TINY = Shape(layers=2, width=32, heads=4, feed_forward=48, vocabulary=120)


def network() -> ReaderNetwork:
    torch.manual_seed(0)
    made = ReaderNetwork(TINY)
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


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), distractors=st.integers(1, 4))
@torch.inference_mode()
def test_turning_queries_equals_turning_keys(seed: int, distractors: int) -> None:
    """The cheap training pass gives the states of the inference pass, slot by slot."""
    rng, made = random.Random(seed), network()
    step = [(p, p.questions) for p in passages(rng, 5)]
    batch = make_batch(
        step, rng, max_distractors=distractors, null_share=0.3, context_window=200, answer_tokens=3
    )
    encoded = made.encode(batch.passages, batch.passage_mask)
    past, _ = gather(made, encoded, batch.passage_mask, batch.slots, batch.slot_mask, batch.offsets)
    plain, _ = made.read(batch.tokens, batch.positions, past, batch.visible)
    turned = read_all(made, encoded, batch)
    real = batch.tokens != 0
    torch.testing.assert_close(plain[real], turned[real], atol=2e-4, rtol=2e-3)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), distractors=st.integers(0, 4), null=st.floats(0, 1))
def test_targets_point_at_the_answer_or_at_nothing(
    seed: int, distractors: int, null: float
) -> None:
    rng = random.Random(seed)
    step = [(p, p.questions) for p in passages(rng, 5)]
    batch = make_batch(
        step,
        rng,
        max_distractors=distractors,
        null_share=null,
        context_window=300,
        answer_tokens=4,
    )
    flat = batch.passages[batch.slots].flatten(1)
    for row, (passage, (question,)) in enumerate(step):
        (first, last) = question.spans[0]
        answer = passage.token_ids[first : last + 1]
        start, length = int(batch.first[row]), int(batch.length[row])
        if length:
            assert flat[row, start : start + length].tolist() == answer
            assert batch.starts[row].sum() == 1 and batch.starts[row, start]
        else:
            assert not batch.starts[row].any()
            own = next(i for i, (p, _) in enumerate(step) if p is passage)
            assert own not in batch.slots[row][batch.slot_mask[row]].tolist()
        at = int(batch.mask_at[row])
        assert batch.tokens[row, at] == MASK and batch.tokens[row, at - 1] == SEP
        assert not batch.visible[row, :at, at:].any(), "a question token sees the answer"
        ends = batch.offsets[row] + (batch.passages[batch.slots[row]] != 0).sum(1)
        assert int(batch.positions[row, 0]) >= int(ends[batch.slot_mask[row]].max())
    assert (batch.passages[:, 0] == CLS).all()


def test_a_training_step_lowers_the_loss_on_its_own_batch() -> None:
    rng, made = random.Random(3), network()
    step = [(p, p.questions) for p in passages(rng, 6)]
    batch = make_batch(
        step, rng, max_distractors=2, null_share=0.2, context_window=300, answer_tokens=4
    )
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    totals = []
    for _ in range(60):
        parts = losses(made, batch, writing=True)
        total = parts.start + parts.end + parts.writing
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.6 * totals[0]


def test_steps_hold_every_visit_once_and_no_passage_twice() -> None:
    rng = random.Random(1)
    made = passages(rng, 30)
    round_ = visits({"a": made}, {"a": 2.0}, 5, rng)
    steps = list(batches(round_, 60, 8))
    assert sum(len(step) for step in steps) == len(round_) == 60
    for step in steps:
        assert len({id(p) for p, _ in step}) == len(step)


def test_an_answer_is_found_as_whole_words_first() -> None:
    assert occurrences("art in Bart, art", "art") == [(0, 3), (13, 16)]
    assert occurrences("Bartleby", "art") == [(1, 4)]
    assert token_span([(0, 3), (4, 6)], 4, 6) == (1, 1)
    assert token_span([(0, 3)], 7, 9) is None


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


def test_the_threshold_refuses_one_right_answer_in_ten() -> None:
    right = [(i / 100, 1.0) for i in range(1, 101)]
    threshold = best_threshold([*right, (0.001, 0.0)])
    assert sum(confidence < threshold for confidence, _ in right) == 10
    assert best_threshold([]) == pytest.approx(0.5)
