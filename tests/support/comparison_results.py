"""Results of comparisons that never ran, as large and as odd as a test wants them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ragctx.evaluation.grid import combinations_of, condition_of
from ragctx.evaluation.results import (
    RESULT_FORMAT,
    BudgetSweep,
    CitationRecord,
    GridAxis,
    GridComparison,
    Latency,
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
    "best_first",
    "best_last",
    "edges",
    "edges_end",
    "middle",
    "document_order",
    "random#0",
    "random#1",
)
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
            PassageRecord(
                document=f"manual-{i % 4}.pdf",
                first_page=i + 1,
                last_page=i + 1,
                rank=i + 1,
                text=self.words(self.random.randrange(60, 110)),
                is_gold=i == gold,
            )
            for i in range(passages)
        )
        return QuestionRecord(
            id=f"q{number:04}",
            question=self.words(9).rstrip(".") + "?",
            answers=("232 degrees", "232"),
            answerable=number % 9 != 8,
            synthetic=number % 2 == 0,
            passages=texts,
            first_gold_rank=gold + 1,
        )

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
            condition=condition,
            question=question.id,
            order=tuple(order),
            passage_tokens=tokens,
            answer=answer,
            abstained=abstained,
            correct=right,
            best_subspan_em=float(right),
            exact_match=float(right),
            token_f1=1.0 if right else dice.random() / 2,
            gold_in_prompt=gold in order,
            citations=cited,
            confidence=dice.random(),
            prompt_tokens=sum(tokens) + 60,
            answer_tokens=len(answer.split()),
            reused_tokens=sum(tokens) // 2,
            latency_s=0.2 + len(order) / 50,
            placement=condition.split("/")[1],
            note="",
        )

    def summary(self, condition: str, label: str) -> Summary:
        answerable = frozenset(q.id for q in self.questions if q.answerable)
        made = Summariser(
            seed=0, resamples=200, confidence=0.95, prices=Prices(3.0, 15.0), answerable=answerable
        )
        return made.summary(
            condition, label, [o for o in self.outcomes if o.condition == condition]
        )

    def pairs(self, couples: Sequence[tuple[str, str]]) -> tuple[PairTest, ...]:
        counts = [self.disagreements(*couple) for couple in couples]
        p_values = [mcnemar(*count) for count in counts]
        n = len(self.questions)
        return tuple(
            PairTest(
                first=first,
                second=second,
                n=n,
                only_first=one,
                only_second=other,
                difference=around((one - other) / n),
                p_value=p,
                p_adjusted=adjusted,
                significant=adjusted < 0.05,
            )
            for (first, second), (one, other), p, adjusted in zip(
                couples, counts, p_values, holm(p_values), strict=True
            )
        )

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
            baseline=baseline,
            summaries=tuple(summaries),
            omnibus=self.omnibus(conditions),
            spread=self.spread(conditions),
            pairs=self.pairs([(condition, baseline) for condition in conditions[1:]]),
            control_pairs=self.pairs([(f"control/{name}", baseline) for name in LABELS]),
            power=self.power(),
            recall_at_k=((1, 0.41), (5, 0.83), (10, 0.93), (20, 1.0)),
            verdict="No placement differs measurably from best first.",
        )

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
            passages=passages,
            slots=tuple(slots),
            summaries=tuple(summaries),
            controls=(),
            omnibus=self.omnibus(conditions),
            spread=self.spread(conditions),
            pairs=self.pairs(couples),
            power=self.power(),
            window_fill=0.63,
            skipped=3,
            verdict=f"Among {passages} passages the position matters: the first slot is read best.",
        )

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
            strategy="edges",
            budgets=tuple(budgets),
            summaries=tuple(summaries),
            omnibus=self.omnibus(conditions),
            pairs=self.pairs([(condition, conditions[-1]) for condition in conditions[:-1]]),
            latencies=self.latencies(conditions),
            power=self.power(),
            verdict="From 1,024 tokens on, more passages do not help.",
        )

    def latencies(self, conditions: Sequence[str]) -> tuple[Latency, ...]:
        return tuple(
            Latency(
                condition=condition,
                n=6,
                seconds=Interval(0.1 * place, 0.09 * place, 0.12 * place),
                difference=Interval(-0.1, -0.2, -0.05) if place < len(conditions) else None,
            )
            for place, condition in enumerate(conditions, start=1)
        )

    def grid(self) -> GridComparison:
        axes = (
            GridAxis(name="retriever", values=("hybrid", "dense")),
            GridAxis(name="k", values=("5", "20")),
        )
        cells = combinations_of(axes)
        conditions = [condition_of(axes, values) for values in cells]
        for place, condition in enumerate(conditions):
            self.ask(condition.name, 0.6 - 0.05 * place)
        names = [condition.name for condition in conditions]
        return GridComparison(
            axes=axes,
            cells=tuple(cells),
            summaries=tuple(self.summary(c.name, c.label) for c in conditions),
            omnibus=self.omnibus(names),
            pairs=self.pairs([(name, names[0]) for name in names[1:]]),
            power=self.power(),
            verdict="No measurable difference between 4 combinations.",
        )

    def omnibus(self, conditions: Sequence[str]) -> Omnibus:
        return Omnibus(
            statistic=11.3,
            degrees_of_freedom=len(conditions) - 1,
            p_value=0.126,
            n=len(self.questions),
            conditions=tuple(conditions),
        )

    def spread(self, conditions: Sequence[str]) -> Spread:
        return Spread(
            value=0.124,
            low=0.05,
            high=0.19,
            expected_by_chance=0.071,
            p_value=0.034,
            best=conditions[0],
            worst=conditions[-1],
        )

    def power(self) -> Power:
        n = len(self.questions)
        return Power(
            n=n,
            discordant=0.18,
            detectable_difference=detectable_difference(n, 0.18),
            questions_for_5_points=questions_needed(0.05, 0.18),
        )

    def result(
        self,
        *,
        names: Sequence[str] = STRATEGIES,
        sweeps: Sequence[tuple[int, Sequence[int]]] = ((20, (0, 4, 9, 14, 19)),),
        budgets: Sequence[int] = (256, 512, 1024, 2048, 4096),
        gridded: bool = True,
        verdict: str = "The position of the gold passage matters (first slot 68 %, middle 51 %), "
        "but no placement strategy differs measurably from best first on these 40 questions.",
    ) -> Result:
        strategies = self.strategies(names) if names else None
        positions = tuple(self.positions(passages, slots) for passages, slots in sweeps)
        swept = self.budgets(budgets) if budgets else None
        grid = self.grid() if gridded else None
        return Result(
            format=RESULT_FORMAT,
            settings=settings_of(len(self.questions)),
            questions=self.questions,
            outcomes=tuple(self.outcomes),
            strategies=strategies,
            positions=positions,
            budgets=swept,
            grid=grid,
            against=None,
            notes=("3 questions were left out of the position sweep: too few distractors.",),
            verdict=verdict,
            recommendation="For reader and these 40 questions: any placement will do.",
        )


def around(value: float) -> Interval:
    return Interval(value, value - 0.06, value + 0.06)


def settings_of(questions: int) -> Settings:
    """Settings of nothing that ran."""
    return Settings(
        ragctx_version="0.2.0",
        command="ragctx compare questions.jsonl --positions 20 --budgets",
        questions_file="questions.jsonl",
        questions_sha256="9f" * 32,
        questions=questions,
        model="reader",
        model_spec="models/reader",
        model_hash="ab" * 8,
        decoding="greedy",
        template="reader",
        context_window=4096,
        max_new_tokens=32,
        budget_tokens=None,
        source="passages of the file",
        documents=(),
        k=20,
        retriever="bm25",
        select="fill",
        baseline="best_first",
        seed=0,
        resamples=2000,
        confidence=0.95,
        profile="",
        price_prompt=3.0,
        price_answer=15.0,
    )
