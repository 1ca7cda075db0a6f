"""The prompts of a comparison: every way in which one question is asked.

Each way is a condition, named by a path (see `results`). What a condition changes is one thing: the
order of the passages, the slot of the gold one, or the budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly, assemble
from ragctx.errors import BudgetError
from ragctx.evaluation.candidates import Candidates
from ragctx.pipeline import fit_generator
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import Template, load_template, parse_template
from ragctx.records import GetDocument, Hit, Placement, Prompt

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator

CLOSED_BOOK = parse_template(
    "{passages}{text}{/passages}Answer the question in a few words.\n\n"
    "Question:\n{question}\n\nAnswer:\n",
    "closed_book",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be compared. Empty tuples leave a part out."""

    strategies: tuple[str, ...] = ()
    random_seeds: tuple[int, ...] = (0, 1, 2)  # of the strategy "random", each its own condition
    controls: bool = True  # closed book, and the gold passage alone
    k: int = 20  # candidates of the strategies and budgets
    position_passages: tuple[int, ...] = ()
    slots: int = 5
    budgets: tuple[int, ...] = ()  # tokens of the whole prompt
    budget_strategy: str = "edges"

    @property
    def placements(self) -> tuple[tuple[str, str, int], ...]:
        """(condition, strategy, seed) of every placement, in the order in which it is shown."""
        plain = [(f"strategy/{name}", name, 0) for name in self.strategies if name != "random"]
        seeds = self.random_seeds if "random" in self.strategies else ()
        return (*plain, *((f"strategy/random#{seed}", "random", seed) for seed in seeds))

    @property
    def most_passages(self) -> int:
        """Candidates that some part of the plan needs."""
        return max(self.k, *self.position_passages, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question under one condition, ready to be answered."""

    condition: str
    prompt: Prompt
    note: str = ""


def slots_of(passages: int, slots: int) -> tuple[int, ...]:
    """Slots of a sweep, counted from 0: the first, the last, and equal steps between.

    >>> slots_of(20, 5), slots_of(10, 3), slots_of(3, 5)
    ((0, 4, 9, 14, 19), (0, 4, 9), (0, 1, 2))
    """
    if slots >= passages:
        return tuple(range(passages))
    return tuple(i * (passages - 1) // max(1, slots - 1) for i in range(slots))


def budgets_up_to(largest: int, least: int = 256) -> tuple[int, ...]:
    """Budgets that double from `least`, and the largest possible one.

    >>> budgets_up_to(1500)
    (256, 512, 1024, 1500)
    """
    doubled = [least * 2**i for i in range(max(0, largest // least).bit_length())]
    return (*(budget for budget in doubled if budget < largest), largest)


class PromptMaker:
    """Makes the prompts for one generator."""

    def __init__(self, generator: Generator, assembly: Assembly, get_document: GetDocument) -> None:
        self.assembly = fit_generator(assembly, generator)
        self.window = self.assembly.context_window or generator.context_window
        self._tokenizer = generator.tokenizer
        self._get_document = get_document
        self._template = load_template(self.assembly.template or "qa")
        # The bundled reader reads one layout only; it says "not in the documents" without passages.
        own = generator.template == "reader"
        self._closed_book = self._template if own else CLOSED_BOOK

    def all_of(self, candidates: Candidates, plan: Plan) -> list[Asked]:
        """Every prompt of one question."""
        return [
            *self.strategies(candidates, plan),
            *(self.controls(candidates) if plan.controls and plan.placements else ()),
            *(
                asked
                for passages in plan.position_passages
                for asked in self.positions(candidates, passages, plan.slots)
            ),
            *self.budgets(candidates, plan),
        ]

    def strategies(self, candidates: Candidates, plan: Plan) -> Iterator[Asked]:
        """The same passages, placed by each strategy."""
        for condition, name, seed in plan.placements:
            how = replace(self.assembly, placement=name, seed=seed)
            yield self._assembled(condition, candidates, plan.k, how)

    def controls(self, candidates: Candidates) -> Iterator[Asked]:
        """Without any passage; and, where there is one, with the gold passage alone."""
        question = candidates.question.question
        yield Asked("control/closed_book", self._built(question, self._closed_book, ()))
        for hit in candidates.gold_hits[:1]:
            alone = self._fitting(question, (_unranked(hit),))
            if alone is not None:
                yield Asked("control/gold_only", alone)

    def positions(self, candidates: Candidates, passages: int, slots: int) -> list[Asked]:
        """The gold passage in each slot among the same distractors.

        Nothing where the question has no gold passage or too few distractors, or where not all
        passages fit: a question takes part in every slot or in none.
        """
        gold, distractors = candidates.gold_hits[:1], candidates.distractors[: passages - 1]
        if not gold or len(distractors) < passages - 1:
            return []
        asked = []
        for slot in slots_of(passages, slots):
            hits = (*distractors[:slot], *gold, *distractors[slot:])
            prompt = self._fitting(candidates.question.question, tuple(map(_unranked, hits)))
            if prompt is None:
                return []
            asked.append(Asked(f"position/{passages}/{slot}", prompt))
        return asked

    def budgets(self, candidates: Candidates, plan: Plan) -> Iterator[Asked]:
        """What fits of the same candidates into each budget."""
        for budget in plan.budgets:
            how = replace(self.assembly, placement=plan.budget_strategy, budget_tokens=budget)
            yield self._assembled(f"budget/{budget}", candidates, plan.k, how)

    def _assembled(self, condition: str, candidates: Candidates, k: int, how: Assembly) -> Asked:
        question, hits = candidates.question.question, candidates.best(k)
        try:
            prompt = assemble(
                question,
                hits,
                self._tokenizer,
                context_window=self.window,
                assembly=how,
                get_document=self._get_document,
            )
        except BudgetError as error:
            bare = self._built(question, self._closed_book, ())
            return Asked(condition, bare, f"asked without passages: {error}")
        wanted = str(how.placement)
        note = f"{prompt.placement} instead of {wanted}" if prompt.placement != wanted else ""
        return Asked(condition, prompt, note)

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
    return replace(hit, rank=1, score=0.0, similarity=math.nan)
