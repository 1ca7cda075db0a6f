"""Follow-ups are made to stand by themselves: by rule, or by a model that is not trusted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import ModelError
from ragctx.follow_ups import Turn, leans, standalone
from ragctx.records import FinishReason, Generation, Prompt
from ragctx.text.words import STOP_WORDS, words_of
from tests.support.generators import ScriptedGenerator

FIRST = "What does the F-100 filter cost?"
EARLIER = [Turn(FIRST, "It costs 20 euros.")]


class Writer(ScriptedGenerator):
    """Writes what it is told to, or fails as it is told to."""

    def __init__(
        self, text: str, *, finish_reason: FinishReason = "stop", fails: bool = False
    ) -> None:
        super().__init__(text)
        self.finish_reason, self.fails = finish_reason, fails

    def generate(self, prompt: Prompt, *, on_text: object = None) -> Generation:
        if self.fails:
            raise ModelError("no model is there")
        made = super().generate(prompt)
        return made if not self.answer else replace(made, finish_reason=self.finish_reason)


def test_a_question_that_leans_on_the_one_before_takes_it_along() -> None:
    for second in ("And in winter?", "How long does it last?", "Why?", "What about the F-200?"):
        assert standalone(second, EARLIER) == f"{FIRST} {second}"
    alone = "How often must the pump be oiled?"
    assert standalone(alone, EARLIER) == alone
    assert standalone("Why?", []) == "Why?"


def test_a_question_leans_on_the_last_one_that_did_not() -> None:
    """The third of "What does it cost? And in winter? And in summer?" had lost what costs."""
    asked = [*EARLIER, Turn("And in winter?", "30 euros."), Turn("Why?", "")]
    assert standalone("And in summer?", asked) == f"{FIRST} And in summer?"
    assert standalone("And?", [Turn("Why?"), Turn("How so?")]) == "Why? And?"


def test_questions_without_spaces_are_not_short() -> None:
    assert not leans("東京都の人口は何人ですか")


def test_what_a_model_writes_is_asked_if_it_is_the_question() -> None:
    written = "What does the F-100 filter cost in winter?"
    for text in (written, f'"{written}"', f"Standalone question: {written}"):
        writer = Writer(text)
        assert standalone("And in winter?", EARLIER, writer) == written
        assert "It costs 20 euros." in writer.prompts[0].text
    assert standalone("and in winter", EARLIER, Writer(written)) == written
    thinking = Writer(f"<think>The cost, then.</think>{written}")
    assert standalone("And in winter?", EARLIER, thinking) == written


@pytest.mark.parametrize(
    "writer",
    [
        Writer("", fails=True),
        Writer(""),
        Writer("What does the F-100 filter cost in winter?", finish_reason="length"),
        Writer("And in winter?"),
        Writer("How long does it last in winter?"),
        Writer("Winter is coming, and dragons fly over castles made of snow and ice."),
        Writer("I cannot answer that."),
        Writer('The last question, by itself: "What does it cost in winter?'),  # SmolLM2-135M
        Writer('The F-100 filter cost question is "And in winter?"'),
        Writer("When is the harbour museum open?"),
        Writer("What does winter cost in the winter of winter"),
        Writer("What does the F-100 filter cost in summer?"),
        Writer("What does the F-100 filter cost in winter?\nIt costs 30 euros."),
        Writer("What does the F-100 filter cost in winter? " * 10),
    ],
    ids=lambda writer: "fails" if writer.fails else writer.answer[:30] or "nothing",
)
def test_a_model_that_fails_or_babbles_leaves_it_to_the_rule(writer: Writer) -> None:
    assert standalone("And in winter?", EARLIER, writer) == f"{FIRST} And in winter?"


def test_nothing_is_asked_of_a_model_without_a_conversation() -> None:
    writer = Writer("What is that?")
    assert standalone("Why?", [], writer) == "Why?" and not writer.prompts


def test_a_conversation_that_is_too_long_for_the_model_leaves_it_to_the_rule() -> None:
    writer = Writer("What does the F-100 filter cost in winter?")
    writer.context_window = 100
    assert standalone("And in winter?", EARLIER, writer) == f"{FIRST} And in winter?"


@given(st.text(max_size=200), st.sampled_from(["And in winter?", "How often is the pump oiled?"]))
def test_whatever_a_model_writes_little_of_it_is_made_up(text: str, question: str) -> None:
    asked = standalone(question, EARLIER, Writer(text))
    new = frozenset(words_of(asked)) - STOP_WORDS
    said = {word for part in (question, *EARLIER[0]) for word in words_of(part)}
    assert asked and len(new - said) <= len(new) / 3 + 1
