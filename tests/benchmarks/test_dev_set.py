"""The development set: about the PDFs it may be about, in halves that share none, and checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.dev_set import KINDS, OTHER, SETS, bare, dev_questions, problems, questions_of
from ragctx.evaluation.datasets import read_questions

HELD_OUT = """
    qed-tacl naacl06-shinyama tracemonkey-pldi09 react-paper mtrag-un-arxiv bashref octave
    debian-policy r-intro gnuplot free-culture-lessig federal-register-2020-17221
    scotus-opinion-598us nih-NCT06152900-protocol opm-2019-annual-performance-report
    2023_Q3_AMZN 2023_Q3_AAPL 2023_Q3_NVDA
"""
"""PDFs whose questions are kept for judging: none of ours may be about them."""


def test_no_question_is_about_a_pdf_that_is_held_out() -> None:
    """Whoever tuned on these would be praised for knowing the exam."""
    held_out = {name.replace("_", " ") for name in HELD_OUT.split()}
    for name in SETS:
        asked = {Path(question.document).stem for question in questions_of(name)} - {""}
        assert not asked & held_out and len(asked) >= 9
    assert {question.half for question in questions_of(OTHER)} == {OTHER}


def test_the_halves_are_of_like_size_and_hold_every_kind() -> None:
    counts = {
        half: Counter(question.kind for question in dev_questions(half))
        for half in ("choose", "report")
    }
    for half in counts.values():
        assert set(half) == set(KINDS)
        assert half["unanswerable"] >= 15 and half["table"] >= 20
    assert abs(counts["choose"].total() - counts["report"].total()) <= 10


def test_ragctx_reads_the_file_as_its_own_layout(tmp_path: Path) -> None:
    from benchmarks.dev_set import QUESTIONS

    read = {question.id: question for question in read_questions(QUESTIONS).questions}
    for question in dev_questions():
        same = read[question.id]
        assert (same.question, same.answers) == (question.question, question.answers)
        assert same.answerable == question.answerable
        assert same.pages[0] == (question.pages[0] if question.pages else 0)


def test_the_check_sees_a_quote_that_is_on_no_such_page(shared_data: Path) -> None:
    good = next(q for q in dev_questions("choose") if q.document.startswith("ntsb"))
    assert list(problems([good], shared_data / "pdf")) == []
    elsewhere = replace(good, id="moved", pages=(4,))
    invented = replace(good, id="invented", quote=f"{good.answers[0]} is what nobody wrote")
    other = replace(good, id="other", answers=("what nobody answered",))
    found = list(problems([elsewhere, invented, other], shared_data / "pdf"))
    assert [line.partition(":")[0] for line in found] == ["moved", "invented", "other"]


@pytest.mark.slow
def test_every_answer_stands_on_its_page(shared_data: Path) -> None:
    questions = [question for name in SETS for question in questions_of(name)]
    assert list(problems(questions, shared_data / "pdf")) == []


def test_only_white_space_and_broken_lines_are_forgiven() -> None:
    assert bare("self-ex\u00ad\nplaining  ﬁgures") == "self-explainingfigures"
    assert bare("7,168") != bare("7168")
