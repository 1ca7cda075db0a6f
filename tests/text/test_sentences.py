"""Laws of sentence splitting, and the cases that rules get wrong."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.text import sentences
from ragctx.text.sentences import sentence_around, sentence_spans, split_sentences

pieces = st.sampled_from(
    [
        "Dr.",
        "e.g.",
        "3.14",
        "The",
        "cat",
        "。",
        "猫",
        ".",
        "...",
        "!",
        "”",
        "[12]",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\f",
        "•",
        "- ",
        "1.",
        "No.",
        "\u2028",
        "\x1c",
        "é",
        "\t",
    ]
)
texts = st.lists(pieces, max_size=40).map("".join) | st.text(max_size=80)


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@settings(max_examples=200, deadline=None)
@given(texts)
def test_every_visible_character_is_in_exactly_one_sentence(text: str) -> None:
    position = 0
    for start, end in sentence_spans(text):
        assert start < end
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@settings(max_examples=200, deadline=None)
@given(texts, st.data())
def test_the_sentences_around_a_span_are_those_it_touches(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    stop = max(end, start + 1)
    touched = [(a, b) for a, b in sentence_spans(text) if a < stop and b > start]
    expected = (touched[0][0], touched[-1][1]) if touched else (start, end)
    assert sentence_around(text, start, end) == expected


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(3, 9\).*5 characters"):
        sentence_around("Five.", 3, 9)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. No met Mr. T. Smith at 3.14 p.m. in St. Louis.", "Then they left."],
        ["It works, e.g. In Paris.", "See Fig. 3 and Sec. IV for more.", "No.", "Why not?"],
        ["The U.S. Government paid.", "He lives in the U.S.", "The end came."],
        ["Barring Huang et al. (2022b) who failed.", "Others did not."],
        ["He said “Stop!” and went.", "“Now.”", "(She stayed.)", "Good."],
        ["Wait... what?", "Well… no.", "And then...", "Yes!"],
        ["As shown before.[12]", "The next one.[3, 4]", "Done."],
        ["This is a claim.12", "The next sentence."],
        ["Version 2.1 is out.", "Get it at www.example.org today."],
        ["Er kam am 3. Mai z.B. nach Köln.", "Dann ging er."],
        ["Item 3.2.1. Title of it"],
        ["Is it?", "It is!", "Really?!", "Yes."],
        ["他说：“好。”", "然后走了！", "真的吗？", "是。"],
        ["これは文です。", "次の文です。"],
        ["यह वाक्य है।", "यह दूसरा है।"],
        ["هل هذا سؤال؟", "نعم."],
    ],
)
def test_full_stops_that_end_a_sentence_and_those_that_do_not(sentences: list[str]) -> None:
    assert parts(" ".join(sentences)) == sentences


def test_sentences_without_spaces_between_them_are_parted_in_chinese() -> None:
    assert parts("今天下雨。他在家！") == ["今天下雨。", "他在家！"]


def test_wrapped_lines_belong_to_one_sentence_and_headings_to_none() -> None:
    text = (
        "2.1 Installing the pump\n"
        "Before the pump is installed, make sure that the tank is empty and\n"
        "that no pressure remains in the line, which could otherwise cause an\n"
        "injury. Wear gloves.\n"
        "Close the valve before you begin, then loosen the four screws at the\n"
        "back of it.\n"
    )
    found = split_sentences(text)
    assert [text[s.start : s.end].split()[0] for s in found] == ["2.1", "Before", "Wear", "Close"]
    assert [s.after for s in found] == ["line", "sentence", "paragraph", "paragraph"]


def test_table_rows_and_list_items_stand_alone() -> None:
    rows = ["Model A 12 40 3.5", "Model B 14 44 4.5", "Model C 99 10 5.5"]
    assert parts("\n".join(rows)) == rows
    items = ["• first thing that goes on", "• second thing that goes on"]
    assert parts("\n".join(items)) == items
    contents = ["1 Introduction . . . . . . . . . . 3", "2 Method . . . . . . . . . . . . . 7"]
    assert parts("\n".join(contents)) == contents


def test_a_list_number_stays_with_its_item() -> None:
    assert parts("Do this:\n1. Open it.\n2. Close it.") == [
        "Do this:",
        "1. Open it.",
        "2. Close it.",
    ]


def test_a_joined_hyphen_does_not_make_its_neighbours_look_short() -> None:
    """Where a reader joins "Ari-/zona", two lines become one, and 54 characters looked short."""
    text = (
        "Petitioner John Montenegro Cruz, a defendant sentenced\n"
        "to death, argued at trial and on direct appeal that his due\n"
        "process rights had been violated by the trial court's failure\n"
        "to permit him to inform the jury that a life sentence here would be without parole.\n"
        "See Simmons v. South Carolina, 512 U. S. 154, 161 (1994) (plurality opinion); id., at\n"
    )
    assert parts(text)[0].startswith("Petitioner")
    assert parts(text)[0].endswith("without parole.")


@pytest.mark.parametrize("unit", [" ", "\n", ".", ". ", "(", "”", "\r", "a.", "\t\n ", "[1]", "。"])
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    text = "x" + unit * 100_000 + "x"
    began = time.perf_counter()
    split_sentences(text)
    assert time.perf_counter() - began < 20  # seconds; quadratic would be minutes


SLOW_STOP = re.compile(
    rf"(?<![.!?…])[.!?…]+{sentences._CLOSERS}{sentences._NOTES}(?=\s)"
    rf"|(?<=[a-z)])\.\d{{1,2}}(?=\s+[A-Z])"
    rf"|[。！？｡।॥؟۔።]+{sentences._CLOSERS}"
)


@given(st.text(st.sampled_from("aZ.!…)[]12 。।\n"), max_size=24))
def test_stops_are_found_as_the_plain_pattern_finds_them(text: str) -> None:
    found, slow = sentences._STOP.finditer(text), SLOW_STOP.finditer(text)
    assert [match.span() for match in found] == [match.span() for match in slow]
