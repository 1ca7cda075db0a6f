"""The orders themselves, each with its result for the ranks 1…6. Pure functions.

They are given hits in rank order and do not use scores, so ties, negative and missing scores change
nothing. Why order matters: models use the two ends of a long prompt better than its middle (Liu et
al. 2023, "Lost in the Middle", arXiv 2307.03172).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ragctx.errors import InputError
from ragctx.records import Hit

T = TypeVar("T")


def best_first(hits: Sequence[T]) -> tuple[T, ...]:
    """Retrieval order: 1 2 3 4 5 6."""
    return tuple(hits)


def best_last(hits: Sequence[T]) -> tuple[T, ...]:
    """The best last, next to what follows the passages: 6 5 4 3 2 1."""
    return tuple(reversed(hits))


def edges(hits: Sequence[T]) -> tuple[T, ...]:
    """Best at the start, second best at the end, weakest in the middle, for any count.

    >>> edges([1, 2, 3, 4, 5, 6]), edges([1, 2, 3, 4, 5])
    ((1, 3, 5, 6, 4, 2), (1, 3, 5, 4, 2))
    """
    return (*hits[0::2], *reversed(hits[1::2]))


def edges_end(hits: Sequence[T]) -> tuple[T, ...]:
    """Best at the very end, second best at the start, `edges` reversed: 2 4 6 5 3 1."""
    return tuple(reversed(edges(hits)))


def middle(hits: Sequence[T]) -> tuple[T, ...]:
    """The control that should do worst: weakest at the start, second weakest at the end.

    The best is in slot n // 2, counted from 0: the exact middle of an odd count.

    >>> middle([1, 2, 3, 4, 5, 6]), middle([1, 2, 3, 4, 5])
    ((6, 4, 2, 1, 3, 5), (5, 3, 1, 2, 4))
    """
    return edges(best_last(hits))


def document_order(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Each document's passages together, in the order of its text.

    The documents are in the order of their best ranks. This is the order-preserving baseline of Yu
    et al. 2024 (OP-RAG, arXiv 2409.01666).
    """
    best: dict[str, int] = {}  # document id -> index of its best hit
    for index, hit in enumerate(hits):
        best.setdefault(hit.chunk.document_id, index)

    def position(hit: Hit) -> tuple[int, int, int]:
        return best[hit.chunk.document_id], hit.chunk.start, hit.chunk.end

    return tuple(sorted(hits, key=position))


def shuffled(hits: Sequence[T], seed: int = 0) -> tuple[T, ...]:
    """The other control: an order that depends only on the count and the seed.

    Slots are sorted by a SHA-256, since `random.shuffle` may differ between versions of Python.

    >>> shuffled([1, 2, 3, 4, 5, 6], seed=0)
    (5, 4, 3, 1, 6, 2)
    """
    from hashlib import sha256  # loads OpenSSL, which `ragctx --help` need not wait for

    digests = [sha256(f"{seed}:{slot}".encode()).digest() for slot in range(len(hits))]
    return tuple(hits[i] for i in sorted(range(len(hits)), key=digests.__getitem__))


@dataclass(frozen=True, slots=True)
class PositionProfile:
    """How well one model uses a passage in each part of the prompt, as measured."""

    model: str
    accuracy: tuple[float, ...]  # of answers, by the slot of the right passage, equally spaced
    significant: bool  # whether the slots differ by more than chance

    def __post_init__(self) -> None:
        if not self.accuracy or not all(map(math.isfinite, self.accuracy)):
            raise InputError(
                f"The profile of {self.model} has the accuracies {self.accuracy}. "
                "Give one finite number per slot, at least one."
            )

    def at(self, share: float) -> float:
        """Accuracy at a share of the way through the passages, 0 to 1; linear between two slots.

        >>> PositionProfile("m", (0.8, 0.4, 0.6), significant=True).at(0.25)
        0.6000000000000001
        """
        slot = share * (len(self.accuracy) - 1)
        left = min(int(slot), max(0, len(self.accuracy) - 2))
        right = min(left + 1, len(self.accuracy) - 1)
        weight = slot - left
        return (1 - weight) * self.accuracy[left] + weight * self.accuracy[right]


def calibrated(hits: Sequence[T], profile: PositionProfile) -> tuple[T, ...]:
    """The best hit in the slot that the model uses best, and so on; of equal slots the earlier.

    >>> calibrated([1, 2, 3, 4], PositionProfile("m", (0.8, 0.4, 0.6), significant=True))
    (1, 3, 4, 2)
    """
    last = max(1, len(hits) - 1)
    slots = sorted(range(len(hits)), key=lambda slot: -profile.at(slot / last))
    placed = dict(zip(slots, hits, strict=True))
    return tuple(placed[slot] for slot in range(len(hits)))
