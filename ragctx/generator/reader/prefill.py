"""A question read over cached passages, wherever they stand.

Rotary positions count by their difference only (see `rope`). So the keys of a passage stay as they
are, turned from its own first token, and the *question* is turned to see each passage from where it
stands: a few rows instead of thousands, and nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ragctx.generator.reader.kv_cache import Past
from ragctx.generator.reader.network import Asked, ReaderNetwork
from ragctx.generator.reader.passages import Segment, Tokens
from ragctx.generator.reader.rope import rotate

if TYPE_CHECKING:
    pass


def read_over(network: ReaderNetwork, question: Tokens, segments: Sequence[Segment]) -> Asked:
    """The states of the question's tokens behind all segments, side by side.

    `question` ends with [MASK]. Only the order of the segments counts.
    """
    length, lengths = len(question), [segment.length for segment in segments]
    # from each segment's start to the question's
    places = torch.tensor(lengths).flip(0).cumsum(0).flip(0)
    own = network.rotation(torch.arange(length))
    # (S, T, head width): the question's tokens as each segment sees them
    turns = network.rotation(places[:, None] + torch.arange(length))
    hidden = ~question_mask(length)
    states = network.embeddings(torch.tensor([question]))
    before = [states]
    for i, layer in enumerate(network.shared()):
        q, k, v = (part[0] for part in layer.project(states))  # (heads, T, head width)
        q = q * q.shape[-1] ** -0.5
        mine = rotate(q, *own) @ rotate(k, *own).transpose(1, 2)
        seen = rotate(q[:, None], *turns)
        far = [
            seen[:, s] @ segment.keys[i].float().transpose(1, 2)
            for s, segment in enumerate(segments)
        ]
        scores = torch.cat((*far, mine.masked_fill(hidden, -torch.inf)), 2)
        *shares, own_share = torch.split(scores.softmax(-1), [*lengths, length], 2)
        attended = own_share @ v
        for share, segment in zip(shares, segments, strict=True):
            attended = attended + share @ segment.values[i].float()
        states = layer.finish(states, attended[None])
        before.append(states)
    return network.asked(before).row(0)


def question_mask(length: int) -> Tensor:
    """(T, T): question tokens see the question, both ways; [MASK], the last one, sees all."""
    visible = torch.ones(length, length, dtype=torch.bool)
    visible[:-1, -1] = False
    return visible


def lay_out(network: ReaderNetwork, segments: Sequence[Segment], first: int = 0) -> Past:
    """Segments side by side from position `first`: each one's keys turn by where it begins."""
    keys, at = [], first
    for segment in segments:
        keys.append(rotate(segment.keys.float(), *network.rotation(torch.tensor([at]))))
        at += segment.length
    values = torch.cat([segment.values for segment in segments], dim=2).float()
    return Past(tuple(torch.cat(keys, dim=2)[:, None]), tuple(values[:, None]))
