"""`ragctx search`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, write_json
from ragctx.cli.session import Sources, load_embedder, open_index, sources_of
from ragctx.text.display import escape_unsafe, one_line
from ragctx.views import place_words, search_view, section_line

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace
    from ragctx.records import Hit

_SHOWN = 300  # characters of a passage shown unless --full


@examples(
    'ragctx search "When is the filter cleaned?"',
    'ragctx search "filter" -k 3 --document manual.pdf --pages 10-20',
    'ragctx search "notice period" contract.pdf',
    'ragctx search "filter" --json | jq -r ".hits[].text"',
    'echo "When is the filter cleaned?" | ragctx search -',
)
@click.command("search", cls=Command)
@click.argument("question", required=False)
@click.argument("pdfs", nargs=-1, metavar="[FILE]...")
@options.index_option
@options.embedder_option
@options.password_option
@options.retrieval_options(k=10)
@options.expand_option("Show each passage with the N chunks before and after it.")
@click.option("--full", is_flag=True, help="Show whole passages.")
@options.json_option
@click.pass_context
def search_command(
    ctx: click.Context,
    question: str | None,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    retrieval: options.RetrievalOptions,
    expand: int,
    full: bool,
    as_json: bool,
) -> None:
    """Find the passages that match a question best, best first.

    Files named on the command line are read once and remembered; without any, the index is
    searched.
    """
    sources = sources_of(
        ctx, pdfs=pdfs, index_path=index_path, embedder_spec=embedder_spec, password=password
    )
    question = options.read_question(question)
    hits = _search(question, sources, retrieval, expand)
    if as_json:
        write_json(search_view(question, hits))
    elif hits:
        _print(hits, retrieval.scale.name, full=full)
    else:
        say("nothing found; name other documents or pages, or none")


def _search(
    question: str, sources: Sources, chosen: options.RetrievalOptions, expand: int
) -> list[Hit]:
    from ragctx.retrieval import retrieve

    retrieval, embedder = chosen.resolve(), load_embedder(sources)
    index = open_index(sources, embedder)
    with index.snapshot() as snapshot:
        hits = retrieve(question, snapshot, embedder, retrieval)
        if not expand:
            return hits
        from ragctx.selection.expansion import Surroundings, widened

        beside = Surroundings(
            get_document=cache(snapshot.document), get_chunks=cache(snapshot.chunks)
        )
        return [widened(hit, expand, beside) for hit in hits]


def _print(hits: Iterable[Hit], score_name: str, *, full: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    for hit in hits:
        where = f"{hit.rank}. {place_words(hit)}"
        heading = Text.assemble((where, "bold"), (f"  {score_name} {hit.score:.4f}", "dim"))
        screen.print(heading, soft_wrap=True)
        if section := section_line(hit):
            screen.print(Text(f"   {section}", "dim"), soft_wrap=True)
        text = escape_unsafe(hit.chunk.text) if full else one_line(hit.chunk.text, _SHOWN)
        body = Text(text)
        if sys.stdout.isatty():
            screen.print(Padding(body, (0, 0, 0, 3)))
        else:
            screen.print(Text("   ") + body, soft_wrap=True)
