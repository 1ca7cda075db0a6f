"""Texts in one form: what a person reads as one word is one word, and one number stays one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.citations.support import ReadText, find_support
from ragctx.evaluation.metrics import exact_match
from ragctx.evaluation.text_match import holds_any, place_of
from ragctx.text.folding import folded, plain, plain_text
from ragctx.text.words import searchable, words_of

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("aé\u0301\u0308ﬁﬀ１２㎏²³½ªßㇰ\uff76\uff9e\u1100\u1161\u11a8\uac00 \n"),
    )
)


@given(TEXTS)
def test_with_places_the_text_is_the_same(text: str) -> None:
    assert plain_text(text).text == plain(text)


@given(TEXTS)
def test_every_place_is_within_the_text_and_in_order(text: str) -> None:
    made = plain_text(text)
    spans = [made.origin(i, i + 1) for i in range(len(made.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
    if made.text:
        assert made.origin(0, len(made.text)) == (0, len(text))


@given(TEXTS)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert words_of(" ".join(words_of(text))) == words_of(text)


def test_a_raised_digit_is_no_digit_of_the_number_before_it() -> None:
    assert words_of("It cost 320¹ euros, 5½ kg, m²") == "it cost 320 1 euros 5 1 2 kg m2".split()
    assert "3201" not in searchable("It cost 320¹ euros")


def test_marks_in_any_number_take_no_time() -> None:
    text = "e" + "\u0315" * 10**5
    began = time.perf_counter()
    assert len(plain_text(text).text) < 100
    assert time.perf_counter() - began < 5


# --- wherever texts are compared


@pytest.mark.parametrize(
    "passage",
    ["The lamp needs １２ ㎏ of ﬁne sand.", "The lamp needs 12 kg of ﬁne sand."],
)
def test_a_statement_is_supported_whatever_form_its_letters_have(passage: str) -> None:
    support = find_support("The lamp needs 12 kg of fine sand", ReadText(passage), ReadText(""))
    assert support is not None and support.verbatim
    assert passage[support.start : support.end] == passage[:-1]


def test_a_note_mark_makes_no_other_number_supported() -> None:
    passage, nothing = ReadText("The station cost 320¹ euros."), ReadText("")
    assert find_support("The station cost 3201 euros", passage, nothing) is None


def test_answers_and_phrases_are_compared_in_one_form() -> None:
    assert exact_match("１２ ㎏", ["12 kg"]) == 1.0
    assert holds_any("Half a ㎏ of ﬂour", ["kg of flour"]) and holds_any("ａ＆＆ｂ", ["&&"])
    text = "Das ﬂache STRAẞE-Schild"
    assert text[slice(*(place_of("flache", text) or (0, 0)))] == "ﬂache"
    assert place_of("", text) is None and folded("Straße") == folded("STRASSE")
