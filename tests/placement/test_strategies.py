"""Laws of placement: a permutation that depends on ranks alone, whatever the count."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.placement.orders import PositionProfile, calibrated, edges, edges_end, middle, shuffled
from ragctx.placement.strategies import STRATEGIES, place
from ragctx.records import Chunk, Hit
from ragctx.selection.selectors import fill

names = pytest.mark.parametrize("name", STRATEGIES)
by_rank_alone = pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "llama_index"])


def make_hits(n: int, scores: list[float | None] | None = None) -> list[Hit]:
    scores = scores or [1 / rank for rank in range(1, n + 1)]
    return [Hit.from_text(i + 1, scores[i], f"text {i}") for i in range(n)]  # type: ignore[arg-type]


def order(name: str, n: int) -> list[int]:
    return [hit.rank for hit in place(make_hits(n), name).hits]


# ---- What each strategy gives ------------------------------------------------------------------


ORDERS_OF_SIX = {
    "best_first": [1, 2, 3, 4, 5, 6],
    "best_last": [6, 5, 4, 3, 2, 1],
    "edges": [1, 3, 5, 6, 4, 2],
    "edges_end": [2, 4, 6, 5, 3, 1],
    "middle": [6, 4, 2, 1, 3, 5],
    "document_order": [1, 2, 3, 4, 5, 6],
    "random": [5, 4, 3, 1, 6, 2],
    "calibrated": [1, 3, 5, 6, 4, 2],
    "langchain": [2, 4, 6, 5, 3, 1],
    "llama_index": [2, 4, 6, 5, 3, 1],
    "haystack": [1, 3, 5, 6, 4, 2],
    "llmlingua": [1, 3, 5, 6, 4, 2],
    "autorag": [1, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize(("name", "expected"), ORDERS_OF_SIX.items())
def test_the_names_are_defined_by_what_they_give_for_six(name: str, expected: list[int]) -> None:
    assert order(name, 6) == expected


def test_every_name_is_defined_above() -> None:
    assert set(STRATEGIES) == set(ORDERS_OF_SIX)


@pytest.mark.parametrize("n", range(2, 12))
def test_edges_has_the_best_first_and_the_second_best_last_whatever_the_parity(n: int) -> None:
    # LangChain's and LlamaIndex's LongContextReorder put the best last when n is even.
    placed = order("edges", n)
    assert (placed[0], placed[-1]) == (1, 2)
    assert placed.index(n) in ((n - 1) // 2, n // 2)


@pytest.mark.parametrize("n", range(1, 12))
def test_from_both_edges_inwards_ranks_only_get_worse(n: int) -> None:
    placed = order("edges", n)
    deepest = placed.index(n)
    assert placed[: deepest + 1] == sorted(placed[: deepest + 1])
    assert placed[deepest:] == sorted(placed[deepest:], reverse=True)


@given(st.integers(0, 40))
def test_edges_end_is_edges_in_a_mirror_and_middle_is_edges_turned_inside_out(n: int) -> None:
    ranks = range(1, n + 1)
    assert edges_end(ranks) == edges(ranks)[::-1]
    assert [n + 1 - rank for rank in middle(ranks)] == list(edges(ranks))


@pytest.mark.parametrize("n", range(1, 12))
def test_middle_has_the_best_in_the_middle_and_the_weakest_at_the_ends(n: int) -> None:
    placed = order("middle", n)
    assert placed[n // 2] == 1
    assert placed[0] == n and placed[-1] == max(1, n - 1)


def test_document_order_keeps_passages_together_as_the_document_has_them() -> None:
    where = [("b", 50), ("a", 90), ("b", 10), ("a", 20), ("c", 0), ("b", 10)]
    hits = [
        Hit(
            rank=rank,
            score=0.5,
            chunk=Chunk(
                id=f"{rank}",
                document_id=name,
                start=start,
                end=start + 5,
                first_page=1,
                last_page=1,
                text="text.",
                token_count=2,
            ),
            document=name,
        )
        for rank, (name, start) in enumerate(where, 1)
    ]
    placed = place(hits, "document_order").hits
    assert [hit.rank for hit in placed] == [3, 6, 1, 4, 2, 5]


# ---- Laws all share ----------------------------------------------------------------------------


@names
@given(scores=st.lists(st.none() | st.floats(), max_size=15), seed=st.integers())
def test_a_placement_is_a_permutation_that_changes_no_input(
    name: str, scores: list[float | None], seed: int
) -> None:
    hits = make_hits(len(scores), scores)
    before = list(hits)
    placed = place(hits, name, seed=seed).hits
    assert list(map(id, hits)) == list(map(id, before))
    assert sorted(map(id, placed)) == sorted(map(id, hits))
    assert list(map(id, place(hits, name, seed=seed).hits)) == list(map(id, placed))


@by_rank_alone  # LlamaIndex sorts by score first, and so does the order that bears its name
@given(scores=st.lists(st.none() | st.floats(), max_size=15), seed=st.integers())
def test_a_placement_ignores_scores(name: str, scores: list[float | None], seed: int) -> None:
    placed = place(make_hits(len(scores), scores), name, seed=seed).hits
    same = place(make_hits(len(scores)), name, seed=seed).hits
    assert [hit.rank for hit in placed] == [hit.rank for hit in same]


@names
@given(hits=st.permutations(make_hits(7)))
def test_a_placement_depends_on_ranks_not_on_the_order_of_arrival(
    name: str, hits: list[Hit]
) -> None:
    assert [hit.rank for hit in place(hits, name).hits] == order(name, 7)


@names
def test_one_and_none_are_placed_as_they_are(name: str) -> None:
    assert order(name, 1) == [1]
    assert order(name, 0) == []


@by_rank_alone
def test_equal_ranks_keep_their_order_of_arrival(name: str) -> None:
    hits = [Hit.from_text(1, 0.5, f"text {i}") for i in range(6)]
    texts = [hit.chunk.text for hit in place(hits, name).hits]
    assert texts == [f"text {rank - 1}" for rank in order(name, 6)]


def test_a_selection_is_placed_as_its_hits_are() -> None:
    selection = fill(make_hits(6), [1] * 6, 4)
    assert [hit.rank for hit in place(selection).hits] == [1, 3, 4, 2]


# ---- Random ------------------------------------------------------------------------------------


def test_random_is_the_same_in_every_process_and_differs_between_seeds() -> None:
    code = "from ragctx.placement.orders import shuffled; print(shuffled(range(9), 7))"
    run = [sys.executable, "-c", code]
    elsewhere = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert elsewhere.strip() == str(shuffled(range(9), 7))
    assert len({shuffled(range(9), seed) for seed in range(20)}) == 20


def test_random_puts_every_rank_everywhere() -> None:
    # 2,000 seeds, 5 slots: 400 expected in each, standard deviation 18.
    found = [shuffled(range(5), seed).index(0) for seed in range(2000)]
    assert all(300 < found.count(slot) < 500 for slot in range(5))


# ---- Calibrated --------------------------------------------------------------------------------


@given(st.integers(0, 20), st.lists(st.floats(0, 1), min_size=1, max_size=7).map(tuple))
def test_calibrated_gives_better_ranks_to_slots_that_are_read_better(
    n: int, accuracy: tuple[float, ...]
) -> None:
    profile = PositionProfile("m", accuracy, significant=True)
    placed = calibrated(range(n), profile)
    assert sorted(placed) == list(range(n))
    measured = [profile.at(slot / max(1, n - 1)) for slot in range(n)]
    by_rank = [measured[placed.index(rank)] for rank in range(n)]
    assert by_rank == sorted(by_rank, reverse=True)


def test_a_profile_goes_through_its_own_slots() -> None:
    profile = PositionProfile("m", (0.75, 0.25, 0.5), significant=True)
    assert [profile.at(share) for share in (0, 0.25, 0.5, 0.75, 1)] == [
        0.75,
        0.5,
        0.25,
        0.375,
        0.5,
    ]


def test_calibrated_follows_a_significant_profile() -> None:
    profile = PositionProfile("m", (0.2, 0.5, 0.9), significant=True)
    placed = place(make_hits(3), "calibrated", profile=profile)
    assert [hit.rank for hit in placed.hits] == [3, 2, 1]
    assert (placed.strategy, placed.note) == ("calibrated", "")


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        (None, "no position profile was given"),
        (
            PositionProfile("m", (0.2, 0.9), significant=False),
            "the profile of m is not significant",
        ),
    ],
)
def test_calibrated_falls_back_to_edges_and_says_so(
    profile: PositionProfile | None, why: str
) -> None:
    placed = place(make_hits(6), "calibrated", profile=profile)
    assert [hit.rank for hit in placed.hits] == order("edges", 6)
    assert (placed.strategy, placed.note) == ("edges", f"edges instead of calibrated: {why}")


@pytest.mark.parametrize("accuracy", [(), (0.5, float("nan"))])
def test_a_profile_without_numbers_is_refused(accuracy: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="profile of m"):
        PositionProfile("m", accuracy, significant=True)


# ---- Names and functions -----------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"'lost_in_the_middle'.*best_first, .*, edges, .*random"):
        place(make_hits(2), "lost_in_the_middle")


def test_a_function_of_one_s_own_is_a_strategy() -> None:
    def second_first(hits: list[Hit]) -> list[Hit]:
        return [hits[1], hits[0], *hits[2:]]

    placed = place(make_hits(3), second_first)  # type: ignore[arg-type]
    assert [hit.rank for hit in placed.hits] == [2, 1, 3]
    assert placed.strategy == "second_first"


def test_a_function_that_loses_or_repeats_a_hit_is_refused() -> None:
    # AutoRAG's long_context_reorder repeats the best passage at the end.
    with pytest.raises(InputError, match="for ranks 1 2 3 it gave 1 2 3 1"):
        place(make_hits(3), lambda hits: [*hits, hits[0]])
    with pytest.raises(InputError, match="for ranks 1 2 it gave 1 1"):
        place(make_hits(2), lambda hits: [hits[0], hits[0]])
