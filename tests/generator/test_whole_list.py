"""Whole lists: given where several things are asked for, and never instead of a single answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.generator.reader.choice import choose
from ragctx.generator.reader.whole_list import MOST_ITEMS, WholeList, whole_list
from tests.generator.test_choice import prompt_of, spans_of

BOX = "The box holds these parts:\n- a pump,\n- a filter and\n- two hoses.\n\nKeep it dry."
STEPS = (
    "To start the pump, do these steps:\n1. Open the valve. It turns left.\n2. Close the lid.\n"
    "3. Press start.\n\nThen wait."
)
RISKS = "The report names three risks: fire, flood and theft of data. It was a wet year."
GARDEN = "plant\tlitres\nTomato\t5\nPepper\t3\nBasil\t1"


def found(text: str, answer: str, question: str) -> WholeList | None:
    start = text.index(answer)
    return whole_list(text, start, start + len(answer), question)


@pytest.mark.parametrize(
    ("text", "answer", "question", "items"),
    [
        (BOX, "filter", "Which parts does the box hold?", "a pump; a filter; two hoses"),
        (
            BOX,
            "these parts",
            "What are the parts that the box holds?",
            "a pump; a filter; two hoses",
        ),
        (BOX, "pump", "List the parts in the box.", "a pump; a filter; two hoses"),
        (
            STEPS,
            "Open the valve",
            "What are the steps to start the pump?",
            "Open the valve; Close the lid; Press start",
        ),
        (
            RISKS,
            "flood",
            "What are the three risks in the report?",
            "fire, flood and theft of data",
        ),
        (RISKS, "fire", "Which risks does the report name?", "fire, flood and theft of data"),
        (
            "The metals are tin, lead\nand zinc.",
            "lead",
            "Which metals are there?",
            "tin, lead and zinc",
        ),
        (
            "Both keys, a red one and a blue one, are in it.",
            "a red one",
            "Which two keys are in it?",
            None,
        ),
        (GARDEN, "Pepper", "Which plants are there?", "Tomato; Pepper; Basil"),
        (GARDEN, "5", "List all the litres.", "5; 3; 1"),
    ],
)
def test_a_list_is_given_whole(text: str, answer: str, question: str, items: str | None) -> None:
    told = found(text, answer, question)
    assert (told and told.text) == items


@pytest.mark.parametrize(
    ("text", "answer", "question"),
    [
        (BOX, "filter", "Which part of the box must be kept dry?"),  # one thing is asked for
        (BOX, "filter", "What does the box hold beside the pump?"),
        (BOX, "filter", "Which two parts does the box hold?"),  # there are three
        (BOX, "filter", "Which glass would the box hold with its parts?"),  # no plural
        (BOX, "filter", "Which rivers flow through Rome?"),  # another list
        (BOX, "filter", "Are there pumps or hoses in the box?"),  # a choice
        (BOX, "Keep it dry", "Which parts does the box hold?"),  # outside the list
        (STEPS, "Then wait", "What are the steps to start the pump?"),
        (GARDEN, "Pepper", "Which plants get 3 litres?"),  # a condition that one row meets
        (GARDEN, "Pepper", "Which herbs are there?"),
        (
            "Each of these valves is checked:\n- the red valve, once a week\n- the blue valve",
            "the red valve",
            "Which valves are checked once a week?",  # only one item says so
        ),
        (
            "Tin, lead and zinc melt early; iron, as most know, does not.",
            "iron",
            "Which metals are there?",
        ),
        ("The two are John, who came late, and Mary.", "John", "Which guests were there?"),
    ],
)
def test_a_single_answer_stays_one(text: str, answer: str, question: str) -> None:
    assert found(text, answer, question) is None


def test_a_list_without_its_lead_in_is_not_taken_for_the_one_that_is_asked_for() -> None:
    """A passage that begins within a list: nobody knows what it is a list of."""
    assert found(BOX[BOX.index("- a pump") :], "filter", "Which parts does the box hold?") is None


def test_two_lists_side_by_side_are_two() -> None:
    text = "The parts of the box:\n- a pump\n- a filter\n* a mouse\n* a cat\n"
    told = found(text, "pump", "Which parts are in the box?")
    assert told is not None and told.text == "a pump; a filter"
    text = "The parts of the box:\n1. a pump\n2. a filter\n1. a mouse\n2. a cat\n"
    told = found(text, "pump", "Which parts are in the box?")
    assert told is not None and told.text == "a pump; a filter"


def test_a_very_long_list_is_left_to_be_looked_at() -> None:
    for count, is_given in ((MOST_ITEMS, True), (MOST_ITEMS + 1, False)):
        text = "The box holds these parts:\n" + "".join(f"- part {i}\n" for i in range(count))
        assert bool(found(text, "part 1", "Which parts does the box hold?")) == is_given


def test_the_answer_is_the_list_and_its_citation_covers_every_item() -> None:
    prompt = prompt_of(BOX, question="Which parts does the box hold?")
    choice = choose(prompt, spans_of(prompt, (0, "filter")))
    assert choice.text == "a pump; a filter; two hoses"
    [span] = choice.spans
    cited = BOX[span.start : span.end]
    assert all(item in cited for item in choice.text.split("; "))


WORDS = st.sampled_from(
    (
        "tin",
        "lead",
        "box",
        "parts",
        "and",
        "or",
        ":",
        ",",
        "\n- ",
        "\n1. ",
        "\n2) ",
        "\n\n",
        "\t",
        ".",
    )
)


@given(st.lists(WORDS, max_size=40), st.data())
def test_whatever_a_list_says_stands_between_its_ends(
    words: list[str], data: st.DataObject
) -> None:
    text = "The box holds these parts:" + " ".join(words)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    told = whole_list(text, start, end, "Which parts does the box hold?")
    if told is not None:
        assert 0 <= told.start < told.end <= len(text)
        cited = " ".join(text[told.start : told.end].split())
        assert told.text == cited or all(item in cited for item in told.text.split("; "))
