"""Laws of thoughts: told apart however the text comes, and never taken for the answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.generator.thought import ThoughtSplitter, opener_at_end, told_apart

ANSWER = "At 232 °C [1]."
HARMONY = (
    "<|channel|>analysis<|message|>Tin? Passage [2].<|end|><|start|>assistant"
    f"<|channel|>final<|message|>{ANSWER}"
)
TOLD_APART = {
    "xml": (f"<think>\nTin? Passage [2].\n</think>\n\n{ANSWER}", ""),
    "space before": (f"\n <think>Tin? Passage [2].</think>{ANSWER}", ""),
    "opened by the prompt": (f"Tin? Passage [2].\n</think>\n\n{ANSWER}", "<think>"),
    "opened twice": (f"<think>Tin? Passage [2].</think>{ANSWER}", "<think>"),
    "never opened": (f"Tin? Passage [2].</think> {ANSWER}", ""),
    "brackets": (f"[THINK]Tin? Passage [2].[/THINK]{ANSWER}", ""),
    "harmony": (HARMONY, ""),
    "harmony without marks": (f"analysisTin? Passage [2].assistantfinal{ANSWER}", ""),
    "command": (
        f"<|START_THINKING|>Tin? Passage [2].<|END_THINKING|><|START_RESPONSE|>{ANSWER}"
        "<|END_RESPONSE|>",
        "",
    ),
    "wrapped": (f"<think>Tin? Passage [2].</think>\n<answer>\n{ANSWER}</answer>\n", ""),
    "boxed": (f"<think>Tin? Passage [2].</think><|begin_of_box|>{ANSWER}<|end_of_box|>", ""),
    "in words": (
        f"Here is my thought process:\nTin? Passage [2].\n\nHere is my response:\n{ANSWER}",
        "",
    ),
    "unused tokens": (f"<unused94>Tin? Passage [2].<unused95>{ANSWER}", ""),
    "its end let through": (
        f"<think>Tin? Passage [2].</think>{ANSWER}<|im_end|>\n<|im_start|>user\nAnd [2]?",
        "",
    ),
    "ended as Llama 2": (f"<reason>Tin? Passage [2].</reason>{ANSWER}</s>", ""),
    "after the first line": (f"<think>Tin? </think>\n<think>Passage [2].</think>\n{ANSWER}", ""),
}


@pytest.mark.parametrize("name", TOLD_APART)
def test_thought_and_answer_are_told_apart(name: str) -> None:
    text, opener = TOLD_APART[name]
    thought, answer = told_apart(text, opener=opener)
    assert answer == ANSWER
    assert thought.removeprefix("analysis") == "Tin? Passage [2]."


@pytest.mark.parametrize("name", TOLD_APART)
@given(cuts=st.lists(st.integers(0, 150), max_size=12))
def test_it_makes_no_difference_in_which_pieces_the_text_comes(name: str, cuts: list[int]) -> None:
    text, opener = TOLD_APART[name]
    given_out: list[str] = []
    splitter = ThoughtSplitter(opener, given_out.append)
    edges = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(edges):
        splitter.push(text[start:end])
    splitter.finish(ended=True)
    assert (splitter.thought, splitter.answer) == told_apart(text, opener=opener)
    assert "".join(given_out).endswith(splitter.answer)
    if opener or text.lstrip()[0] in "<[H":  # the beginning was known
        assert "".join(given_out) == splitter.answer


plain = st.text(st.sampled_from("ab< >/think[]\n`|")) | st.text(max_size=30)


@given(text=plain.filter(lambda text: "think>" not in text and "assistantfinal" not in text))
def test_a_text_without_marks_stays_as_it_is(text: str) -> None:
    assert told_apart(text) == ("", text)


@pytest.mark.parametrize(
    "text",
    [
        "Models write <think> before their answers [1].",
        "It ends with `</think>`, as “</think>” is documented [1].",
        "a < b, b <think about it",
        "Struck through: <s>old</s> and <s>older</s> words [1].",
        "A page has one <answer> field, and </answer> closes it [1].",
        '{"name": "Tin", "melts": 232}',
    ],
)
def test_what_is_quoted_or_only_looks_like_a_mark_is_answer(text: str) -> None:
    assert told_apart(text) == ("", text)


def test_a_thought_that_was_cut_is_all_there_is() -> None:
    for text, opener in (("<think>Passage [2]", ""), ("Passage [2]", "<think>")):
        assert told_apart(text, opener=opener, ended=False) == ("Passage [2]", "")


def test_a_model_that_was_made_to_think_may_answer_at_once() -> None:
    """Behind some servers a parser takes the thought out; all that is left is the answer."""
    assert told_apart(ANSWER, opener="<think>", ended=True) == ("", ANSWER)


def test_a_prompt_that_closed_the_thought_itself_opens_none() -> None:
    assert opener_at_end("assistant\n<think>\n") == "<think>"
    assert opener_at_end("assistant\n<think>\n\n</think>\n\n") == ""
