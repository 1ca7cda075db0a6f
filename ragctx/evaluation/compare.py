"""A comparison from questions to `Result`: ask what was planned, score, test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ragctx import __version__
from ragctx.assembly import Assembly
from ragctx.errors import InputError
from ragctx.evaluation.analysis import Analysis
from ragctx.evaluation.answering import Answerer
from ragctx.evaluation.candidates import FilePassages, QuestionCandidates, Source
from ragctx.evaluation.conditions import Plan
from ragctx.evaluation.datasets import LabelledQuestion, QuestionSet
from ragctx.evaluation.prompts import PromptMaker
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

COLD_QUESTIONS = 5
"""How many questions each budget's latency is measured on, with nothing read before.

Chosen by hand: every prompt of these questions is read from its first token, which is slow.
"""

QuestionProgress = Callable[[int, int], None]
"""Called before each question and at the end with (questions done, questions in all)."""


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
    assembly: Assembly = field(default_factory=Assembly)
    options: Options = Options()

    def run(self, progress: QuestionProgress | None = None) -> Result:
        """Ask everything and test it.

        A run that is interrupted loses at most one question's answers if the answerer has a cache:
        run it again. The same settings give the same numbers, times excepted.

        Raises InputError if the plan asks nothing, and whatever the generator raises.
        """
        self._require()
        maker = PromptMaker(self.answerer.generator, self.assembly, self.source.document)
        candidates = [self.source.candidates(question) for question in self.questions.questions]
        answered: dict[str, _AnsweredQuestion] = {}
        for done, one in enumerate(hot_order(candidates)):
            if progress:
                progress(done, len(candidates))
            answered[one.question.id] = self._ask(one, maker)
        if progress:
            progress(len(candidates), len(candidates))
        in_file_order = [answered[question.id] for question in self.questions.questions]
        return self._result(in_file_order, maker)

    def _ask(self, candidates: QuestionCandidates, maker: PromptMaker) -> _AnsweredQuestion:
        """One question under every condition: its passages are read once for all of them."""
        prompts = maker.all_of(candidates, self.plan)
        answers = self.answerer.answers([one.prompt for one in prompts])
        scorer = Scorer(candidates=candidates, get_document=self.source.document)
        outcomes = tuple(
            scorer.outcome(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)
        )
        fallbacks = tuple((one.condition.name, one.fallback) for one in prompts if one.fallback)
        return _AnsweredQuestion(record=scorer.record(), outcomes=outcomes, fallbacks=fallbacks)

    def _result(self, answered: Sequence[_AnsweredQuestion], maker: PromptMaker) -> Result:
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
        outcomes = self._with_cold_latencies(outcomes, maker)
        analysis = Analysis(outcomes=outcomes, questions=records, summariser=summariser)
        strategies = analysis.strategies(plan, options.baseline)
        sweeps = [(n, analysis.positions(plan, n, maker.window)) for n in plan.position_passages]
        positions = tuple(sweep for _, sweep in sweeps if sweep is not None)
        budgets = analysis.budgets(plan)
        verdicts = [part.verdict for part in (strategies, *positions, budgets) if part]
        return Result(
            format=RESULT_FORMAT,
            settings=self._settings(maker),
            questions=records,
            outcomes=outcomes,
            strategies=strategies,
            positions=positions,
            budgets=budgets,
            notes=self._notes(answered, [n for n, sweep in sweeps if sweep is None]),
            verdict=" ".join(verdicts),
        )

    def _with_cold_latencies(
        self, outcomes: tuple[Outcome, ...], maker: PromptMaker
    ) -> tuple[Outcome, ...]:
        """The outcomes with the budgets' latencies as a user meets them: nothing read before.

        In a sweep most of a prompt was read for the prompt before it, so the latency is measured
        again on some questions, and their mean is recorded for all. A server's model was asked as
        any user asks it: there nothing is measured again.
        """
        if not self.answerer.generator.caches_prompts:
            return outcomes
        some = self.questions.questions[:COLD_QUESTIONS] if self.plan.budgets else ()
        latencies: dict[str, list[float]] = {}
        for question in some:
            for one in maker.budgets(self.source.candidates(question), self.plan):
                seconds = self.answerer.cold_latency_s(one.prompt)
                latencies.setdefault(one.condition.name, []).append(seconds)
        means = {name: sum(values) / len(values) for name, values in latencies.items()}
        return tuple(
            replace(row, latency_s=means[row.condition]) if row.condition in means else row
            for row in outcomes
        )

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
            model_hash=self.answerer.model_hash,
            decoding=generator.decoding,
            template=str(assembly.template or ""),
            context_window=maker.window,
            max_new_tokens=assembly.max_new_tokens,
            budget_tokens=assembly.budget_tokens,
            source=self.source.name,
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

    def _notes(
        self, answered: Sequence[_AnsweredQuestion], empty_sweeps: Sequence[int]
    ) -> tuple[str, ...]:
        """What a reader of the numbers must know, fallbacks first.

        `empty_sweeps` are the numbers of passages about which no question could be asked.
        """
        fallbacks = Counter(fallback for question in answered for fallback in question.fallbacks)
        notes = [
            f"{condition}: {fallback} ({count} of its questions)"
            for (condition, fallback), count in fallbacks.items()
        ]
        notes += [
            f"no question has a gold passage and {n - 1} distractors that fit the window together: "
            f"nothing was asked about {n} passages"
            for n in empty_sweeps
        ]
        notes += self._left_out()
        if "document_order" in self.plan.strategies and not self.source.knows_order:
            notes.append("document_order is best_first here: passages of a file have no order")
        if self.plan.budgets and self.answerer.generator.caches_prompts:
            notes.append(
                "latencies of budgets are those of a first question, nothing read before; all "
                "others are shares of a sweep that reads each passage once"
            )
        if any(question.synthetic for question in self.questions.questions):
            notes.append("questions marked synthetic were made from the documents, not by people")
        return tuple(notes)

    def _left_out(self) -> list[str]:
        """Which questions of the file, and which passages of its questions, had no part."""
        asked, total = len(self.questions.questions), self.questions.total
        notes = []
        if asked < total:
            notes.append(
                f"{asked:,} of the file's {total:,} questions were asked, drawn by seed "
                f"{self.options.seed}"
            )
        k = self.plan.k
        offered = [len(question.passages) for question in self.questions.questions]
        cut = [count for count in offered if count > k]
        if (
            cut
            and isinstance(self.source, FilePassages)
            and (self.plan.placements or self.plan.budgets)
        ):
            notes.append(
                f"{len(cut):,} of {asked:,} questions come with more than {k} passages (up to "
                f"{max(cut):,}): only the {k} best of each were used; -k {max(cut)} uses all that "
                "fit"
            )
        return notes

    def _require(self) -> None:
        plan = self.plan
        if not (plan.placements or plan.position_passages or plan.budgets):
            raise InputError("nothing is to be compared; name --strategies, --positions, --budgets")
        if any(n < 2 for n in plan.position_passages) or plan.slots < 2 or plan.k < 1:
            raise InputError(
                f"position_passages={plan.position_passages}, slots={plan.slots}, k={plan.k} "
                "cannot be; give 2 or more passages and slots, and at least one candidate"
            )


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
