"""Which questions compare documents, and what each document is asked instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.text.comparisons import asked_of_each, compared_names, is_about_documents

NAMES = ["2023 Q3 AAPL.pdf", "2023 Q3 NVDA.pdf", "dhs-2020.pdf", "mill-lane-report.pdf"]


@pytest.mark.parametrize(
    "question",
    [
        "Which of these reports has the larger revenue?",
        "Which report names the higher figure?",
        "What do both contracts say about notice?",
        "Do all three manuals name the same oil?",
        "Which of the two documents is longer?",
    ],
)
def test_questions_about_documents_are_known_by_their_words(question: str) -> None:
    assert is_about_documents(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the difference between a source package and a binary package?",
        "Which company provides gas to Manhattan?",
        "Which file system is on the drive?",
        "What book did Alex Haley write?",
        "Which of these joints is a synarthrosis?",
        "Who reported the fault?",
    ],
)
def test_questions_about_what_documents_say_are_left_to_the_passages(question: str) -> None:
    assert not is_about_documents(question)
    assert compared_names(question, NAMES) == []


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Compare the net sales of AAPL and NVDA", [0, 1]),
        ("Is DHS's budget higher than that of Mill Lane?", [2, 3]),
        ("When did AAPL and NVDA publish?", []),  # nothing is compared
        ("Compare the figures of 2023", []),  # both reports are of that year
        ("Compare AAPL's sales with last year's", []),  # one document
    ],
)
def test_a_document_is_named_by_a_word_of_its_own(question: str, named: list[int]) -> None:
    assert compared_names(question, NAMES) == named


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Which of these reports has the largest fleet?", "What is the fleet?"),
        ("Which report shows a higher net income than 2019?", "What is the net income?"),
        ("Compare the notice periods of both contracts.", "What is the notice periods?"),
        ("Do both contracts end in May?", "Do both contracts end in May?"),
    ],
)
def test_each_document_is_asked_for_what_is_compared(question: str, asked: str) -> None:
    assert asked_of_each(question) == asked


@given(st.text(max_size=80), st.lists(st.text(max_size=12), max_size=5))
def test_any_text_is_a_question(question: str, names: list[str]) -> None:
    is_about_documents(question)
    found = compared_names(question, names)
    assert len(found) != 1 and found == sorted(set(found))
    assert asked_of_each(question) or not question
