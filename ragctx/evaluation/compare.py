"""A comparison from questions to `Result`: ask what was planned, score, test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

from ragctx import __version__
from ragctx.assembly import Assembly
from ragctx.errors import InputError
from ragctx.evaluation.analysis import Analysis, Times
from ragctx.evaluation.answering import Answerer
from ragctx.evaluation.candidates import QuestionCandidates, Source
from ragctx.evaluation.conditions import Condition, Plan, position_conditions
from ragctx.evaluation.datasets import LabelledQuestion, QuestionSet
from ragctx.evaluation.grid import Grid
from ragctx.evaluation.notes import Noted, notes_of
from ragctx.evaluation.prompts import PromptMaker
from ragctx.evaluation.recommendation import recommendation
from ragctx.evaluation.results import (
    RESULT_FORMAT,
    Outcome,
    QuestionRecord,
    Result,
    Settings,
)
from ragctx.evaluation.scoring import Scorer
from ragctx.evaluation.statistics.intervals import CONFIDENCE, RESAMPLES
from ragctx.evaluation.summaries import Prices, Summariser

COLD_QUESTIONS = 6
"""How many questions each budget's latency is measured on, with nothing read before.

The fewest for which a median has an interval. Every prompt of them is read from its first token,
which is slow.
"""

Progress = Callable[[str, float, int], None]
"""Called with (what is being done, how much of it is done, how much there is to do)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What else decides a comparison's numbers, or is recorded with them."""

    baseline: str = "best_first"
    seed: int = 0
    resamples: int = RESAMPLES
    confidence: float = CONFIDENCE
    prices: Prices | None = None
    command: str = ""
    profile: str = ""
    model_spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnsweredQuestion:
    """One question with its outcomes, and what was asked in another way than planned."""

    record: QuestionRecord
    outcomes: tuple[Outcome, ...]
    fallbacks: tuple[tuple[str, str], ...]  # (name of the condition, ConditionPrompt.fallback)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that a comparison needs, ready to `run`."""

    questions: QuestionSet
    source: Source
    answerer: Answerer
    plan: Plan
    grid: Grid | None = None
    assembly: Assembly = field(default_factory=Assembly)
    options: Options = Options()

    def run(self, progress: Progress | None = None) -> Result:
        """Ask everything and test it.

        A run that is interrupted loses at most one question's answers if the answerer has a cache:
        run it again. The same settings give the same numbers, times excepted.

        Raises InputError if the plan asks nothing, and whatever the generator raises.
        """
        self._require()
        told = progress or _told_to_nobody
        maker = PromptMaker(self.answerer.generator, self.assembly, self.source.document)
        total = len(self.questions.questions)
        candidates = []
        for done, question in enumerate(self.questions.questions):
            told("finding passages", done, total)
            candidates.append(self.source.candidates(question))
        answered: dict[str, _AnsweredQuestion] = {}
        for done, one in enumerate(hot_order(candidates)):
            told("asking", done, total)
            answered[one.question.id] = self._ask(
                one, maker, partial(_tell_share, told, done, total)
            )
        told("asking", total, total)
        in_file_order = [answered[question.id] for question in self.questions.questions]
        times = self._times(maker, in_file_order, told)
        return self._result(in_file_order, maker, times, told)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions that are to be compared, controls aside."""
        plan = self.plan
        positions = (position_conditions(n, plan.slots) for n in plan.position_passages)
        return (
            *plan.placements,
            *(condition for sweep in positions for condition in sweep),
            *plan.budget_conditions,
            *(cell.condition for cell in (self.grid.cells if self.grid else ())),
        )

    def _ask(
        self,
        candidates: QuestionCandidates,
        maker: PromptMaker,
        on_share: Callable[[float], None],
    ) -> _AnsweredQuestion:
        """One question under every condition: its passages are read once for all of them."""
        prompts = maker.all_of(candidates, self.plan)
        if self.grid:
            prompts += maker.grid(candidates.question, self.grid)
        answers = self.answerer.answers([one.prompt for one in prompts], on_share)
        scorer = Scorer(candidates=candidates, get_document=self.source.document)
        outcomes = tuple(
            scorer.outcome(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)
        )
        fallbacks = tuple((one.condition.name, one.fallback) for one in prompts if one.fallback)
        return _AnsweredQuestion(record=scorer.record(), outcomes=outcomes, fallbacks=fallbacks)

    def _result(
        self,
        answered: Sequence[_AnsweredQuestion],
        maker: PromptMaker,
        times: Times,
        told: Progress,
    ) -> Result:
        options, plan = self.options, self.plan
        records = tuple(question.record for question in answered)
        outcomes = tuple(outcome for question in answered for outcome in question.outcomes)
        summariser = Summariser(
            seed=options.seed,
            resamples=options.resamples,
            confidence=options.confidence,
            prices=options.prices,
            answerable=frozenset(record.id for record in records if record.answerable),
        )
        analysis = Analysis(outcomes=outcomes, questions=records, summariser=summariser)
        steps = 3 + len(plan.position_passages)
        told("testing", 0, steps)
        strategies = analysis.strategies(plan, options.baseline)
        sweeps = []
        for step, n in enumerate(plan.position_passages, start=1):
            told("testing", step, steps)
            sweeps.append((n, analysis.positions(plan, n, maker.window)))
        positions = tuple(sweep for _, sweep in sweeps if sweep is not None)
        told("testing", steps - 2, steps)
        budgets = analysis.budgets(plan, times)
        told("testing", steps - 1, steps)
        grid = analysis.grid(self.grid) if self.grid else None
        told("testing", steps, steps)
        parts = [part for part in (strategies, *positions, budgets, grid) if part]
        settings = self._settings(maker)
        return Result(
            format=RESULT_FORMAT,
            settings=settings,
            questions=records,
            outcomes=outcomes,
            strategies=strategies,
            positions=positions,
            budgets=budgets,
            grid=grid,
            against=None,
            notes=notes_of(
                Noted(
                    questions=self.questions,
                    source=self.source,
                    plan=plan,
                    seed=options.seed,
                    fallbacks=tuple(pair for one in answered for pair in one.fallbacks),
                    empty_sweeps=tuple(n for n, sweep in sweeps if sweep is None),
                    strategies=strategies,
                    times=bool(budgets and budgets.latencies),
                    are_times_cold=self.answerer.generator.caches_prompts,
                    workers=self.answerer.workers,
                )
            ),
            verdict=" ".join(part.verdict for part in parts),
            recommendation=recommendation(
                parts,
                questions=len(records),
                synthetic=sum(record.synthetic for record in records),
                model=settings.model,
            ),
        )

    def _times(
        self, maker: PromptMaker, answered: Sequence[_AnsweredQuestion], told: Progress
    ) -> Times:
        """The budgets' seconds by condition, as a user meets them: nothing read before.

        In a sweep most of a prompt was read for the prompt before it, so the times are measured
        again on some questions. A server's model was asked as any user asks it: there nothing is
        measured again.
        """
        names = [condition.name for condition in self.plan.budget_conditions]
        if not self.answerer.generator.caches_prompts:
            return _as_asked(names, answered)
        times: dict[str, list[float]] = {name: [] for name in names}
        some = self.questions.questions[:COLD_QUESTIONS] if names else ()
        for done, question in enumerate(some):
            told("measuring times", done, len(some))
            for one in maker.budgets(self.source.candidates(question), self.plan):
                times[one.condition.name].append(self.answerer.cold_latency_s(one.prompt))
        return times

    def _settings(self, maker: PromptMaker) -> Settings:
        generator, options, assembly = self.answerer.generator, self.options, maker.assembly
        prices = options.prices
        return Settings(
            ragctx_version=__version__,
            command=options.command,
            questions_file=self.questions.path,
            questions_sha256=self.questions.sha256,
            questions=len(self.questions.questions),
            model=generator.name,
            model_spec=options.model_spec,
            model_hash=self.answerer.model_hash,
            decoding=generator.decoding,
            template=str(assembly.template or ""),
            context_window=maker.window,
            max_new_tokens=assembly.max_new_tokens,
            budget_tokens=assembly.budget_tokens,
            source=self.source.name,
            documents=self.source.documents,
            k=self.plan.k,
            retriever=self.source.retriever,
            select=_name_of(assembly.select),
            baseline=options.baseline,
            seed=options.seed,
            resamples=options.resamples,
            confidence=options.confidence,
            profile=options.profile,
            price_prompt=prices.prompt if prices else None,
            price_answer=prices.answer if prices else None,
        )

    def _require(self) -> None:
        plan = self.plan
        if not (plan.placements or plan.position_passages or plan.budgets or self.grid):
            raise InputError(
                "nothing is to be compared; name --strategies, --positions, --budgets, or an "
                "option such as --retriever twice"
            )
        if any(n < 2 for n in plan.position_passages) or plan.slots < 2 or plan.k < 1:
            raise InputError(
                f"position_passages={plan.position_passages}, slots={plan.slots}, k={plan.k} "
                "cannot be; give 2 or more passages and slots, and at least one candidate"
            )


def _tell_share(told: Progress, done: int, total: int, share: float) -> None:
    told("asking", done + share, total)


def _told_to_nobody(what: str, done: float, total: int) -> None:
    """No progress is shown."""


def _as_asked(names: Sequence[str], answered: Sequence[_AnsweredQuestion]) -> Times:
    """The times of some conditions when they were asked, question by question."""
    rows: Mapping[str, list[float]] = {name: [] for name in names}
    for question in answered:
        for outcome in question.outcomes:
            if outcome.condition in rows:
                rows[outcome.condition].append(outcome.latency_s)
    return rows


def _name_of(select: object) -> str:
    return select if isinstance(select, str) else str(getattr(select, "__name__", "custom"))


def sample_questions(questions: QuestionSet, count: int | None, seed: int) -> QuestionSet:
    """`count` of the questions, sampled by a hash of seed and id, in the file's order.

    None gives all. As each question's hash depends on nothing else, another order of the file, or
    more lines in it, gives nearly the same sample.

    Raises InputError for a count below 1.
    """
    if count is None or count >= len(questions.questions):
        return questions
    if count < 1:
        raise InputError(f"{count} questions cannot be drawn; give 1 or more")

    def hash_of(question: LabelledQuestion) -> bytes:
        return sha256(f"{seed}\0{question.id}".encode("utf-8", "replace")).digest()

    by_hash = sorted(questions.questions, key=hash_of)
    sampled = {question.id for question in by_hash[:count]}
    kept = tuple(question for question in questions.questions if question.id in sampled)
    return replace(questions, questions=kept)


def hot_order(candidates: Sequence[QuestionCandidates]) -> list[QuestionCandidates]:
    """Questions about the same passage one after another, so that it is still in memory."""

    def first_passage(one: QuestionCandidates) -> str:
        return one.hits[0].chunk.id if one.hits else ""

    return sorted(candidates, key=first_passage)
