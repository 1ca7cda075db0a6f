"""`ragctx ingest`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import FAILED, OK, Interrupted, say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, failure_lines, ingest_table, write_json
from ragctx.cli.progress import ingest_progress
from ragctx.pdf.names import READERS
from ragctx.text.wording import counted
from ragctx.views import ingest_view, ingest_words, is_in_index, is_plain, with_cause

if TYPE_CHECKING:
    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion import IngestSettings, Progress


@examples(
    "ragctx ingest manuals/",
    'ragctx ingest report.pdf "papers/**/*.pdf" --index indexes/work',
    "ragctx ingest manuals/ --prune --json",
)
@click.command("ingest", cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.index_option
@options.embedder_option
@click.option(
    "--reader",
    type=click.Choice(READERS),
    default="auto",
    show_default=True,
    help="Library that reads the PDFs; auto tries pdfium first, then pypdf where it may do better.",
)
@options.password_option
@click.option(
    "--chunk-tokens",
    type=int,
    metavar="N",
    help="Maximum length of a passage, in the embedder's tokens.  [default: 180]",
)
@click.option(
    "--overlap-tokens",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Tokens at the end of a passage that the next one repeats.",
)
@click.option("--prune", is_flag=True, help="Also remove documents whose files are gone.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any file could not be read.")
@options.json_option
def ingest_command(
    paths: Sequence[str],
    index_path: Path,
    embedder_spec: str,
    reader: str,
    password: str | None,
    chunk_tokens: int | None,
    overlap_tokens: int,
    prune: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Read PDFs into an index: files, folders, patterns.

    Running it again reads only what is new or changed; an interrupted run continues where it
    stopped. A file that cannot be read does not stop the others: it is listed with the reason. The
    exit code is 1 if no file could be added, or with --strict if any file could not be added.
    """
    settings = _settings(reader, password, chunk_tokens, overlap_tokens)
    began = time.perf_counter()
    rows = tuple(map(with_cause, _ingest(paths, index_path, embedder_spec, settings, prune)))
    seconds = time.perf_counter() - began
    if as_json:
        write_json({**ingest_view(rows, seconds), "index": str(index_path)})
    else:
        _print(rows, seconds, index_path)
    return _exit_code(rows, strict=strict, as_json=as_json)


def _settings(
    reader: str, password: str | None, chunk_tokens: int | None, overlap_tokens: int
) -> IngestSettings:
    from ragctx.ingestion import CHUNK_TOKENS, IngestSettings

    return IngestSettings(
        reader=reader,  # type: ignore[arg-type]
        chunk_tokens=CHUNK_TOKENS if chunk_tokens is None else chunk_tokens,
        overlap_tokens=overlap_tokens,
        password=password,
    )


def _ingest(
    paths: Sequence[str],
    index_path: Path,
    embedder_spec: str,
    settings: IngestSettings,
    prune: bool,
) -> tuple[IngestRow, ...]:
    from ragctx.embedding import load_embedder
    from ragctx.index.index import Index
    from ragctx.ingestion import find_pdfs, ingest_files

    files = find_pdfs(paths)  # before a model is loaded and a folder made for nothing
    embedder = load_embedder(embedder_spec)
    done: list[IngestRow] = []
    try:
        index = Index.open_or_create(index_path, embedder=embedder)
        with ingest_progress() as progress:
            return ingest_files(
                files,
                index,
                embedder,
                settings=settings,
                prune=prune,
                progress=_noting(progress, done),
            )
    except KeyboardInterrupt:
        kept = sum(is_in_index(row) for row in done)
        raise Interrupted(
            f"{kept} of {counted(len(files), 'file')} are in {index_path}; run the same command "
            "again to go on from there"
        ) from None


def _noting(progress: Progress, done: list[IngestRow]) -> Progress:
    """The same callbacks, and every row added to `done`."""

    def on_row(row: IngestRow) -> None:
        done.append(row)
        progress.on_row(row)

    return replace(progress, on_row=on_row)


def _print(rows: Sequence[IngestRow], seconds: float, index_path: Path) -> None:
    screen = console()
    if not all(map(is_plain, rows)):
        screen.print(ingest_table(rows))
    screen.print(ingest_words(rows, seconds))
    screen.print(f"index: {index_path}", soft_wrap=True)


def _exit_code(rows: Sequence[IngestRow], *, strict: bool, as_json: bool) -> int:
    failures = failure_lines(rows)
    if as_json:
        for line in failures:
            say(line)
    elif failures:
        say(f"{counted(len(failures), 'file')} could not be read; the table says why")
    nothing_came = not any(map(is_in_index, rows))
    return FAILED if failures and (strict or nothing_came) else OK
