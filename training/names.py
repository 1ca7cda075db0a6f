"""Names and numbers exchanged for others like them, so that no answer can be learned by heart.

A question that comes back has been answered before, and a network that remembers the answer learns
nothing more from it. With other names in passage and question it has to be read again. What is like
a name is told by the embeddings: "france" stands for "germany", "1993" for "1992".
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from training.data import Passage, Question

LIKE = 12
"""How many tokens may stand for one."""

LEAST = 3
"""Passages that must hold a token as a name before it is taken for one."""

Namesakes = Mapping[int, Sequence[int]]
"""Token -> the tokens that may stand for it."""


def namesakes_of(passages: Iterable[Passage], embeddings: Tensor) -> Namesakes:
    """For each token that is a name in most passages that hold it, the `LIKE` names most like it.

    `embeddings` is (V, width).
    """
    held, named = Counter[int](), Counter[int]()
    for passage in passages:
        held.update(set(passage.token_ids))
        named.update(passage.names)
    pool = sorted(t for t, count in named.items() if count >= LEAST and 2 * count > held[t])
    vectors = torch.nn.functional.normalize(embeddings[pool].detach(), dim=1)
    likeness = (vectors @ vectors.T).fill_diagonal_(-1)
    near = likeness.topk(min(LIKE, max(0, len(pool) - 1)), dim=1).indices
    return {t: [pool[i] for i in row] for t, row in zip(pool, near.tolist(), strict=True)}


def renamed(
    step: Sequence[tuple[Passage, list[Question]]],
    namesakes: Namesakes,
    share: float,
    rng: random.Random,
) -> list[tuple[Passage, list[Question]]]:
    """The step's passages and questions with about `share` of their names exchanged.

    A name becomes the same one wherever it stands, in all passages and questions of the step, and
    none that stands there already; so what answered a question still does, and nothing else does.
    """
    present = {t for passage, _ in step for t in passage.token_ids}
    present |= {t for _, asked in step for question in asked for t in question.token_ids}
    drawn = [t for t in sorted(present) if t in namesakes and rng.random() < share]
    became: dict[int, int] = {}
    for token in drawn:
        free = [other for other in namesakes[token] if other not in present]
        if free:
            became[token] = rng.choice(free)
            present.add(became[token])
    return [_exchanged(passage, asked, became) for passage, asked in step]


def _exchanged(
    passage: Passage, asked: list[Question], became: Mapping[int, int]
) -> tuple[Passage, list[Question]]:
    again = [
        replace(question, token_ids=tuple(became.get(t, t) for t in question.token_ids))
        for question in asked
    ]
    return Passage(passage.source, [became.get(t, t) for t in passage.token_ids], again), again
