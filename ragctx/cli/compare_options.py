"""The options of `ragctx compare`, in groups: what is asked, found, prompted, and how it is run.

Some options may be given several times. Each of them is then an axis of a grid: every combination
of their values is asked, and the first values are what everything else is asked with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ragctx.cli import options
from ragctx.errors import InputError
from ragctx.placement.strategies import STRATEGIES

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.evaluation.conditions import Plan
    from ragctx.evaluation.summaries import Prices
    from ragctx.reranking import Reranker
    from ragctx.retrieval import Retrieval

OWN = (
    "best_first",
    "best_last",
    "edges",
    "edges_end",
    "middle",
    "document_order",
    "random",
    "calibrated",
)
"""The strategies compared unless others are named; the rest imitate other packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Options for what is asked."""

    strategies: str
    random_seeds: int
    no_controls: bool
    baseline: str
    positions: str | None
    slots: int
    budgets: str | None
    placements: tuple[str, ...]
    count: int | None

    @property
    def passages(self) -> tuple[int, ...]:
        """The numbers of passages to move the gold one through."""
        return () if self.positions is None else _numbers(self.positions, "--positions")

    def plan(self, k: int, strategies: tuple[str, ...], largest_budget: int) -> Plan:
        """The plan these options ask for.

        `k` is the number of candidates; with `--budgets auto`, budgets double up to
        `largest_budget` tokens.
        """
        from ragctx.evaluation.conditions import Plan, budgets_up_to

        if self.budgets == "auto":
            budgets = budgets_up_to(largest_budget)
        else:
            budgets = () if self.budgets is None else _numbers(self.budgets, "--budgets")
        return Plan(
            strategies=strategies,
            random_seeds=tuple(range(self.random_seeds)),
            controls=not self.no_controls,
            k=k,
            position_passages=self.passages,
            slots=self.slots,
            budgets=budgets,
            budget_strategy=self.placements[0],
        )

    def named_strategies(self) -> tuple[str, ...]:
        """The strategies named by `--strategies`, each once.

        Raises InputError for a name that is not a placement.
        """
        if self.strategies in ("own", "all", "none"):
            return {"own": OWN, "all": tuple(STRATEGIES), "none": ()}[self.strategies]
        names = tuple(dict.fromkeys(name.strip() for name in self.strategies.split(",")))
        unknown = [name for name in names if name not in STRATEGIES]
        if unknown:
            raise InputError(
                f"no placement is called {unknown[0]!r}; valid: own, all, none, or some of "
                f"{', '.join(STRATEGIES)} with commas between"
            )
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """Options for finding passages. Chunk sizes are empty where the index is taken as it is."""

    chunk_tokens: tuple[int, ...]
    retrievers: tuple[str, ...]
    rerankers: tuple[str, ...]  # directories or names, or "none"
    ks: tuple[int, ...]
    documents: tuple[str, ...]
    pages: tuple[int | None, int | None]
    mmr: float | None

    def retrieval(self, retriever: str, reranker: Reranker | None, k: int) -> Retrieval:
        """The settings of one search."""
        searched = options.RetrievalOptions(
            k=k,
            retriever=retriever,
            documents=self.documents,
            pages=self.pages,
            rerank=options.NO_RERANKER,
            mmr=self.mmr,
        )
        return replace(searched.resolve(), reranker=reranker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """Options for every prompt."""

    budgets_tokens: tuple[int, ...]
    context_window: int | None
    max_new_tokens: int
    select: str
    template: str | None
    profile_path: Path | None

    def resolve(self) -> Assembly:
        """The assembly these options ask for. Raises what a template that cannot be used raises."""
        from ragctx.assembly import Assembly
        from ragctx.prompt.template import load_template
        from ragctx.selection.selectors import SELECTORS

        if self.template is not None:
            load_template(self.template)  # an unusable one is an error now, not after the model
        return Assembly(
            budget_tokens=next(iter(self.budgets_tokens), None),
            context_window=self.context_window,
            max_new_tokens=self.max_new_tokens,
            template=self.template,
            select=SELECTORS[self.select],
            profile=options.read_profile(self.profile_path),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Options for how the run is done and what is kept of it."""

    seed: int
    resamples: int
    workers: int
    no_cache: bool
    price_prompt: float | None
    price_answer: float | None
    output: Path | None
    against: Path | None
    fail_if: Literal["worse"] | None
    margin: float

    def prices(self) -> Prices | None:
        """The prices; where only one is given the other is 0, and None where none is."""
        from ragctx.evaluation.summaries import Prices

        if self.price_prompt is None and self.price_answer is None:
            return None
        return Prices(self.price_prompt or 0.0, self.price_answer or 0.0)


def _numbers(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers in "256,512", ascending, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{option} is {text!r}; give whole numbers above 0: {option} 256,512")
    return tuple(sorted({int(part) for part in parts}))


asking_options = options.gathered(
    "asking",
    Asking,
    (
        click.option(
            "--strategies",
            default="own",
            show_default=True,
            metavar="own|all|none|NAME,...",
            help=f"Placements: own ({', '.join(OWN)}), all (also those of other packages), or "
            f"some of {', '.join(STRATEGIES)}.",
        ),
        click.option(
            "--random-seeds",
            type=click.IntRange(min=1),
            default=3,
            show_default=True,
            metavar="N",
            help="Number of random orders.",
        ),
        click.option(
            "--no-controls",
            is_flag=True,
            help="Leave out the controls: no passage at all, and only the gold passage.",
        ),
        click.option(
            "--baseline",
            default="best_first",
            show_default=True,
            metavar="NAME",
            help="Strategy that the others are tested against.",
        ),
        click.option(
            "--positions",
            metavar="N,N,...",
            help="Also move the gold passage through prompts of N passages, e.g. 10,20.",
        ),
        click.option(
            "--slots",
            type=click.IntRange(min=2),
            default=5,
            show_default=True,
            metavar="N",
            help="Number of positions to test, first and last included.",
        ),
        click.option(
            "--budgets",
            metavar="auto|N,N,...",
            help="Also ask within budgets of N tokens; auto: 256, doubled up to the window.",
        ),
        click.option(
            "--placement",
            "placements",
            type=click.Choice(tuple(STRATEGIES)),
            default=("edges",),
            show_default=True,
            multiple=True,
            metavar="NAME",
            help="Placement of the passages in the budget sweep. May be repeated.",
        ),
        click.option(
            "-n",
            "--questions",
            "count",
            type=click.IntRange(min=1),
            metavar="N",
            help="Ask only N of the questions, drawn by --seed.  [default: all]",
        ),
    ),
)
searching_options = options.gathered(
    "searching",
    Searching,
    (
        click.option(
            "-k",
            "ks",
            type=click.IntRange(min=1),
            default=(20,),
            show_default=True,
            multiple=True,
            metavar="N",
            help="Number of passages to retrieve. May be repeated.",
        ),
        click.option(
            "--retriever",
            "retrievers",
            type=click.Choice(options.RETRIEVER_NAMES),
            default=("hybrid",),
            show_default=True,
            multiple=True,
            metavar="NAME",
            help=f"Retrieval method: {', '.join(options.RETRIEVER_NAMES)}. May be repeated.",
        ),
        click.option(
            "--rerank",
            "rerankers",
            default=(options.NO_RERANKER,),
            show_default=True,
            multiple=True,
            metavar="none|bundled|DIR",
            help="Have the bundled reader, or this cross-encoder, score the 30 best candidates "
            "once more. May be repeated: --rerank none --rerank bundled tests what it brings.",
        ),
        click.option(
            "--chunk-tokens",
            type=click.IntRange(min=16),
            multiple=True,
            metavar="N",
            help="Cut the PDFs, those of the index too, into chunks of N tokens. May be repeated.",
        ),
        *options.narrowing_options,
    ),
)
prompting_options = options.gathered(
    "prompting",
    Prompting,
    (
        click.option(
            "--budget-tokens",
            "budgets_tokens",
            type=click.IntRange(min=1),
            multiple=True,
            metavar="N",
            help="Maximum length of every prompt. May be repeated.  "
            "[default: what the context window leaves]",
        ),
        click.option(
            "--context-window",
            type=click.IntRange(min=1),
            metavar="N",
            help="The model's context window: tokens of prompt and answer together.",
        ),
        click.option(
            "--max-new-tokens",
            type=click.IntRange(min=1),
            default=48,
            show_default=True,
            metavar="N",
            help="Tokens reserved for the answer.",
        ),
        click.option(
            "--select",
            type=click.Choice(options.SELECTOR_NAMES),
            default="fill",
            show_default=True,
            metavar="NAME",
            help=f"How to choose passages when not all fit: {', '.join(options.SELECTOR_NAMES)}.",
        ),
        click.option(
            "--template",
            metavar="NAME|FILE",
            help="Prompt template: qa, another built-in name, or a file.",
        ),
        options.profile_option,
    ),
)
running_options = options.gathered(
    "running",
    Running,
    (
        click.option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="Random seed for drawing questions and for resampling.",
        ),
        click.option(
            "--resamples",
            type=click.IntRange(min=100),
            default=2000,
            show_default=True,
            metavar="N",
            help="Number of resamples, for bootstrap and permutation tests.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, 64),
            default=1,
            show_default=True,
            metavar="N",
            help="Prompts sent at once to a model on a server.",
        ),
        click.option(
            "--no-cache", is_flag=True, help="Neither store answers nor reuse stored ones."
        ),
        click.option(
            "--price-prompt",
            type=click.FloatRange(min=0),
            metavar="X",
            help="Price of a million prompt tokens.",
        ),
        click.option(
            "--price-answer",
            type=click.FloatRange(min=0),
            metavar="X",
            help="Price of a million answer tokens.",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="FOLDER",
            help="Write the result and a report to this folder.",
        ),
        click.option(
            "--against",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="RUN.json",
            help="Also compare with a saved run of the same questions and conditions: the "
            "result.json that -o wrote.",
        ),
        click.option(
            "--fail-if",
            type=click.Choice(("worse",)),
            help="Exit with code 1 if any condition is measurably worse than in the saved run.",
        ),
        click.option(
            "--margin",
            type=click.FloatRange(0, 100),
            default=0.0,
            show_default=True,
            metavar="POINTS",
            help="Let drops up to this many points pass.",
        ),
    ),
)
