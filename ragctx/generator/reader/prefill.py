"""A question read over cached passages, in whatever order the prompt has them.

Rotary positions count by their difference only (see `rope`). So the keys of a passage stay as they
are, rotated from its own first token, and the *question* is rotated by its distance to each
passage: a few rows instead of thousands, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ragctx.generator.reader.kv_cache import KVCache
from ragctx.generator.reader.network import QuestionStates, ReaderNetwork
from ragctx.generator.reader.passages import CachedPassage, Tokens
from ragctx.generator.reader.rope import rotate


def read_over(
    network: ReaderNetwork, question: Tokens, passages: Sequence[CachedPassage]
) -> QuestionStates:
    """The states of the question's tokens after all passages, side by side.

    `question` ends with [MASK]. Of the passages' positions only their order counts.
    """
    length, lengths = len(question), [passage.length for passage in passages]
    distances = torch.tensor(lengths).flip(0).cumsum(0).flip(0)  # from each start to the question
    own_rotation = network.rotation(torch.arange(length))
    # (P, T, head_width): of the question's tokens as seen from each of the P passages
    rotations = network.rotation(distances[:, None] + torch.arange(length))
    hidden = ~question_mask(length)
    states = network.embeddings(torch.tensor([question]))
    before = [states]
    for i, layer in enumerate(network.shared()):
        q, k, v = (part[0] for part in layer.project(states))  # (heads, T, head_width)
        q = q * q.shape[-1] ** -0.5
        own_scores = rotate(q, *own_rotation) @ rotate(k, *own_rotation).transpose(1, 2)
        queries = rotate(q[:, None], *rotations)  # (heads, P, T, head_width)
        passage_scores = [
            queries[:, number] @ passage.keys[i].float().transpose(1, 2)
            for number, passage in enumerate(passages)
        ]
        scores = torch.cat((*passage_scores, own_scores.masked_fill(hidden, -torch.inf)), 2)
        *weights, own_weights = torch.split(scores.softmax(-1), [*lengths, length], 2)
        attended = own_weights @ v
        for weight, passage in zip(weights, passages, strict=True):
            attended = attended + weight @ passage.values[i].float()
        states = layer.finish(states, attended[None])
        before.append(states)
    return network.question_states(before).row(0)


def question_mask(length: int) -> Tensor:
    """(T, T): question tokens see the question in both directions; [MASK], the last, sees all."""
    visible = torch.ones(length, length, dtype=torch.bool)
    visible[:-1, -1] = False
    return visible


def concatenate(
    network: ReaderNetwork, passages: Sequence[CachedPassage], first: int = 0
) -> KVCache:
    """Passages one after another from position `first` on, each one's keys rotated accordingly."""
    keys, start = [], first
    for passage in passages:
        keys.append(rotate(passage.keys.float(), *network.rotation(torch.tensor([start]))))
        start += passage.length
    values = torch.cat([passage.values for passage in passages], dim=2).float()
    return KVCache(tuple(torch.cat(keys, dim=2)[:, None]), tuple(values[:, None]))
