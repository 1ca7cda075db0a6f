"""`ragctx questions make|check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import FAILED, OK, say
from ragctx.cli.help import Group, examples
from ragctx.cli.output import console, json_text, table, write_json
from ragctx.cli.types import IndexName
from ragctx.evaluation.questions.kinds import KINDS
from ragctx.text.display import one_line
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.evaluation.questions.check import Checked, QuestionProblem
    from ragctx.evaluation.questions.make import SyntheticQuestion
    from ragctx.index.address import IndexPlace

_MOST_SHOWN = 200  # problems in the table; all are in --json
_WARNING = (
    "these questions are synthetic: made by rule from sentences of the documents. They measure "
    "whether the passage that tells is found and read among others; they do not measure how people "
    "ask, questions that need several passages or a conclusion, or whether the documents are right"
)


@examples(
    "ragctx questions make -o questions.jsonl",
    "ragctx questions make --index indexes/work -n 300 --distractors 19 -o questions.jsonl",
    "ragctx questions check questions.jsonl",
    "ragctx questions check test.jsonl --apart-from train.jsonl.gz",
)
@click.group("questions", cls=Group)
def questions_command() -> None:
    """Make questions with known answers from an index, or check a question file."""


@questions_command.command("make")
@options.index_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the questions.  [default: standard output]",
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Maximum number of questions.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed: another seed draws other questions.",
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    metavar="NAME",
    help=f"Only this kind; may be repeated: {', '.join(KINDS)}.  [default: all]",
)
@click.option(
    "--distractors",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Add N similar passages without the answer to each question.",
)
@click.option(
    "--unanswerable",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the questions to pair with a passage that lacks the answer.",
)
def make_command(
    index_path: IndexPlace,
    output: Path | None,
    count: int,
    seed: int,
    kinds: Sequence[str],
    distractors: int,
    unanswerable: float,
) -> int:
    """Make questions with known answers from an index, as JSON lines.

    The same index and seed give the same questions. Every row is marked "synthetic": true.
    """
    from ragctx.evaluation.questions.make import make_questions, question_row
    from ragctx.index.index import Index

    questions = make_questions(
        Index.open(index_path),
        count,
        seed=seed,
        kinds=kinds or KINDS,
        distractors=distractors,
        unanswerable=unanswerable,
    )
    lines = "".join(f"{json_text(question_row(question))}\n" for question in questions)
    if output is None:
        click.echo(lines, nl=False)
    elif questions:
        output.write_text(lines, encoding="utf-8")
    _report_questions(questions, count, output)
    return OK if questions else FAILED


def _report_questions(
    questions: Sequence[SyntheticQuestion], count: int, output: Path | None
) -> None:
    """Report on standard error what was made of the `count` questions asked for."""
    if not questions:
        say(
            "error: the index holds no sentence that a question could be made from; ingest "
            "documents with running text: ragctx ingest FOLDER"
        )
        return
    kinds = Counter(question.kind for question in questions)
    parts = ", ".join(f"{kinds[kind]:,} {kind}" for kind in KINDS if kinds[kind])
    refused = sum(not question.answerable for question in questions)
    if refused:
        parts += f", {refused:,} of them unanswerable"
    documents = len({question.passage.chunk.document_id for question in questions})
    line = (
        f"{counted(len(questions), 'synthetic question')} ({parts}) from "
        f"{counted(documents, 'document')}"
    )
    if output:
        line += f"; written to {output}"
    if len(questions) < count:
        line += f"; {count:,} were asked for, more good ones are not there"
    say(line)
    say(f"note: {_WARNING}")


@questions_command.command("check")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--index",
    "index_path",
    type=IndexName(),
    help="The index that the questions were made from, to find rows that no longer match it.",
)
@click.option(
    "--apart-from",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Questions used for training or tuning, which must share nothing with these.",
)
@options.json_option
def check_command(
    file: Path, index_path: IndexPlace | None, apart_from: Sequence[Path], as_json: bool
) -> int:
    """Find duplicate, unanswerable, leaked and malformed rows in a question file.

    The exit code is 1 if anything is wrong.
    """
    from ragctx.evaluation.questions.check import check_questions
    from ragctx.index.index import Index

    index = Index.open(index_path) if index_path else None
    checked = check_questions(file, index=index, apart_from=apart_from)
    if as_json:
        write_json(
            {
                "rows": checked.rows,
                "sound": not checked.faults,
                "counts": dict(_counts(checked.problems)),
                "problems": [asdict(problem) for problem in checked.problems],
            }
        )
    else:
        _print_checked(checked)
    return FAILED if checked.faults or not checked.rows else OK


def _counts(problems: Sequence[QuestionProblem]) -> Counter[str]:
    return Counter(problem.kind for problem in problems)


def _print_checked(checked: Checked) -> None:
    from ragctx.evaluation.questions.check import PROBLEMS

    faults = table("line", "id", "problem", "what", numbers=("line",))
    for problem in checked.faults[:_MOST_SHOWN]:
        faults.add_row(
            str(problem.line), one_line(problem.id, 18), problem.kind, one_line(problem.message, 90)
        )
    if checked.faults:
        console().print(faults)
    if len(checked.faults) > _MOST_SHOWN:
        console().print(f"… and {len(checked.faults) - _MOST_SHOWN:,} more: --json lists them all")
    remarks = [problem for problem in checked.problems if problem.remark]
    for kind, count in _counts(checked.faults).most_common():
        console().print(f"{counted(count, 'row')}: {kind} ({PROBLEMS[kind]})", soft_wrap=True)
    if remarks:
        line = f"{counted(len(remarks), 'cloze question')} repeat their sentence, as they must"
        console().print(f"{line}: they measure finding more than reading", soft_wrap=True)
    if not checked.rows:
        console().print("no row could be read")
    elif not checked.faults:
        console().print(f"{counted(checked.rows, 'question')}: sound")
