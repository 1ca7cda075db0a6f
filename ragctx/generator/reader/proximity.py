"""How near the question's words, or words like them, stand to each place in the passages.

A small reader sees what kind of thing is asked for, and of several such things in a passage often
takes the wrong one. What stands near the question's words is likelier to be right. The answer's own
words do not count: else the question would answer itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST_WORD = 1996
"""The first id of BERT's vocabulary that stands for a word; below are marks and characters."""

REACH = 30
"""Tokens over which a word's nearness falls to 1/e."""

LIKE = 0.4
"""Cosine of two tokens' embeddings above which they are like each other; 1 is the same token."""


class Nearness(NamedTuple):
    """For each of Q words of the question and N tokens of the context: 0, far away, to 1."""

    before: Tensor  # (Q, N): of the nearest like word before the token, in its passage
    behind: Tensor  # (Q, N): and behind it
    shares: Tensor  # (Q,): how much each word counts, rare ones more; their sum is 1

    def of_tokens(self) -> Tensor:
        """(N,): of each token."""
        return self.shares @ torch.maximum(self.before, self.behind)

    def of_spans(self, first: Sequence[int], last: Sequence[int]) -> Tensor:
        """(S,): of spans of the context, by their first and last tokens."""
        return self.shares @ torch.maximum(self.before[:, first], self.behind[:, last])


def nearness(
    embeddings: Tensor,
    question: Sequence[int],
    passages: Sequence[Sequence[int]],
    contents: Sequence[Tensor],
) -> Nearness:
    """Of each token of `passages` to the words of `question`, all as token ids.

    `embeddings` is (V, width); `contents` says of each passage which of its tokens are its text.

    >>> ids, everything = (2000, 2001, 2002, 2000), torch.ones(4, dtype=torch.bool)
    >>> near = nearness(torch.eye(2003), (2000, 102), [ids], [everything])
    >>> near.of_tokens(), near.of_spans([2], [3])  # exp of -3 / 30, -1 / 30, -1 / 30, ...
    (tensor([0.9048, 0.9672, 0.9672, 0.9048]), tensor([0.9355]))
    """
    counts = rarities(question)
    wanted = F.normalize(embeddings[list(counts)].float(), dim=1)
    shares = torch.tensor(list(counts.values())) / (sum(counts.values()) or 1.0)
    near = [
        _near(_likeness(embeddings, wanted, passage) * own)
        for passage, own in zip(passages, contents, strict=True)
    ]
    before, behind = (torch.cat(side, dim=1) for side in zip(*near, strict=True))
    return Nearness(before, behind, shares)


def rarities(question: Iterable[int]) -> dict[int, float]:
    """How much each word of a question counts: the logarithm of its rank by frequency.

    BERT's vocabulary is sorted by frequency, so a word's id tells its rank.

    >>> rarities([2054, 8271, 102])[8271] > rarities([2054, 8271, 102])[2054]
    True
    """
    return {token: math.log(token - FIRST_WORD + 2) for token in question if token >= FIRST_WORD}


def _likeness(embeddings: Tensor, wanted: Tensor, passage: Sequence[int]) -> Tensor:
    """(Q, T): 0 for tokens that are not alike, 1 for the same one."""
    found = F.normalize(embeddings.index_select(0, torch.tensor(passage)).float(), dim=1)
    return ((wanted @ found.T - LIKE) / (1 - LIKE)).clamp(0, 1)


def _near(likeness: Tensor) -> tuple[Tensor, Tensor]:
    """(Q, T) twice: the likeness before and behind each token that is largest at its distance."""
    logs = likeness.log()
    return _nearest_before(logs), _nearest_before(logs.flip(1)).flip(1)


def _nearest_before(logs: Tensor) -> Tensor:
    """max over s < t of exp(logs[s] - (t - s) / REACH), in one pass: a running maximum."""
    place = torch.arange(logs.shape[1]) / REACH
    best = (logs + place).cummax(1).values
    return F.pad((best[:, :-1] - place[1:]).exp(), (1, 0))
