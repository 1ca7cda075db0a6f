"""Term proximity, against counting it out word by word and place by place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.generator.reader.passes import by_span_proximity
from ragctx.generator.reader.proximity import FIRST_WORD, LIKE, REACH, rarities, term_proximity
from ragctx.generator.reader.spans import Span

EMBEDDINGS = np.random.default_rng(1).normal(size=(FIRST_WORD + 12, 3)).astype(np.float32)
ONE_HOT = np.eye(FIRST_WORD + 3, dtype=np.float32)
tokens = st.integers(FIRST_WORD - 2, FIRST_WORD + 11)


def slowly(
    question: list[int], passage: list[int], own: list[bool], first: int, last: int
) -> float:
    """The definition: each word's most alike and closest neighbour outside of the span."""
    counts, found = rarities(question), 0.0
    for word, count in counts.items():
        best = 0.0
        for at, token in enumerate(passage):
            if first <= at <= last or not own[at]:
                continue
            a, b = EMBEDDINGS[word], EMBEDDINGS[token]
            cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            like = max(0.0, (cosine - LIKE) / (1 - LIKE))
            best = max(best, like * math.exp(-max(first - at, at - last) / REACH))
        found += count / sum(counts.values()) * best
    return found


@settings(max_examples=60, deadline=None)
@given(
    question=st.lists(tokens, max_size=5),
    passages=st.lists(
        st.lists(st.tuples(tokens, st.booleans()), min_size=1, max_size=9), min_size=1, max_size=3
    ),
    data=st.data(),
)
def test_every_spans_proximity_is_that_counted_word_by_word(
    question: list[int], passages: list[list[tuple[int, bool]]], data: st.DataObject
) -> None:
    ids = [[token for token, _ in passage] for passage in passages]
    own = [np.array([is_own for _, is_own in passage]) for passage in passages]
    proximity = term_proximity(EMBEDDINGS.__getitem__, question, ids, own)
    begin = 0
    for passage, is_own in zip(ids, own, strict=True):
        first = data.draw(st.integers(0, len(passage) - 1))
        last = data.draw(st.integers(first, len(passage) - 1))
        expected = slowly(question, passage, is_own.tolist(), first, last)
        found = proximity.of_spans([begin + first], [begin + last])
        assert found.item() == pytest.approx(expected, abs=1e-5)
        assert proximity.of_tokens()[begin + first] == proximity.of_spans(
            [begin + first], [begin + first]
        )
        alone = term_proximity(EMBEDDINGS.__getitem__, question, [passage], [is_own]).of_tokens()
        assert np.array_equal(alone, proximity.of_tokens()[begin : begin + len(passage)])
        begin += len(passage)


def test_the_words_of_an_answer_do_not_speak_for_it() -> None:
    """Else the question's own words would be closest of all."""
    ids, own = [FIRST_WORD, FIRST_WORD + 1, FIRST_WORD + 2], np.ones(3) > 0
    proximity = term_proximity(ONE_HOT.__getitem__, [FIRST_WORD], [ids], [own])
    assert proximity.of_spans([0, 1, 0], [0, 1, 1]).tolist() == pytest.approx(
        [0.0, math.exp(-1 / REACH), 0.0]
    )


def test_spans_are_worth_what_they_are_near_by_span_proximity() -> None:
    """A span's start was close to a word that the span itself swallows: that must not count."""
    ids, own = [FIRST_WORD + 1, FIRST_WORD, FIRST_WORD + 2], np.ones(3) > 0
    proximity = term_proximity(ONE_HOT.__getitem__, [FIRST_WORD], [ids], [own])
    spans = [
        Span(first=0, last=2, log_probability=-0.5),
        Span(first=0, last=0, log_probability=-0.7),
        Span(first=2, last=2, log_probability=-0.9),
    ]
    found = by_span_proximity(spans, proximity, 10.0)
    assert [(span.first, span.last) for span in found] == [(0, 0), (2, 2), (0, 2)]
    assert [span.proximity for span in found] == pytest.approx([math.exp(-1 / REACH)] * 2 + [0.0])
    assert found[2].log_probability == pytest.approx(-0.5 - 10 * math.exp(-1 / REACH))
