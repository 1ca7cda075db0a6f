"""A question read over cached passages, wherever they stand.

Rotary positions count by their difference only (see `rope`). So the keys of a passage stay as they
are, turned from its own first token, and the *question* is turned to see each passage from where it
stands: a few rows instead of thousands, nothing copied, and one copy of keys and values serves any
number of arrangements at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ragctx.generator.network import Asked, ReaderNetwork
from ragctx.generator.rope import rotate
from ragctx.generator.segments import Segment, Tokens


def read_over(
    network: ReaderNetwork, question: Tokens, segments: Sequence[Segment], places: Tensor
) -> Asked:
    """The states of the question's tokens under each of P arrangements, (P, T, width).

    `places` (P, S) says for each segment how many tokens its start lies before the question's, -1
    for a segment that is not in the prompt. `question` ends with [MASK].
    """
    length = len(question)
    lengths = torch.tensor([segment.length for segment in segments], dtype=torch.long)
    absent = (places < 0).repeat_interleave(lengths, dim=1)[:, None, None]
    partial = bool(absent.any())
    own = network.rotation(torch.arange(length))
    # (P, 1, S, T, head width): the question's tokens as each segment sees them
    turns = network.rotation((places[..., None] + torch.arange(length))[:, None])
    hidden = ~question_mask(length)
    states = network.embeddings(torch.tensor([question])).expand(len(places), -1, -1)
    before = [states]
    for i, layer in enumerate(network.shared()):
        q, k, v = layer.project(states)  # (P, heads, T, head width)
        q = q * q.shape[-1] ** -0.5
        mine = rotate(q, *own) @ rotate(k, *own).transpose(2, 3)
        far = _scores(rotate(q[:, :, None], *turns), i, segments)
        if partial:
            far = far.masked_fill_(absent, -torch.inf)
        shares = torch.cat((far, mine.masked_fill_(hidden, -torch.inf)), 3).softmax(-1)
        attended = _attended(shares, i, segments) + shares[..., -length:] @ v
        states = layer.finish(states, attended)
        before.append(states)
    return network.asked(before)


def question_mask(length: int) -> Tensor:
    """(T, T): question tokens see the question, both ways; [MASK], the last one, sees all."""
    visible = torch.ones(length, length, dtype=torch.bool)
    visible[:-1, -1] = False
    return visible


def _scores(seen: Tensor, layer: int, segments: Sequence[Segment]) -> Tensor:
    """(P, heads, T, N): of the question `seen` (P, heads, S, T, width) with every passage token."""
    parts = [
        _by_head(seen[:, :, s], segment.keys[layer].float().transpose(1, 2))
        for s, segment in enumerate(segments)
    ]
    return torch.cat(parts, 3)


def _attended(shares: Tensor, layer: int, segments: Sequence[Segment]) -> Tensor:
    """(P, heads, T, width): the passages' values, weighted by the `shares` of their tokens."""
    ends = torch.tensor([0, *(segment.length for segment in segments)]).cumsum(0).tolist()
    attended = torch.zeros(())
    for segment, (start, end) in zip(segments, pairwise(ends), strict=True):
        attended = attended + _by_head(shares[..., start:end], segment.values[layer].float())
    return attended


def _by_head(rows: Tensor, shared: Tensor) -> Tensor:
    """(P, heads, T, a) times (heads, a, b): one product a head for all prompts together."""
    prompts, heads, length, _ = rows.shape
    product = rows.transpose(0, 1).flatten(1, 2) @ shared  # (heads, P * T, b)
    return product.view(heads, prompts, length, -1).transpose(0, 1)
