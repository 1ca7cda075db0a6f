"""Laws of placement for the cache: never worse than the order given, and as good an order as it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import Assembly, assemble
from ragctx.placement.cached import Reuse, most_reused, slot_groups
from ragctx.placement.orders import PositionProfile
from ragctx.placement.strategies import STRATEGIES, place
from ragctx.records import Hit, Prompt
from ragctx.tokens.load import load_tokenizer

TOKENS = 10  # of each passage here


def make_hits(n: int, score: Callable[[int], float] = lambda rank: 1 / rank) -> list[Hit]:
    return [Hit.from_text(rank, score(rank), f"text {rank}") for rank in range(1, n + 1)]


def held(before: Sequence[int]) -> Callable[[Sequence[Hit]], Reuse]:
    """What a model holds that has read passages of these ranks, in this order."""

    def reuse(hits: Sequence[Hit]) -> Reuse:
        same = 0
        for hit, rank in zip(hits, before, strict=False):
            if hit.rank != rank:
                break
            same += 1
        return Reuse(TOKENS * same, same)

    return reuse


def as_good(strategy: str, order: Sequence[Hit], other: Sequence[Hit]) -> bool:
    """The obvious reference: the same ranks in each group of slots."""
    groups = slot_groups(strategy, len(order))

    def ranks(hits: Sequence[Hit], group: int) -> list[int]:
        return sorted(hit.rank for hit, own in zip(hits, groups, strict=True) if own == group)

    return all(ranks(order, group) == ranks(other, group) for group in groups)


@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 7), st.permutations(range(1, 8)))
def test_the_order_is_as_good_and_never_less_is_held(
    strategy: str, n: int, before: list[int]
) -> None:
    placed, reuse = place(make_hits(n), strategy).hits, held(before)
    chosen = most_reused(placed, slot_groups(strategy, n), reuse)
    assert as_good(strategy, placed, chosen)
    assert reuse(chosen).tokens >= reuse(placed).tokens


@given(st.integers(1, 5), st.permutations(range(1, 6)))
def test_where_every_order_is_as_good_the_longest_beginning_is_found(
    n: int, before: list[int]
) -> None:
    hits, reuse = make_hits(n), held(before)
    profile = PositionProfile("m", (0.8, 0.7), significant=False)
    chosen = most_reused(hits, slot_groups("calibrated", n, profile), reuse)
    assert reuse(chosen).tokens == max(reuse(order).tokens for order in permutations(hits))


def test_best_first_stays_as_it_is_but_for_equal_scores() -> None:
    groups = slot_groups("best_first", 3)
    assert most_reused(make_hits(3), groups, held([3, 2, 1])) == tuple(make_hits(3))
    alike = make_hits(3, lambda rank: 0.5)
    assert [hit.rank for hit in most_reused(alike, groups, held([3, 2, 1]))] == [3, 2, 1]


def test_slots_that_a_model_reads_equally_well_are_of_one_group() -> None:
    profile = PositionProfile("m", (0.8, 0.4, 0.8), significant=True)
    assert slot_groups("calibrated", 5, profile) == (0, 1, 2, 1, 0)
    rising = PositionProfile("m", (0.2, 0.4, 0.8), significant=True)
    assert slot_groups("calibrated", 3, rising) == (0, 1, 2)


class Reader:
    """Holds what it was given, as a generator does."""

    def __init__(self) -> None:
        self.read: list[tuple[int, ...]] = []

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        def common(other: Sequence[int]) -> int:
            pairs = zip(token_ids, other, strict=False)
            return next((i for i, (a, b) in enumerate(pairs) if a != b), len(other))

        return max(map(common, self.read), default=0)


def prompt_of(hits: Sequence[Hit], reader: Reader, *, prefer_cached: bool) -> Prompt:
    return assemble(
        "When does tin melt?",
        hits,
        load_tokenizer("bundled"),
        context_window=2048,
        assembly=Assembly(prefer_cached=prefer_cached, max_new_tokens=16),
        cached_tokens=reader.cached_tokens,
    )


def test_a_prompt_tells_what_its_order_saved() -> None:
    texts = ("Tin melts at 232 degrees.", "Lead melts at 327 degrees.", "Zinc melts at 420.")
    hits = [Hit.from_text(rank, 1 / rank, text, "a.pdf") for rank, text in enumerate(texts, 1)]
    swapped = [Hit.from_text(r, 1 / r, texts[i], "a.pdf") for r, i in ((1, 1), (2, 0), (3, 2))]
    reader = Reader()
    first = prompt_of(hits, reader, prefer_cached=True)
    assert (first.cached_tokens, first.order_saved_tokens) == (0, 0)
    reader.read.append(first.token_ids)
    own = prompt_of(swapped, reader, prefer_cached=False)
    assert own.cached_tokens is None
    again = prompt_of(swapped, reader, prefer_cached=True)
    assert [p.own_text for p in again.passages] == [p.own_text for p in first.passages]
    assert again.cached_tokens == reader.cached_tokens(again.token_ids)
    saved = reader.cached_tokens(again.token_ids) - reader.cached_tokens(own.token_ids)
    assert again.order_saved_tokens == again.certificate.order_saved_tokens == saved > 0


@pytest.mark.parametrize("prefer_cached", [False, True])
def test_without_a_generator_the_order_is_the_placement_s(prefer_cached: bool) -> None:
    hits = make_hits(4)
    prompt = assemble(
        "When?",
        hits,
        load_tokenizer("bundled"),
        context_window=2048,
        assembly=Assembly(prefer_cached=prefer_cached),
    )
    assert [p.hit.rank for p in prompt.passages if p.hit] == [1, 3, 4, 2]
