"""Batches for question answering: which passages a question sees, and where everything goes."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from training.data import MASK, PAD, SEP, Passage, Question, thinned
from training.forward import Batch, pad_rows, passages_tensor

Visit = tuple[Passage, list[Question]]

QUESTION_SPACE = 80
"""Tokens of the window that are left to a question and its answer. Chosen by hand."""

SHIFTED_SHARE = 0.5
"""Share of groups whose passages do not begin at position 0. Chosen by hand."""

GAP_SHARE = 0.3
"""Share of groups with a gap between passages and questions. Chosen by hand."""


def batches(visits: list[Visit], context_tokens: int, questions: int) -> Iterator[list[Visit]]:
    """Cut a round into steps of about `context_tokens` passage tokens (padding counted).

    No step holds a passage twice: its second visit waits for the next step.
    """
    left = deque(visits)
    while left:
        step: list[Visit] = []
        waiting: list[Visit] = []
        longest = asked = 0
        while left:
            passage, questions_now = left[0]
            longest_now = max(longest, len(passage.token_ids) + 2)
            full = longest_now * (len(step) + 1) > context_tokens
            if step and (full or asked + len(questions_now) > questions):
                break
            visit = left.popleft()
            if any(passage is other for other, _ in step):
                waiting.append(visit)
                continue
            step.append(visit)
            longest, asked = longest_now, asked + len(questions_now)
        left.extendleft(reversed(waiting))
        yield step


def make_batch(
    step: list[Visit],
    rng: random.Random,
    *,
    max_distractors: int,
    null_share: float,
    context_window: int,
    answer_tokens: int,
    question_dropout: float = 0.0,
    sentence_dropout: float = 0.0,
) -> Batch:
    """Put each passage's questions after it and up to `max_distractors` other passages.

    `null_share` of the questions that have other passages do not see their own. The passages begin
    at a random position and may have a gap after them, so that every position of the window occurs.
    Each question loses about `question_dropout` of its tokens, each passage `sentence_dropout` of
    the sentences without an answer.
    """
    if sentence_dropout:
        step = [thinned(passage, asked, sentence_dropout, rng) for passage, asked in step]
    passages = [passage for passage, _ in step]
    distractors = rng.randint(0, min(max_distractors, len(passages) - 1))
    groups = [_group(passages, g, distractors, rng, context_window) for g in range(len(step))]
    rows = [
        _rows(
            passages=passages,
            group=group,
            questions=step[group.own][1],
            rng=rng,
            null_share=null_share,
            answer_tokens=answer_tokens,
            dropout=question_dropout,
        )
        for group in groups
    ]
    ids, mask, content = passages_tensor(passages)
    return Batch(
        passages=ids,
        passage_mask=mask,
        content_mask=content,
        slots=pad_rows([group.slots for group in groups]),
        places=pad_rows([group.places for group in groups]),
        **_tokens(groups, rows),
        **_targets([row for own in rows for row in own], ids.shape[1], answer_tokens),
    )


def _tokens(groups: list[_Group], rows: list[list[_Row]]) -> dict[str, torch.Tensor]:
    """The tokens of each group's row and what belongs to each of them, (G, M)."""

    def each(value: Callable[[_Group, int, _Row, int], int], fill: int = PAD) -> torch.Tensor:
        """`value` of a group, a question's number, the question and each of its tokens' number."""
        return pad_rows(
            [
                [value(g, i, row, j) for i, row in enumerate(own) for j in range(len(row.tokens))]
                for g, own in zip(groups, rows, strict=True)
            ],
            fill,
        )

    return {
        "tokens": each(lambda g, i, row, j: row.tokens[j]),
        # every question is asked at the same place, since none sees another
        "positions": each(lambda g, i, row, j: g.begin + j),
        "owner": each(lambda g, i, row, j: i, -1),
        "asking": each(lambda g, i, row, j: int(j <= row.asked)).bool(),
        "blind": each(lambda g, i, row, j: int(row.gone)).bool(),
    }


def _targets(rows: list[_Row], width: int, answer_tokens: int) -> dict[str, torch.Tensor]:
    """Where each question is and what answers it, (Q,)."""
    starts = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        starts[i, [1 + first for first, _ in row.question.spans]] = True  # 1: after [CLS]
    spans = torch.tensor([row.span for row in rows])
    begins = torch.tensor([row.begins for row in rows])
    return {
        "group": torch.tensor([row.group for row in rows]),
        "begins": begins,
        "mask_at": begins + torch.tensor([row.asked + 1 for row in rows]),
        "null": torch.tensor([row.null for row in rows]),
        "gone": torch.tensor([row.gone for row in rows]),
        "starts": starts,
        "first": 1 + spans[:, 0],
        "length": spans[:, 1] - spans[:, 0] + 1,
        "answers": _written([row.answer for row in rows], answer_tokens),
    }


class _Group(NamedTuple):
    own: int
    slots: list[int]  # passages in prompt order
    places: list[int]  # position of each one's [CLS]
    begin: int  # position of the first question token


class _Row(NamedTuple):
    group: int
    question: Question
    span: tuple[int, int]  # the answer that is asked for this time
    asked: int  # number of its tokens that were not dropped
    begins: int  # its first token, in the group's row
    null: bool
    gone: bool
    answer: list[int]
    tokens: list[int]


def _group(
    passages: list[Passage], own: int, distractors: int, rng: random.Random, window: int
) -> _Group:
    others = [i for i in range(len(passages)) if i != own]
    slots = rng.sample([own, *rng.sample(others, distractors)], distractors + 1)
    lengths = [len(passages[i].token_ids) + 2 for i in slots]
    spare = window - QUESTION_SPACE - sum(lengths)
    shift = rng.randrange(max(1, spare)) if rng.random() < SHIFTED_SHARE else 0
    gap = rng.randrange(max(1, spare - shift)) if rng.random() < GAP_SHARE else 0
    places = [shift + sum(lengths[:i]) for i in range(len(slots))]
    return _Group(own=own, slots=slots, places=places, begin=shift + sum(lengths) + gap)


def _rows(
    passages: list[Passage],
    group: _Group,
    questions: list[Question],
    rng: random.Random,
    null_share: float,
    answer_tokens: int,
    dropout: float,
) -> list[_Row]:
    """A group's questions; their passage is gone only where no other one holds an answer.

    Half of the time the preferred answer is asked for, else any of those that are right.
    """
    rows: list[_Row] = []
    others = [passages[i] for i in group.slots if i != group.own]
    for question in questions:
        spans = question.spans or ((0, 0),)
        span = spans[0] if rng.random() < 0.5 else rng.choice(spans)
        ids = passages[group.own].token_ids
        answers = [ids[first : last + 1] for first, last in (span, *question.spans)]
        gone = bool(others) and bool(question.spans) and rng.random() < null_share
        gone = gone and not any(other.holds(answer) for other in others for answer in answers)
        null = gone or not question.spans
        written = [] if null else answers[0][:answer_tokens]
        asked = [token for token in question.token_ids if rng.random() >= dropout]
        tokens = [*asked, SEP, MASK, *written]
        begins = rows[-1].begins + len(rows[-1].tokens) if rows else 0
        rows.append(
            _Row(
                group=group.own,
                question=question,
                span=span,
                asked=len(asked),
                begins=begins,
                null=null,
                gone=gone,
                answer=written,
                tokens=tokens,
            )
        )
    return rows


def _written(answers: list[list[int]], answer_tokens: int) -> torch.Tensor:
    """Targets of the writing head; -100 where no answer is to be written."""
    if not answer_tokens:
        return torch.full((len(answers), 1), -100)
    rows = [[*a, SEP] if a and len(a) < answer_tokens else list(a) or [-100] for a in answers]
    return pad_rows(rows, fill=-100)
