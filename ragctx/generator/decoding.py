"""How a model chooses its tokens, and where it stops. Numbers only: nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from ragctx.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How tokens are chosen. `temperature` 0 is greedy: limits and seed then do nothing.

    `top_k` 0, `top_p` 1 and `min_p` 0 turn these limits off. An answer ends before any text of
    `stop`, which is no part of it. The same `seed` gives the same answer to the
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
    min_p: float = 0.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}; it must be 0 (greedy) or more")
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}; it must be 0 (off) or more")
        if not 0.0 < self.top_p <= 1.0:
            raise InputError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if not 0.0 <= self.min_p < 1.0:
            raise InputError(f"min_p is {self.min_p}; it must be at least 0 and below 1")
        if not all(self.stop):
            raise InputError("a stop text is empty, and so would be every answer; leave it out")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}; it must be between 0 and 2**63 - 1")

    @property
    def greedy(self) -> bool:
        """True if the most probable token is taken every time."""
        return self.temperature == 0.0

    @property
    def words(self) -> str:
        """It in words: "greedy", or what differs from the defaults.

        >>> Decoding(stop=("Question:",)).words
        "greedy, stop ('Question:',)"
        >>> Decoding(temperature=0.7, top_p=0.9).words
        'temperature 0.7, top_p 0.9, seed 0'
        """
        limits = {"top_p": (self.top_p, 1.0), "top_k": (self.top_k, 0), "min_p": (self.min_p, 0.0)}
        drawn = [f"{name} {value}" for name, (value, off) in limits.items() if value != off]
        stops = [f"stop {self.stop}"] if self.stop else []
        if self.greedy:
            return ", ".join(["greedy", *stops])
        return ", ".join([f"temperature {self.temperature:g}", *drawn, f"seed {self.seed}", *stops])
