"""Tests of pairs of conditions on the same questions, and what such tests can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragctx.evaluation.results import PairTest, Power
from ragctx.evaluation.statistics.intervals import paired_difference
from ragctx.evaluation.statistics.power import detectable_difference, questions_needed
from ragctx.evaluation.statistics.significance import holm, mcnemar
from ragctx.evaluation.verdicts import ALPHA

FIVE_POINTS = 0.05
"""The difference, as a share, for which `Power.questions_for_5_points` is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two conditions by name, and which of the same questions each got right, (questions,)."""

    first: str
    second: str
    first_right: NDArray[np.bool_]
    second_right: NDArray[np.bool_]

    @property
    def only_first(self) -> int:
        """How many questions only the first got right."""
        return int((self.first_right & ~self.second_right).sum())

    @property
    def only_second(self) -> int:
        """How many questions only the second got right."""
        return int((self.second_right & ~self.first_right).sum())


def pair_tests(
    pairs: Sequence[Paired], *, seed: int, resamples: int, confidence: float
) -> tuple[PairTest, ...]:
    """McNemar's test of each pair, adjusted by Holm over all of them, with bootstrap intervals."""
    p_values = [mcnemar(pair.only_first, pair.only_second) for pair in pairs]
    return tuple(
        PairTest(
            first=pair.first,
            second=pair.second,
            n=len(pair.first_right),
            only_first=pair.only_first,
            only_second=pair.only_second,
            difference=paired_difference(
                pair.first_right,
                pair.second_right,
                seed=seed,
                resamples=resamples,
                confidence=confidence,
            ),
            p_value=p_value,
            p_adjusted=p_adjusted,
            significant=p_adjusted < ALPHA,
        )
        for pair, p_value, p_adjusted in zip(pairs, p_values, holm(p_values), strict=True)
    )


def power_of(pairs: Sequence[PairTest]) -> Power | None:
    """What tests of these pairs can show; None without any.

    For their mean discordance and the fewest questions, at the level that Holm's first step asks of
    each pair.
    """
    n = min((pair.n for pair in pairs), default=0)
    if not n:
        return None
    discordant = float(np.mean([(pair.only_first + pair.only_second) / pair.n for pair in pairs]))
    alpha = ALPHA / len(pairs)
    return Power(
        n=n,
        discordant=discordant,
        detectable_difference=detectable_difference(n, discordant, alpha=alpha),
        questions_for_5_points=questions_needed(FIVE_POINTS, discordant, alpha=alpha),
    )
