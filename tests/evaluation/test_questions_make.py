"""Laws of the questions made from an index, and of the words they are made with."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.evaluation.questions.answer_spans import AnswerSpan, answer_spans
from ragctx.evaluation.questions.check import check_questions
from ragctx.evaluation.questions.do_support import Verbs
from ragctx.evaluation.questions.kinds import KINDS
from ragctx.evaluation.questions.make import (
    PER_CHUNK,
    SyntheticQuestion,
    make_questions,
    question_row,
)
from ragctx.evaluation.questions.oddities import oddities
from ragctx.evaluation.questions.phrasing import GAP, turned, with_gap
from ragctx.evaluation.questions.statements import original_span, stands_alone
from ragctx.evaluation.text_match import holds_any, longest_shared_run
from ragctx.index.index import Index
from tests.support.index_samples import index_with

PUMP = (
    "The filter of the pump must be cleaned every 40 hours. The pump holds 12 litres of oil when "
    "cold. The housing was designed by Amelie Roth in 1931. Late deliveries were refused in Turin.",
    "Cleaning is quick: the filter of a pump wants a rinse after 40 hours in dusty halls. Before "
    "winter the valve must be opened for 15 minutes by two people.",
)
HALL = (
    "The market hall was rebuilt by Konrad Weiss after the fire of 1954. The new roof rests on 88 "
    "iron ribs and weighs 210 tonnes in dry weather.",
    "Every ticket for the market hall costs 14 euros on working days. The gallery can be visited "
    "by 30 people at a time until the evening.",
    "Visitors may reach the tower from the north gate of the old wall. The tower is opened on 3 "
    "May 2024 and closed for the whole winter.",
)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return index_with(tmp_path / "index", {"pump": PUMP, "hall": HALL})


def spans(sentence: str) -> list[tuple[str, str]]:
    return [(sentence[span.start : span.end], span.kind) for span in answer_spans(sentence)]


# --- spans


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("It weighs 1,538 kilograms in all.", [("1,538", "number")]),
        ("It was sold for $4.2 million to Roth.", [("$4.2 million", "money"), ("Roth", "name")]),
        (
            "It rose by 12.5 percent on 3 May 2024.",
            [("12.5 percent", "percent"), ("3 May 2024", "date")],
        ),
        ("It opened in 1931.", [("1931", "year")]),
        ("It lies in the desiccant cabinet.", [("desiccant cabinet", "term")]),
        ("She is Robert’s friend.", [("Robert", "name")]),
        ("Robert Frost wrote.", [("Robert Frost", "name")]),
    ],
)
def test_spans_that_inform_are_found(sentence: str, found: list[tuple[str, str]]) -> None:
    assert spans(sentence) == found


@pytest.mark.parametrize(
    "sentence",
    [
        "See section 4 pages.",
        "It is in Figure 12 there.",
        "The file 1.2.3 is old.",
        "Nothing begins here.",
        "A change is a similar concern.",
        "The FY 2019 target is met.",
        "The quay decides from there.",
        "It happened in March.",
    ],
)
def test_numbers_of_places_and_vague_words_are_no_answers(sentence: str) -> None:
    assert set(spans(sentence)) <= {("FY", "name")}


@given(st.text(alphabet="aA 1.,%$é’\u2014(", max_size=80))
def test_spans_lie_in_the_sentence_apart_and_in_order(text: str) -> None:
    sentence = " ".join(text.split())
    found = answer_spans(sentence)
    assert all(0 <= span.start < span.end <= len(sentence) for span in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


# --- wording


def asked(sentence: str, words: str) -> str | None:
    [span] = [s for s in answer_spans(sentence) if sentence[s.start : s.end] == words]
    return turned(sentence, span, lambda word: word in ("late", "visitors"))


@pytest.mark.parametrize(
    ("sentence", "words", "question"),
    [
        (
            "The filter must be cleaned every 40 hours.",
            "40",
            "How often must the filter be cleaned?",
        ),
        (
            "The hall was rebuilt by Konrad Weiss after the fire.",
            "Konrad Weiss",
            "Who rebuilt the hall after the fire?",
        ),
        ("In 1931, the hall was rebuilt.", "1931", "In which year was the hall rebuilt?"),
        (
            "In spring, the hall was sold to the town of Roth by auction in 1931.",
            "1931",
            "In which year was the hall sold to the town of Roth by auction in spring?",
        ),
        (
            "Late fines were abolished for all members on 1 September 2023.",
            "1 September 2023",
            "On which date were late fines abolished for all members?",
        ),
        (
            "The share was 12 percent on springs and 8 percent on neaps.",
            "12 percent",
            "What was the share on springs?",
        ),
        (
            "The desiccant cabinet must be locked, which takes a while.",
            "desiccant cabinet",
            "What must be locked?",
        ),
    ],
)
def test_plain_sentences_are_turned_into_english_questions(
    sentence: str, words: str, question: str
) -> None:
    assert asked(sentence, words) == question


VERBS = Verbs(frozenset(("hold", "carry", "deliver", "house", "sell")))


@pytest.mark.parametrize(
    ("sentence", "words", "question"),
    [
        (
            "The tank holds 12 litres of oil when cold.",
            "12",
            "How many litres of oil does the tank hold when cold?",
        ),
        (
            "In 1931, the company delivered 12 turbines to the town.",
            "1931",
            "In which year did the company deliver 12 turbines to the town?",
        ),
        ("The station carries the conformity mark on its door.", "conformity mark", None),
        (
            "The station carries the conformity mark near the door.",
            "conformity mark",
            "What does the station carry near the door?",
        ),
        (
            "The town grew by 4,000 people in the first year.",
            "4,000",
            "By how many people did the town grow in the first year?",
        ),
        ("The oil delivered in the hall holds 300 litres in all.", "300", None),  # a participle
        ("The new houses hold 300 people in all.", "300", None),  # a plural
        ("The company delivered turbines and sold 300 pumps.", "300", None),  # two verbs
    ],
)
def test_verbs_that_are_known_are_given_an_auxiliary(
    sentence: str, words: str, question: str | None
) -> None:
    [span] = [s for s in answer_spans(sentence) if sentence[s.start : s.end] == words]
    assert turned(sentence, span, verbs=VERBS) == question
    assert turned(sentence, span) is None or words == "4,000"


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("People who are late must pay 20 euros.", "20"),  # the first auxiliary is a clause's
        ("The pump stops and the lamp is lit by Roth.", "Roth"),  # two clauses
        ("It was built by Amelie Roth long ago.", "Amelie Roth"),  # nobody knows what "it" is
        ("The hall was built by Roth engineers.", "Roth"),  # more hangs on the span
        ("Tin melts at 232 degrees.", "232"),  # no auxiliary
        ("The roof is from 3 to 4 metres high.", "4"),  # half of a range
    ],
)
def test_sentences_that_are_not_plain_are_left_alone(sentence: str, words: str) -> None:
    assert asked(sentence, words) is None


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        # Once "Under what are plaintiffs entitled to relief as well?", "In what is …", "For whom or
        # what is …": grammatical, and asked by nobody.
        (
            "Plaintiffs are entitled to relief under the Equal Protection Clause.",
            "Equal Protection Clause",
        ),
        ("File sharing may impose costs on the recording industry.", "recording industry"),
        ("The proposal is very similar to the Stallman draft for Roth.", "Roth"),
        # Once "What was 12.4 percent on springs?" and "What is zero if …?".
        ("The mean turbulence was 12.4 percent on springs.", "mean turbulence"),
        ("The return status is zero if the folder is changed.", "return status"),
        # Once "What is the plug on the campaign?": how much belongs to the span is not known.
        ("The plug is a damning attack on the campaign.", "damning attack"),
        ("The second argument is the dummy list that sets the mode.", "dummy list"),
        # Once "What are the Friends with 1,730 members?": the lead is the subject's.
        ("With 1,730 members, the Friends are a registered charity.", "registered charity"),
        # Once "How many man page are many mistakes listed in …?": the 7 names a page.
        ("Many mistakes are listed in the debconf 7 man page.", "7"),
        # Once "What does nothing to make things clear?": "does" is the sentence's own verb.
        ("The existing system does nothing to make things clear.", "existing system"),
        # Once "Who funded the work under the grant and by the operator?": one agent of two.
        ("The work was funded by Roth under the grant and by the operator.", "Roth"),
        # Once "Under what is Restoring all parameters done?".
        ("Restoring all parameters is done in 15 minutes.", "15"),
        ("The letters were written by Roth in spring.", "Roth"),  # "wrote" is not known
        ("The first trade will not occur until 28 February 2024.", "28 February 2024"),
    ],
)
def test_what_no_person_would_ask_is_not_asked(sentence: str, words: str) -> None:
    [span] = [s for s in answer_spans(sentence) if sentence[s.start : s.end] == words]
    assert turned(sentence, span, lambda word: True) is None


@pytest.mark.parametrize(
    ("sentence", "words", "question"),
    [
        (
            "The yearly survey was answered by 3,426 people in all libraries.",
            "3,426",
            "How many people answered the yearly survey in all libraries?",
        ),
        (
            "The filter is delivered by the crane operator in spring.",
            "crane operator",
            "What delivers the filter in spring?",
        ),
        ("The valve must be carried by Roth.", "Roth", "Who must carry the valve?"),
        (
            "In 2005, Cruz was convicted of the murder of an officer.",
            "2005",
            "In which year was Cruz convicted of the murder of an officer?",
        ),
        ("Mount Mayon is the steepest volcano.", "Mount Mayon", "What is the steepest volcano?"),
        # Once "What percentage was data Center revenue up and up 41% since May?".
        (
            "Data Center revenue was up 279% from May and up 41% since.",
            "279%",
            "By what percentage was Data Center revenue up from May?",
        ),
    ],
)
def test_what_is_asked_is_asked_as_people_do(sentence: str, words: str, question: str) -> None:
    [span] = [s for s in answer_spans(sentence) if sentence[s.start : s.end] == words]
    assert turned(sentence, span, lambda word: word == "the", VERBS) == question


@pytest.mark.parametrize(
    "question",
    [
        "How many litres does the tank hold?",
        "When did Chopin publish his first work?",
        "How long does it take to clean the filter?",
        "Is it a crime to copy a book?",
        "The app shows error 42. How do I fix this?",
        "Why did Joey say the two weeks were worth it?",
        "What does the alloy consist of?",
        "who played the role of the fish in orange",
        "Fill in the gap: Tin melts at _____ degrees.",
        "What year did the war between A and B end?",
        "这个水箱能装多少升？",
    ],
)
def test_questions_that_people_ask_are_not_odd(question: str) -> None:
    assert oddities(question) == ()


@pytest.mark.parametrize(
    ("question", "sign"),
    [
        ("What did the pump is driven by?", "two finite verbs"),
        ("Where is the the centre located?", "the same word twice"),
        ("What does he do in the hall?", '"he" is nowhere explained'),
        ("What was the purpose of this study?", '"this" is nowhere explained'),
        ("What does the passage say about pumps?", '"the passage" is nowhere explained'),
        ("North 12 17 19 22 total?", "cells of a table"),
        ("Total | North | South", "cells of a table"),
        ("Introduction ........ 4", "cells of a table"),
        ("Chapter two:", "only 2 words"),
        ("What is the capacity of the", "cut off"),
        ("What is (in litres the capacity of a tank?", "without its other half"),
        ("???", "no words"),
    ],
)
def test_what_is_no_question_is_odd(question: str, sign: str) -> None:
    assert any(sign in oddity for oddity in oddities(question))


def test_no_question_that_is_made_is_odd(tmp_path: Path) -> None:
    # Only turned questions were once looked at: gaps in "The crew of this pump …" were made.
    pointing = "The crew of this pump must oil 12 bolts and 14 screws of the frame every winter."
    plain = "The crew of the mill must oil 13 bolts and 15 screws of the frame every winter."
    index = index_with(tmp_path / "index", {"pump": (*PUMP, pointing), "mill": (plain,)})
    made = make_questions(index, 50)
    assert any("crew of the mill" in question.question for question in made)
    assert [q.question for q in made if oddities(q.question)] == []


def test_a_gap_takes_the_place_of_the_span_and_nothing_else() -> None:
    sentence = "Tin melts at 232 degrees."
    question = with_gap(sentence, AnswerSpan(start=13, end=16, kind="number", unit="degrees"))
    assert question.endswith(sentence.replace("232", GAP))


# --- statements


@pytest.mark.parametrize(
    "sentence",
    [
        "This was built by Roth in the spring of that year.",
        "the boiler of the old hall holds 400 litres of water.",
        "Too short a sentence.",
        "Region North South East West Total 12 17 19 22 71 in 2023.",
        "The boiler holds 400 litres of water and it (was built by Roth.",
        "The boiler of the old hall holds 400 litres of water",
        "The boiler of {{ x }} holds 400 litres of water in all.",
        "Training We trained the reader on all questions of the set.",
        "The limits of the boiler are those of the previous section.",
    ],
)
def test_only_whole_sentences_of_prose_that_need_no_other_are_taken(sentence: str) -> None:
    assert not stands_alone(sentence)


@given(st.lists(st.sampled_from(["a", "bc", "é"]), min_size=1), st.data())
def test_a_place_in_the_tidied_text_is_found_in_the_original(
    words: list[str], data: st.DataObject
) -> None:
    gaps = [data.draw(st.sampled_from([" ", "\n", " \n\t"])) for _ in words]
    raw = "".join(word + gap for word, gap in zip(words, gaps, strict=True)).rstrip()
    tidied = " ".join(raw.split())
    start = data.draw(st.integers(0, len(tidied) - 1))
    end = data.draw(st.integers(start + 1, len(tidied)))
    first, last = original_span(raw, start, end)
    if tidied[start] != " " and tidied[end - 1] != " ":
        assert " ".join(raw[first:last].split()) == tidied[start:end]


# --- questions


def test_answers_stand_where_the_question_says(index: Index) -> None:
    made = make_questions(index, 50)
    assert len(made) >= 5
    for question in made:
        document = index.document(question.passage.chunk.document_id)
        assert document is not None
        answer = " ".join(document.text[question.start : question.end].split())
        assert answer in question.answers
        chunk = question.passage.chunk
        assert chunk.start <= question.start < question.end <= chunk.end
        page = document.page_of(question.start).number
        assert question.pages == (page, page)


def test_the_same_seed_gives_the_same_questions_and_another_seed_others(index: Index) -> None:
    rows = [question_row(question) for question in make_questions(index, 6, seed=3)]
    assert len(rows) == 6
    assert rows == [question_row(question) for question in make_questions(index, 6, seed=3)]
    others = {q.id for seed in range(5) for q in make_questions(index, 6, seed=seed)}
    assert others - {row["id"] for row in rows}


def test_no_question_tells_its_answer(index: Index) -> None:
    made = make_questions(index, 50)
    assert len(made) >= 5
    for question in made:
        assert not holds_any(question.question, question.answers)


def test_few_questions_come_from_one_chunk_and_none_twice_from_a_sentence(index: Index) -> None:
    made = make_questions(index, 50)
    assert len(made) >= 5
    chunks = [question.passage.chunk.id for question in made]
    assert max(map(chunks.count, chunks)) <= PER_CHUNK
    assert len({question.question for question in made}) == len(made)


def test_a_recurring_span_is_asked_of_the_other_chunk_in_other_words(index: Index) -> None:
    made = make_questions(index, 50, kinds=["recurring"])
    assert made, "the filter is spoken of twice"
    for question in made:
        assert question.passage.chunk.id not in question.excluded
        assert longest_shared_run(question.question, question.passage.chunk.text) < 6
        chunks = {chunk.id: chunk for id in ("pump", "hall") for chunk in index.chunks(id)}
        [source] = [chunks[id].text for id in question.excluded]
        assert holds_any(source, question.answers)


def test_a_cloze_question_has_rivals_for_its_answer(index: Index) -> None:
    made = make_questions(index, 50, kinds=["cloze"])
    assert made, "spans of one kind stand in one passage"
    for question in made:
        text = question.passage.chunk.text
        kinds = [s.kind for s in answer_spans(" ".join(text.split()))]
        assert max(map(kinds.count, kinds)) > 1


def test_distractors_lack_the_answer_and_stand_in_the_row_unmarked(index: Index) -> None:
    made = make_questions(index, 50, distractors=2)
    assert any(question.distractors for question in made)
    for question in made:
        assert not any(holds_any(hit.chunk.text, question.answers) for hit in question.distractors)
        assert question.passage.chunk.id not in {hit.chunk.id for hit in question.distractors}
        row = json.loads(json.dumps(question_row(question)))
        if question.distractors:
            marks = [passage["isgold"] for passage in row["ctxs"]]
            assert marks == [True] + [False] * len(question.distractors)
        else:
            assert "ctxs" not in row


def test_unanswerable_questions_are_asked_of_a_passage_that_lacks_the_answer(index: Index) -> None:
    answers = {q.question: q.answers for q in make_questions(index, 8)}
    made = make_questions(index, 8, unanswerable=0.5)
    refused = [question for question in made if not question.answerable]
    assert refused
    assert len(refused) == len(made) // 2
    for question in refused:
        assert not holds_any(question.passage.chunk.text, answers[question.question])
        assert question.passage.chunk.id not in question.excluded
        assert question.excluded


def test_every_row_says_that_it_is_synthetic_and_passes_the_check(
    index: Index, tmp_path: Path
) -> None:
    made = make_questions(index, 50, distractors=1, unanswerable=0.25)
    rows = [question_row(question) for question in made]
    assert len(rows) >= 5
    assert {row["answerable"] for row in rows} == {True, False}
    assert all(row["synthetic"] is True and row["kind"] in KINDS for row in rows)
    file = tmp_path / "made.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert check_questions(file, index=index).faults == ()


def test_a_sentence_that_stands_twice_is_asked_of_neither(tmp_path: Path) -> None:
    sentence = "The filter of the pump must be cleaned every 40 hours by the crew."
    once = index_with(tmp_path / "once", {"one": [sentence]})
    twice = index_with(tmp_path / "twice", {"one": [sentence], "two": [sentence]})
    assert make_questions(once, 5)
    assert make_questions(twice, 5) == []


def test_an_empty_index_gives_no_questions(tmp_path: Path) -> None:
    assert make_questions(index_with(tmp_path / "index", {}), 5) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda index: make_questions(index, 0),
        lambda index: make_questions(index, kinds=[]),
        lambda index: make_questions(index, kinds=["riddle"]),
        lambda index: make_questions(index, distractors=-1),
        lambda index: make_questions(index, unanswerable=1.5),
    ],
)
def test_arguments_that_cannot_be_are_refused(
    index: Index, wrong: Callable[[Index], list[SyntheticQuestion]]
) -> None:
    with pytest.raises(InputError, match="cannot be"):
        wrong(index)
