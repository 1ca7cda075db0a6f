"""What the reader says of the spans it found likely: whole answers, other places, alternatives."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.generator.reader.choice import ALTERNATIVES, choose
from ragctx.generator.reader.whole_span import whole_span
from ragctx.records import CopiedSpan, Hit, Prompt, Segment

QUESTION = "How long is the notice period?"


def prompt_of(*texts: str, documents: str = "abcdef", question: str = QUESTION) -> Prompt:
    """A prompt of one passage a text, each of a document of its own."""
    segments = tuple(
        Segment(
            kind="passage",
            label=str(i),
            text=text,
            token_ids=(1,),
            hit=Hit.from_text(i, 1.0, text, documents[i - 1]),
            text_end=len(text),
            token_end=1,
        )
        for i, text in enumerate(texts, start=1)
    )
    return Prompt(
        segments=segments,
        question=question,
        placement="best_first",
        context_window=100,
        max_new_tokens=9,
        budget_tokens=91,
    )


def spans_of(prompt: Prompt, *answers: tuple[int, str]) -> list[CopiedSpan]:
    spans = []
    for passage, answer in answers:
        start = prompt.passages[passage].own_text.index(answer)
        spans.append(CopiedSpan(passage, start, start + len(answer)))
    return spans


def test_the_same_answer_in_several_documents_is_one_answer_with_several_places() -> None:
    prompt = prompt_of("It is 30 days.", "Give 30 days.", "Take 30 days or 30 days.")
    choice = choose(prompt, spans_of(prompt, (0, "30 days"), (1, "30 days"), (2, "30 days")))
    assert choice.text == "30 days"
    assert [span.passage for span in choice.spans] == [0, 1, 2]
    assert choice.alternatives == ()


def test_one_document_is_cited_once() -> None:
    prompt = prompt_of("It is 30 days.", "Give 30 days.", documents="aa")
    choice = choose(prompt, spans_of(prompt, (0, "30 days"), (1, "30 days")))
    assert [span.passage for span in choice.spans] == [0]


def test_alternatives_come_from_other_passages_and_say_other_things() -> None:
    prompt = prompt_of("30 days or 7", "It is 60 days, or 61", "the notice", "a year", "ten weeks")
    spans = spans_of(
        prompt,
        (0, "30 days"),
        (0, "7"),
        (1, "60 days"),
        (1, "61"),
        (2, "the notice"),
        (3, "a year"),
        (4, "ten weeks"),
    )
    choice = choose(prompt, spans)
    # not of the answer's passage, not twice of one, no echo of the question, two at most
    assert [other.text for other in choice.alternatives] == ["60 days", "a year"][:ALTERNATIVES]


@pytest.mark.parametrize(
    ("text", "pointed_at", "whole"),
    [
        ("see page 104. 11.12 Next", "page 104. 11.12", "page 104"),
        ("on 2022-12-17. 2 More of it", "2022-12-17. 2", "2022-12-17"),
        ("Net sales were $ 7,168 million.", "168", "$ 7,168 million"),
        ("a rate of 13% was paid", "13", "13%"),
        ("it is “quoted” here", "“quoted", "“quoted”"),
        ("so (he said it here", "(he said", "he said"),
        ("run ./configure -v now", "./configure -v", "./configure -v"),
        ("the St. Louis office, which", "St. Louis office,", "St. Louis office"),
        ("Some boards; others", "boards;", "boards"),
    ],
)
def test_an_answer_has_no_ragged_ends(text: str, pointed_at: str, whole: str) -> None:
    start = text.index(pointed_at)
    first, last = whole_span(text, start, start + len(pointed_at))
    assert text[first:last] == whole


@given(st.text(alphabet="ab1 .,()[]$%\n“”'-", min_size=1, max_size=40), st.data())
def test_a_whole_answer_is_never_empty_and_stays_in_its_text(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = whole_span(text, start, end)
    assert 0 <= first < last <= len(text)


def test_hostile_text_takes_no_time() -> None:
    for text in ("(" * 20_000, "$ " * 10_000, "1," * 10_000, "a. " * 5_000):
        began = time.perf_counter()
        whole_span(text, 0, len(text))
        assert time.perf_counter() - began < 5
