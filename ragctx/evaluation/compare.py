"""A comparison from questions to `Result`: plan, ask, score, test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ragctx import __version__
from ragctx.assembly import Assembly
from ragctx.errors import InputError
from ragctx.evaluation.analysis import Comparer
from ragctx.evaluation.answering import Answerer
from ragctx.evaluation.candidates import Candidates, Source
from ragctx.evaluation.conditions import Asked, Plan, PromptMaker
from ragctx.evaluation.datasets import LabelledQuestion, QuestionSet
from ragctx.evaluation.model_identity import decoding_of
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
"""Questions of which each budget's latency is measured, with nothing read before."""

Progress = Callable[[int, int], None]
"""`(questions done, questions in all)`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What else decides a comparison's numbers, and what is written down with them."""

    baseline: str = "best_first"
    seed: int = 0
    resamples: int = RESAMPLES
    confidence: float = CONFIDENCE
    prices: Prices | None = None
    command: str = ""
    profile: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that a comparison needs, ready to `run`."""

    questions: QuestionSet
    source: Source
    answerer: Answerer
    plan: Plan
    assembly: Assembly = field(default_factory=Assembly)
    options: Options = Options()

    def run(self, progress: Progress | None = None) -> Result:
        """Ask everything and test it.

        Interrupted, it loses at most one question's answers if the answerer has a cache: run it
        again. The same settings give the same numbers, times excepted.

        Raises InputError if the plan asks nothing, or what the generator raises.
        """
        self._require()
        maker = PromptMaker(self.answerer.generator, self.assembly, self.source.text_of)
        candidates = [self.source.candidates(question) for question in self.questions.questions]
        rows: dict[str, tuple[QuestionRecord, list[Outcome]]] = {}
        for done, one in enumerate(hot_order(candidates)):
            if progress:
                progress(done, len(candidates))
            rows[one.question.id] = self._ask(one, maker)
        if progress:
            progress(len(candidates), len(candidates))
        ordered = [rows[question.id] for question in self.questions.questions]
        outcomes = tuple(outcome for _, made in ordered for outcome in made)
        return self._result(tuple(record for record, _ in ordered), outcomes, maker)

    def _ask(
        self, candidates: Candidates, maker: PromptMaker
    ) -> tuple[QuestionRecord, list[Outcome]]:
        """One question under every condition: its passages are read once for all of them."""
        asked = maker.all_of(candidates, self.plan)
        answers = self.answerer.answers([one.prompt for one in asked])
        scorer = Scorer(candidates=candidates, get_document=self.source.document)
        outcomes = [scorer.outcome(one, answer) for one, answer in zip(asked, answers, strict=True)]
        return scorer.record(), outcomes

    def _result(
        self, records: tuple[QuestionRecord, ...], outcomes: tuple[Outcome, ...], maker: PromptMaker
    ) -> Result:
        options, plan = self.options, self.plan
        answerable = frozenset(record.id for record in records if record.answerable)
        summariser = Summariser(
            seed=options.seed,
            resamples=options.resamples,
            confidence=options.confidence,
            prices=options.prices,
            answerable=answerable,
        )
        outcomes = self._with_cold_latencies(outcomes, maker)
        comparer = Comparer(outcomes, records, summariser)
        strategies = comparer.strategies(plan, options.baseline)
        sweeps = [comparer.positions(plan, n, maker.window) for n in plan.position_passages]
        positions = tuple(sweep for sweep in sweeps if sweep is not None)
        budgets = comparer.budgets(plan)
        verdicts = [part.verdict for part in (strategies, *positions, budgets) if part]
        return Result(
            format=RESULT_FORMAT,
            settings=self._settings(maker),
            questions=records,
            outcomes=outcomes,
            strategies=strategies,
            positions=positions,
            budgets=budgets,
            notes=self._notes(
                outcomes,
                [n for n, s in zip(plan.position_passages, sweeps, strict=True) if s is None],
            ),
            verdict=" ".join(verdicts),
        )

    def _with_cold_latencies(
        self, outcomes: tuple[Outcome, ...], maker: PromptMaker
    ) -> tuple[Outcome, ...]:
        """The budgets' rows with latencies as a user meets them: nothing read before.

        In a sweep everything was, so only some questions are measured; the mean stands for all. A
        server's model was asked as any user asks it: there nothing is to be measured again.
        """
        if not self.answerer.generator.caches_prompts:
            return outcomes
        means: dict[str, float] = {}
        some = self.questions.questions[:COLD_QUESTIONS] if self.plan.budgets else ()
        asked: list[Asked] = []
        for question in some:
            asked += maker.budgets(self.source.candidates(question), self.plan)
        for condition in dict.fromkeys(one.condition for one in asked):
            prompts = [one.prompt for one in asked if one.condition == condition]
            latencies = [self.answerer.cold_latency_s(prompt) for prompt in prompts]
            means[condition] = sum(latencies) / len(latencies)
        return tuple(
            replace(row, latency_s=means[row.condition]) if row.condition in means else row
            for row in outcomes
        )

    def _settings(self, maker: PromptMaker) -> Settings:
        generator, options, how = self.answerer.generator, self.options, maker.assembly
        prices = options.prices
        return Settings(
            ragctx_version=__version__,
            command=options.command,
            questions_file=self.questions.path,
            questions_sha256=self.questions.sha256,
            questions=len(self.questions.questions),
            model=generator.name,
            model_hash=self.answerer.model_hash,
            decoding=decoding_of(generator),
            template=how.template or "",
            context_window=maker.window,
            max_new_tokens=how.max_new_tokens,
            budget_tokens=how.budget_tokens,
            source=self.source.name,
            k=self.plan.k,
            retriever=self.source.retriever,
            select=getattr(how.select, "__name__", "custom"),
            baseline=options.baseline,
            seed=options.seed,
            resamples=options.resamples,
            confidence=options.confidence,
            profile=options.profile,
            price_prompt=prices.prompt if prices else None,
            price_answer=prices.answer if prices else None,
        )

    def _notes(self, outcomes: Sequence[Outcome], empty: Sequence[int]) -> tuple[str, ...]:
        """Fallbacks, once each with their number, and sweeps in which no question took part."""
        notes: dict[str, int] = {}
        for outcome in outcomes:
            if outcome.note:
                reason = outcome.note.split(":")[0]  # the rest differs from question to question
                note = f"{outcome.condition}: {reason}"
                notes[note] = notes.get(note, 0) + 1
        said = [f"{note} ({count} of its questions)" for note, count in notes.items()]
        said += [
            f"no question has a gold passage and {n - 1} distractors that fit the window together: "
            f"nothing was asked about {n} passages"
            for n in empty
        ]
        if "document_order" in self.plan.strategies and not self.source.knows_order:
            said.append("document_order is best_first here: passages of a file have no order")
        if self.plan.budgets and self.answerer.generator.caches_prompts:
            said.append(
                "latencies of budgets are those of a first question, nothing read before; all "
                "others are shares of a sweep that reads each passage once"
            )
        if any(question.synthetic for question in self.questions.questions):
            said.append("questions marked synthetic were made from the documents, not by people")
        return tuple(said)

    def _require(self) -> None:
        plan = self.plan
        if not (plan.placements or plan.position_passages or plan.budgets):
            raise InputError("nothing is to be compared; name --strategies, --positions, --budgets")
        if any(n < 2 for n in plan.position_passages) or plan.slots < 2 or plan.k < 1:
            raise InputError(
                f"position_passages={plan.position_passages}, slots={plan.slots}, k={plan.k} "
                "cannot be; give 2 or more passages and slots, and at least one candidate"
            )


def drawn(questions: QuestionSet, count: int | None, seed: int) -> QuestionSet:
    """`count` of the questions, drawn by their ids and the seed, in the file's order; None: all.

    Another order of the file, or more lines in it, draws nearly the same ones.
    """
    if count is None or count >= len(questions.questions):
        return questions
    if count < 1:
        raise InputError(f"{count} questions cannot be drawn; give 1 or more")

    def lot(question: LabelledQuestion) -> bytes:
        return sha256(f"{seed}\0{question.id}".encode("utf-8", "replace")).digest()

    chosen = {question.id for question in sorted(questions.questions, key=lot)[:count]}
    kept = tuple(question for question in questions.questions if question.id in chosen)
    return replace(questions, questions=kept)


def hot_order(candidates: Sequence[Candidates]) -> list[Candidates]:
    """Questions about the same passage one after another, so that it is still in memory."""

    def first_passage(one: Candidates) -> str:
        return one.hits[0].chunk.id if one.hits else ""

    return sorted(candidates, key=first_passage)
