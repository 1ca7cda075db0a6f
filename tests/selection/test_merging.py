"""Laws of merging: a span is the document's own text, and no candidate is lost on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.records import Chunk, Hit
from ragctx.selection.merging import join_ledgers, merge_hits
from ragctx.selection.selectors import fill
from tests.support.fakes import WordTokenizer

TEXTS = {"a": "One two. Three four.\n\nFive six. Seven.", "b": "aaaa bbbb  cccc aaaa bbbb"}
count = WordTokenizer().count


def make_hit(rank: int, document: str, start: int, end: int, score: float = 0.5) -> Hit:
    text = TEXTS[document][start:end]
    name = f"{document}:{start}-{end}"
    chunk = Chunk(
        id=name,
        document_id=document,
        start=start,
        end=end,
        first_page=start // 8 + 1,
        last_page=end // 8 + 1,
        text=text,
        token_count=count(text),
    )
    return Hit(
        rank=rank, score=score, chunk=chunk, document=f"{document}.pdf", path=f"docs/{document}.pdf"
    )


@st.composite
def some_hits(draw: st.DrawFn) -> list[Hit]:
    spans = draw(
        st.lists(
            st.sampled_from("ab").flatmap(
                lambda name: st.tuples(
                    st.just(name),
                    st.tuples(*[st.integers(0, len(TEXTS[name]))] * 2).filter(
                        lambda pair: pair[0] < pair[1]
                    ),
                )
            ),
            max_size=8,
        )
    )
    return [make_hit(rank, name, *pair) for rank, (name, pair) in enumerate(spans, 1)]


sources = st.sampled_from([None, TEXTS.__getitem__])
caps = st.none() | st.integers(1, 12)


@given(some_hits(), sources, caps)
def test_a_span_is_the_document_s_own_text_and_covers_what_went_into_it(
    hits: list[Hit], source: object, cap: int | None
) -> None:
    merge = merge_hits(hits, count, max_tokens=cap, document_text=source)  # type: ignore[arg-type]
    for hit in merge.hits:
        chunk = hit.chunk
        assert chunk.text == TEXTS[chunk.document_id][chunk.start : chunk.end]
        assert chunk.token_count == count(chunk.text)
    ends = {hit.chunk.id: hit.chunk for hit in merge.hits}
    for row in merge.ledger:
        inner = next(hit.chunk for hit in hits if hit.chunk.id == row.chunk)
        assert row.into is not None and row.into not in row.reason  # an id says nothing to people
        outer = ends[row.into]
        assert outer.start <= inner.start <= inner.end <= outer.end
        assert outer.first_page <= inner.first_page <= inner.last_page <= outer.last_page


@given(some_hits(), sources, caps)
def test_every_candidate_is_either_kept_or_in_the_ledger_as_merged(
    hits: list[Hit], source: object, cap: int | None
) -> None:
    merge = merge_hits(hits, count, max_tokens=cap, document_text=source)  # type: ignore[arg-type]
    kept = [hit.rank for hit in merge.hits if hit in hits]
    spans = [hit for hit in merge.hits if hit not in hits]
    gone = [row.rank for row in merge.ledger]
    unseen = {hit.rank for hit in hits} - {*kept, *gone}
    # A chunk that holds all the others is the span itself, but may have been given a better rank.
    assert len(unseen) <= len(spans)
    assert {hit.chunk.id for hit in hits if hit.rank in unseen} <= {hit.chunk.id for hit in spans}
    assert all(row.outcome == "merged" for row in merge.ledger)
    assert gone == sorted(gone)


@given(some_hits())
def test_merging_again_changes_nothing(hits: list[Hit]) -> None:
    once = merge_hits(hits, count, document_text=TEXTS.__getitem__)
    again = merge_hits(once.hits, count, document_text=TEXTS.__getitem__)
    assert again.hits == once.hits
    assert again.ledger == () and again.saved_tokens == 0


@given(some_hits(), st.integers(1, 12))
def test_no_span_grows_beyond_the_cap(hits: list[Hit], cap: int) -> None:
    before = {hit.chunk.id for hit in hits}
    for hit in merge_hits(hits, count, max_tokens=cap, document_text=TEXTS.__getitem__).hits:
        assert count(hit.chunk.text) <= cap or hit.chunk.id in before


@given(some_hits())
def test_after_merging_no_character_is_paid_twice(hits: list[Hit]) -> None:
    spans = sorted(
        (hit.chunk.document_id, hit.chunk.start, hit.chunk.end)
        for hit in merge_hits(hits, count).hits
    )
    for (document, _, end), (other, start, _) in pairwise(spans):
        assert document != other or end <= start


def test_the_span_has_the_best_rank_and_score_and_an_id_of_its_own() -> None:
    hits = [
        make_hit(1, "b", 0, 4, score=-2.0),
        make_hit(2, "a", 4, 20, score=0.8),
        make_hit(3, "a", 0, 8, score=0.9),
    ]
    merge = merge_hits(hits, count)
    assert [(hit.rank, hit.score, hit.chunk.id) for hit in merge.hits] == [
        (1, -2.0, "b:0-4"),
        (2, 0.9, "a:0-20"),
    ]
    assert merge.hits[1].chunk.text == "One two. Three four."
    assert merge.hits[1].document == "a.pdf"
    assert [(row.chunk, row.reason) for row in merge.ledger] == [
        ("a:4-20", "merged into the passage of rank 2"),
        ("a:0-8", "merged into the passage of rank 2"),
    ]
    assert merge.saved_tokens == 2  # "two."


def test_a_missing_score_does_not_hide_a_real_one() -> None:
    hits = [make_hit(1, "a", 0, 8, score=float("nan")), make_hit(2, "a", 4, 20, score=-3.0)]
    assert merge_hits(hits, count).hits[0].score == -3.0


def test_a_gap_is_closed_only_where_the_document_shows_that_it_is_whitespace() -> None:
    hits = [make_hit(1, "a", 0, 8), make_hit(2, "a", 9, 20), make_hit(3, "a", 27, 31)]
    assert len(merge_hits(hits, count).hits) == 3
    shown = merge_hits(hits, count, document_text=TEXTS.__getitem__)
    assert [hit.chunk.text for hit in shown.hits] == ["One two. Three four.", TEXTS["a"][27:31]]


def test_chunks_of_another_version_of_the_document_are_left_alone() -> None:
    hits = [make_hit(1, "a", 0, 8), make_hit(2, "a", 9, 20)]
    assert merge_hits(hits, count, document_text=lambda _: "x" * 8 + " " + "y" * 30).hits == (
        *hits,
    )


def test_texts_of_another_retriever_are_not_taken_for_overlapping() -> None:
    # They all begin at 0 of an unknown document.
    hits = [Hit.from_text(1, 0.9, "Tin melts.", "atlas"), Hit.from_text(2, 0.8, "Lead.", "atlas")]
    assert merge_hits(hits, count).hits == (*hits,)


def test_a_chunk_that_comes_twice_is_kept_once() -> None:
    hit = make_hit(1, "a", 0, 8)
    merge = merge_hits([hit, make_hit(2, "a", 0, 8)], count)
    assert merge.hits == (hit,)
    assert [row.rank for row in merge.ledger] == [2]


def test_the_ledgers_of_merging_and_selecting_make_one() -> None:
    hits = [make_hit(1, "a", 0, 8), make_hit(2, "b", 0, 4), make_hit(3, "a", 4, 20)]
    merge = merge_hits(hits, count)
    ledger = join_ledgers(merge.ledger, fill(merge.hits, [8, 1], 8).ledger)
    assert [(row.chunk, row.outcome) for row in ledger] == [
        ("a:0-8", "merged"),
        ("a:0-20", "selected"),
        ("b:0-4", "dropped"),
        ("a:4-20", "merged"),
    ]


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="max_tokens is 0"):
        merge_hits([], count, max_tokens=0)
