"""Laws of `check_questions`: each fault is found where it is, and sound files have none."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.evaluation.questions.check import PROBLEMS, check_questions
from ragctx.evaluation.questions.make import make_questions, question_row
from ragctx.evaluation.questions.phrasing import GAP
from ragctx.evaluation.text_match import (
    alike_to_earlier,
    copied_words,
    holds_any,
    longest_shared_run,
)
from ragctx.text.words import words_of
from tests.support.index_samples import index_with, put

TIN = {
    "id": "tin",
    "question": "When does tin melt?",
    "answers": ["232 degrees"],
    "answerable": True,
    "context": "Tin melts at 232 degrees; iron at 1538.",
}


def found(tmp_path: Path, *rows: Mapping[str, Any] | str) -> list[tuple[int, str]]:
    """(line, kind) of what is wrong with a file of these rows."""
    file = tmp_path / "questions.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines))
    return [(problem.line, problem.kind) for problem in check_questions(file).faults]


def other(**changes: object) -> dict[str, Any]:
    """Another sound question, changed."""
    return {
        "id": "iron",
        "question": "Which metal gives in at 1538?",
        "answers": ["iron"],
        "context": TIN["context"],
        **changes,
    }


def test_a_sound_file_has_no_faults(tmp_path: Path) -> None:
    assert found(tmp_path, TIN, "", other()) == []


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("{", "malformed"),
        ("[1]", "malformed"),
        ('"text"', "malformed"),
        ("[" * 100_000, "malformed"),
        (other(question=" "), "malformed"),
        (other(question=7), "malformed"),
        (other(answers="iron"), "malformed"),
        (other(answers=[]), "malformed"),
        (other(answers=[""]), "malformed"),
        (other(answerable="yes"), "malformed"),
        (other(context=None), "malformed"),
        (other(ctxs=[1]), "malformed"),
        (other(ctxs=[{"title": "no text"}]), "malformed"),
        (other(id="tin"), "duplicate id"),
        (other(question="when does TIN melt", answers=["232 degrees"]), "duplicate"),
        (other(question="When does tin melt", answers=["iron"]), "contradiction"),
        (other(question="When, then, does tin melt?", answers=["232 degrees"]), "near duplicate"),
        (other(answers=["copper"]), "unanswerable"),
        (other(answers=["538"]), "unanswerable"),
        (other(answerable=False), "answerable after all"),
        (other(question="Is iron the metal?"), "answer in question"),
        (other(question="What did the other metal is called?"), "odd question"),
        (other(question="When did it melt?"), "odd question"),
        (
            other(
                question="Who said that tin melts at 232 degrees; iron at 1538?", answers=["tin"]
            ),
            "answer in question",
        ),
        (
            other(
                question="Of what metals is said: melts at 232 degrees; iron at 1538?",
                answers=["tin"],
                context="Of what metals is said: tin; melts at 232 degrees; iron "
                "at 1538? Of what metals is said: melts at 232 degrees; iron at 1538?",
            ),
            "copied sentence",
        ),
        (
            other(context="", ctxs=[{"text": "Iron melts.", "isgold": True}, {"text": "Of iron."}]),
            "answer elsewhere",
        ),
        (other(context="", ctxs=[{"text": "Tin.", "isgold": True}]), "unanswerable"),
    ],
    ids=str,
)
def test_each_fault_is_found_on_its_line(
    row: Mapping[str, Any] | str, kind: str, tmp_path: Path
) -> None:
    assert kind in PROBLEMS
    assert found(tmp_path, TIN, "", row) == [(3, kind)]


def test_rows_as_hugging_face_keeps_them_are_read(tmp_path: Path) -> None:
    rows = (
        other(answers={"text": ["iron"], "answer_start": [26]}),
        other(id="", question="Which metal is blue at 12?", answers={"text": []}),
    )
    assert found(tmp_path, *rows) == []
    assert found(tmp_path, other(answers={"text": ["copper"]})) == [(1, "unanswerable")]


def test_a_question_without_any_passage_is_no_fault(tmp_path: Path) -> None:
    assert found(tmp_path, other(context="")) == []


def test_two_questions_of_one_wording_on_two_passages_are_no_duplicates(tmp_path: Path) -> None:
    assert found(tmp_path, other(), other(id="b", context="Iron it is.")) == []


def test_like_questions_with_unlike_answers_are_no_duplicates(tmp_path: Path) -> None:
    many = "In which of all those years was the old market hall of the town built in {}?"
    rows = [
        other(id=year, question=many.format(year), answers=[answer])
        for year, answer in (("north", "tin"), ("south", "iron"))
    ]
    assert found(tmp_path, *rows) == []


def test_a_cloze_question_repeats_its_sentence_as_a_remark(tmp_path: Path) -> None:
    sentence = "The filter of the pump must be cleaned every 40 hours by two people."
    row = other(question=sentence.replace("40", GAP), answers=["40"], context=sentence)
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({**row, "kind": "cloze"}))
    [problem] = check_questions(file).problems
    assert (problem.kind, problem.remark) == ("copied sentence", True)
    assert found(tmp_path, row) == [(1, "copied sentence")]


def equal(number: int) -> dict[str, Any]:
    return {**TIN, "id": ""}


def nearly_equal(number: int) -> dict[str, Any]:
    question = f"When in the long and cold year {number} does the old tin melt?"
    return {**TIN, "id": "", "question": question}


def of_one_pattern(number: int) -> dict[str, Any]:
    """Questions as alike as can be, each with an answer of its own, and none with a passage."""
    return {
        "question": f"What is the value of the long key number {number} in the list?",
        "answers": [f"v{number}"],
    }


@pytest.mark.parametrize("made", [equal, nearly_equal, of_one_pattern])
def test_rows_that_are_much_alike_take_linear_time(
    made: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    # They were once compared in pairs: 20,000 equal rows took more than a minute, 200,000 hours.
    def seconds(count: int) -> float:
        file = tmp_path / f"{count}.jsonl"
        file.write_text("".join(f"{json.dumps(made(i))}\n" for i in range(count)))
        times = []
        for _ in range(3):
            began = time.process_time()
            assert check_questions(file).rows == count
            times.append(time.process_time() - began)
        return min(times)

    few, many = seconds(400), seconds(1_600)
    assert many < 2 * 4 * few


def test_a_near_duplicate_is_told_once_however_often_it_stands(tmp_path: Path) -> None:
    near = other(id="", question="When, then, does tin melt?", answers=["232 degrees", "232"])
    problems = found(tmp_path, {**TIN, "id": ""}, near, near, {**TIN, "id": ""})
    assert problems == [(2, "near duplicate"), (3, "duplicate"), (4, "duplicate")]


def test_questions_that_stand_in_a_training_file_are_leaked(tmp_path: Path) -> None:
    train, test = tmp_path / "train.jsonl.gz", tmp_path / "test.jsonl"
    known = [
        {**TIN, "question": "Something else?"},
        {"question": "Who wrote it?", "answers": ["Roth"], "context": "By Roth."},
    ]
    train.write_bytes(gzip.compress("\n".join(map(json.dumps, known)).encode()))
    rows = [
        TIN,
        {"question": "who wrote it", "answers": ["Roth"], "context": "A book of Roth."},
        {"question": "Who wrote it?", "answers": ["Weiss"], "context": "It was Weiss."},
    ]
    test.write_text("\n".join(map(json.dumps, rows)))
    checked = check_questions(test, apart_from=[train])
    assert [(problem.line, problem.kind) for problem in checked.faults] == [
        (1, "leaked"),
        (2, "leaked"),
    ]


def test_gzip_is_read_whatever_the_name_and_damage_is_said(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    packed = gzip.compress(json.dumps(TIN).encode())
    file.write_bytes(packed)
    assert check_questions(file).rows == 1
    file.write_bytes(packed[:-12])
    with pytest.raises(InputError, match="damaged"):
        check_questions(file)


def test_rows_are_compared_with_the_index_they_name(tmp_path: Path) -> None:
    page = "The market hall was rebuilt by Konrad Weiss in 1954. The roof weighs 210 tonnes today."
    index = index_with(tmp_path / "index", {"hall": [page]})
    file = tmp_path / "q.jsonl"
    rows = [question_row(question) for question in make_questions(index, 9)]
    assert rows
    nameless = [{k: v for k, v in row.items() if k != "document_id"} for row in rows]
    moved = {**rows[0], "start": 0, "end": 3}
    for some, sound in ((rows, True), (nameless, True), ([moved], False)):
        file.write_text("\n".join(map(json.dumps, some)))
        checked = check_questions(file, index=index)
        assert checked.rows == len(some)
        assert [p.kind for p in checked.faults] == ([] if sound else ["stale"])
    with index.writer() as writer:
        put(writer, "hall", f"Now. {page}")
    for some in (rows, nameless):
        file.write_text("\n".join(map(json.dumps, some)))
        stale = check_questions(file, index=index)
        assert {problem.kind for problem in stale.faults} == {"stale"}
        assert len(stale.faults) == stale.rows == len(some)


# --- words


TEXTS = st.lists(st.sampled_from(["the", "tin", "Tin", "iron", "4.2", "é", "?"]), max_size=8).map(
    " ".join
)


@given(TEXTS, TEXTS)
def test_the_longest_shared_run_is_the_longest_of_all_runs(one: str, other: str) -> None:
    these, those = words_of(one), words_of(other)
    runs = [
        these[i:j]
        for i, j in combinations(range(len(these) + 1), 2)
        if any(those[k : k + j - i] == these[i:j] for k in range(len(those)))
    ]
    assert longest_shared_run(one, other) == max(map(len, runs), default=0)


@given(st.lists(TEXTS, max_size=8), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_texts_alike_to_an_earlier_one_are_those_that_comparing_all_pairs_gives(
    texts: list[str], jaccard: float
) -> None:
    sets = [set(words_of(text)) for text in texts]
    slow = {
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if sets[i] and len(sets[i] & sets[j]) >= jaccard * len(sets[i] | sets[j])
    }
    found_pairs = list(alike_to_earlier(texts, jaccard))
    assert set(found_pairs) <= slow
    assert [j for _, j in found_pairs] == sorted({j for _, j in slow})


@given(TEXTS, TEXTS)
def test_a_text_holds_whole_words_only(text: str, phrase: str) -> None:
    words, wanted = words_of(text), words_of(phrase)
    if wanted:
        slow = any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
        assert holds_any(text, [phrase]) == slow


def test_a_few_shared_words_are_no_copy() -> None:
    assert copied_words("who was in the hall", "who was in the hall") == 0
