"""Of orders that are equally good, the one whose prompt begins most as earlier prompts did. Pure.

A model that keeps keys and values reads a prompt from where it differs from what it has read. Which
passage stands first decides how late that is (CacheWeaver, arXiv 2606.19667, orders passages by
that alone; here only swaps are made that leave the order as good as it was).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ragctx.placement.laws import Strategy
from ragctx.placement.orders import PositionProfile
from ragctx.records import Hit

_MIRRORED = ("edges", "edges_end", "middle")
"""Strategies by how far a slot is from the nearest end: two slots have the same distance."""


class Reuse(NamedTuple):
    """What a generator holds of a prompt's beginning: tokens, and passages that end within them."""

    tokens: int
    passages: int


def slot_groups(
    strategy: str | Strategy, slots: int, profile: PositionProfile | None = None
) -> tuple[int, ...]:
    """The group of each slot: those with the same number are equally good, as far as is known.

    Slots that are as far from their end are, under strategies that go by that; slots that a model
    reads equally well are under "calibrated", which are all of them if its profile is not
    significant. Under any other strategy each slot has a meaning of its own.

    >>> slot_groups("edges", 5), slot_groups("best_first", 3)
    ((0, 1, 2, 1, 0), (0, 1, 2))
    >>> slot_groups("calibrated", 4, PositionProfile("m", (0.8, 0.7), significant=False))
    (0, 0, 0, 0)
    """
    if strategy == "calibrated" and profile is not None:
        if not profile.significant:
            return (0,) * slots
        last = max(1, slots - 1)
        accuracies = [round(profile.at(slot / last), 9) for slot in range(slots)]
        return tuple(map(accuracies.index, accuracies))
    if strategy in _MIRRORED or strategy == "calibrated":  # which is "edges" without a profile
        return tuple(min(slot, slots - 1 - slot) for slot in range(slots))
    return tuple(range(slots))


def most_reused(
    hits: Sequence[Hit], groups: Sequence[int], reuse: Callable[[Sequence[Hit]], Reuse]
) -> tuple[Hit, ...]:
    """The hits with those swapped that make the prompt's beginning longer that is held already.

    Slot by slot from the first: greedy, and never worse than the order given. Swapped are hits in
    slots of one group, and hits with the same score.

    Args:
        hits: in prompt order.
        groups: of each slot, see `slot_groups`.
        reuse: what is held of the prompt with the hits in a given order.
    """
    best = tuple(hits)
    held = reuse(best)
    for slot in range(len(best)):
        tried = [
            _swapped(best, slot, other)
            for other in range(slot + 1, len(best))
            if groups[slot] == groups[other] or _same_score(best[slot], best[other])
        ]
        for order in tried:
            if (found := reuse(order)).tokens > held.tokens:
                best, held = order, found
        if held.passages <= slot:  # the beginning ends here, whatever comes after
            break
    return best


def _swapped(hits: tuple[Hit, ...], slot: int, other: int) -> tuple[Hit, ...]:
    order = list(hits)
    order[slot], order[other] = order[other], order[slot]
    return tuple(order)


def _same_score(hit: Hit, other: Hit) -> bool:
    return hit.score is not None and hit.score == other.score
