"""`ragctx prompt`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import json_text, write_json
from ragctx.cli.session import Sources, load_embedder, open_index, sources_of
from ragctx.text.display import escape_unsafe
from ragctx.views import certificate, prompt_view

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace
    from ragctx.records import Prompt

CONTEXT_WINDOW = 4096


@examples(
    'ragctx prompt "When is the filter cleaned?" --budget-tokens 3000',
    'ragctx prompt "notice period?" --tokenizer tiktoken:o200k_base --context-window 128000',
    'ragctx prompt "notice period?" --tokenizer ~/models/qwen --placement best_last',
    'ragctx prompt "notice period?" contract.pdf --budget-tokens 1500',
    'ragctx prompt "notice period?" --template my.prompt --json | jq .token_count',
)
@click.command("prompt", cls=Command)
@click.argument("question", required=False)
@click.argument("pdfs", nargs=-1, metavar="[FILE]...")
@options.index_option
@options.embedder_option
@options.password_option
@options.retrieval_options(k=20)
@options.assembly_options
@options.tokenizer_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the prompt to this file instead of standard output.",
)
@options.json_option
@click.pass_context
def prompt_command(
    ctx: click.Context,
    question: str | None,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    tokenizer_spec: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Assemble a prompt that fits, for any model.

    The prompt contains the best passages that fit into an exact number of the model's own tokens.
    It is printed exactly as counted, but a terminal gets control characters as codes; a line on
    standard error shows how the tokens add up. --context-window defaults to 4096 and --template to
    qa. Files named on the command line are read once and remembered; without any, the index is
    searched.
    """
    sources = sources_of(
        ctx, pdfs=pdfs, index_path=index_path, embedder_spec=embedder_spec, password=password
    )
    question = options.read_question(question)
    prompt = _assemble(
        question=question,
        sources=sources,
        retrieval=retrieval,
        assembly=assembly,
        tokenizer_spec=tokenizer_spec,
    )
    _write(prompt, out, as_json=as_json)
    if isinstance(assembly.placement, str) and prompt.placement != assembly.placement:
        say(f"placement: {prompt.placement} instead of {assembly.placement}, which has no profile")
    say(certificate(prompt))


def _assemble(
    question: str,
    sources: Sources,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    tokenizer_spec: str,
) -> Prompt:
    from ragctx.assembly import assemble
    from ragctx.retrieval import retrieve
    from ragctx.tokens.load import load_tokenizer

    how, tokenizer = assembly.resolve(retrieval.scale), load_tokenizer(tokenizer_spec)
    embedder = load_embedder(sources)
    index = open_index(sources, embedder)
    with index.snapshot() as snapshot:
        hits = retrieve(question, snapshot, embedder, retrieval.resolve())
        return assemble(
            question,
            hits,
            tokenizer,
            context_window=CONTEXT_WINDOW,
            assembly=how,
            get_document=snapshot.document,
            get_chunks=snapshot.chunks,
        )


def _write(prompt: Prompt, out: Path | None, *, as_json: bool) -> None:
    if out is not None:
        text = json_text(prompt_view(prompt)) + "\n" if as_json else prompt.text
        out.write_bytes(text.encode("utf-8", "replace"))
    elif as_json:
        write_json(prompt_view(prompt))
    else:
        # a pipe gets what was counted, no more and no less; a terminal obeys what it is sent
        is_terminal = sys.stdout.isatty()
        sys.stdout.write(f"{escape_unsafe(prompt.text)}\n" if is_terminal else prompt.text)
        sys.stdout.flush()
