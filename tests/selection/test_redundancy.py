"""Laws of counting once what is said twice, against references that go through sets of words."""

from __future__ import annotations

from collections import Counter
from itertools import chain, combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.records import Hit
from ragctx.selection.redundancy import Coverage, best_distinct_subset
from ragctx.selection.selectors import fill, knapsack
from ragctx.selection.shingles import RUN_WORDS, shared_runs

words = st.sampled_from(["a", "b", "c", "longer", "é", "considerably-longer", "\ud800"])
some_texts = st.lists(st.lists(words, max_size=14).map(" ".join), max_size=7)


def runs_of(text: str) -> set[tuple[str, ...]]:
    found = text.split()
    if not found:
        return set()
    return {tuple(found[i : i + RUN_WORDS]) for i in range(max(1, len(found) - RUN_WORDS + 1))}


def slow_value(texts: list[str], values: list[int], chosen: tuple[int, ...]) -> float:
    most: dict[tuple[str, ...], float] = {}
    for i in chosen:
        for run in runs_of(texts[i]):
            most[run] = max(most.get(run, 0.0), values[i] / len(runs_of(texts[i])))
    return sum(most.values()) + sum(values[i] for i in chosen if not runs_of(texts[i]))


def subsets(n: int) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(range(n), size) for size in range(n + 1)))


# ---- Runs --------------------------------------------------------------------------------------


@given(some_texts)
def test_shared_runs_are_those_that_sets_of_words_find(texts: list[str]) -> None:
    owners, runs, totals = shared_runs(texts)
    assert totals.tolist() == [len(runs_of(text)) for text in texts]
    held = Counter(run for text in texts for run in runs_of(text))
    shared = [sum(held[run] > 1 for run in runs_of(text)) for text in texts]
    assert [owners.tolist().count(i) for i in range(len(texts))] == shared
    by_text = [set(runs[owners == i].tolist()) for i in range(len(texts))]
    for i, j in combinations(range(len(texts)), 2):
        assert len(by_text[i] & by_text[j]) == len(runs_of(texts[i]) & runs_of(texts[j]))


def test_whitespace_of_any_kind_parts_words() -> None:
    owners, _, _ = shared_runs(["one two three four five", "one\ntwo   three\r\nfour\tfive"])
    assert owners.tolist() == [0, 1]


def test_texts_without_spaces_share_signs() -> None:
    owners, _, totals = shared_runs(["東京都の人口は多い", "この東京都の人口は少ない"])
    assert totals.tolist() == [5, 8]
    assert owners.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("texts", [[], [""], ["", ""], [" \n"]])
def test_texts_without_words_share_nothing(texts: list[str]) -> None:
    owners, runs, totals = shared_runs(texts)
    assert (owners.tolist(), runs.tolist(), totals.tolist()) == ([], [], [0] * len(texts))


# ---- Worth -------------------------------------------------------------------------------------


@given(some_texts, st.randoms())
def test_a_set_is_worth_what_the_definition_says(texts: list[str], rng: Random) -> None:
    values = [rng.randint(1, 1000) for _ in texts]
    coverage = Coverage(texts, values)
    for chosen in subsets(len(texts)):
        assert coverage.value(chosen) == pytest.approx(slow_value(texts, values, chosen))


@given(some_texts, st.randoms())
def test_more_is_never_worth_less_and_adds_less_the_more_there_is(
    texts: list[str], rng: Random
) -> None:
    values = [rng.randint(1, 1000) for _ in texts]
    coverage = Coverage(texts, values)
    order = rng.sample(range(len(texts)), len(texts))
    for place, i in enumerate(order):
        before, fewer = set(order[:place]), set(order[: place // 2])
        assert -1e-9 <= coverage.gains_beside(before)[i] <= coverage.gains_beside(fewer)[i] + 1e-9


@given(some_texts, st.randoms(), st.integers(0, 30))
def test_a_selection_is_near_the_best_of_all_subsets_and_the_bound_above_it(
    texts: list[str], rng: Random, budget: int
) -> None:
    values = [rng.randint(1, 1000) for _ in texts]
    costs = [rng.randint(0, 12) for _ in texts]
    fitting = [s for s in subsets(len(texts)) if sum(costs[i] for i in s) <= budget]
    best = max(slow_value(texts, values, chosen) for chosen in fitting)
    found = best_distinct_subset(texts, costs, values, budget)
    assert sum(costs[i] for i in found.chosen) <= budget
    assert found.value == pytest.approx(slow_value(texts, values, tuple(found.chosen)))
    assert found.value <= best + 1e-6 <= found.bound + 1e-3
    assert found.value >= best / 2
    if not any(share > 0 for share in Coverage(texts, values).gains_beside(set())):
        assert found.value == best


def test_on_average_a_selection_is_within_one_percent_of_the_best() -> None:
    rng = Random(1)
    shares = []
    for _ in range(20):
        sources = [" ".join(f"w{rng.randrange(500)}" for _ in range(30)) for _ in range(4)]
        texts = [
            " ".join(rng.choice(sources).split()[rng.randrange(10) : rng.randint(12, 30)])
            for _ in range(8)
        ]
        values = sorted((rng.randint(100, 1000) for _ in texts), reverse=True)
        costs = [len(text.split()) + 5 for text in texts]
        budget = sum(costs) // 2
        fitting = [s for s in subsets(len(texts)) if sum(costs[i] for i in s) <= budget]
        best = max(slow_value(texts, values, chosen) for chosen in fitting)
        shares.append(best_distinct_subset(texts, costs, values, budget).value / best)
    assert min(shares) > 0.9
    assert sum(shares) / len(shares) > 0.99


# ---- In a selection ----------------------------------------------------------------------------

SAID = "the pump must be stopped before the filter is opened"


def hits_of(*texts: str) -> list[Hit]:
    return [Hit.from_text(rank, 1 - rank / 10, text, "a") for rank, text in enumerate(texts, 1)]


def test_a_near_duplicate_gives_way_to_something_new() -> None:
    hits = hits_of(SAID, f"{SAID} again", "tin melts at 232 degrees", "lead is soft", "so is gold")
    selection = knapsack(hits, [10] * 5, 20)
    assert [hit.rank for hit in selection.selected] == [1, 3]
    assert [hit.rank for hit in fill(hits, [10] * 5, 20).selected] == [1, 2]
    assert selection.ledger[1].reason == (
        "does not fit beside the chosen: costs 10 tokens, 0 left; "
        "86 % of it stands in better ones chosen"
    )


def test_an_exact_duplicate_is_not_taken_even_where_there_is_room() -> None:
    selection = knapsack(hits_of(SAID, SAID), [10, 10], 100)
    assert [row.outcome for row in selection.ledger] == ["selected", "dropped"]
    assert selection.ledger[1].reason == "adds nothing: 100 % of it stands in better ones chosen"
    assert selection.relevance == pytest.approx(1.0)
    assert selection.gap == pytest.approx(0.0, abs=0.01)


def test_the_gap_is_nothing_where_nothing_repeats() -> None:
    assert knapsack(hits_of("one", "two", "three"), [10, 9, 8], 17).gap == 0.0
