"""Choose the next token from its scores: greedily unless a temperature is given."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ragctx.generator.decoding import Decoding


def random_source(decoding: Decoding) -> torch.Generator:
    """A fresh random source for one answer, seeded."""
    return torch.Generator().manual_seed(decoding.seed)


def choose_token(logits: Tensor, decoding: Decoding, random_source: torch.Generator) -> int:
    """The next token's id. `logits` has shape (vocabulary,); of equal scores the lower id wins."""
    if decoding.greedy:
        return int(logits.argmax())
    probabilities, token_ids = _most_probable(logits.double().cpu(), decoding)
    return int(token_ids[torch.multinomial(probabilities, 1, generator=random_source)])


def only(logits: Tensor, token_ids: Collection[int]) -> Tensor:
    """The scores with all but those of `token_ids` at -inf."""
    kept = torch.tensor(sorted(token_ids), device=logits.device)
    return torch.full_like(logits, -torch.inf).index_copy_(0, kept, logits[kept])


def _most_probable(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Probabilities and ids of the tokens that top_k, top_p and min_p leave, most probable first.

    Top-p keeps the smallest set whose probability reaches p (Holtzman et al., ICLR 2020), min-p
    what has at least that share of the most probable token's (Nguyen et al., ICLR 2025).
    """
    ordered, token_ids = logits.sort(descending=True, stable=True)
    if decoding.top_k:
        ordered, token_ids = ordered[: decoding.top_k], token_ids[: decoding.top_k]
    # subtle: the largest score is taken off first, since a tiny temperature would overflow it
    probabilities = ((ordered - ordered[0]) / decoding.temperature).softmax(0)
    before = probabilities.cumsum(0) - probabilities
    remaining = (before < decoding.top_p) & (probabilities >= decoding.min_p * probabilities[0])
    return probabilities[remaining], token_ids[remaining]
