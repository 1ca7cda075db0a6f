"""Term proximity: how close the question's words, or words like them, are to each token.

A small reader recognises what kind of thing is asked for, and of several such things in a passage
often takes the wrong one. The one that is close to the question's words is likelier to be right. An
answer's own words do not count, or the question would answer itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST_WORD = 1996
"""The first id of BERT's vocabulary that is a word; those below are marks and single characters."""

REACH = 30
"""Distance in tokens at which a word's proximity has fallen to 1/e. Chosen among 8, 15, 30, 60 and
120 by F1 on held-out questions (training/LOG.md)."""

LIKE = 0.4
"""Cosine of two token embeddings above which the tokens count as alike; 1 is the same token.
Chosen between 0.6 and 0.4 by F1 on held-out questions (training/LOG.md)."""


class TermProximity(NamedTuple):
    """For Q words of the question and N tokens of the context: 0, far away, to 1."""

    before: Tensor  # (Q, N): the word's proximity among the tokens before each, in its passage
    after: Tensor  # (Q, N): and among the tokens after it
    weights: Tensor  # (Q,): how much each word counts, rare ones more; they sum to 1

    def of_tokens(self) -> Tensor:
        """(N,): proximity of all words to each token."""
        return self.weights @ torch.maximum(self.before, self.after)

    def of_spans(self, first: Sequence[int], last: Sequence[int]) -> Tensor:
        """(S,): proximity of all words to spans, given by their first and last positions."""
        return self.weights @ torch.maximum(self.before[:, first], self.after[:, last])


def term_proximity(
    embeddings: Tensor,
    question: Sequence[int],
    passages: Sequence[Sequence[int]],
    contents: Sequence[Tensor],
) -> TermProximity:
    """Proximity of the words of `question` to the tokens of `passages`, all given as token ids.

    `embeddings` is (V, width); `contents` has a mask (T,) for each passage, True at its own text.

    >>> ids, everything = (2000, 2001, 2002, 2000), torch.ones(4, dtype=torch.bool)
    >>> proximity = term_proximity(torch.eye(2003), (2000, 102), [ids], [everything])
    >>> proximity.of_tokens(), proximity.of_spans([2], [3])  # exp of -3 / 30, -1 / 30, ...
    (tensor([0.9048, 0.9672, 0.9672, 0.9048]), tensor([0.9355]))
    """
    rarity = rarities(question)
    words = F.normalize(embeddings[list(rarity)].float(), dim=1)
    weights = torch.tensor(list(rarity.values())) / (sum(rarity.values()) or 1.0)
    sides = [
        _proximity(_likeness(embeddings, words, passage) * content)
        for passage, content in zip(passages, contents, strict=True)
    ]
    before, after = (torch.cat(side, dim=1) for side in zip(*sides, strict=True))
    return TermProximity(before, after, weights)


def rarities(question: Iterable[int]) -> dict[int, float]:
    """How much each word of a question counts: the logarithm of its frequency rank.

    BERT's vocabulary is sorted by frequency, so a word's id tells its rank.

    >>> rarities([2054, 8271, 102])[8271] > rarities([2054, 8271, 102])[2054]
    True
    """
    return {token: math.log(token - FIRST_WORD + 2) for token in question if token >= FIRST_WORD}


def _likeness(embeddings: Tensor, words: Tensor, passage: Sequence[int]) -> Tensor:
    """(Q, T): 0 for tokens that are not alike, 1 for the same one."""
    tokens = F.normalize(embeddings.index_select(0, torch.tensor(passage)).float(), dim=1)
    return ((words @ tokens.T - LIKE) / (1 - LIKE)).clamp(0, 1)


def _proximity(likeness: Tensor) -> tuple[Tensor, Tensor]:
    """(Q, T) twice: the best likeness, faded by distance, before and after each token."""
    logs = likeness.log()
    return _best_before(logs), _best_before(logs.flip(1)).flip(1)


def _best_before(logs: Tensor) -> Tensor:
    """max over s < t of exp(logs[s] - (t - s) / REACH), in one pass: a running maximum."""
    place = torch.arange(logs.shape[1]) / REACH
    best = (logs + place).cummax(1).values
    return F.pad((best[:, :-1] - place[1:]).exp(), (1, 0))
