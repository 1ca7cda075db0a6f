"""Laws of expansion: what was chosen stays, nothing is repeated, and the budget holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import Assembly, assemble
from ragctx.errors import InputError
from ragctx.records import Chunk, Document, Hit, Page, Selection
from ragctx.selection.expansion import Surroundings, expand, widened
from ragctx.selection.selectors import fill
from tests.support.fakes import WordTokenizer

TEXT = "aa bbb c\n\ndddd ee ffff g hh iiii jj k"
DOCUMENT = Document(
    id="d",
    path="d.pdf",
    pages=(
        Page(number=1, label="1", text=TEXT[:20]),
        Page(number=2, label="2", text=TEXT[21:]),
    ),
)
TEXT = DOCUMENT.text
HEADER = 3


def chunk_of(start: int, end: int) -> Chunk:
    return Chunk(
        id=f"d:{start}-{end}",
        document_id="d",
        start=start,
        end=end,
        first_page=DOCUMENT.page_of(start).number,
        last_page=DOCUMENT.page_of(end - 1).number,
        text=TEXT[start:end],
        token_count=0,
    )


def cut(sizes: Sequence[int], overlap: int) -> list[Chunk]:
    """The document in chunks of so many words, which repeat `overlap` words of the one before."""
    words, at = [], 0
    for word in TEXT.split():
        at = TEXT.index(word, at)
        words.append((at, at + len(word)))
        at += len(word)
    chunks, i = [], 0
    for size in sizes:
        some = words[max(0, i - overlap) : i + size]
        if i < len(words):
            chunks.append(chunk_of(some[0][0], some[-1][1]))
        i += size
    if i < len(words):
        chunks.append(chunk_of(words[i][0], words[-1][1]))
    return chunks


def costs_of(hits: Sequence[Hit]) -> list[int]:
    return [len(hit.chunk.text) + HEADER for hit in hits]


def surroundings(chunks: Sequence[Chunk]) -> Surroundings:
    return Surroundings(
        get_document=lambda id: DOCUMENT if id == "d" else None,
        get_chunks=lambda id: chunks if id == "d" else (),
    )


def expanded(chosen: Selection, chunks: Sequence[Chunk], reach: int, longest: int) -> Selection:
    return expand(
        chosen,
        reach,
        surroundings(chunks),
        costs_of,
        count=len,
        max_tokens=longest,
        last_rank=100,
    )


def covered(hits: Sequence[Hit]) -> list[set[int]]:
    """The characters of each passage that are not white space."""
    return [
        {at for at in range(hit.chunk.start, hit.chunk.end) if not TEXT[at].isspace()}
        for hit in hits
    ]


def by_hand(chosen: Selection, chunks: Sequence[Chunk], reach: int, longest: int) -> list[set[int]]:
    """What expansion should give, found with sets of characters instead of offsets."""
    letters = covered([Hit(rank=1, score=None, chunk=chunk) for chunk in chunks])
    passages = covered(chosen.selected)

    def size(passage: set[int]) -> int:
        return max(passage) + 1 - min(passage)

    for i in range(len(chosen.selected)):
        at: dict[bool, int | None] = {True: i, False: i}
        for _ in range(reach):
            for after in (True, False):
                here = at[after]
                if here is None:
                    continue
                own = passages[here]
                if after:
                    new = next((one for one in letters if max(one) > max(own)), set())
                    new = {x for x in new if x > max(own)}
                    others = [x for p in passages if p is not own for x in p if x > max(own)]
                    new = {x for x in new if x < min(others, default=999)}
                else:
                    new = next((one for one in reversed(letters) if min(one) < min(own)), set())
                    new = {x for x in new if x < min(own)}
                    others = [x for p in passages if p is not own for x in p if x < min(own)]
                    new = {x for x in new if x > max(others, default=-1)}
                at[after] = None
                if new:
                    tried = [set(p) for p in passages]
                    if size(own | new) <= longest:
                        tried[here] = own | new
                    else:
                        tried.append(new)
                        here = len(tried) - 1
                    if sum(size(p) + HEADER for p in tried) <= chosen.room_tokens:
                        passages, at[after] = tried, here
    return passages


def choose(chunks: Sequence[Chunk], ranked: Sequence[int], room: int) -> Selection:
    hits = [
        Hit(rank=rank, score=1 / rank, chunk=chunks[i % len(chunks)], document="d.pdf")
        for rank, i in enumerate(ranked, 1)
    ]
    return fill(hits, costs_of(hits), room)


sizes = st.lists(st.integers(1, 4), min_size=1, max_size=6)
cases = given(
    chunks=st.builds(cut, sizes, st.integers(0, 2)),
    ranked=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
    room=st.integers(0, 90),
    reach=st.integers(0, 4),
    longest=st.integers(1, 50),
)


@cases
def test_expansion_is_what_it_is_by_hand(
    chunks: list[Chunk], ranked: list[int], room: int, reach: int, longest: int
) -> None:
    chosen = choose(chunks, ranked, room)
    assert covered(expanded(chosen, chunks, reach, longest).selected) == by_hand(
        chosen, chunks, reach, longest
    )


@cases
def test_what_was_chosen_stays_and_the_budget_holds(
    chunks: list[Chunk], ranked: list[int], room: int, reach: int, longest: int
) -> None:
    chosen = choose(chunks, ranked, room)
    made = expanded(chosen, chunks, reach, longest)
    assert made.used_tokens == sum(made.tokens) <= room or not made.selected
    assert [*made.tokens] == costs_of(made.selected)
    before = {hit.rank: hit.chunk for hit in chosen.selected}
    for hit in made.selected:
        assert hit.chunk.text == TEXT[hit.chunk.start : hit.chunk.end]
        if hit.rank <= 100:
            old = before.pop(hit.rank)
            assert hit.chunk.start <= old.start and old.end <= hit.chunk.end
            assert hit.chunk == old or len(hit.chunk.text) <= longest
    assert not before
    assert made.relevance == chosen.relevance
    rows = {(row.rank, row.chunk): row.outcome for row in made.ledger}
    assert all(rows[row.rank, row.chunk] == row.outcome for row in chosen.ledger)
    added = [row for row in made.ledger if row.rank > 100]
    assert all(row.reason.startswith("neighbour of ") for row in added)
    ids = {hit.chunk.id for hit in made.selected}
    assert all(row.into in ids for row in added if row.outcome == "merged")


@cases
def test_no_text_is_added_that_is_there_already(
    chunks: list[Chunk], ranked: list[int], room: int, reach: int, longest: int
) -> None:
    chosen = choose(chunks, ranked, room)
    made = expanded(chosen, chunks, reach, longest)
    before, after = covered(chosen.selected), covered(made.selected)
    added = sum(map(len, after)) - sum(map(len, before))
    assert added == len(set().union(*after)) - len(set().union(*before))


def test_another_version_of_the_document_is_left_alone() -> None:
    other = Hit.from_text(1, 1.0, "of another retriever", "d")
    chosen = fill([other], costs_of([other]), 90)
    assert expanded(chosen, cut([2, 2], 0), 1, 50) == chosen


def test_a_hit_is_widened_by_its_neighbours_whatever_they_cost() -> None:
    chunks = cut([2] * 6, 0)
    hit = Hit(rank=1, score=1.0, chunk=chunks[2])
    assert widened(hit, 0, surroundings(chunks)).chunk.text == chunks[2].text
    wide = widened(hit, 1, surroundings(chunks)).chunk
    assert (wide.start, wide.end) == (chunks[1].start, chunks[3].end)
    assert (wide.first_page, wide.last_page) == (1, 2)
    whole = widened(hit, 99, surroundings(chunks)).chunk
    assert whole.text == TEXT


def test_a_prompt_shows_neighbours_and_tells_why_they_are_there() -> None:
    chunks = cut([2] * 6, 0)
    hit = Hit(rank=1, score=1.0, chunk=chunks[2], document="d.pdf")
    prompt = assemble(
        "What?",
        [hit],
        WordTokenizer(),
        context_window=400,
        assembly=Assembly(expand=1, template="plain"),
        get_document=lambda _: DOCUMENT,
        get_chunks=lambda _: chunks,
    )
    (passage,) = prompt.passages
    assert passage.own_text == TEXT[chunks[1].start : chunks[3].end]
    assert [(row.outcome, row.reason) for row in prompt.ledger[1:]] == [
        ("merged", "neighbour of 1"),
        ("merged", "neighbour of 1"),
    ]


def test_expansion_without_documents_is_refused_with_the_remedy() -> None:
    hit = Hit.from_text(1, 1.0, "Tin melts.")
    with pytest.raises(InputError, match=r"get_chunks=index.chunks"):
        assemble("What?", [hit], WordTokenizer(), context_window=99, assembly=Assembly(expand=1))
    with pytest.raises(InputError, match=r"expand is -1"):
        Assembly(expand=-1)
