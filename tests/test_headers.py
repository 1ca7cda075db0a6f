"""Contextual headers: what goes with a passage into the indexes, and nowhere else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.chunking import chunk_document
from ragctx.headers import fitted, header_of, indexed_text, section_at
from ragctx.records import Chunk, Document, Page, Section
from tests.support.fakes import WordTokenizer

TEXT = "Metals\n\nTin is soft.\n\nLead\n\nLead is heavy. It melts at 327 degrees, and is grey."
DOCUMENT = Document(
    id="d",
    path="d.pdf",
    pages=(Page(number=1, label="1", text=TEXT),),
    title="On Metals",
    sections=(Section("Metals", 0), Section("Lead", TEXT.index("Lead"), 1)),
)


@st.composite
def sections(draw: st.DrawFn) -> list[Section]:
    starts = sorted(draw(st.sets(st.integers(0, 60), max_size=8)))
    return [Section(f"S{at}", at, draw(st.integers(0, 3))) for at in starts]


def slow_path(found: list[Section], at: int) -> tuple[str, ...]:
    """The headings above a character: each the last one before that is less deep."""
    path: list[Section] = []
    for section in reversed([section for section in found if section.start <= at]):
        if not path or section.depth < path[0].depth:
            path.insert(0, section)
    return tuple(section.title for section in path)


@given(sections(), st.integers(0, 70), st.integers(1, 30))
def test_most_of_a_stretch_is_in_its_section(found: list[Section], start: int, length: int) -> None:
    path = section_at(found, start, start + length)
    counts = Counter(slow_path(found, at) for at in range(start, start + length))
    assert counts[path] == max(counts.values())


def test_chunks_know_title_and_section_and_keep_their_text() -> None:
    chunks = chunk_document(DOCUMENT, WordTokenizer(), max_tokens=9)
    assert {chunk.title for chunk in chunks} == {"On Metals"}
    assert chunks[0].section == ("Metals",) and chunks[-1].section == ("Metals", "Lead")
    for chunk in chunks:
        assert chunk.text == DOCUMENT.text[chunk.start : chunk.end]
        assert chunk.token_count == WordTokenizer().count(chunk.text)
        assert "On Metals" in indexed_text(chunk) and "On Metals" not in chunk.text


def test_without_headers_the_chunks_are_the_same_and_know_nothing() -> None:
    with_headers = chunk_document(DOCUMENT, WordTokenizer(), max_tokens=9)
    without = chunk_document(DOCUMENT, WordTokenizer(), max_tokens=9, headers=False)
    assert without == [replace(c, title="", section=(), lead_in="") for c in with_headers]
    assert [indexed_text(chunk) for chunk in without] == [chunk.text for chunk in without]


def test_what_the_text_begins_with_is_not_said_twice() -> None:
    chunk = chunk_document(replace(DOCUMENT, title="Metals"), WordTokenizer(), max_tokens=6)[0]
    assert chunk.text.startswith("Metals") and header_of(chunk) == ""


@given(
    st.text("ab ", max_size=40).filter(str.strip),
    st.lists(st.sampled_from(["tin", "lead", "zinc", "gold"]), max_size=12).map(" ".join),
    st.integers(0, 12),
)
def test_a_fitted_text_is_as_long_as_it_may_be_and_no_longer(
    text: str, title: str, more: int
) -> None:
    count = WordTokenizer().count
    chunk = Chunk(
        id="d:0-1",
        document_id="d",
        start=0,
        end=len(text),
        first_page=1,
        last_page=1,
        text=text,
        token_count=count(text),
        title=title,
    )
    limit = chunk.token_count + more
    made = fitted(chunk, count, limit)
    assert count(made) <= limit and made.endswith(text)
    words = header_of(chunk).split()
    kept = made.removesuffix(text).split()
    assert kept == words[len(words) - len(kept) :]
    if len(kept) < len(words):
        assert count(f"{' '.join(words[-len(kept) - 1 :])}\n{text}") > limit


@pytest.mark.parametrize("field", ["title", "section", "lead_in"])
def test_each_part_is_searched(field: str) -> None:
    chunk = chunk_document(DOCUMENT, WordTokenizer(), max_tokens=9)[-1]
    value: object = ("Zinc and gold",) if field == "section" else "Zinc and gold"
    bare = replace(chunk, title="", section=(), lead_in="")
    assert "Zinc and gold" in indexed_text(replace(bare, **{field: value}))  # type: ignore[arg-type]
