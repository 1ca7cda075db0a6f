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
    asking_options,
    prompting_options,
    running_options,
)
from ragctx.cli.comparison import answerer_of, run_comparison, typed_command
from ragctx.cli.comparison_tables import print_result
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options, own_profile
from ragctx.cli.output import shown_path, write_json
from ragctx.errors import InputError

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.evaluation.candidates import Source
    from ragctx.evaluation.compare import Comparison
    from ragctx.evaluation.datasets import QuestionSet
    from ragctx.evaluation.results import Result
    from ragctx.generator.protocol import Generator
    from ragctx.placement.orders import PositionProfile


@examples(
    "ragctx compare questions.jsonl",
    "ragctx compare questions.jsonl --index indexes/work --budgets auto -o report/",
    "ragctx compare nq-open-20.jsonl.gz --positions 10,20 --model ~/models/qwen",
    "ragctx compare dev-v2.0.json -n 200 --strategies best_first,edges,random",
    "ragctx compare q.jsonl --model http://127.0.0.1:8000/v1#qwen --tokenizer ~/models/qwen",
)
@click.command("compare", cls=Command)
@click.argument(
    "questions_path",
    metavar="QUESTIONS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--index",
    "index_path",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Search this index for passages, instead of using the questions' own.",
)
@options.embedder_option
@model_options
@options.retrieval_options(k=20)
@asking_options
@prompting_options
@running_options
@options.json_option
def compare_command(
    questions_path: Path,
    index_path: Path | None,
    embedder_spec: str,
    model: Model,
    retrieval: options.RetrievalOptions,
    asking: Asking,
    prompting: Prompting,
    running: Running,
    as_json: bool,
) -> None:
    """Compare ways to place passages in the prompt, with paired tests.

    Every question is asked under every condition, and every difference is tested: the last line
    reports what was found, or how large a difference the run could have detected. QUESTIONS is a
    SQuAD file, or a JSONL file in the layout of ragctx, Lost in the Middle, or key-value retrieval;
    any of them may be gzipped. An interrupted run continues where it stopped.
    """
    from ragctx.evaluation.datasets import read_questions

    questions = read_questions(questions_path)
    source = _source(questions, index_path, embedder_spec, retrieval, asking)
    comparison = _comparison(
        questions=questions,
        source=source,
        model=model,
        k=retrieval.k,
        asking=asking,
        prompting=prompting,
        running=running,
    )
    result = run_comparison(comparison)
    if running.output is not None:
        _write(result, running.output)
    if as_json:
        write_json(asdict(result))
    else:
        print_result(result)


def _write(result: Result, folder: Path) -> None:
    from ragctx.evaluation.report.write import write_report

    write_report(result, folder)
    say(f"written to {shown_path(str(folder))}")


def _source(
    questions: QuestionSet,
    index_path: Path | None,
    embedder_spec: str,
    retrieval: options.RetrievalOptions,
    asking: Asking,
) -> Source:
    from ragctx.evaluation.candidates import IndexPassages, source_of

    k = max(retrieval.k, *asking.passages, 1)
    if index_path is None:
        return source_of(questions, k)
    from ragctx.embedding import load_embedder
    from ragctx.index.index import Index

    embedder = load_embedder(embedder_spec)
    index = Index.open(index_path, embedder=embedder)
    return IndexPassages(index, embedder, replace(retrieval.resolve(), k=k))


def _comparison(
    questions: QuestionSet,
    source: Source,
    model: Model,
    k: int,
    asking: Asking,
    prompting: Prompting,
    running: Running,
) -> Comparison:
    from ragctx.evaluation.compare import Comparison, Options, sample_questions

    assembly, strategies = prompting.resolve(), asking.named_strategies()
    _require_baseline(asking.baseline, strategies)
    _require_server(model, running.workers)
    generator = model.load(prompting.context_window)
    profile = str(prompting.profile_path or "")
    if "calibrated" in strategies and assembly.profile is None:
        assembly, profile = _with_own_profile(assembly, model, generator)
    if asking.strategies in ("own", "all") and not _is_significant(assembly.profile):
        # Without a significant profile `calibrated` is `edges`, which is asked anyway.
        strategies = tuple(name for name in strategies if name != "calibrated")
    window = assembly.context_window or generator.context_window
    return Comparison(
        questions=sample_questions(questions, asking.count, running.seed),
        source=source,
        answerer=answerer_of(model, generator, no_cache=running.no_cache, workers=running.workers),
        plan=asking.plan(k, strategies, window - assembly.max_new_tokens),
        assembly=assembly,
        options=Options(
            baseline=asking.baseline,
            seed=running.seed,
            resamples=running.resamples,
            prices=running.prices(),
            command=typed_command(),
            profile=profile,
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
    if strategies and baseline not in strategies:
        raise InputError(
            f"the baseline {baseline} is not among the strategies {', '.join(strategies)}; name it "
            "in --strategies too, or another with --baseline"
        )
