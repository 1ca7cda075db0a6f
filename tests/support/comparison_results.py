"""Results of comparisons that never ran, as large and as odd as a test wants them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ragctx.evaluation.results import (
    RESULT_FORMAT,
    BudgetSweep,
    CitationRecord,
    Omnibus,
    Outcome,
    PairTest,
    PassageRecord,
    PositionSweep,
    Power,
    QuestionRecord,
    Result,
    Settings,
    Spread,
    StrategyComparison,
    Summary,
)
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.evaluation.statistics.power import detectable_difference, questions_needed
from ragctx.evaluation.statistics.significance import holm, mcnemar
from ragctx.evaluation.summaries import Prices, Summariser

STRATEGIES = (
    "best_first", "best_last", "edges", "edges_end", "middle", "document_order", "random#0",
    "random#1",
)  # fmt: skip
LABELS = {"closed_book": "closed book", "gold_only": "gold passage alone"}
WORDS = ("tin", "melts", "at", "232", "degrees", "and", "the", "filter", "of", "pump", "is")


class Fabrication:
    """Makes a result of `questions` questions with `passages` passages each."""

    def __init__(self, questions: int = 40, passages: int = 20, *, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.questions = tuple(self.question(i, passages) for i in range(questions))
        self.outcomes: list[Outcome] = []

    def words(self, count: int) -> str:
        return " ".join(self.random.choice(WORDS) for _ in range(count)).capitalize() + "."

    def question(self, number: int, passages: int) -> QuestionRecord:
        gold = self.random.randrange(passages)
        texts = tuple(
            PassageRecord(f"manual-{i % 4}.pdf", i + 1, i + 1, i + 1,
                          self.words(self.random.randrange(60, 110)), i == gold)
            for i in range(passages)
        )  # fmt: skip
        return QuestionRecord(
            f"q{number:04}", self.words(9).rstrip(".") + "?", ("232 degrees", "232"),
            number % 9 != 8, number % 2 == 0, texts, gold + 1,
        )  # fmt: skip

    def ask(
        self, condition: str, share: float, *, slot: int | None = None, fill: float = 1.0
    ) -> None:
        for question in self.questions:
            count = max(1, round(fill * len(question.passages)))
            order = self.random.sample(range(len(question.passages)), count)
            gold = next(i for i, p in enumerate(question.passages) if p.is_gold)
            if slot is not None:
                order = [i for i in order if i != gold]
                order.insert(slot, gold)
            if condition == "control/closed_book":
                order = []
            self.outcomes.append(self.outcome(condition, question, order, gold, share))

    def outcome(
        self,
        condition: str,
        question: QuestionRecord,
        order: Sequence[int],
        gold: int,
        share: float,
    ) -> Outcome:
        dice = self.random
        right = dice.random() < share
        abstained = dice.random() < 0.1 and not right
        answer = "" if abstained else "232 degrees" if right else self.words(dice.randrange(1, 12))
        cited = (
            (CitationRecord(str(order.index(gold) + 1), "verified", True),)
            if right and gold in order
            else ()
        )
        tokens = tuple(dice.randrange(80, 150) for _ in order)
        return Outcome(
            condition, question.id, tuple(order), tokens, answer, abstained, right, float(right),
            float(right), 1.0 if right else dice.random() / 2, gold in order, cited, dice.random(),
            sum(tokens) + 60, len(answer.split()), sum(tokens) // 2, 0.2 + len(order) / 50,
            condition.split("/")[1], "",
        )  # fmt: skip

    def summary(self, condition: str, label: str) -> Summary:
        answerable = frozenset(q.id for q in self.questions if q.answerable)
        made = Summariser(0, 200, 0.95, Prices(3.0, 15.0), answerable)
        return made.summary(
            condition, label, [o for o in self.outcomes if o.condition == condition]
        )

    def pairs(self, couples: Sequence[tuple[str, str]]) -> tuple[PairTest, ...]:
        counts = [self.disagreements(*couple) for couple in couples]
        p_values = [mcnemar(*count) for count in counts]
        n = len(self.questions)
        return tuple(
            PairTest(first, second, n, one, other, around((one - other) / n), p, adjusted,
                     adjusted < 0.05)
            for (first, second), (one, other), p, adjusted
            in zip(couples, counts, p_values, holm(p_values), strict=True)
        )  # fmt: skip

    def disagreements(self, first: str, second: str) -> tuple[int, int]:
        one, other = (
            [o.correct for o in self.outcomes if o.condition == name] for name in (first, second)
        )
        both = list(zip(one, other, strict=True))
        return sum(a and not b for a, b in both), sum(b and not a for a, b in both)

    def strategies(self, names: Sequence[str] = STRATEGIES) -> StrategyComparison:
        conditions = [f"strategy/{name}" for name in names]
        for place, condition in enumerate(conditions):
            self.ask(condition, 0.62 - 0.02 * place)
        self.ask("control/closed_book", 0.12)
        self.ask("control/gold_only", 0.84)
        summaries = [
            *(
                self.summary(f"strategy/{name}", name.replace("#", " order, seed "))
                for name in names
            ),
            *(self.summary(f"control/{name}", label) for name, label in LABELS.items()),
        ]
        baseline = conditions[0]
        return StrategyComparison(
            baseline, tuple(summaries), self.omnibus(conditions), self.spread(conditions),
            self.pairs([(condition, baseline) for condition in conditions[1:]]), self.power(),
            ((1, 0.41), (5, 0.83), (10, 0.93), (20, 1.0)),
            "No placement differs measurably from best first.",
        )  # fmt: skip

    def positions(self, passages: int, slots: Sequence[int]) -> PositionSweep:
        conditions = [f"position/{passages}/{slot}" for slot in slots]
        for slot, condition in zip(slots, conditions, strict=True):
            far = abs(slot / (passages - 1) - 0.5) * 2
            self.ask(condition, 0.5 + 0.2 * far, slot=slot, fill=passages / 20)
        summaries = [
            self.summary(condition, f"gold in slot {slot + 1} of {passages}")
            for slot, condition in zip(slots, conditions, strict=True)
        ]
        couples = [(a, b) for i, a in enumerate(conditions) for b in conditions[i + 1 :]]
        return PositionSweep(
            passages, tuple(slots), tuple(summaries), self.omnibus(conditions),
            self.spread(conditions), self.pairs(couples), self.power(), 0.63, 3,
            f"Among {passages} passages the position matters: the first slot is read best.",
        )  # fmt: skip

    def budgets(self, budgets: Sequence[int]) -> BudgetSweep:
        conditions = [f"budget/{budget}" for budget in budgets]
        for place, condition in enumerate(conditions):
            self.ask(
                condition, (0.42, 0.55, 0.63, 0.6, 0.61)[place], fill=budgets[place] / max(budgets)
            )
        summaries = [
            self.summary(condition, f"{budget:,} tokens")
            for budget, condition in zip(budgets, conditions, strict=True)
        ]
        return BudgetSweep(
            "edges", tuple(budgets), tuple(summaries), self.omnibus(conditions),
            self.pairs([(condition, conditions[-1]) for condition in conditions[:-1]]),
            self.power(), "From 1,024 tokens on, more passages do not help.",
        )  # fmt: skip

    def omnibus(self, conditions: Sequence[str]) -> Omnibus:
        return Omnibus(11.3, len(conditions) - 1, 0.126, len(self.questions), tuple(conditions))

    def spread(self, conditions: Sequence[str]) -> Spread:
        return Spread(0.124, 0.05, 0.19, 0.071, 0.034, conditions[0], conditions[-1])

    def power(self) -> Power:
        n = len(self.questions)
        return Power(n, 0.18, detectable_difference(n, 0.18), questions_needed(0.05, 0.18))

    def result(
        self,
        *,
        names: Sequence[str] = STRATEGIES,
        sweeps: Sequence[tuple[int, Sequence[int]]] = ((20, (0, 4, 9, 14, 19)),),
        budgets: Sequence[int] = (256, 512, 1024, 2048, 4096),
        verdict: str = "The position of the gold passage matters (first slot 68 %, middle 51 %), "
        "but no placement strategy differs measurably from best first on these 40 questions.",
    ) -> Result:
        strategies = self.strategies(names) if names else None
        positions = tuple(self.positions(passages, slots) for passages, slots in sweeps)
        swept = self.budgets(budgets) if budgets else None
        return Result(
            RESULT_FORMAT, settings_of(len(self.questions)), self.questions, tuple(self.outcomes),
            strategies, positions, swept,
            ("3 questions were left out of the position sweep: too few distractors.",), verdict,
        )  # fmt: skip


def around(value: float) -> Interval:
    return Interval(value, value - 0.06, value + 0.06)


def settings_of(questions: int) -> Settings:
    """Settings of nothing that ran."""
    return Settings(
        "0.2.0", "ragctx compare questions.jsonl --positions 20 --budgets", "questions.jsonl",
        "9f" * 32, questions, "reader", "ab" * 8, "greedy", "reader", 4096, 32, None,
        "passages of the file", 20, "bm25", "fill", "best_first", 0, 2000, 0.95, "", 3.0, 15.0,
    )  # fmt: skip
