"""From the outcomes of a run to its comparisons: which conditions differ, and by how much.

All tests are paired: each condition was asked the same questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ragctx.evaluation.conditions import CONTROLS, Condition, Plan, position_conditions
from ragctx.evaluation.grid import Grid
from ragctx.evaluation.pairs import Paired, pair_tests, power_of
from ragctx.evaluation.results import (
    BudgetSweep,
    GridComparison,
    Latency,
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
from ragctx.evaluation.statistics.intervals import median_interval, spread_interval
from ragctx.evaluation.statistics.significance import cochran_q, spread_by_chance
from ragctx.evaluation.summaries import Summariser, recall_at
from ragctx.evaluation.verdicts import budget_verdict, position_verdict, strategy_verdict

RECALL_AT = (1, 3, 5, 10, 20)
"""The k of the recalls at k that are reported, up to the number of candidates."""

Times = Mapping[str, Sequence[float]]
"""Seconds by condition, on the same questions in the same order."""


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
        controls = self._controls()
        grades = self._grades(conditions)
        pairs = self._pairs(grades, [(c, first) for c in conditions if c != first])
        beside = [(self._grades((control, first)), control, first) for control in controls]
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        recall = zip(RECALL_AT, recall_at(self.questions, RECALL_AT), strict=True)
        return StrategyComparison(
            baseline=first.name,
            summaries=self._summaries((*conditions, *controls)),
            omnibus=omnibus,
            spread=self._spread(grades),
            pairs=pairs,
            control_pairs=self._family(beside),
            power=power,
            recall_at_k=tuple((k, share) for k, share in recall if k <= plan.k),
            verdict=strategy_verdict(
                omnibus,
                pairs,
                power,
                grades.shares(),
                _by_name(conditions),
                n=grades.n,
            ),
        )

    def positions(self, plan: Plan, passages: int, context_window: int) -> PositionSweep | None:
        """The gold passage in each slot; None where no question could take part.

        `context_window` is in tokens: how full the prompts made it is reported with the sweep.
        """
        conditions = position_conditions(passages, plan.slots)
        grades = self._grades(conditions)
        if not grades.n:
            return None
        pairs = self._pairs(grades, list(combinations(conditions, 2)))
        omnibus, power, spread = _omnibus(grades), _power(grades, pairs), self._spread(grades)
        tokens = [row.prompt_tokens for condition in conditions for row in self._rows(condition)]
        return PositionSweep(
            passages=passages,
            slots=tuple(condition.slot for condition in conditions),
            summaries=self._summaries(conditions),
            controls=self._summaries(self._controls(), frozenset(grades.questions)),
            omnibus=omnibus,
            spread=spread,
            pairs=pairs,
            power=power,
            window_fill=float(np.mean(tokens)) / context_window,
            skipped=len(self.questions) - grades.n,
            verdict=position_verdict(passages, omnibus, spread, power, _by_name(conditions)),
        )

    def budgets(self, plan: Plan, times: Times) -> BudgetSweep | None:
        """Each budget against the largest; None without any. `times` are those of the budgets."""
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
            latencies=self._latencies(conditions, times),
            power=power,
            verdict=budget_verdict(summaries, omnibus, pairs, power, _by_name(conditions)),
        )

    def grid(self, grid: Grid) -> GridComparison:
        """Every combination of a grid against the first."""
        conditions = tuple(cell.condition for cell in grid.cells)
        first, *others = conditions
        grades = self._grades(conditions)
        pairs = self._pairs(grades, [(condition, first) for condition in others])
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        return GridComparison(
            axes=grid.axes,
            cells=tuple(cell.values for cell in grid.cells),
            summaries=self._summaries(conditions),
            omnibus=omnibus,
            pairs=pairs,
            power=power,
            verdict=strategy_verdict(
                omnibus,
                pairs,
                power,
                grades.shares(),
                _by_name(conditions),
                n=grades.n,
                what="combinations",
            ),
        )

    def _latencies(self, conditions: Sequence[Condition], times: Times) -> tuple[Latency, ...]:
        """The times of each condition, and how they differ from the last one's."""
        last = times.get(conditions[-1].name, ())
        latencies = []
        for condition in conditions:
            own = times.get(condition.name, ())
            seconds = median_interval(own, self.summariser.confidence)
            if seconds is None or len(own) != len(last):
                return ()
            apart = [one - other for one, other in zip(own, last, strict=True)]
            latencies.append(
                Latency(
                    condition=condition.name,
                    n=len(own),
                    seconds=seconds,
                    difference=None
                    if condition is conditions[-1]
                    else median_interval(apart, self.summariser.confidence),
                )
            )
        return tuple(latencies)

    def _controls(self) -> list[Condition]:
        """The controls that were asked."""
        return [control for control in CONTROLS if self._rows(control)]

    def _rows(self, condition: Condition) -> list[Outcome]:
        return self._rows_by_name.get(condition.name, [])

    @cached_property
    def _rows_by_name(self) -> dict[str, list[Outcome]]:
        rows: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            rows[outcome.condition].append(outcome)
        return rows

    def _summaries(
        self, conditions: Sequence[Condition], only: frozenset[str] | None = None
    ) -> tuple[Summary, ...]:
        """A summary of each condition, over the questions with the ids in `only` if given."""
        return tuple(
            self.summariser.summary(
                condition.name,
                condition.label,
                [row for row in self._rows(condition) if only is None or row.question in only],
            )
            for condition in conditions
        )

    def _grades(self, conditions: Sequence[Condition]) -> Grades:
        """The grades of the questions that were asked under all of these conditions."""
        correct = [{row.question: row.correct for row in self._rows(c)} for c in conditions]
        shared = [q.id for q in self.questions if all(q.id in column for column in correct)]
        right = np.array([[column[id] for column in correct] for id in shared], dtype=bool)
        names = tuple(condition.name for condition in conditions)
        return Grades(names, tuple(shared), right.reshape(len(shared), len(conditions)))

    def _pairs(
        self, grades: Grades, pairs: Sequence[tuple[Condition, Condition]]
    ) -> tuple[PairTest, ...]:
        """Tests of some pairs of the same grades, adjusted as one family."""
        return self._family([(grades, first, second) for first, second in pairs])

    def _family(
        self, comparisons: Sequence[tuple[Grades, Condition, Condition]]
    ) -> tuple[PairTest, ...]:
        """Tests of pairs, each on the questions of its grades, adjusted as one family."""
        return pair_tests(
            [
                Paired(
                    first=first.name,
                    second=second.name,
                    first_right=grades.column(first.name),
                    second_right=grades.column(second.name),
                )
                for grades, first, second in comparisons
            ],
            seed=self.summariser.seed,
            resamples=self.summariser.resamples,
            confidence=self.summariser.confidence,
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
    questions: tuple[str, ...]  # ids
    right: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """The number of questions."""
        return len(self.questions)

    @property
    def comparable(self) -> bool:
        """Whether there are questions, and at least two conditions."""
        return len(self.conditions) > 1 and self.n > 0

    def column(self, condition: str) -> NDArray[np.bool_]:
        """One condition's grades, (questions,)."""
        column: NDArray[np.bool_] = self.right[:, self.conditions.index(condition)]
        return column

    def shares(self) -> dict[str, float]:
        """Accuracy by condition."""
        means = self.right.mean(axis=0) if self.n else np.zeros(len(self.conditions))
        return dict(zip(self.conditions, map(float, means), strict=True))


def _omnibus(grades: Grades) -> Omnibus | None:
    if not grades.comparable:
        return None
    q = cochran_q(grades.right)
    return Omnibus(
        statistic=q.statistic,
        degrees_of_freedom=q.degrees_of_freedom,
        p_value=q.p_value,
        n=grades.n,
        conditions=grades.conditions,
    )


def _power(grades: Grades, pairs: Sequence[PairTest]) -> Power | None:
    return power_of(pairs) if grades.n else None


def _by_name(conditions: Sequence[Condition]) -> dict[str, Condition]:
    return {condition.name: condition for condition in conditions}
