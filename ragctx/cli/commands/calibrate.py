"""`ragctx calibrate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, shown_path, write_json
from ragctx.cli.progress import loading, phase_progress

if TYPE_CHECKING:
    from ragctx.evaluation.certainty import StoredCertainty
    from ragctx.index.address import IndexPlace


@examples(
    "ragctx calibrate questions.jsonl",
    "ragctx calibrate questions.jsonl --index indexes/manuals --out manuals.json",
    'ragctx ask "What is the notice period?" --certainty certainty.json',
)
@click.command("calibrate", cls=Command)
@click.argument(
    "questions_path",
    metavar="QUESTIONS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@options.index_option
@options.embedder_option
@options.retrieval_options(k=5)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("certainty.json"),
    show_default=True,
    metavar="FILE",
    help="Write what was fitted to this file.",
)
@options.json_option
def calibrate_command(
    questions_path: Path,
    index_path: IndexPlace,
    embedder_spec: str,
    retrieval: options.RetrievalOptions,
    out: Path,
    as_json: bool,
) -> None:
    """Fit how sure the bundled reader is to questions about your own documents.

    Each question of QUESTIONS is asked of the index, and its best guess is held against the
    "answers" in the file; write "answerable": false for questions that the documents do not answer.
    At least 30 questions are needed, a hundred are better. With `--certainty FILE`, ask calls an
    answer sure where 85 % of such answers were right, and refuses where 90 % were wrong.
    """
    from ragctx.evaluation.certainty import fit, guess_all, save_certainty
    from ragctx.evaluation.datasets import read_questions
    from ragctx.generator.reader.reader import load_bundled
    from ragctx.index.index import Index
    from ragctx.index.made_with import embedder_of

    asked = read_questions(questions_path)
    settings = retrieval.resolve()
    with loading("the embedder"):
        embedder = embedder_of(index_path, embedder_spec)
    index = Index.open(index_path, embedder=embedder)
    with loading("the model"):
        reader = load_bundled()
    with phase_progress() as progress:
        guessed = guess_all(
            asked.questions,
            index,
            embedder,
            reader,
            settings,
            on_guess=lambda count: progress("asking", count, len(asked.questions)),
        )
    fitted = fit(guessed, reader.name, asked.path)
    path = save_certainty(fitted, out)
    if as_json:
        write_json(asdict(fitted))
    else:
        _print(fitted)
    say(f"written to {shown_path(str(path))}")


def _print(fitted: StoredCertainty) -> None:
    screen = console()
    screen.print(f"{fitted.n} questions, {fitted.right} best guesses right", soft_wrap=True)
    screen.print(
        f"sure: {fitted.sure}, of which {fitted.sure_right} right; refused: {fitted.refused}, of "
        f"which {fitted.refused_right} would have been right "
        "(each judged by a fit to the other questions)",
        soft_wrap=True,
    )
    screen.print(
        f"sure from {fitted.sure_from:.2f}, answered from {fitted.answer_from:.2f}", soft_wrap=True
    )
