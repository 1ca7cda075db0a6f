"""From the outcomes of a run to its comparisons: which conditions differ, and by how much.

All tests are paired: each condition was asked the same questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ragctx.evaluation.conditions import CONTROLS, Condition, Plan, position_conditions
from ragctx.evaluation.results import (
    BudgetSweep,
    Omnibus,
    Outcome,
    PairTest,
    PositionSweep,
    Power,
    QuestionRecord,
    Spread,
    StrategyComparison,
    Summary,
)
from ragctx.evaluation.statistics.intervals import paired_difference, spread_interval
from ragctx.evaluation.statistics.power import detectable_difference, questions_needed
from ragctx.evaluation.statistics.significance import cochran_q, holm, mcnemar, spread_by_chance
from ragctx.evaluation.summaries import Summariser, recall_at
from ragctx.evaluation.verdicts import ALPHA, budget_verdict, position_verdict, strategy_verdict

RECALL_AT = (1, 3, 5, 10, 20)
"""The k of the recalls at k that are reported, up to the number of candidates."""
FIVE_POINTS = 0.05
"""The difference, as a share, for which `Power.questions_for_5_points` is given."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The tests and summaries of one run: `outcomes` of `questions` under every condition."""

    outcomes: tuple[Outcome, ...]
    questions: tuple[QuestionRecord, ...]
    summariser: Summariser

    def strategies(self, plan: Plan, baseline: str) -> StrategyComparison | None:
        """Placements against the baseline, and the controls beside them; None without any."""
        conditions = plan.placements
        if not conditions:
            return None
        first = next((c for c in conditions if c.word == baseline), conditions[0])
        controls = [control for control in CONTROLS if self._rows(control)]
        grades = self._grades(conditions)
        pairs = self._pairs(grades, [(c, first) for c in conditions if c != first])
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        recall = zip(RECALL_AT, recall_at(self.questions, RECALL_AT), strict=True)
        return StrategyComparison(
            baseline=first.name,
            summaries=self._summaries((*conditions, *controls)),
            omnibus=omnibus,
            spread=self._spread(grades),
            pairs=pairs,
            power=power,
            recall_at_k=tuple((k, share) for k, share in recall if k <= plan.k),
            verdict=strategy_verdict(
                omnibus,
                pairs,
                power,
                grades.shares(),
                _by_name(conditions),
                n=len(grades.right),
            ),
        )

    def positions(self, plan: Plan, passages: int, context_window: int) -> PositionSweep | None:
        """The gold passage in each slot; None where no question could take part.

        `context_window` is in tokens: how full the prompts made it is reported with the sweep.
        """
        conditions = position_conditions(passages, plan.slots)
        grades = self._grades(conditions)
        if not len(grades.right):
            return None
        pairs = self._pairs(grades, list(combinations(conditions, 2)))
        omnibus, power, spread = _omnibus(grades), _power(grades, pairs), self._spread(grades)
        tokens = [row.prompt_tokens for condition in conditions for row in self._rows(condition)]
        return PositionSweep(
            passages=passages,
            slots=tuple(condition.slot for condition in conditions),
            summaries=self._summaries(conditions),
            omnibus=omnibus,
            spread=spread,
            pairs=pairs,
            power=power,
            window_fill=float(np.mean(tokens)) / context_window,
            skipped=len(self.questions) - len(grades.right),
            verdict=position_verdict(passages, omnibus, spread, power, _by_name(conditions)),
        )

    def budgets(self, plan: Plan) -> BudgetSweep | None:
        """Each budget against the largest; None without any."""
        conditions = plan.budget_conditions
        if not conditions:
            return None
        *smaller, largest = conditions
        grades = self._grades(conditions)
        pairs = self._pairs(grades, [(condition, largest) for condition in smaller])
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        summaries = self._summaries(conditions)
        return BudgetSweep(
            strategy=plan.budget_strategy,
            budgets=plan.budgets,
            summaries=summaries,
            omnibus=omnibus,
            pairs=pairs,
            power=power,
            verdict=budget_verdict(summaries, omnibus, pairs, power, _by_name(conditions)),
        )

    def _rows(self, condition: Condition) -> list[Outcome]:
        return self._rows_by_name.get(condition.name, [])

    @cached_property
    def _rows_by_name(self) -> dict[str, list[Outcome]]:
        rows: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            rows[outcome.condition].append(outcome)
        return rows

    def _summaries(self, conditions: Sequence[Condition]) -> tuple[Summary, ...]:
        return tuple(
            self.summariser.summary(condition.name, condition.label, self._rows(condition))
            for condition in conditions
        )

    def _grades(self, conditions: Sequence[Condition]) -> Grades:
        """The grades of the questions that were asked under all of these conditions."""
        correct = [{row.question: row.correct for row in self._rows(c)} for c in conditions]
        shared = [q.id for q in self.questions if all(q.id in column for column in correct)]
        right = np.array([[column[id] for column in correct] for id in shared], dtype=bool)
        names = tuple(condition.name for condition in conditions)
        return Grades(names, right.reshape(len(shared), len(conditions)))

    def _pairs(
        self, grades: Grades, pairs: Sequence[tuple[Condition, Condition]]
    ) -> tuple[PairTest, ...]:
        """Tests of some pairs, adjusted as one family."""
        names = [(first.name, second.name) for first, second in pairs]
        counts = [grades.disagreements(first, second) for first, second in names]
        p_values = [mcnemar(only_first, only_second) for only_first, only_second in counts]
        tests = zip(names, counts, p_values, holm(p_values), strict=True)
        return tuple(
            PairTest(
                first=first,
                second=second,
                n=len(grades.right),
                only_first=only_first,
                only_second=only_second,
                difference=paired_difference(
                    grades.column(first),
                    grades.column(second),
                    seed=self.summariser.seed,
                    resamples=self.summariser.resamples,
                    confidence=self.summariser.confidence,
                ),
                p_value=p_value,
                p_adjusted=p_adjusted,
                significant=p_adjusted < ALPHA,
            )
            for (first, second), (only_first, only_second), p_value, p_adjusted in tests
        )

    def _spread(self, grades: Grades) -> Spread | None:
        if not grades.comparable:
            return None
        seed, resamples = self.summariser.seed, self.summariser.resamples
        chance = spread_by_chance(grades.right, permutations=resamples, seed=seed)
        interval = spread_interval(
            grades.right, seed=seed, resamples=resamples, confidence=self.summariser.confidence
        )
        shares = grades.shares()
        return Spread(
            value=interval.value,
            low=interval.low,
            high=interval.high,
            expected_by_chance=chance.expected,
            p_value=chance.p_value,
            best=max(shares, key=lambda name: shares[name]),
            worst=min(shares, key=lambda name: shares[name]),
        )


@dataclass(frozen=True)
class Grades:
    """Which questions were answered rightly under which conditions.

    `right` is (questions, conditions): was question i right under condition j? Only questions that
    were asked under all of the conditions have a row.
    """

    conditions: tuple[str, ...]  # names
    right: NDArray[np.bool_]

    @property
    def comparable(self) -> bool:
        """Whether there are questions, and at least two conditions."""
        return len(self.conditions) > 1 and len(self.right) > 0

    def column(self, condition: str) -> NDArray[np.bool_]:
        """One condition's grades, (questions,)."""
        column: NDArray[np.bool_] = self.right[:, self.conditions.index(condition)]
        return column

    def shares(self) -> dict[str, float]:
        """Accuracy by condition."""
        means = self.right.mean(axis=0) if len(self.right) else np.zeros(len(self.conditions))
        return dict(zip(self.conditions, map(float, means), strict=True))

    def disagreements(self, first: str, second: str) -> tuple[int, int]:
        """How many questions only the first got right, and how many only the second did."""
        one, other = self.column(first), self.column(second)
        return int((one & ~other).sum()), int((other & ~one).sum())


def _omnibus(grades: Grades) -> Omnibus | None:
    if not grades.comparable:
        return None
    q = cochran_q(grades.right)
    return Omnibus(
        statistic=q.statistic,
        degrees_of_freedom=q.degrees_of_freedom,
        p_value=q.p_value,
        n=len(grades.right),
        conditions=grades.conditions,
    )


def _power(grades: Grades, pairs: Sequence[PairTest]) -> Power | None:
    """For the pairs' mean discordance, at the level that Holm's first step asks of each pair."""
    n = len(grades.right)
    if not pairs or not n:
        return None
    discordant = float(np.mean([(pair.only_first + pair.only_second) / n for pair in pairs]))
    alpha = ALPHA / len(pairs)
    return Power(
        n=n,
        discordant=discordant,
        detectable_difference=detectable_difference(n, discordant, alpha=alpha),
        questions_for_5_points=questions_needed(FIVE_POINTS, discordant, alpha=alpha),
    )


def _by_name(conditions: Sequence[Condition]) -> dict[str, Condition]:
    return {condition.name: condition for condition in conditions}
