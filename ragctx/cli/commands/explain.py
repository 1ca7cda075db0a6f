"""`ragctx explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.commands.prompt import CONTEXT_WINDOW
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, explanation_bar, fates_table, write_json
from ragctx.cli.session import Sources, load_embedder, open_index, sources_of

if TYPE_CHECKING:
    from ragctx.explanation.fates import Explanation
    from ragctx.index.address import IndexPlace


@examples(
    'ragctx explain "How often must the filter be cleaned?"',
    'ragctx explain "What is the notice period?" contract.pdf --budget-tokens 1500',
    'ragctx explain "What is the notice period?" --min-score auto --select knapsack --trim',
    'ragctx explain "What is the notice period?" --html why.html',
)
@click.command("explain", cls=Command)
@click.argument("question", required=False)
@click.argument("pdfs", nargs=-1, metavar="[FILE]...")
@options.index_option
@options.embedder_option
@options.password_option
@options.retrieval_options(k=20)
@options.assembly_options
@options.tokenizer_option
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the explanation as an HTML page, with the full texts.",
)
@options.json_option
@click.pass_context
def explain_command(
    ctx: click.Context,
    question: str | None,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    tokenizer_spec: str,
    html_path: Path | None,
    as_json: bool,
) -> None:
    """Explain why each passage is in the prompt or not.

    Lists every passage found: what became of it and why, its position in the prompt, and how many
    more tokens would let it in. The prompt is the one that `ragctx prompt` builds with the same
    options; no model is run on it.
    """
    sources = sources_of(
        ctx, pdfs=pdfs, index_path=index_path, embedder_spec=embedder_spec, password=password
    )
    question = options.read_question(question)
    explained = _explain(question, sources, retrieval, assembly, tokenizer_spec)
    if html_path is not None:
        from ragctx.explanation.page import explanation_page

        html_path.write_text(explanation_page(explained), encoding="utf-8", errors="replace")
        say(f"wrote {html_path}")
    if as_json:
        from ragctx.explanation.view import explanation_view

        write_json(explanation_view(explained))
    elif html_path is None:
        _print(explained)


def _explain(
    question: str,
    sources: Sources,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    tokenizer_spec: str,
) -> Explanation:
    from ragctx.assembly import trace
    from ragctx.explanation.fates import explain
    from ragctx.retrieval import retrieve
    from ragctx.selection.selectors import as_selector
    from ragctx.tokens.load import load_tokenizer

    how, tokenizer = assembly.resolve(retrieval.scale), load_tokenizer(tokenizer_spec)
    embedder = load_embedder(sources)
    index = open_index(sources, embedder)
    with index.snapshot() as snapshot:
        hits = retrieve(question, snapshot, embedder, retrieval.resolve())
        made = trace(
            question,
            hits,
            tokenizer,
            context_window=CONTEXT_WINDOW,
            assembly=how,
            get_document=snapshot.document,
            get_chunks=snapshot.chunks,
        )
    return explain(made, hits, as_selector(how.select), score_name=retrieval.scale.name)


def _print(explained: Explanation) -> None:
    from ragctx.explanation.view import entry_words, imitation_words, selection_words
    from ragctx.text.display import one_line
    from ragctx.views import certificate

    screen = console()
    screen.print(certificate(explained.prompt), soft_wrap=True)
    screen.print(selection_words(explained), soft_wrap=True)
    screen.print()
    screen.print(explanation_bar(explained.prompt, min(screen.width, 100)))
    screen.print(fates_table(explained.one_for_each_rank, explained.score_name))
    for line in imitation_words(explained):
        screen.print(f"note: {line}", soft_wrap=True)
    fate = explained.next_to_enter
    if fate is not None:
        who = f"rank {fate.row.rank} ({one_line(fate.row.document)})"
        screen.print(f"next: {who}: {entry_words(fate)}", soft_wrap=True)
