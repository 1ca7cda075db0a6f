"""`ragctx ask`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.batch import run_batch
from ragctx.cli.dialogue import Dialogue
from ragctx.cli.exit_codes import ABSTAINED, FAILED, OK, say
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options
from ragctx.cli.output import attribution_table, console, ledger_table, write_json
from ragctx.cli.session import Session, open_session, sources_of, with_load_time
from ragctx.errors import InputError
from ragctx.refusals import NOT_ANSWERED, READ
from ragctx.text.display import escape_unsafe, one_line
from ragctx.views import (
    View,
    alternative_words,
    answer_view,
    attribution_view,
    citation_words,
    confidence_words,
    ledger_view,
    place_words,
    prompt_view,
    quote_parts,
    status_words,
)

if TYPE_CHECKING:
    from rich.text import Text

    from ragctx.attribution import Attribution
    from ragctx.generator.cache_stats import CacheStats, StoreStats
    from ragctx.index.address import IndexPlace
    from ragctx.records import Answer, Citation, Hit

_QUOTED = 400  # characters of a quote shown
_NEAREST = 200  # characters shown of a passage that is nearest to a question without an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be shown: which answers, and what else beside them."""

    as_json: bool
    prompt: bool
    ledger: bool
    attribution: bool
    thought: bool
    min_confidence: float
    strict: bool


@examples(
    'ragctx ask "How often must the filter be cleaned?"',
    'ragctx ask "What is the notice period?" contract.pdf annex.pdf',
    'echo "What is the notice period?" | ragctx ask - contract.pdf',
    "ragctx ask --batch questions.txt manuals/*.pdf > answers.jsonl",
    'ragctx ask "What is the notice period?" --model ~/models/qwen --explain',
    'ragctx ask "How often must the filter be cleaned?" --attribute',
    "ragctx ask -i manuals/pump.pdf",
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
@click.option(
    "-i",
    "--interactive",
    is_flag=True,
    help="Take question after question; every argument is a PDF. :help lists commands.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Give no answer that is less sure than this, from 0 to 1.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Answer only what is sure: no guesses.",
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
@click.option(
    "--show-thought",
    is_flag=True,
    help="Print to standard error what a model that thinks wrote before its answer.",
)
@options.json_option
@click.pass_context
def ask_command(
    ctx: click.Context,
    question: str | None,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    model: Model,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    batch: str | None,
    interactive: bool,
    min_confidence: float,
    strict: bool,
    show_prompt: bool,
    explain: bool,
    attribute: bool,
    show_thought: bool,
    as_json: bool,
) -> int:
    """Answer a question and cite checked sources.

    PDFs named on the command line are read once and remembered by their content, so that asking
    again is quick; without any, the index is searched. Of long ones, only the passages that match
    the question's words best are compared by meaning, until `ragctx ingest` embeds them all. An
    answer is sure, or it is the best guess and comes with up to two others, or the documents do not
    hold it; --strict leaves guesses out. The exit code is 3 when the documents were read and do not
    contain the answer, and 1 when they could not be read for it, or when the model gave no answer.
    With --batch every argument is a PDF, and a question that cannot be processed gives a row with
    an "error"; the exit code is 1 only if none could be processed.
    """
    if interactive and (as_json or batch is not None):
        raise click.UsageError("-i goes with neither --json nor --batch.", ctx)
    if batch is not None or interactive:
        pdfs = (*([question] if question else []), *pdfs)
    sources = sources_of(
        ctx, pdfs=pdfs, index_path=index_path, embedder_spec=embedder_spec, password=password
    )
    shown = Shown(
        as_json=as_json,
        prompt=show_prompt,
        ledger=explain,
        attribution=attribute,
        thought=show_thought,
        min_confidence=min_confidence,
        strict=strict,
    )
    if batch is not None:
        sources = replace(sources, embed_at_most=None)  # many questions repay the vectors
        session = open_session(sources, model, retrieval, assembly)
        return run_batch(
            batch,
            lambda question: session.ask(question, min_confidence=min_confidence, strict=strict),
            lambda answer: _view(answer, shown, session),
        )
    if interactive:
        session = open_session(sources, model, retrieval, assembly)
        Dialogue(session=session, answer=lambda words: _show_answer(words, session, shown)).run()
        return OK
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
    return _exit_code(_show_answer(question, session, shown))


def _show_answer(question: str, session: Session, shown: Shown) -> Answer:
    on_text = None if shown.as_json else _write
    answer = session.ask(
        question, on_text, min_confidence=shown.min_confidence, strict=shown.strict
    )
    answer = with_load_time(answer, session)
    if shown.as_json:
        write_json(_view(answer, shown, session))
    else:
        if shown.thought and answer.generation.thought:
            thought = escape_unsafe(answer.generation.thought)
            console(stderr=True).print(thought, style="dim", markup=False, soft_wrap=True)
        _print(answer)
        _print_extras(answer, shown, session)
    return answer


def _exit_code(answer: Answer) -> int:
    if not answer.abstained:
        return OK
    return ABSTAINED if answer.refusal is None or answer.refusal.reason in READ else FAILED


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
    from ragctx.generator.cache_stats import TellsCache

    view = answer_view(answer)
    if shown.attribution:
        attributions = _attributions(answer, session)
        view["attribution"] = attribution_view(attributions, answer.prompt) if attributions else []
    if isinstance(session.generator, TellsCache):
        view["kv_cache"] = kv_cache_view(*session.generator.cache_stats())
    if shown.prompt:
        view["prompt"] = prompt_view(answer.prompt)
    if shown.ledger:
        view["ledger"] = ledger_view(answer.prompt.ledger)
    return view


def _write(piece: str) -> None:
    sys.stdout.write(escape_unsafe(piece))
    sys.stdout.flush()


def _print(answer: Answer) -> None:
    """What comes after the answer itself, which was written as it came."""
    if answer.text:
        _write(f" ({answer.scale})\n" if answer.scale else "\n")
    if answer.abstained:
        _print_refusal(answer)
        return
    screen = console()
    if answer.confidence is not None:
        is_sure = answer.outcome == "sure"
        words = confidence_words(answer.confidence, is_sure)
        screen.print(words, style="" if is_sure else "bold red", soft_wrap=True)
    _print_alternatives(answer)
    screen.print("\nSources" if answer.citations else "\nNo source was cited.", style="bold")
    for citation in answer.citations:
        _print_citation(citation)
    if answer.generation.finish_reason == "length":
        most = answer.prompt.max_new_tokens
        say(f"the answer was cut at {most} tokens; raise --max-new-tokens for more")


def _print_alternatives(answer: Answer) -> None:
    """Documents that contradict the answer, then other guesses."""
    screen = console()
    conflicts = [other for other in answer.alternatives if other.is_conflict]
    guesses = [other for other in answer.alternatives if not other.is_conflict]
    if conflicts:
        screen.print("\nThe documents do not agree", style="bold red")
    for other in conflicts:
        screen.print(alternative_words(other), soft_wrap=True)
    if guesses:
        screen.print("\nOr perhaps", style="bold")
    for other in guesses:
        screen.print(alternative_words(other), soft_wrap=True)


def _print_refusal(answer: Answer) -> None:
    screen = console()
    screen.print(answer.refusal.message if answer.refusal else NOT_ANSWERED, soft_wrap=True)
    if answer.nearest:
        screen.print("\nNearest passages", style="bold")
    for hit in answer.nearest:
        _print_nearest(hit)


def _print_nearest(hit: Hit) -> None:
    from rich.text import Text

    console().print(place_words(hit.document, hit.chunk), soft_wrap=True)
    _print_indented(Text(one_line(hit.chunk.text, _NEAREST), style="dim"))


def _print_citation(citation: Citation) -> None:
    from rich.text import Text

    # Nothing green: that the quote is there does not make it the answer.
    style = "dim" if citation.status == "verified" else "red"
    heading = Text.assemble(citation_words(citation), "  ", (status_words(citation), style))
    console().print(heading, soft_wrap=True)
    before, cited, after = quote_parts(citation, _QUOTED)
    if before or cited:
        dim = "dim"
        quote = (("“", dim), (before, dim), (cited, "bold"), (after, dim), ("”", dim))
        _print_indented(Text.assemble(*quote))


def _print_indented(text: Text) -> None:
    from rich.padding import Padding
    from rich.text import Text as Line

    if sys.stdout.isatty():
        console().print(Padding(text, (0, 0, 0, 4)))
    else:
        console().print(Line("    ") + text, soft_wrap=True)


def _print_extras(answer: Answer, shown: Shown, session: Session) -> None:
    if shown.attribution and not answer.abstained:
        console().print(attribution_table(_attributions(answer, session), answer))
    sys.stdout.flush()
    if shown.prompt:
        print(escape_unsafe(answer.prompt.text), file=sys.stderr)
    if shown.ledger:
        console(stderr=True).print(ledger_table(answer.prompt.ledger))


def kv_cache_view(memory: CacheStats, disk: StoreStats | None) -> View:
    """What the model here had read before, in memory and, with --kv-cache, on disk."""
    return {"memory": asdict(memory), "disk": None if disk is None else asdict(disk)}
