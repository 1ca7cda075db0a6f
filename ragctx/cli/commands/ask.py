"""`ragctx ask`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.batch import run_batch
from ragctx.cli.exit_codes import ABSTAINED, OK
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options
from ragctx.cli.output import attribution_table, console, ledger_table, write_json
from ragctx.cli.session import Session, Sources, open_session, with_load_time
from ragctx.errors import InputError
from ragctx.records import (
    Answer,
    Attribution,
    Citation,
)
from ragctx.text.display import one_line, printable
from ragctx.views import (
    View,
    abstention_words,
    answer_view,
    attribution_view,
    citation_words,
    ledger_view,
    prompt_view,
    status_words,
)

if TYPE_CHECKING:
    from ragctx.generator.reader.passage_cache import CacheStats
    from ragctx.generator.reader.passage_store import StoreStats

if TYPE_CHECKING:
    from ragctx.records import Answer, Attribution, Citation

_QUOTED = 400  # characters of a quote shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What else is to be shown beside the answer."""

    as_json: bool
    prompt: bool
    ledger: bool
    attribution: bool


@examples(
    'ragctx ask "How often must the filter be cleaned?"',
    'ragctx ask "What is the notice period?" contract.pdf annex.pdf',
    'echo "What is the notice period?" | ragctx ask - contract.pdf',
    "ragctx ask --batch questions.txt manuals/*.pdf > answers.jsonl",
    'ragctx ask "What is the notice period?" --model ~/models/qwen --explain',
    'ragctx ask "How often must the filter be cleaned?" --attribute',
    'ragctx ask "How long?" --model http://127.0.0.1:8000/v1#qwen --tokenizer ~/models/qwen',
)
@click.command("ask", cls=Command)
@click.argument("question", required=False)
@click.argument("pdfs", nargs=-1, metavar="[PDF]...")
@options.index_option
@options.embedder_option
@options.password_option
@model_options
@options.retrieval_options(k=5)
@options.assembly_options
@click.option(
    "--batch",
    type=click.Path(allow_dash=True, exists=True, dir_okay=False),
    metavar="FILE",
    help="Answer many questions, one per line: text, or JSON with a "
    '"question". One JSON answer a line comes out.',
)
@click.option("--show-prompt", is_flag=True, help="Print the prompt to standard error.")
@click.option(
    "--explain", is_flag=True, help="Print to standard error what became of every passage found."
)
@click.option(
    "--attribute",
    is_flag=True,
    help="Show how likely the answer is with each passage left out (bundled reader only).",
)
@options.json_option
@click.pass_context
def ask_command(
    ctx: click.Context,
    question: str | None,
    pdfs: tuple[str, ...],
    index_path: Path,
    embedder_spec: str,
    password: str | None,
    model: Model,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    batch: str | None,
    show_prompt: bool,
    explain: bool,
    attribute: bool,
    as_json: bool,
) -> int:
    """Answer a question and cite checked sources.

    PDFs named on the command line are read once and remembered by their content, so that asking
    again is quick; without any, the index is searched. The exit code is 3 when the documents do
    not contain the answer. With --batch every argument is a PDF, and a question that cannot be
    processed gives a row with an "error"; the exit code is 1 only if none could be processed.
    """
    if batch is not None:
        pdfs = (*([question] if question else []), *pdfs)
    if pdfs and ctx.get_parameter_source("index_path") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("name PDFs or --index, not both.", ctx)
    sources = Sources(
        pdfs=pdfs, index_path=index_path, embedder_spec=embedder_spec, password=password
    )
    shown = Shown(as_json=as_json, prompt=show_prompt, ledger=explain, attribution=attribute)
    if batch is not None:
        session = open_session(sources, model, retrieval, assembly)
        return run_batch(batch, session, lambda answer: _view(answer, shown, session))
    question = _question(question, pdfs)
    return _answer(question, open_session(sources, model, retrieval, assembly), shown)


def _question(words: str | None, pdfs: Sequence[str]) -> str:
    if words and not pdfs and words.lower().endswith(".pdf") and Path(words).is_file():
        raise InputError(
            f"{words!r} is a file, not a question; put the question first: "
            f'ragctx ask "What is it about?" {words}'
        )
    return options.read_question(words)


def _answer(question: str, session: Session, shown: Shown) -> int:
    answer = session.ask(question, None if shown.as_json else _write)
    answer = with_load_time(answer, session)
    if shown.as_json:
        write_json(_view(answer, shown, session))
    else:
        _print(answer)
        _print_extras(answer, shown, session)
    return ABSTAINED if answer.abstained else OK


def _attributions(answer: Answer, session: Session) -> tuple[Attribution, ...]:
    """How likely the answer is with and without each passage; empty for an abstention."""
    from ragctx.generator.reader.attribution import attribute
    from ragctx.generator.reader.reader import BundledReader

    if not isinstance(session.generator, BundledReader):
        raise InputError(
            f"--attribute needs the bundled reader, and {answer.model} answers here; "
            "leave out --attribute or --model"
        )
    if answer.abstained:
        return ()
    return attribute(session.generator, answer.prompt, answer.generation)


def _view(answer: Answer, shown: Shown, session: Session) -> View:
    from ragctx.generator.reader.reader import BundledReader

    view = answer_view(answer)
    if shown.attribution:
        attributions = _attributions(answer, session)
        view["attribution"] = attribution_view(attributions, answer.prompt) if attributions else []
    if isinstance(session.generator, BundledReader):
        cache = session.generator.cache
        view["kv_cache"] = kv_cache_view(cache.stats, cache.store.stats if cache.store else None)
    if shown.prompt:
        view["prompt"] = prompt_view(answer.prompt)
    if shown.ledger:
        view["ledger"] = ledger_view(answer.prompt.ledger)
    return view


def _write(piece: str) -> None:
    sys.stdout.write(printable(piece))
    sys.stdout.flush()


def _print(answer: Answer) -> None:
    """What comes after the answer itself, which was written as it came."""
    if answer.text:
        _write("\n")
    if answer.abstained:
        _write(abstention_words(answer.generation.confidence) + "\n")
        return
    screen = console()
    screen.print("\nSources" if answer.citations else "\nNo source was cited.", style="bold")
    for citation in answer.citations:
        _print_citation(citation)


def _print_citation(citation: Citation) -> None:
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    style = "green" if citation.status == "verified" else "red"
    heading = Text.assemble(citation_words(citation), "  ", (status_words(citation), style))
    screen.print(heading, soft_wrap=True)
    quote = one_line(citation.quote, _QUOTED)
    if quote and sys.stdout.isatty():
        screen.print(Padding(Text(f"“{quote}”", style="dim"), (0, 0, 0, 4)))
    elif quote:
        screen.print(f"    “{quote}”", soft_wrap=True)


def _print_extras(answer: Answer, shown: Shown, session: Session) -> None:
    if shown.attribution and not answer.abstained:
        console().print(attribution_table(_attributions(answer, session), answer))
    sys.stdout.flush()
    if shown.prompt:
        print(printable(answer.prompt.text), file=sys.stderr)
    if shown.ledger:
        console(stderr=True).print(ledger_table(answer.prompt.ledger))


def kv_cache_view(memory: CacheStats, disk: StoreStats | None) -> View:
    """What the bundled reader had read before, in memory and, with --kv-cache, on disk."""
    return {"memory": asdict(memory), "disk": None if disk is None else asdict(disk)}
