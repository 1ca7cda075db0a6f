"""Batches for question answering: which passages a question reads, in what order, and where."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch

from training.data import SEP, Passage, Question
from training.forward import Batch, pad_rows, passages_tensor, question_tensors

Visit = tuple[Passage, list[Question]]


def batches(visits: list[Visit], context_tokens: int, questions: int) -> Iterator[list[Visit]]:
    """Cut a round into steps of about `context_tokens` passage tokens (padding counted)."""
    step: list[Visit] = []
    longest = asked = 0
    for visit in visits:
        longest_now = max(longest, len(visit[0].token_ids) + 2)
        full = longest_now * (len(step) + 1) > context_tokens or asked + len(visit[1]) > questions
        known = any(visit[0] is other for other, _ in step)
        if step and (full or known):
            yield step
            step, asked, longest_now = [], 0, len(visit[0].token_ids) + 2
        step.append(visit)
        longest, asked = longest_now, asked + len(visit[1])
    if step:
        yield step


def make_batch(
    step: list[Visit],
    rng: random.Random,
    *,
    max_distractors: int,
    null_share: float,
    context_window: int,
    answer_tokens: int,
) -> Batch:
    """Choose each question's passages: its own at a random place among 0…max_distractors others.

    With `null_share` of the questions the own passage is left out. Positions start at a random
    offset and may have a gap before the question, so that every position of the window is seen.
    """
    passages = [passage for passage, _ in step]
    asked = [(g, q) for g, (_, questions) in enumerate(step) for q in questions]
    slots, starts_at, offsets, golds, answers = [], [], [], [], []
    for g, question in asked:
        order, gold = _choose(g, len(passages), rng, max_distractors, null_share)
        lengths = [len(passages[i].token_ids) + 2 for i in order]
        total = sum(lengths) + 80
        shift = rng.randrange(max(1, context_window - total)) if rng.random() < 0.5 else 0
        gap = rng.randrange(max(1, context_window - total - shift)) if rng.random() < 0.3 else 0
        places = [shift + sum(lengths[:i]) for i in range(len(order))]
        slots.append(order)
        offsets.append(places)
        golds.append(gold)
        starts_at.append(shift + sum(lengths) + gap)
        span = question.spans[0]
        ids = passages[g].token_ids[span[0] : span[1] + 1] if gold is not None else []
        answers.append(ids[:answer_tokens])
    ids, mask, content = passages_tensor(passages)
    tokens, positions, visible, mask_at = question_tensors(
        [q for _, q in asked], answers, starts_at
    )
    starts, first, length = _targets(asked, golds, slots, ids.shape[1])
    return Batch(
        ids,
        mask,
        content,
        tokens,
        positions,
        visible,
        mask_at,
        pad_rows(slots),
        _slot_mask(slots),
        pad_rows(offsets),
        starts,
        first,
        length,
        _written(answers, answer_tokens),
    )


def _choose(
    own: int, count: int, rng: random.Random, max_distractors: int, null_share: float
) -> tuple[list[int], int | None]:
    others = [i for i in range(count) if i != own]
    distractors = rng.sample(others, min(len(others), rng.randint(0, max_distractors)))
    if distractors and rng.random() < null_share:
        return distractors, None
    gold = rng.randint(0, len(distractors))
    return [*distractors[:gold], own, *distractors[gold:]], gold


def _targets(
    asked: list[tuple[int, Question]], golds: list[int | None], slots: list[list[int]], width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    columns = max(map(len, slots))
    starts = torch.zeros(len(asked), columns * width, dtype=torch.bool)
    first = torch.zeros(len(asked), dtype=torch.long)
    length = torch.zeros(len(asked), dtype=torch.long)
    for row, ((_, question), gold) in enumerate(zip(asked, golds, strict=True)):
        if gold is None:
            continue
        places = [gold * width + 1 + a for a, _ in question.spans]  # 1: after [CLS]
        starts[row, places] = True
        first[row] = places[0]
        length[row] = question.spans[0][1] - question.spans[0][0] + 1
    return starts, first, length


def _slot_mask(slots: list[list[int]]) -> torch.Tensor:
    return pad_rows([[1] * len(row) for row in slots]).bool()


def _written(answers: list[list[int]], answer_tokens: int) -> torch.Tensor:
    rows = [[*a, SEP] if a and len(a) < answer_tokens else list(a) or [-100] for a in answers]
    return pad_rows(rows, fill=-100)
