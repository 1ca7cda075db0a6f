"""Outcomes of a run as comparisons: which conditions differ, by how much, and what it would take.

All tests are paired: each condition was asked the same questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ragctx.evaluation.conditions import Plan, slots_of
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


@dataclass(frozen=True)
class Analysis:
    """Compares the conditions of one run."""

    outcomes: tuple[Outcome, ...]
    questions: tuple[QuestionRecord, ...]
    summariser: Summariser

    def strategies(self, plan: Plan, baseline: str) -> StrategyComparison | None:
        """Placements against the baseline, and the controls beside them."""
        conditions = [condition for condition, _, _ in plan.placements]
        if not conditions:
            return None
        controls = [c for c in ("control/closed_book", "control/gold_only") if self._rows(c)]
        grades = self._table(conditions)
        first = f"strategy/{baseline}" if f"strategy/{baseline}" in conditions else conditions[0]
        pairs = self._pairs(grades, [(c, first) for c in conditions if c != first])
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        recall = recall_at(self.questions, RECALL_AT)
        return StrategyComparison(
            baseline=first,
            summaries=tuple(self._summary(c, _label(c)) for c in (*conditions, *controls)),
            omnibus=omnibus,
            spread=self._spread(grades),
            pairs=pairs,
            power=power,
            recall_at_k=tuple(
                (k, share) for k, share in zip(RECALL_AT, recall, strict=True) if k <= plan.k
            ),
            verdict=strategy_verdict(omnibus, pairs, power, grades.shares()),
        )

    def positions(self, plan: Plan, passages: int, context_window: int) -> PositionSweep | None:
        """The gold passage in each slot; None where no question could take part."""
        slots = slots_of(passages, plan.slots)
        conditions = [f"position/{passages}/{slot}" for slot in slots]
        grades = self._table(conditions)
        if not len(grades.right):
            return None
        pairs = self._pairs(grades, list(combinations(conditions, 2)))
        omnibus, power, spread = _omnibus(grades), _power(grades, pairs), self._spread(grades)
        tokens = [outcome.prompt_tokens for c in conditions for outcome in self._rows(c)]
        labels = [f"slot {slot} of {passages}" for slot in slots]
        return PositionSweep(
            passages=passages,
            slots=slots,
            summaries=tuple(
                self._summary(c, label) for c, label in zip(conditions, labels, strict=True)
            ),
            omnibus=omnibus,
            spread=spread,
            pairs=pairs,
            power=power,
            window_fill=float(np.mean(tokens)) / context_window,
            skipped=len(self.questions) - len(grades.right),
            verdict=position_verdict(passages, omnibus, spread, power),
        )

    def budgets(self, plan: Plan) -> BudgetSweep | None:
        """Each budget against the largest."""
        if not plan.budgets:
            return None
        conditions = [f"budget/{budget}" for budget in plan.budgets]
        grades = self._table(conditions)
        pairs = self._pairs(grades, [(c, conditions[-1]) for c in conditions[:-1]])
        omnibus, power = _omnibus(grades), _power(grades, pairs)
        summaries = tuple(
            self._summary(condition, f"{budget:,} tokens")
            for condition, budget in zip(conditions, plan.budgets, strict=True)
        )
        return BudgetSweep(
            strategy=plan.budget_strategy,
            budgets=plan.budgets,
            summaries=summaries,
            omnibus=omnibus,
            pairs=pairs,
            power=power,
            verdict=budget_verdict(plan.budgets, summaries, omnibus, pairs, power),
        )

    def _rows(self, condition: str) -> list[Outcome]:
        return self._by_condition.get(condition, [])

    @cached_property
    def _by_condition(self) -> dict[str, list[Outcome]]:
        rows: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            rows[outcome.condition].append(outcome)
        return rows

    def _summary(self, condition: str, label: str) -> Summary:
        return self.summariser.summary(condition, label, self._rows(condition))

    def _table(self, conditions: Sequence[str]) -> Grades:
        rows = [{row.question: row.correct for row in self._rows(c)} for c in conditions]
        shared = [q.id for q in self.questions if all(q.id in row for row in rows)]
        right = np.array([[row[name] for row in rows] for name in shared], dtype=bool)
        return Grades(tuple(conditions), right.reshape(len(shared), len(rows)))

    def _pairs(self, grades: Grades, pairs: Sequence[tuple[str, str]]) -> tuple[PairTest, ...]:
        counts = [grades.disagreements(first, second) for first, second in pairs]
        p_values = [mcnemar(b, c) for b, c in counts]
        adjusted = holm(p_values)
        how = self.summariser
        return tuple(
            PairTest(
                first=first,
                second=second,
                n=len(grades.right),
                only_first=b,
                only_second=c,
                difference=paired_difference(
                    grades.column(first),
                    grades.column(second),
                    seed=how.seed,
                    resamples=how.resamples,
                    confidence=how.confidence,
                ),
                p_value=p,
                p_adjusted=p_adjusted,
                significant=p_adjusted < ALPHA,
            )
            for (first, second), (b, c), p, p_adjusted in zip(
                pairs, counts, p_values, adjusted, strict=True
            )
        )

    def _spread(self, grades: Grades) -> Spread | None:
        if not grades.comparable:
            return None
        how, shares = self.summariser, grades.shares()
        chance = spread_by_chance(grades.right, permutations=how.resamples, seed=how.seed)
        interval = spread_interval(
            grades.right, seed=how.seed, resamples=how.resamples, confidence=how.confidence
        )
        best, worst = max(shares, key=lambda c: shares[c]), min(shares, key=lambda c: shares[c])
        return Spread(
            value=interval.value,
            low=interval.low,
            high=interval.high,
            expected_by_chance=chance.expected,
            p_value=chance.p_value,
            best=best,
            worst=worst,
        )


@dataclass(frozen=True)
class Grades:
    """`right[i, j]`: was condition j right on question i? All conditions on the same questions."""

    conditions: tuple[str, ...]
    right: NDArray[np.bool_]

    @property
    def comparable(self) -> bool:
        """Whether there are questions, and at least two conditions."""
        return len(self.conditions) > 1 and len(self.right) > 0

    def column(self, condition: str) -> NDArray[np.bool_]:
        """One condition's outcomes."""
        column: NDArray[np.bool_] = self.right[:, self.conditions.index(condition)]
        return column

    def shares(self) -> dict[str, float]:
        """Accuracy by condition."""
        means = self.right.mean(axis=0) if len(self.right) else np.zeros(len(self.conditions))
        return dict(zip(self.conditions, map(float, means), strict=True))

    def disagreements(self, first: str, second: str) -> tuple[int, int]:
        """Questions that only the first got right, and those that only the second did."""
        a, b = self.column(first), self.column(second)
        return int((a & ~b).sum()), int((b & ~a).sum())


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


def _power(grades: Grades, pairs: Iterable[PairTest]) -> Power | None:
    """For the pairs' mean discordance, at the level that Holm's first step asks of each pair."""
    tests = list(pairs)
    n = len(grades.right)
    if not tests or not n:
        return None
    discordant = float(np.mean([(t.only_first + t.only_second) / n for t in tests]))
    alpha = ALPHA / len(tests)
    return Power(
        n=n,
        discordant=discordant,
        detectable_difference=detectable_difference(n, discordant, alpha=alpha),
        questions_for_5_points=questions_needed(0.05, discordant, alpha=alpha),
    )


def _label(condition: str) -> str:
    return (
        condition.split("/", 1)[1].replace("_", " ")
        if condition.startswith("control/")
        else condition.split("/", 1)[1]
    )
