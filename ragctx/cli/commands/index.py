"""`ragctx index info|list|verify|repair|compact|remove`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import FAILED, OK, say
from ragctx.cli.help import Group, examples
from ragctx.cli.output import console, shown_path, table, write_json
from ragctx.cli.types import IndexName
from ragctx.text.display import one_line
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace
    from ragctx.index.index import Index
    from ragctx.index.protocol import IndexInfo
    from ragctx.index.recall import Recall
    from ragctx.index.store import SourceInfo


_LONG = 50_000
"""Chunks from which on joining takes a while. Chosen by hand."""


def _folder(command: options.Command) -> options.Command:
    """The index, as an argument or by --index."""
    argument = click.argument(
        "folder",
        required=False,
        type=IndexName(),
        metavar="[FOLDER|URL]",
        callback=_not_both,
    )
    made: options.Command = argument(options.index_option(options.json_option(command)))
    return made


def _not_both(
    ctx: click.Context, _: click.Parameter, folder: IndexPlace | None
) -> IndexPlace | None:
    by_option = ctx.get_parameter_source("index_path") is click.core.ParameterSource.COMMANDLINE
    if folder and by_option:
        raise click.UsageError("name the index by FOLDER or by --index, not both.", ctx)
    return folder


@examples(
    "ragctx index info",
    "ragctx index list indexes/work",
    "ragctx index verify && echo sound",
    "ragctx index compact",
    "ragctx index remove old-manual.pdf",
)
@click.group("index", cls=Group)
def index_command() -> None:
    """Inspect an index, check it, repair it, compact it, or remove documents from it."""


@index_command.command("info")
@click.option(
    "--recall",
    is_flag=True,
    help="Measure how many of the 10 nearest chunks a search finds, against comparing with all.",
)
@_folder
def info_command(
    folder: IndexPlace | None, index_path: IndexPlace, as_json: bool, recall: bool
) -> None:
    """Show what an index contains, what made it, and when."""
    index = _open(folder or index_path)
    info = index.info()
    shown = _shown(info)
    measured = _recall_of(index) if recall else None
    if as_json:
        write_json({**shown, "recall": measured and asdict(measured)})
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        if name != "notes":
            text = f"{value:,}" if isinstance(value, int) else one_line(str(value or "not known"))
            console().print(f"{name.replace('_', ' '):<{width}}  {text}", soft_wrap=True)
    if measured:
        line = (
            f"{measured.recall:.3f} of the {measured.k} nearest chunks found, "
            f"{measured.questions} questions; {measured.search_ms:.1f} ms each, "
            f"{measured.exact_ms:.1f} ms to compare with all"
        )
        console().print(f"{'recall':<{width}}  {line}", soft_wrap=True)
    for note in info.notes:
        say(note)


def _recall_of(index: Index) -> Recall:
    from ragctx.index.recall import measure_recall

    return measure_recall(index)


def _shown(info: IndexInfo) -> dict[str, object]:
    """Its fields, with the settings of its documents one by one where they are known."""
    from ragctx.ingestion.settings import Recipe

    shown = asdict(info)
    recipe = Recipe.parsed(shown.pop("recipe"))
    for name in ("reader", "hidden", "chunk_tokens", "overlap_tokens", "headers"):
        shown[name] = getattr(recipe, name) if recipe else None
    return shown


@index_command.command("list")
@_folder
def list_command(folder: IndexPlace | None, index_path: IndexPlace, as_json: bool) -> None:
    """List the documents of an index."""
    sources = _open(folder or index_path).sources()
    if as_json:
        write_json({"sources": [asdict(source) for source in sources]})
        return
    made = table("document", "pages", "chunks", "status", "id", numbers=("pages", "chunks"))
    for source in sources:
        made.add_row(
            shown_path(source.path),
            str(source.pages),
            str(source.chunks),
            one_line(source.status),
            one_line(source.document_id),
        )
    if sources:
        console().print(made)
    console().print(counted(len(sources), "document"))


@index_command.command("verify")
@_folder
def verify_command(folder: IndexPlace | None, index_path: IndexPlace, as_json: bool) -> int:
    """Verify every checksum of an index. The exit code is 1 if anything is wrong."""
    from ragctx.index.repair import verify_index

    problems = verify_index(folder or index_path)
    unembedded = 0 if problems else _open(folder or index_path).info().unembedded
    if as_json:
        found = [asdict(problem) for problem in problems]
        write_json({"sound": not problems, "problems": found, "unembedded": unembedded})
        return FAILED if problems else OK
    for problem in problems:
        console().print(f"{problem.part}: {one_line(problem.message)}", soft_wrap=True)
    if problems:
        say(f"{counted(len(problems), 'problem')}; ragctx index repair {folder or index_path}")
        return FAILED
    console().print("sound")
    if unembedded:
        say(f"{counted(unembedded, 'chunk')} without vectors yet; the next ragctx ingest goes on")
    return OK


@index_command.command("repair")
@click.option(
    "--embedder",
    "embedder_spec",
    metavar="NAME|DIR",
    help="Model that computed the vectors, if the index no longer records it.",
)
@_folder
def repair_command(
    folder: IndexPlace | None, index_path: IndexPlace, as_json: bool, embedder_spec: str | None
) -> None:
    """Save every document that can still be read and rebuild what can be derived.

    A copy of a damaged database is kept in the index's folder, under quarantine/.
    """
    from ragctx.index.repair import repair_index

    embedder = None
    if embedder_spec is not None:
        from ragctx.embedding import load_embedder

        embedder = load_embedder(embedder_spec).id
    repair = repair_index(folder or index_path, embedder=embedder)
    if as_json:
        write_json(asdict(repair))
        return
    for step in repair.done:
        console().print(one_line(step), soft_wrap=True)
    for lost in repair.quarantined:
        paths = ", ".join(map(shown_path, lost.paths)) or lost.document_id
        line = f"put aside {paths}: {lost.reason}; ingest it again (remains: {lost.file})"
        console().print(one_line(line), soft_wrap=True)


@index_command.command("compact")
@_folder
def compact_command(folder: IndexPlace | None, index_path: IndexPlace, as_json: bool) -> None:
    """Join the files that hold vectors into one, without what was deleted.

    Searches are fastest then. Needs room for another copy of the vectors; nothing that was stored
    changes, and other programs can search meanwhile.
    """
    index = _open(folder or index_path)
    before = index.info()
    if not as_json and before.chunks >= _LONG:
        say(f"joining {counted(before.segments, 'segment')}; a minute or two a million chunks")
    index.compact()
    after = index.info()
    freed = before.bytes - after.bytes
    if as_json:
        told = {"segments_before": before.segments, "segments": after.segments}
        write_json({**told, "forgotten": before.deleted, "freed_bytes": freed})
        return
    console().print(
        f"{counted(before.segments, 'segment')} before, {after.segments} now; "
        f"{counted(before.deleted, 'deleted chunk')} forgotten, {freed:,} bytes freed",
        soft_wrap=True,
    )


@index_command.command("remove")
@click.argument("documents", nargs=-1, required=True, metavar="DOCUMENT...")
@options.index_option
@options.json_option
def remove_command(documents: Sequence[str], index_path: IndexPlace, as_json: bool) -> None:
    """Remove documents by name, path, id or pattern. The PDF files themselves are kept."""
    from ragctx.index.filters import matching_ids

    index = _open(index_path)
    wanted = matching_ids(documents, index.sources(), by_part=False)
    gone = [source for source in index.sources() if source.document_id in wanted]
    with index.writer() as writer:
        writer.remove(*sorted(wanted))
    _print_removed(gone, as_json=as_json)


def _print_removed(gone: Sequence[SourceInfo], *, as_json: bool) -> None:
    if as_json:
        write_json({"removed": [asdict(source) for source in gone]})
        return
    for source in gone:
        console().print(f"removed {shown_path(source.path)}", soft_wrap=True)


def _open(path: IndexPlace) -> Index:
    from ragctx.index.index import Index

    return Index.open(path)
