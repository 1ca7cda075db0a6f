"""A hyphen at a line's end stays in a compound, and goes where it only divides a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.compounds import is_compound
from ragctx.pdf.line_joining import join_broken
from ragctx.pdf.read import read_pdf
from tests.support.pdf_files import lines, write


def test_hyphens_at_line_ends_as_a_reader_would_have_them(tmp_path: Path) -> None:
    # "wellknown" and "selfemployed" are found by no search for the words.
    page = lines(
        "The author was a well-",
        "known writer of his time, and the govern-",
        "ment paid for the long-",
        "term plan of the self-",
        "employed workers in co-",
        "operation with the city.",
    )
    assert read_pdf(write(tmp_path / "a.pdf", [page])).text == (
        "The author was a well-known writer of his time, and the government paid for the "
        "long-term plan of the self-employed workers in cooperation with the city."
    )


ENGLISH = {"the": 20, "tree": 3, "search": 5, "over": 9, "riding": 2, "arrest": 2, "ing": 1}


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("tree-", "search", "tree-search"),
        ("over-", "riding", "overriding"),
        ("arrest-", "ing", "arresting"),
        ("state-of-the-", "search", "state-of-the-search"),
        ("self-", "ish", "selfish"),
        ("tree-", "less", "treeless"),
    ],
)
def test_the_documents_words_tell_compounds(first: str, second: str, whole: str) -> None:
    assert join_broken(first, second, ENGLISH) == whole


def test_german_writes_its_compounds_as_one_word() -> None:
    words = {"und": 9, "haus": 3, "türen": 2, "the": 1}
    assert join_broken("Haus-", "türen", words) == "Haustüren"


def test_what_the_document_writes_elsewhere_counts_first() -> None:
    assert join_broken("tree-", "search", {**ENGLISH, "treesearch": 2}) == "treesearch"


@given(st.text("abc-", max_size=8), st.text("abc-", max_size=8))
def test_only_words_of_a_document_make_a_compound_of_it(first: str, second: str) -> None:
    assert not is_compound(first, second, {"the": 9})
    assert not is_compound(first, second, {})
