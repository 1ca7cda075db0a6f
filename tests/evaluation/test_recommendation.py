"""What is recommended follows from tested differences, and what cannot be told is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragctx.evaluation.recommendation import Part, recommendation
from ragctx.evaluation.results import (
    BudgetSweep,
    GridComparison,
    PairTest,
    PositionSweep,
    Power,
    StrategyComparison,
)
from ragctx.evaluation.statistics.intervals import Interval
from tests.support.comparison_results import Fabrication

POWER = Power(n=140, discordant=0.1, detectable_difference=0.123, questions_for_5_points=900)
FEW = replace(POWER, n=12, detectable_difference=0.6)
MADE = Fabrication(12).result(
    names=("best_first", "edges", "middle"), sweeps=((20, (0, 9, 19)),), budgets=(256, 512, 1024)
)


def told(*parts: Part, synthetic: int = 0) -> str:
    return recommendation(parts, questions=140, synthetic=synthetic, model="reader")


def pair(made: PairTest, difference: float = 0.0) -> PairTest:
    """The pair with a difference that is significant unless it is 0."""
    around = Interval(difference, difference - 0.1, difference + 0.1)
    return replace(made, difference=around, significant=difference != 0)


def placements(*differences: float, p: float = 0.5, power: Power = POWER) -> StrategyComparison:
    part = MADE.strategies
    assert part is not None and part.omnibus is not None
    pairs = tuple(pair(*both) for both in zip(part.pairs, differences or (0, 0), strict=True))
    return replace(part, omnibus=replace(part.omnibus, p_value=p), pairs=pairs, power=power)


def budgets(*differences: float, p: float = 0.5, power: Power = POWER) -> BudgetSweep:
    part = MADE.budgets
    assert part is not None and part.omnibus is not None
    pairs = tuple(pair(*both) for both in zip(part.pairs, differences or (0, 0), strict=True))
    return replace(part, omnibus=replace(part.omnibus, p_value=p), pairs=pairs, power=power)


def grid(*differences: float, p: float = 0.5) -> GridComparison:
    part = MADE.grid
    assert part is not None and part.omnibus is not None
    pairs = tuple(pair(*both) for both in zip(part.pairs, differences or (0, 0, 0), strict=True))
    return replace(part, omnibus=replace(part.omnibus, p_value=p), pairs=pairs, power=POWER)


def positions(p: float, power: Power = POWER) -> PositionSweep:
    [part] = MADE.positions
    assert part.omnibus is not None
    return replace(part, omnibus=replace(part.omnibus, p_value=p), power=power)


def test_where_nothing_differs_anything_will_do_and_the_limit_is_told() -> None:
    assert told(placements(), budgets()) == (
        "For reader and these 140 questions: any placement will do; 256 tokens are enough. It "
        "cannot tell differences below 12.3 points between placements or 12.3 points between "
        "budgets, nor how other questions would do."
    )


def test_with_too_few_questions_that_is_the_recommendation() -> None:
    assert told(placements(power=FEW), budgets(power=FEW)) == (
        "For reader, these 140 questions are too few to tell placements or budgets apart: a "
        "difference below 60.0 points would not be seen; about 900 would show 5 points."
    )


def test_what_is_told_and_what_is_not_stand_side_by_side() -> None:
    words = told(placements(power=FEW), budgets())
    assert words.startswith("For reader and these 140 questions: 256 tokens are enough. These 140 ")
    assert "are too few to tell placements apart" in words


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        (placements(0.2, 0.3, p=0.01), "place by middle, which beats best_first."),
        (placements(-0.2, 0, p=0.01), "place by best_first, not edges."),
        (placements(0, 0, p=0.01), "place by best_first: nothing measurably beats it."),
        # A pair that rejects where the omnibus test does not is no finding.
        (placements(0.2, 0.3, p=0.2), "any placement will do."),
        (budgets(-0.2, 0, p=0.01), "512 tokens are enough."),
        (budgets(-0.2, -0.1, p=0.01), "1,024 tokens are needed, and more may help."),
        (budgets(0, -0.1, p=0.01), "1,024 tokens are needed, and more may help."),
        (budgets(0.2, 0.1, p=0.01), "256 tokens beat 1,024."),
        (positions(0.5), "among 20 passages the answer may stand anywhere."),
        (positions(0.01), "try --placement calibrated after ragctx probe."),
        (grid(0, 0.2, 0, p=0.01), "use retriever dense, k 5, which beats retriever hybrid, k 5."),
        (grid(), "any of the 4 combinations will do"),
    ],
)
def test_advice_follows_from_the_tests(part: Part, advice: str) -> None:
    assert advice in told(part)


def test_synthetic_questions_are_called_so() -> None:
    assert "these 140 synthetic questions" in told(placements(), synthetic=140)
    assert "these 140 questions (40 of them synthetic)" in told(placements(), synthetic=40)


def test_a_lone_condition_gives_no_advice() -> None:
    alone = replace(placements(), omnibus=None)
    assert told(alone) == ""
