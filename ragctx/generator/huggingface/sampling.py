"""Choose the next token from its scores: greedily unless a temperature is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ragctx.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How tokens are chosen. `temperature` 0 is greedy, and the other three then do nothing.

    `top_k` 0 and `top_p` 1 turn these limits off. The same `seed` gives the same answer to the
    same prompt on the same machine.

    >>> Decoding(temperature=0.7, top_p=0.9).greedy
    False
    >>> Decoding(top_p=0.0)
    Traceback (most recent call last):
        ...
    ragctx.errors.InputError: top_p is 0.0; it must be above 0 and at most 1
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}; it must be 0 (greedy) or more")
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}; it must be 0 (off) or more")
        if not 0.0 < self.top_p <= 1.0:
            raise InputError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}; it must be between 0 and 2**63 - 1")

    @property
    def greedy(self) -> bool:
        """True if the most probable token is taken every time."""
        return self.temperature == 0.0

    def random_source(self) -> torch.Generator:
        """A fresh random source for one answer, seeded."""
        return torch.Generator().manual_seed(self.seed)


def choose_token(logits: Tensor, decoding: Decoding, random_source: torch.Generator) -> int:
    """The next token's id. `logits` has shape (vocabulary,); of equal scores the lower id wins."""
    if decoding.greedy:
        return int(logits.argmax())
    probabilities, token_ids = _most_probable(logits.double().cpu(), decoding)
    return int(token_ids[torch.multinomial(probabilities, 1, generator=random_source)])


def _most_probable(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Probabilities and ids of the tokens that top_k, then top_p leave, most probable first.

    Top-p keeps the smallest set whose probability reaches p (Holtzman et al., ICLR 2020).
    """
    ordered, token_ids = logits.sort(descending=True, stable=True)
    if decoding.top_k:
        ordered, token_ids = ordered[: decoding.top_k], token_ids[: decoding.top_k]
    # subtle: the largest score is taken off first, since a tiny temperature would overflow it
    probabilities = ((ordered - ordered[0]) / decoding.temperature).softmax(0)
    before = probabilities.cumsum(0) - probabilities
    remaining = before < decoding.top_p
    return probabilities[remaining], token_ids[remaining]
