"""`ragctx compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.compare_options import (
    Asking,
    Prompting,
    Running,
    Searching,
    asking_options,
    prompting_options,
    running_options,
    searching_options,
)
from ragctx.cli.compare_sources import SourceOf, grid_of, source_of_all
from ragctx.cli.comparison import answerer_of, run_comparison, typed_command
from ragctx.cli.comparison_tables import print_result
from ragctx.cli.exit_codes import FAILED, OK, say
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options, own_profile
from ragctx.cli.output import shown_path, write_json
from ragctx.cli.progress import loading
from ragctx.cli.session import Sources
from ragctx.cli.types import IndexName
from ragctx.errors import InputError
from ragctx.paths import DEFAULT_INDEX

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.evaluation.compare import Comparison
    from ragctx.evaluation.datasets import QuestionSet
    from ragctx.evaluation.results import Result
    from ragctx.generator.protocol import Generator
    from ragctx.index.address import IndexPlace
    from ragctx.placement.orders import PositionProfile


@examples(
    "ragctx compare questions.jsonl",
    "ragctx compare questions.jsonl --index indexes/work --budgets auto -o report/",
    "ragctx compare questions.jsonl a.pdf --retriever dense --retriever hybrid -k 5 -k 20",
    "ragctx compare nq-open-20.jsonl.gz --positions 10,20 --model ~/models/qwen",
    "ragctx compare dev-v2.0.json -n 200 --strategies best_first,edges,random",
    "ragctx compare q.jsonl --strategies edges --against report/result.json --fail-if worse",
    "ragctx compare q.jsonl --model http://127.0.0.1:8000/v1#qwen --tokenizer ~/models/qwen",
)
@click.command("compare", cls=Command)
@click.argument(
    "questions_path",
    metavar="QUESTIONS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.argument("pdfs", nargs=-1, metavar="[FILE]...")
@click.option(
    "--index",
    "index_path",
    type=IndexName(),
    help="Search this index for passages, instead of using the questions' own.",
)
@options.embedder_option
@options.password_option
@model_options
@searching_options
@asking_options
@prompting_options
@running_options
@options.json_option
@click.pass_context
def compare_command(
    ctx: click.Context,
    questions_path: Path,
    pdfs: tuple[str, ...],
    index_path: IndexPlace | None,
    embedder_spec: str,
    password: str | None,
    model: Model,
    searching: Searching,
    asking: Asking,
    prompting: Prompting,
    running: Running,
    as_json: bool,
) -> int:
    """Compare ways to find passages and to place them in the prompt, with paired tests.

    Every question is asked under every condition, and every difference is tested: the last lines
    report what was found, how large a difference the run could have detected, and what to do.
    QUESTIONS is a SQuAD file, or a JSONL file in the layout of ragctx, Lost in the Middle, or
    key-value retrieval; any of them may be gzipped. Passages are the questions' own, or are
    searched for in an index or in PDFs. An interrupted run continues where it stopped.

    Where -k, --retriever, --rerank, --chunk-tokens, --placement or --budget-tokens is repeated,
    every combination is asked as well, in a table of its own. With --fail-if worse the exit code is
    1 where the run is measurably worse than the saved one.
    """
    from ragctx.evaluation.against import against, read_result, require_comparable
    from ragctx.evaluation.datasets import read_questions

    if pdfs and index_path is not None:
        raise click.UsageError("name files or --index, not both.", ctx)
    if running.fail_if and running.against is None:
        raise click.UsageError("--fail-if needs a saved run: --against RUN.json.", ctx)
    saved = None if running.against is None else read_result(running.against)
    questions = read_questions(questions_path)
    sources = None
    if pdfs or index_path is not None:
        sources = Sources(
            pdfs=pdfs,
            index_path=index_path or Path(DEFAULT_INDEX),
            embedder_spec=embedder_spec,
            password=password,
        )
    most = max(*searching.ks, *asking.passages, 1)
    comparison = _comparison(
        questions=questions,
        source=source_of_all(questions, sources, searching, most),
        model=model,
        searching=searching,
        asking=asking,
        prompting=prompting,
        running=running,
    )
    if saved is not None:
        require_comparable(saved, comparison.questions.questions, comparison.conditions)
    result = run_comparison(comparison)
    if saved is not None:
        path, margin = shown_path(str(running.against)), running.margin / 100
        result = replace(result, against=against(result, saved, path=path, margin=margin))
    if running.output is not None:
        _write(result, running.output)
    if as_json:
        write_json(asdict(result))
    else:
        print_result(result)
    if running.fail_if and result.against is not None and result.against.is_worse:
        say(f"failed: {result.against.verdict}")
        return FAILED
    return OK


def _write(result: Result, folder: Path) -> None:
    from ragctx.evaluation.report.write import write_report

    write_report(result, folder)
    say(f"written to {shown_path(str(folder))}")


def _comparison(
    questions: QuestionSet,
    source: SourceOf,
    model: Model,
    searching: Searching,
    asking: Asking,
    prompting: Prompting,
    running: Running,
) -> Comparison:
    from ragctx.evaluation.compare import Comparison, Options, sample_questions

    assembly, strategies = prompting.resolve(), asking.named_strategies()
    _require_baseline(asking.baseline, strategies)
    _require_server(model, running.workers)
    with loading("the model"):
        generator = model.load(prompting.context_window)
    profile = str(prompting.profile_path or "")
    if "calibrated" in (*strategies, *asking.placements) and assembly.profile is None:
        assembly, profile = _with_own_profile(assembly, model, generator)
    if asking.strategies in ("own", "all") and not _is_significant(assembly.profile):
        # Without a significant profile `calibrated` is `edges`, which is asked anyway.
        strategies = tuple(name for name in strategies if name != "calibrated")
    window = assembly.context_window or generator.context_window
    k, size = searching.ks[0], next(iter(searching.chunk_tokens), None)
    return Comparison(
        questions=sample_questions(questions, asking.count, running.seed),
        source=source(
            size, searching.retrievers[0], searching.rerankers[0], max(k, *asking.passages, 1)
        ),
        answerer=answerer_of(model, generator, no_cache=running.no_cache, workers=running.workers),
        plan=asking.plan(k, strategies, window - assembly.max_new_tokens),
        grid=grid_of(source, searching, asking, prompting, assembly),
        assembly=assembly,
        options=Options(
            baseline=asking.baseline,
            seed=running.seed,
            resamples=running.resamples,
            prices=running.prices(),
            command=typed_command(),
            profile=profile,
            model_spec=model.spec,
        ),
    )


def _with_own_profile(
    assembly: Assembly, model: Model, generator: Generator
) -> tuple[Assembly, str]:
    """The assembly with the profile stored for this model, if there is one, and its origin."""
    stored = own_profile(model, generator)
    if stored is None:
        return assembly, ""
    origin = f"measured with {stored.source}, n = {stored.n}"
    return replace(assembly, profile=stored.for_placement()), origin


def _is_significant(profile: PositionProfile | None) -> bool:
    return profile is not None and profile.significant


def _require_server(model: Model, workers: int) -> None:
    if workers > 1 and not model.spec.startswith(("http://", "https://")):
        raise InputError(
            f"--workers {workers} is for models on servers; {model.spec} runs here and uses all "
            "cores already: leave it out"
        )


def _require_baseline(baseline: str, strategies: Sequence[str]) -> None:
    if len(strategies) > 1 and baseline not in strategies:
        raise InputError(
            f"the baseline {baseline} is not among the strategies {', '.join(strategies)}; name it "
            "in --strategies too, or another with --baseline"
        )
