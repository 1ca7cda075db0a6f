"""Leaving a passage out is asking without it."""

from __future__ import annotations

import math

import pytest

from ragctx.errors import InputError
from ragctx.generator.reader.attribution import attribute
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit, Prompt

TEXTS = [
    "The bridge was opened in 1932, after eight years of work.",
    "Tin melts at 232 degrees Celsius.",
    "Visitors remember that the bridge was opened in 1932.",
]
QUESTION = "When was the bridge opened?"


@pytest.fixture(scope="module")
def reader() -> BundledReader:
    made = load_bundled()
    made.threshold = 0.0
    return made


def prompt_of(texts: list[str], reader: BundledReader) -> Prompt:
    hits = [Hit.from_text(i, 1.0, text, f"d{i}") for i, text in enumerate(texts, 1)]
    return build_prompt(
        load_template("reader"),
        QUESTION,
        place(hits, "best_first"),
        reader.tokenizer,
        context_window=2048,
        max_new_tokens=32,
    )


def test_the_only_passage_that_says_it_loses_everything(reader: BundledReader) -> None:
    prompt = prompt_of(TEXTS[:2], reader)
    given = reader.generate(prompt)
    assert "1932" in given.text
    first, second = attribute(reader, prompt, given)
    assert math.isinf(first.without) and first.without < 0
    assert first.probability_lost == pytest.approx(math.exp(first.log_probability))
    assert first.log_probability == second.log_probability <= 0.0
    assert abs(second.probability_lost) < first.probability_lost


def test_an_answer_said_twice_survives_without_either(reader: BundledReader) -> None:
    prompt = prompt_of([TEXTS[0], TEXTS[2]], reader)
    given = reader.generate(prompt)
    assert all(math.isfinite(a.without) for a in attribute(reader, prompt, given))


def test_leaving_a_passage_out_is_asking_without_it(reader: BundledReader) -> None:
    """The slow way: a new prompt of the other passages, read by a reader that knows nothing."""
    prompt = prompt_of(TEXTS, reader)
    given = reader.generate(prompt)
    rows = attribute(reader, prompt, given)
    for left_out, row in enumerate(rows):
        rest = [text for i, text in enumerate(TEXTS) if i != left_out]
        fresh = load_bundled()
        other = prompt_of(rest, fresh)
        hits = [segment.hit for segment in prompt.passages if segment.hit]
        ranks = [hit.rank for i, hit in enumerate(hits) if i != left_out]
        moved = [Hit.from_text(rank, 1.0, text) for rank, text in zip(ranks, rest, strict=True)]
        other = build_prompt(
            load_template("reader"),
            QUESTION,
            place(moved, "best_first"),
            fresh.tokenizer,
            context_window=2048,
            max_new_tokens=32,
        )
        (whole, *_) = attribute(fresh, other, given)
        assert whole.log_probability == pytest.approx(row.without, abs=1e-4)


def test_the_answers_own_span_is_part_of_its_probability(reader: BundledReader) -> None:
    prompt = prompt_of(TEXTS, reader)
    given = reader.generate(prompt)
    passages, question = reader.parts(prompt)
    cached, _ = reader.cache.fetch(passages, reader.encode)
    states = reader.read_question(question, cached)
    best = reader.read_twice(prompt, cached, states).spans[0]
    assert attribute(reader, prompt, given)[0].log_probability >= best.log_probability - 1e-4


def test_an_abstention_cannot_be_attributed(reader: BundledReader) -> None:
    prompt = prompt_of(TEXTS, reader)
    reader.threshold, given = 1.1, None
    try:
        given = reader.generate(prompt)
    finally:
        reader.threshold = 0.0
    with pytest.raises(InputError, match="abstained"):
        attribute(reader, prompt, given)
