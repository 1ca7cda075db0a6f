"""Options that several commands share, each group gathered into one record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ragctx.cli.types import IndexName, MinScore, PageRange, PlacementName
from ragctx.errors import InputError
from ragctx.paths import DEFAULT_INDEX
from ragctx.placement.laws import Strategy
from ragctx.placement.strategies import STRATEGIES
from ragctx.text.well_formed import well_formed

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.index.address import IndexPlace
    from ragctx.placement.orders import PositionProfile
    from ragctx.retrieval import Retrieval, ScoreScale
    from ragctx.selection.floors import Floor

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalOptions:
    """The options for finding passages, as they were given."""

    k: int
    retriever: str
    documents: tuple[str, ...]
    pages: tuple[int | None, int | None]
    rerank: str
    mmr: float | None

    def resolve(self) -> Retrieval:
        """The settings for the pipeline."""
        from ragctx.index.filters import Filter
        from ragctx.reranking import load_reranker
        from ragctx.retrieval import RETRIEVERS, Retrieval

        return Retrieval(
            k=self.k,
            retriever=RETRIEVERS[self.retriever],
            filter=Filter(self.documents, *self.pages),
            reranker=None if self.rerank == NO_RERANKER else load_reranker(self.rerank),
            mmr_lambda=self.mmr,
        )

    @property
    def scale(self) -> ScoreScale:
        """What the scores of the passages are."""
        from ragctx.retrieval import RERANK_SCALE, SCORE_SCALES

        return SCORE_SCALES[self.retriever] if self.rerank == NO_RERANKER else RERANK_SCALE


NO_RERANKER = "none"
"""What `--rerank` is when the search's own order stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyOptions:
    """The options for the prompt, as they were given."""

    budget_tokens: int | None
    context_window: int | None
    max_new_tokens: int
    placement: str | Strategy
    seed: int
    select: str
    template: str | None
    profile_path: Path | None
    min_score: float | Literal["auto"] | None = None
    max_chunks: int | None = None
    trim: bool = False
    expand: int = 0
    prefer_cached: bool = False

    def resolve(self, scale: ScoreScale) -> Assembly:
        """The settings for the pipeline, with passages scored on `scale`.

        A template that cannot be used and a floor beyond the scale are errors here.
        """
        from ragctx.assembly import Assembly
        from ragctx.prompt.template import load_template
        from ragctx.selection.selectors import SELECTORS

        if self.template is not None:
            load_template(self.template)
        return Assembly(
            budget_tokens=self.budget_tokens,
            context_window=self.context_window,
            max_new_tokens=self.max_new_tokens,
            placement=self.placement,
            template=self.template,
            select=SELECTORS[self.select],
            seed=self.seed,
            profile=read_profile(self.profile_path),
            floor=self._floor(scale),
            max_chunks=self.max_chunks,
            trim=self.trim,
            expand=self.expand,
            prefer_cached=self.prefer_cached,
        )

    def _floor(self, scale: ScoreScale) -> Floor | None:
        from ragctx.selection.floors import at_least, near_best

        if self.min_score is None:
            return None
        if self.min_score == "auto":
            return near_best
        scale.require(self.min_score)
        return at_least(self.min_score, scale.name)


def read_profile(path: Path | None) -> PositionProfile | None:
    """The position profile in a file that `ragctx probe` wrote."""
    if path is None:
        return None
    from ragctx.evaluation.profiles import load_profile

    return load_profile(path).for_placement()


# The keys of `ragctx.retrieval.RETRIEVERS` and `ragctx.selection.selectors.SELECTORS`, which a test
# compares. Those modules load numpy: importing them here would make every --help slow.
RETRIEVER_NAMES = ("hybrid", "dense", "lexical")
SELECTOR_NAMES = ("fill", "prefix", "knapsack")


narrowing_options: tuple[Decorator, ...] = (
    click.option(
        "--document",
        "documents",
        multiple=True,
        metavar="NAME",
        help="Search only this document: its name or path, or any part of it, a pattern or an "
        "id. May be repeated.",
    ),
    click.option(
        "--pages",
        type=PageRange(),
        default=(None, None),
        help="Search only these pages, e.g. 3-7.",
    ),
    click.option(
        "--mmr",
        type=click.FloatRange(0, 1),
        metavar="LAMBDA",
        help="Trade relevance (1) for variety (0): maximal marginal relevance.",
    ),
)
"""--document, --pages, --mmr: where passages are searched, and how varied they are to be."""


def retrieval_options(*, k: int) -> Decorator:
    """-k, --retriever, --document, --pages, --mmr: given to the command as `retrieval`."""
    options: tuple[Decorator, ...] = (
        click.option(
            "-k",
            "k",
            type=click.IntRange(min=1),
            default=k,
            show_default=True,
            metavar="N",
            help="Number of passages to retrieve.",
        ),
        click.option(
            "--retriever",
            type=click.Choice(RETRIEVER_NAMES),
            default="hybrid",
            show_default=True,
            metavar="NAME",
            help=f"Retrieval method: {', '.join(RETRIEVER_NAMES)}.",
        ),
        click.option(
            "--rerank",
            default=NO_RERANKER,
            show_default=True,
            metavar="none|bundled|DIR",
            help="Have the 30 best candidates scored once more: by the bundled reader, or by a "
            "cross-encoder of sentence-transformers (its directory, or its name in the Hugging "
            "Face cache).",
        ),
        *narrowing_options,
    )
    return gathered("retrieval", RetrievalOptions, options)


def assembly_options(command: Command) -> Command:
    """The options that make a prompt: given to the command as `assembly`."""
    tokens = click.IntRange(min=1)
    options: tuple[Decorator, ...] = (
        click.option(
            "--budget-tokens",
            type=tokens,
            metavar="N",
            help="Maximum length of the whole prompt.  [default: what the context window leaves]",
        ),
        click.option(
            "--context-window",
            type=tokens,
            metavar="N",
            help="The model's context window: tokens of prompt and answer together.",
        ),
        click.option(
            "--max-new-tokens",
            type=tokens,
            default=256,
            show_default=True,
            metavar="N",
            help="Tokens reserved for the answer.",
        ),
        click.option(
            "--placement",
            type=PlacementName(),
            default="edges",
            show_default=True,
            help=f"Order of the passages: {', '.join(STRATEGIES)}; or your own function.",
        ),
        click.option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="Random seed for --placement random.",
        ),
        click.option(
            "--select",
            type=click.Choice(SELECTOR_NAMES),
            default="fill",
            show_default=True,
            metavar="NAME",
            help=f"How to choose passages when not all fit: {', '.join(SELECTOR_NAMES)}.",
        ),
        click.option(
            "--min-score",
            type=MinScore(),
            help="Leave out passages with a lower score, as search and explain show it: a cosine "
            "with --retriever dense, BM25 with lexical, an RRF score (up to 0.0328) with hybrid. "
            "auto: those far less similar to the question than the best one.",
        ),
        click.option(
            "--max-chunks",
            type=click.IntRange(min=1),
            metavar="N",
            help="Consider only the N best passages.",
        ),
        click.option(
            "--trim",
            is_flag=True,
            help="Shorten the best passage that does not fit, at the end of a sentence.",
        ),
        expand_option(
            "Also show the N chunks before and after each passage, as far as tokens are left."
        ),
        click.option(
            "--template",
            metavar="NAME|FILE",
            help="Prompt template: qa, another built-in name, or a file.",
        ),
        profile_option,
    )
    return gathered("assembly", AssemblyOptions, options)(command)


def prefer_cached_option(command: Command) -> Command:
    """--prefer-cached, for commands that answer: beside `assembly_options`, whose record has it."""
    option = click.option(
        "--prefer-cached",
        is_flag=True,
        help="Of orders as good as the placement's, take the one whose prompt begins most as what "
        "the model has read: it need not read that again.",
    )
    return option(command)


def expand_option(help: str) -> Decorator:
    """--expand."""
    return click.option(
        "--expand",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help=help,
    )


def profile_option(command: Command) -> Command:
    """--profile."""
    option = click.option(
        "--profile",
        "profile_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Position profile for --placement calibrated, written by `ragctx probe`.  "
        "[default: the one measured for this model]",
    )
    return option(command)


def tokenizer_option(command: Command) -> Command:
    """--tokenizer."""
    option = click.option(
        "--tokenizer",
        "tokenizer_spec",
        default="bundled",
        show_default=True,
        metavar="bundled|DIR|tiktoken:NAME",
        help="Tokenizer to count with, e.g. tiktoken:o200k_base or the directory of a "
        "Hugging Face model.",
    )
    return option(command)


def index_option(command: Command) -> Command:
    """--index, once at most."""
    option = click.option(
        "--index",
        "index_path",
        type=IndexName(),
        multiple=True,  # so that the second one is seen, where click would silently take the last
        default=(DEFAULT_INDEX,),
        callback=_only_one,
        help="Folder of the index, or the address of a PostgreSQL database "
        f"(postgresql://user@host/database).  [default: {DEFAULT_INDEX.as_posix()}]",
    )
    return option(command)


def _only_one(
    ctx: click.Context, option: click.Parameter, values: tuple[IndexPlace, ...]
) -> IndexPlace:
    if len(values) > 1:
        raise click.UsageError(f"{option.opts[0]} is given {len(values)} times; name one.", ctx)
    return values[0]


def embedder_option(command: Command) -> Command:
    """--embedder."""
    option = click.option(
        "--embedder",
        "embedder_spec",
        default="default",
        show_default=True,
        metavar="NAME|DIR",
        help="Model that computes the embeddings: the bundled one in 32 or in 8 bits (float32, "
        "int8), or another. The default is the index's own, and for a new one int8.",
    )
    return option(command)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def password_option(command: Command) -> Command:
    """--password."""
    option = click.option(
        "--password",
        envvar="RAGCTX_PASSWORD",
        show_envvar=True,
        metavar="TEXT",
        help="Password for encrypted PDFs.",
    )
    return option(command)


def read_question(words: str | None) -> str:
    """The question as given, or from standard input for "-" and for none.

    Raises InputError when there is none.
    """
    piped = sys.stdin is not None and not sys.stdin.isatty()
    if words is None and not piped:
        raise InputError('no question was given; for example: ragctx ask "How long is it?" a.pdf')
    given = sys.stdin.read() if words in (None, "-") else words or ""
    question = well_formed(" ".join(given.split()))  # a terminal may not be UTF-8
    if not question:
        raise InputError(
            f"the question is empty ({words or ''!r}); give one in quotation marks, or - to read "
            "it from standard input"
        )
    return question


def gathered(name: str, record: Callable[..., object], options: Iterable[Decorator]) -> Decorator:
    """A decorator that adds `options` and hands their values over as one `record` called `name`."""
    fields = tuple(signature(record).parameters)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def gathering(*args: object, **values: object) -> object:
            given = {field: values.pop(field) for field in fields if field in values}
            values[name] = record(**given)
            return command(*args, **values)

        made: Command = gathering
        for option in reversed(tuple(options)):
            made = option(made)
        return made

    return decorate
