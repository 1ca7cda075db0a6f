"""Sections stand for pages: what is cut, joined again, is the text, and every offset stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.chunking import chunk_document
from ragctx.documents import PAGE_SEPARATOR
from ragctx.formats.blocks import Block, Content
from ragctx.formats.document import document_of
from ragctx.formats.sections import (
    LONGEST_LINE,
    SECTION_CHARACTERS,
    SPARE,
    Cut,
    clean_block,
)
from ragctx.pdf.process import Limits
from ragctx.records import Document
from tests.support.fakes import WordTokenizer


def document(*blocks: Block, limits: Limits | None = None, **given: object) -> Document:
    content = Content(blocks=blocks, **given)  # type: ignore[arg-type]
    return document_of(content, "d1", "a.md", format="markdown", limits=limits)


def labels(*blocks: Block) -> list[str]:
    return [page.label for page in document(*blocks).pages]


def heading(text: str, depth: int) -> Block:
    return Block(text=text, depth=depth)


texts = st.text(st.sampled_from("ab .\n\t。é"), min_size=0, max_size=60) | st.integers(1, 6000).map(
    lambda n: ("word " * n)[:n]
)
blocks = st.lists(
    st.builds(
        Block,
        text=texts,
        depth=st.none() | st.integers(0, 5),
        tight=st.booleans(),
        hidden=st.booleans(),
        opens=st.booleans(),
    ),
    max_size=12,
)


@given(blocks)
def test_the_sections_joined_are_the_text_and_none_is_longer_than_a_page(made: list[Block]) -> None:
    read = document(*made)
    assert PAGE_SEPARATOR.join(page.text for page in read.pages) == read.text
    assert [page.number for page in read.pages] == list(range(1, len(read.pages) + 1))
    assert all(len(page.text) <= SECTION_CHARACTERS * SPARE for page in read.pages)
    assert all(len(line) <= LONGEST_LINE for line in read.text.split("\n"))


@given(blocks)
def test_every_block_that_is_seen_is_in_the_text_once_and_in_order(made: list[Block]) -> None:
    read = document(*made)
    seen = [block.text for block in made if not block.hidden]
    assert "".join(read.text.split()) == "".join("".join(map(clean_block, seen)).split())


@given(blocks)
def test_a_heading_stands_where_its_section_says(made: list[Block]) -> None:
    read = document(*made)
    for section in read.sections:
        words = read.text[section.start :].split()
        assert words[: len(section.title.split())][:3] == section.title.split()[:3]
        assert section.start == 0 or read.text[section.start - 1] == "\n"


@given(blocks)
def test_a_chunk_is_a_stretch_of_the_text_and_knows_its_sections(made: list[Block]) -> None:
    read = document(*made)
    for chunk in chunk_document(read, WordTokenizer(), max_tokens=40):
        assert read.text[chunk.start : chunk.end] == chunk.text
        assert chunk.first_page == read.page_of(chunk.start).number
        assert chunk.last_page == read.page_of(chunk.end - 1).number


def test_a_section_is_called_by_the_headings_above_it() -> None:
    made = labels(
        Block(text="Before."),
        heading("Installing", 1),
        Block(text="Put it down."),
        heading("Linux", 2),
        Block(text="Use apt."),
        heading("Care", 1),
        Block(text="Clean it."),
    )
    assert made == ["1", "Installing", "Installing › Linux", "Care"]


def test_a_lone_heading_above_all_others_is_the_title_and_in_no_path() -> None:
    made = document(heading("Pump", 0), heading("Use", 1), Block(text="x"), heading("Care", 1))
    assert made.title == "Pump"
    assert [page.label for page in made.pages] == ["Use", "Care"]
    assert made.pages[0].text.startswith("Pump\n\nUse")


def test_a_heading_right_below_one_of_its_own_rank_begins_a_section() -> None:
    assert labels(heading("Use", 1), heading("Care", 1), Block(text="x")) == ["Use", "Care"]


def test_a_long_section_is_cut_at_paragraphs_and_its_parts_are_counted() -> None:
    paragraph = Block(text="Tin melts at 232 degrees. " * 20)
    read = document(heading("Tin", 0), *[paragraph] * 20)
    assert [page.label for page in read.pages[:2]] == ["Tin", "Tin, part 2"]
    assert all(page.text.rstrip().endswith("degrees.") for page in read.pages)
    assert all(len(page.text) > SECTION_CHARACTERS / 2 for page in read.pages[:-1])


def test_the_rows_of_a_table_stay_whole_where_a_section_is_cut() -> None:
    rows = [f"{i}\ttin\t{i * 7}" for i in range(1000)]
    read = document(Block(text="\n".join(rows)))
    assert len(read.pages) > 2
    assert [row for page in read.pages for row in page.text.split("\n") if row] == rows


def test_a_label_keeps_the_last_headings() -> None:
    long = Cut(start=0, path=("a" * 80, "b" * 80, "c" * 30)).label(1)
    assert long == f"{'b' * 80} › {'c' * 30}"
    assert Cut(start=0, path=("x" * 500,), part=3).label(1).endswith("x…, part 3")


def test_more_sections_than_are_allowed_are_told_of() -> None:
    made = [heading(f"Part {i}", 0) for i in range(9)]
    read = document(*made, limits=Limits(max_pages=4))
    assert (len(read.pages), read.status) == (4, "partial")
    assert read.warnings == ("only the first 4 of 9 sections were read",)
    assert read.text.endswith("Part 3\n")


def test_more_characters_than_are_allowed_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragctx.formats.document.MAX_CHARACTERS", 100)
    read = document(Block(text="Tin. " * 15), Block(text="Lead. " * 50))
    assert len(read.text) <= 100 + len("\n\n") and read.status == "partial"
    assert read.warnings == ("more than 100 characters; the rest is left out",)


def test_a_document_without_text_says_so() -> None:
    for made in (document(), document(Block(text=" \n")), document(Block(text="x", hidden=True))):
        assert made.status == "no_text" and "the file holds no text" in made.warnings
        assert [page.status for page in made.pages] == ["empty"]


def test_what_nobody_sees_is_left_out_or_marked_in_each_line() -> None:
    blocks = (heading("A", 0), Block(text="Tin."), heading("B", 0), Block(text="x", hidden=True))
    content = Content(blocks=(*blocks, Block(text="y " * 200, hidden=True)))
    dropped = document_of(content, "d", "a.md", format="markdown")
    assert "x" not in dropped.text
    assert dropped.warnings == ("text that nobody sees left out: 400 characters, in sections 2",)
    kept = document_of(content, "d", "a.md", format="markdown", hidden="keep")
    lines = [line for line in kept.pages[1].text.split("\n") if line.strip("B")]
    assert len(lines) > 2 and all(line.startswith("[hidden: ") for line in lines)
    assert kept.warnings[0].startswith("text that nobody sees kept as [hidden: …]: 400")
