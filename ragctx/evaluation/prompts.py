"""The prompts of a comparison: one question under every condition of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly, assemble
from ragctx.errors import BudgetError
from ragctx.evaluation.candidates import QuestionCandidates
from ragctx.evaluation.conditions import (
    CLOSED_BOOK,
    GOLD_ONLY,
    Condition,
    Plan,
    position_conditions,
)
from ragctx.evaluation.datasets import LabelledQuestion
from ragctx.evaluation.grid import Grid
from ragctx.pipeline import fit_generator
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import Template, load_template, parse_template
from ragctx.records import GetDocument, Hit, Placement, Prompt

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator

CLOSED_BOOK_TEMPLATE = parse_template(
    "{passages}{text}{/passages}Answer the question in a few words.\n\n"
    "Question:\n{question}\n\nAnswer:\n",
    "closed_book",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionPrompt:
    """One question under one condition, ready to be answered.

    `fallback` tells why the prompt is not the one that the condition asks for, in words that are
    the same for every question ("" where it is the one asked for); `detail` adds what differs from
    question to question.
    """

    condition: Condition
    prompt: Prompt
    candidates: QuestionCandidates  # that the prompt's passages were taken from
    fallback: str = ""
    detail: str = ""

    @property
    def note(self) -> str:
        """The fallback with its detail, as `Outcome.note` holds it."""
        return f"{self.fallback}: {self.detail}" if self.detail else self.fallback


class PromptMaker:
    """Makes the prompts for one generator."""

    def __init__(self, generator: Generator, assembly: Assembly, get_document: GetDocument) -> None:
        self.assembly = fit_generator(assembly, generator)
        self.window = self.assembly.context_window or generator.context_window
        self._generator = generator
        self._tokenizer = generator.tokenizer
        self._get_document = get_document
        self._template = load_template(self.assembly.template or "qa")
        # The bundled reader reads one layout only; without passages it answers "not in the
        # documents", whatever the words around the question are.
        reads_one_layout = generator.template == "reader"
        self._closed_book = self._template if reads_one_layout else CLOSED_BOOK_TEMPLATE

    def all_of(self, candidates: QuestionCandidates, plan: Plan) -> list[ConditionPrompt]:
        """Every prompt of one question."""
        prompts = [*self.strategies(candidates, plan)]
        if plan.controls and plan.placements:
            prompts += self.controls(candidates)
        for passages in plan.position_passages:
            prompts += self.positions(candidates, passages, plan.slots)
        prompts += self.budgets(candidates, plan)
        return prompts

    def strategies(self, candidates: QuestionCandidates, plan: Plan) -> Iterator[ConditionPrompt]:
        """The same passages, placed by each strategy."""
        for condition in plan.placements:
            assembly = replace(self.assembly, placement=condition.strategy, seed=condition.seed)
            yield self._assembled(condition, candidates, plan.k, assembly)

    def grid(self, question: LabelledQuestion, grid: Grid) -> Iterator[ConditionPrompt]:
        """The question under every combination, with what its own source brings."""
        for cell in grid.cells:
            assembly = fit_generator(cell.assembly, self._generator)
            candidates = cell.source.candidates(question)
            yield self._assembled(cell.condition, candidates, cell.k, assembly)

    def controls(self, candidates: QuestionCandidates) -> Iterator[ConditionPrompt]:
        """Without any passage; and, where there is one, with the gold passage alone."""
        question = candidates.question.question
        bare = self._built(question, self._closed_book, ())
        yield ConditionPrompt(condition=CLOSED_BOOK, prompt=bare, candidates=candidates)
        if candidates.gold_hits:
            alone = self._fitting(question, (_unranked(candidates.gold_hits[0]),))
            if alone is not None:
                yield ConditionPrompt(condition=GOLD_ONLY, prompt=alone, candidates=candidates)

    def positions(
        self, candidates: QuestionCandidates, passages: int, slots: int
    ) -> list[ConditionPrompt]:
        """The gold passage in each of `slots` slots among the same `passages` - 1 distractors.

        Empty where the question has no gold passage or too few distractors, or where not all
        passages fit: a question takes part in every slot or in none.
        """
        gold, distractors = candidates.gold_hits[:1], candidates.distractors[: passages - 1]
        if not gold or len(distractors) < passages - 1:
            return []
        prompts = []
        for condition in position_conditions(passages, slots):
            hits = (*distractors[: condition.slot], *gold, *distractors[condition.slot :])
            prompt = self._fitting(candidates.question.question, tuple(map(_unranked, hits)))
            if prompt is None:
                return []
            made = ConditionPrompt(condition=condition, prompt=prompt, candidates=candidates)
            prompts.append(made)
        return prompts

    def budgets(self, candidates: QuestionCandidates, plan: Plan) -> Iterator[ConditionPrompt]:
        """What fits of the same candidates into each budget."""
        for condition in plan.budget_conditions:
            assembly = replace(
                self.assembly, placement=plan.budget_strategy, budget_tokens=condition.budget
            )
            yield self._assembled(condition, candidates, plan.k, assembly)

    def _assembled(
        self, condition: Condition, candidates: QuestionCandidates, k: int, assembly: Assembly
    ) -> ConditionPrompt:
        question = candidates.question.question
        try:
            prompt = assemble(
                question,
                candidates.best(k),
                self._tokenizer,
                context_window=self.window,
                assembly=assembly,
                get_document=self._get_document,
            )
        except BudgetError as error:
            return ConditionPrompt(
                condition=condition,
                prompt=self._built(question, self._closed_book, ()),
                candidates=candidates,
                fallback="asked without passages",
                detail=str(error),
            )
        wanted = str(assembly.placement)
        as_wanted = prompt.placement == wanted
        return ConditionPrompt(
            condition=condition,
            prompt=prompt,
            candidates=candidates,
            fallback="" if as_wanted else f"{prompt.placement} instead of {wanted}",
        )

    def _fitting(self, question: str, hits: tuple[Hit, ...]) -> Prompt | None:
        try:
            return self._built(question, self._template, hits)
        except BudgetError:
            return None

    def _built(self, question: str, template: Template, hits: tuple[Hit, ...]) -> Prompt:
        return build_prompt(
            template,
            question,
            Placement("as given", hits),
            self._tokenizer,
            context_window=self.window,
            max_new_tokens=self.assembly.max_new_tokens,
        )


def _unranked(hit: Hit) -> Hit:
    """The hit as if no search had ranked it.

    A reader may trust rank 1 more (the bundled one does): a sweep must not tell it where gold is.
    """
    return replace(hit, rank=1, score=0.0, similarity=None)
