"""Laws of candidates: one for each chunk, in rank order, with the cost that came with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.records import Hit
from ragctx.selection.candidates import candidates_of, ledger_row
from ragctx.selection.relevance import RELEVANCE_UNIT, relevances


@st.composite
def some_hits(draw: st.DrawFn) -> list[Hit]:
    """Hits of at most four chunks, in any order; every rank comes once."""
    names = draw(st.lists(st.sampled_from("abcd"), max_size=8))
    ranks = draw(st.permutations(range(1, len(names) + 1)))
    hits = []
    for name, rank in zip(names, ranks, strict=True):
        chunk = replace(Hit.from_text(1, 0.5, f"text {name}").chunk, id=name)
        hits.append(Hit(rank=rank, score=1 / rank, chunk=chunk))
    return hits


@given(some_hits())
def test_each_chunk_is_one_candidate_by_its_best_rank_and_every_other_hit_repeats_one(
    hits: list[Hit],
) -> None:
    candidates, repeats = candidates_of(hits, [10 * hit.rank for hit in hits])
    best = {hit.chunk.id: min(h.rank for h in hits if h.chunk.id == hit.chunk.id) for hit in hits}
    assert [candidate.hit.rank for candidate in candidates] == sorted(best.values())
    assert len(candidates) + len(repeats) == len(hits)
    for candidate in candidates:
        assert candidate.cost == 10 * candidate.hit.rank
    for repeat in repeats:
        assert repeat.cost == 10 * repeat.hit.rank
        assert repeat.first_rank == best[repeat.hit.chunk.id] < repeat.hit.rank


@given(some_hits())
def test_a_candidate_s_value_is_its_relevance_among_the_candidates(hits: list[Hit]) -> None:
    candidates, _ = candidates_of(hits, [1] * len(hits))
    expected = relevances([candidate.hit for candidate in candidates])
    assert tuple(candidate.value / RELEVANCE_UNIT for candidate in candidates) == expected


def test_costs_that_do_not_match_are_refused_naming_the_numbers() -> None:
    hits = [Hit.from_text(1, 0.9, "text")]
    with pytest.raises(InputError, match="1 hits but 2 costs"):
        candidates_of(hits, [1, 2])
    with pytest.raises(InputError, match="cost is -1"):
        candidates_of(hits, [-1])


def test_a_ledger_row_tells_which_characters_of_which_chunk_it_is_about() -> None:
    hit = Hit.from_text(3, 0.5, "Tin melts.", "metals.pdf")
    row = ledger_row(hit, 7, "merged", "merged into d:0-90", into="d:0-90")
    assert (row.chunk, row.document, row.rank, row.score) == (hit.chunk.id, "metals.pdf", 3, 0.5)
    assert (row.tokens, row.outcome, row.start, row.end, row.into) == (7, "merged", 0, 10, "d:0-90")
    assert ledger_row(hit, 7, "dropped", "does not fit").into is None
