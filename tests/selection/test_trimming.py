"""Laws of trimming: what is kept is the document's own text, fits, and is said to be cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.records import Chunk, Document, Hit, Page
from ragctx.selection.selectors import Selector, fill, knapsack, prefix
from ragctx.selection.trimming import trim_to_fit
from tests.support.fakes import WordTokenizer

count = WordTokenizer().count
SENTENCES = ["Tin melts early.", "It is soft and white.", "So is lead!", "Is gold?", "Yes."]
PAGES = tuple(
    Page(number=i, label=str(i), text=" ".join(SENTENCES[i:] + SENTENCES[:i])) for i in (1, 2, 3)
)
DOCUMENT = Document(id="d", path="d.pdf", pages=PAGES)


def make_hit(rank: int, start: int, end: int, score: float | None = None) -> Hit:
    chunk = Chunk(
        id=f"d:{start}-{end}",
        document_id="d",
        start=start,
        end=end,
        first_page=DOCUMENT.page_of(start).number,
        last_page=DOCUMENT.page_of(end - 1).number,
        text=DOCUMENT.text[start:end],
        token_count=0,
    )
    return Hit(rank=rank, score=1 / rank if score is None else score, chunk=chunk, document="d.pdf")


def page_of(document_id: str, offset: int) -> int:
    return DOCUMENT.page_of(offset).number


spans = st.tuples(*[st.integers(0, len(DOCUMENT.text))] * 2).filter(lambda s: s[0] < s[1])
some_hits = st.lists(spans, max_size=5).map(
    lambda found: [make_hit(rank, *span) for rank, span in enumerate(found, 1)]
)
selectors = pytest.mark.parametrize("select", [fill, prefix, knapsack])


@selectors
@given(hits=some_hits, budget=st.integers(0, 80), header=st.integers(0, 9))
def test_a_trimmed_selection_fits_and_holds_the_document_s_own_text(
    select: Selector, hits: list[Hit], budget: int, header: int
) -> None:
    costs = [count(hit.chunk.text) + header for hit in hits]
    whole = select(hits, costs, budget)
    made = trim_to_fit(whole, hits, costs, count, page_of=page_of, least_tokens=1)
    assert made.used_tokens == sum(made.tokens) <= budget
    assert [hit.rank for hit in made.selected] == sorted(hit.rank for hit in made.selected)
    for hit, tokens in zip(made.selected, made.tokens, strict=True):
        chunk = hit.chunk
        assert chunk.text == DOCUMENT.text[chunk.start : chunk.end]
        assert tokens == count(chunk.text) + header
        assert chunk.first_page == page_of("d", chunk.start)
        assert chunk.last_page == page_of("d", chunk.end - 1)
    assert set(whole.selected) <= set(made.selected)
    assert len(made.selected) <= len(whole.selected) + 1
    assert made.relevance <= made.upper_bound
    outcomes = {row.rank: row.outcome for row in made.ledger}
    trimmed = [row for row in made.ledger if row.outcome == "trimmed"]
    assert {r for r, o in outcomes.items() if o != "dropped"} == {h.rank for h in made.selected}
    assert len(trimmed) == len(made.selected) - len(whole.selected)
    for row in trimmed:
        original = next(hit for hit in hits if hit.rank == row.rank)
        piece = next(hit for hit in made.selected if hit.rank == row.rank)
        assert original.chunk.start <= piece.chunk.start < piece.chunk.end < original.chunk.end
        assert row.chunk == original.chunk.id and f"{row.tokens} of" in row.reason


def test_the_longest_run_of_first_sentences_is_kept() -> None:
    text = "One two three. Four five six. Seven eight nine."
    hits = [Hit.from_text(1, 0.9, text)]
    for room, kept in ((11, 2), (8, 2), (7, 1), (4, 1), (3, 0)):
        made = trim_to_fit(fill(hits, [12], room), hits, [12], count, least_tokens=1)
        words = [hit.chunk.text.count(" ") + 1 for hit in made.selected]
        assert words == ([3 * kept] if kept else [])


def test_it_is_the_best_ranked_of_those_too_long_that_is_trimmed() -> None:
    text = "One two three. Four five six."
    hits = [Hit.from_text(rank, 1 / rank, text, f"{rank}") for rank in (1, 2, 3)]
    made = trim_to_fit(fill(hits, [8, 8, 8], 13), hits, [8, 8, 8], count, least_tokens=1)
    assert [(row.rank, row.outcome) for row in made.ledger] == [
        (1, "selected"),
        (2, "trimmed"),
        (3, "dropped"),
    ]


def test_a_piece_that_is_hardly_more_than_a_heading_is_not_kept() -> None:
    hits = [Hit.from_text(1, 0.9, "Care. " + "Clean the filter every week with water. " * 8)]
    selection = fill(hits, [70], 20)
    assert trim_to_fit(selection, hits, [70], count) == selection


def test_what_was_dropped_for_another_reason_is_not_trimmed() -> None:
    hit = Hit.from_text(1, 0.9, "One two three. Four five six.")
    hits = [hit, Hit(rank=2, score=0.8, chunk=hit.chunk)]
    selection = fill(hits, [8, 8], 12)  # the same chunk twice
    assert trim_to_fit(selection, hits, [8, 8], count, least_tokens=1) == selection


@selectors
def test_nothing_to_trim_changes_nothing(select: Selector) -> None:
    hits = [make_hit(1, 0, 16)]
    for given_hits in ([], hits):
        costs = [4] * len(given_hits)
        selection = select(given_hits, costs, 50)
        assert trim_to_fit(selection, given_hits, costs, count) == selection
