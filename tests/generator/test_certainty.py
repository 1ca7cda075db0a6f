"""How sure the reader may be: what is fitted, and what the thresholds promise."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.generator.reader.certainty import (
    MISSED,
    PRECISION,
    Certainty,
    Signs,
    certainty_of,
    fit_certainty,
)
from ragctx.generator.reader.checkpoint import FOLDER
from ragctx.records import SURE

SHARES = st.floats(0.01, 0.99)
GUESSES = st.lists(st.tuples(SHARES, SHARES, st.booleans()), min_size=30, max_size=80)


@given(GUESSES)
def test_what_is_called_sure_was_right_as_often_as_promised(
    guesses: list[tuple[float, float, bool]],
) -> None:
    signs, right = [Signs(held, agreed) for held, agreed, _ in guesses], [r for *_, r in guesses]
    fitted = fit_certainty(signs, right)
    said = [fitted.of(one) for one in signs]
    assert all(0 < p < 1 for p in said)
    sure = [r for p, r in zip(said, right, strict=True) if p >= fitted.sure_from]
    refused = [r for p, r in zip(said, right, strict=True) if p < fitted.answer_from]
    if fitted.sure_from > SURE:  # at `SURE` itself the best may be wrong more often: none is surer
        assert sum(sure) >= PRECISION * len(sure)
    assert sum(not r for r in refused) >= MISSED * len(refused)


def test_a_fit_finds_the_line_that_made_the_answers() -> None:
    """Guesses right with probability 1/(1+e^-x): the fit says nearly that of them."""
    signs, right = [], []
    for held in (0.2, 0.4, 0.6, 0.8):
        for agreed in (0.2, 0.5, 0.8):
            truth = 1 / (1 + math.exp(-(math.log(agreed / (1 - agreed)) - 0.5)))
            hits = round(100 * truth)
            signs += [Signs(held, agreed)] * 100
            right += [True] * hits + [False] * (100 - hits)
    fitted = fit_certainty(signs, right)
    assert abs(fitted.weights[0] + 0.5) < 0.1  # the intercept
    assert abs(fitted.weights[1]) < 0.1 and abs(fitted.weights[2] - 1) < 0.1


def test_a_question_about_something_else_stays_at_zero() -> None:
    """The rule of `min_similarity` gives 0, which a line with an intercept would lift."""
    assert Certainty(weights=(3.0, 0.1, 0.1)).of(Signs(0.0, 0.9)) == 0.0


def test_weights_without_a_certainty_refuse_as_they_did() -> None:
    assert certainty_of({}, 0.2948) == Certainty(answer_from=0.2948)


def test_the_thresholds_that_ship_stand_beside_the_weights() -> None:
    about = json.loads((FOLDER / "reader.json").read_text("utf-8"))
    shipped = certainty_of(about["certainty"], 0.0)
    assert 0 < shipped.answer_from < shipped.sure_from < 1
    assert len(shipped.weights) == len(Certainty().weights)
    better, worse = Signs(0.97, 0.97), Signs(0.3, 0.3)
    assert shipped.of(better) > shipped.sure_from > shipped.of(worse)


@pytest.mark.parametrize("agreed", [0.0, 1.0])
def test_agreement_that_is_whole_or_none_is_a_number(agreed: float) -> None:
    assert 0 < Certainty(weights=(0.0, 1.0, 1.0)).of(Signs(0.5, agreed)) < 1
