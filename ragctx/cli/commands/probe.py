"""`ragctx probe`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.comparison import answerer_of, run_comparison, typed_command
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options
from ragctx.cli.output import console, shown_path, table, write_json
from ragctx.cli.progress import loading
from ragctx.evaluation.numbers import bare_percent, terse_range
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from ragctx.evaluation.datasets import QuestionSet
    from ragctx.evaluation.profiles import StoredProfile

_FEW_RIGHT = 0.2
"""Share of right answers below which a model hardly does the task; chosen by hand."""
_NEARLY_FULL = 0.8
"""Share of the context window above which prompts are reported as nearly full; chosen by hand."""


@examples(
    "ragctx probe",
    "ragctx probe --model ~/models/qwen --passages 30 -n 300",
    "ragctx probe --questions nq-open-20.jsonl.gz --out qwen.json --model ~/models/qwen",
    'ragctx ask "How long is it?" --placement calibrated --model ~/models/qwen',
)
@click.command("probe", cls=Command)
@model_options
@click.option(
    "--questions",
    "questions_path",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Labelled questions with passages, in any layout that `ragctx compare` reads, "
    "instead of synthetic ones.",
)
@click.option(
    "--passages",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    metavar="N",
    help="Passages per prompt, the gold one included.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="Number of positions to test, first and last included.",
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Number of questions; each is asked in every slot.",
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(min=1),
    default=48,
    show_default=True,
    metavar="N",
    help="Tokens reserved for the answer.",
)
@click.option(
    "--context-window",
    type=click.IntRange(min=1),
    metavar="N",
    help="The model's context window: tokens of prompt and answer together.",
)
@click.option("--template", metavar="NAME|FILE", help="Prompt template.")
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed: another seed makes or draws other questions.",
)
@click.option("--no-cache", is_flag=True, help="Neither store answers nor reuse stored ones.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the profile to this file.  [default: where `calibrated` looks for it]",
)
@options.json_option
def probe_command(
    model: Model,
    questions_path: Path | None,
    passages: int,
    slots: int,
    count: int,
    max_new_tokens: int,
    context_window: int | None,
    template: str | None,
    seed: int,
    no_cache: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure how well a model reads each part of the prompt.

    The passage with the answer is moved through the slots of a prompt while the others stay. The
    profile is stored with the model's hash, the number of questions and the intervals. With it,
    `--placement calibrated` puts the best passages where this model reads best; where the slots do
    not differ measurably, it uses the default order.
    """
    from ragctx.assembly import Assembly
    from ragctx.evaluation.candidates import source_of
    from ragctx.evaluation.compare import Comparison, Options
    from ragctx.evaluation.conditions import Plan
    from ragctx.evaluation.profiles import profile_of, save_profile

    all_questions, asked = _questions(questions_path, count, passages, seed)
    with loading("the model"):
        generator = model.load(context_window)
    comparison = Comparison(
        questions=asked,
        source=source_of(all_questions, passages),
        answerer=answerer_of(model, generator, no_cache=no_cache),
        plan=Plan(position_passages=(passages,), slots=slots, k=passages),
        assembly=Assembly(
            context_window=context_window, max_new_tokens=max_new_tokens, template=template
        ),
        options=Options(seed=seed, command=typed_command(), model_spec=model.spec),
    )
    profile = profile_of(run_comparison(comparison), asked.path)
    path = save_profile(profile, out)
    if as_json:
        write_json(asdict(profile))
    else:
        _print(profile)
    say(f"profile written to {shown_path(str(path))}")


def _questions(
    path: Path | None, count: int, passages: int, seed: int
) -> tuple[QuestionSet, QuestionSet]:
    """All questions, from which distractors are mined, and those of them to be asked."""
    from ragctx.evaluation.compare import sample_questions
    from ragctx.evaluation.datasets import read_questions
    from ragctx.evaluation.probes import synthetic_probes

    if path is None:
        probes = synthetic_probes(count, passages, seed=seed)
        return probes, probes
    all_questions = read_questions(path)
    return all_questions, sample_questions(all_questions, count, seed)


def _print(profile: StoredProfile) -> None:
    screen = console()
    slots = table("slot", "right %", "95 %", numbers=("slot", "right %", "95 %"))
    for slot, accuracy in zip(profile.slots, profile.accuracy, strict=True):
        slots.add_row(str(slot), bare_percent(accuracy.value), terse_range(accuracy))
    screen.print(slots)
    is_full = profile.window_fill > _NEARLY_FULL
    warning = " (nearly full: a shorter prompt may have another profile)" if is_full else ""
    screen.print(
        f"{profile.model}: {profile.n} questions ({profile.source}), {profile.passages} passages, "
        f"{100 * profile.window_fill:.0f} % of the window{warning}",
        soft_wrap=True,
    )
    screen.print(one_line(profile.verdict), style="bold", soft_wrap=True)
    best = max(accuracy.value for accuracy in profile.accuracy)
    if best < _FEW_RIGHT:
        screen.print(
            "Hardly anything was answered, so there is little to tell slots apart by: try fewer "
            "--passages, or easier --questions.",
            soft_wrap=True,
        )
    if not profile.significant:
        screen.print("--placement calibrated will place by edges and say so.", soft_wrap=True)
