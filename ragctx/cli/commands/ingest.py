"""`ragctx ingest`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import FAILED, OK, Interrupted, say
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, failure_lines, ingest_table, shown_path, write_json
from ragctx.cli.progress import ingest_progress, loading
from ragctx.cli.session import when_unlocked
from ragctx.cli.types import RayAddress
from ragctx.errors import IndexMissingError, InputError, StoreError
from ragctx.paths import DEFAULT_INDEX
from ragctx.pdf.names import HIDDEN_TEXT, OCR_USES, READERS
from ragctx.text.wording import counted
from ragctx.views import ingest_view, ingest_words, is_in_index, is_plain, with_cause

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.address import IndexPlace
    from ragctx.index.index import Index
    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion.settings import IngestSettings
    from ragctx.ingestion.workers import Workers
    from ragctx.pdf.names import OcrUse

_NAMED = 3  # files that are gone, by name; the others are counted


@examples(
    "ragctx ingest manuals/",
    'ragctx ingest report.pdf "papers/**/*.pdf" --index indexes/work',
    "ragctx ingest manuals/ --prune --json",
    "ragctx ingest scans/ --ocr auto",
    "ragctx ingest notes.md handbook.docx",
    "ragctx ingest library/ --ray ray://head:10001",
)
@click.command("ingest", cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.index_option
@options.embedder_option
@click.option(
    "--reader",
    type=click.Choice(READERS),
    help="Library that reads the PDFs; auto tries pdfium first, then pypdf where it may do better."
    "  [default: that of the index, or auto]",
)
@click.option(
    "--hidden",
    type=click.Choice(HIDDEN_TEXT),
    help="Text that nobody sees on the page (white on white, a layer that is off): drop leaves it "
    "out, keep puts it after the page's other text, as [hidden: …].  [default: that of the index, "
    "or drop]",
)
@click.option(
    "--ocr",
    type=click.Choice(OCR_USES),
    help="Read pages from their picture: auto reads those that have no sound text, always all of "
    "them. Needs the extra ragctx[ocr].  [default: that of the index, or never]",
)
@options.password_option
@click.option(
    "--chunk-tokens",
    type=int,
    metavar="N",
    help="Maximum length of a passage, in the embedder's tokens.  [default: that of the index, or "
    "180]",
)
@click.option(
    "--overlap-tokens",
    type=int,
    metavar="N",
    help="Tokens at the end of a passage that the next one repeats.  [default: that of the index, "
    "or 0]",
)
@click.option(
    "--headers/--no-headers",
    default=None,
    help="Whether the document's title and the headings above a passage are searched with it.  "
    "[default: as the index has it, or --headers]",
)
@click.option(
    "--prune", is_flag=True, help="Also remove documents below PATH whose files are gone."
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Let the index have these settings from now on, and read every document of it again that "
    "was made with others.",
)
@click.option(
    "--lexical",
    is_flag=True,
    help="Stop before the vectors: documents are found by their words until the command runs again "
    "without it.",
)
@click.option(
    "--ray",
    "ray_address",
    type=RayAddress(),
    is_flag=False,
    flag_value="local",
    help="Read and embed on a Ray cluster: the one of this machine (auto), the one at an address, "
    "or, without one, a Ray started here for this run. Needs the extra ragctx[ray].",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any file could not be read.")
@options.json_option
def ingest_command(
    paths: Sequence[str],
    index_path: IndexPlace,
    embedder_spec: str,
    reader: str | None,
    hidden: str | None,
    ocr: OcrUse | None,
    password: str | None,
    chunk_tokens: int | None,
    overlap_tokens: int | None,
    headers: bool | None,
    prune: bool,
    rebuild: bool,
    lexical: bool,
    ray_address: str | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Read documents into an index: files, folders, patterns.

    PDFs, and with the extra ragctx[text] Markdown, HTML and Word files; plain text needs none. Of
    these, sections stand for pages, and citations name the headings above. A folder stands for the
    files in it whose names end in .pdf, .txt, .text, .md, .markdown, .html, .htm, .xhtml or .docx.

    Running it again reads only what is new or changed; an interrupted run continues where it
    stopped, and a file that was moved is recognised. A document is found by its words as soon as
    it was read; its vectors follow. The index remembers how its documents are read and cut. A file
    that cannot be read does not stop the others: it is listed with the reason. The exit code is 1
    if no file could be added, or with --strict if any file could not be added.
    """
    from ragctx.ingestion.settings import IngestSettings

    settings = IngestSettings(
        reader=reader,  # type: ignore[arg-type]
        hidden=hidden,  # type: ignore[arg-type]
        chunk_tokens=chunk_tokens,
        overlap_tokens=overlap_tokens,
        headers=headers,
        ocr=ocr,
        password=password,
    )
    began = time.perf_counter()
    run = _Run(
        paths=paths,
        index_path=index_path,
        embedder_spec=embedder_spec,
        settings=settings,
        prune=prune,
        rebuild=rebuild,
        lexical=lexical,
        ray_address=ray_address,
    )
    rows = tuple(with_cause(row, run.ocr_command(row.path)) for row in run.rows())
    seconds = time.perf_counter() - began
    if as_json:
        unembedded = run.unembedded
        write_json(
            {**ingest_view(rows, seconds), "unembedded": unembedded, "index": str(index_path)}
        )
    else:
        _print(rows, seconds, index_path)
        if run.unembedded and lexical:
            say(
                f"{counted(run.unembedded, 'chunk')} without vectors, found by their words; "
                f"to embed them: {run.command()}"
            )
    _tell_vanished(rows, run.prune_command)
    if _lacks_headers(index_path):
        say(
            f"passages of this index do not know their sections; to add them: {run.rebuild_command}"
        )
    return _exit_code(rows, strict=strict, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run of the command, as it was asked for."""

    paths: Sequence[str]
    index_path: IndexPlace
    embedder_spec: str
    settings: IngestSettings
    prune: bool
    rebuild: bool
    lexical: bool
    ray_address: str | None

    def command(self, *flags: str) -> str:
        """The command that was given, with other flags."""
        words = ["ragctx", "ingest", *self.paths, "--index", str(self.index_path)]
        if self.embedder_spec != "default":
            words += ["--embedder", self.embedder_spec]
        return shlex.join([*words, *flags])

    @property
    def prune_command(self) -> str:
        """The command that removes what is gone."""
        return self.command("--prune")

    @property
    def rebuild_command(self) -> str:
        """The command that reads every document again."""
        return self.command("--rebuild")

    @property
    def unembedded(self) -> int:
        """How many chunks of the index have no vectors."""
        from ragctx.index.index import Index

        with suppress(StoreError), Index.open(self.index_path).snapshot() as snapshot:
            return snapshot.lacking().chunks
        return 0

    def ocr_command(self, path: str) -> str:
        """The command that reads a file's pages without text by OCR."""
        here, file = Path.cwd(), Path(path)
        words = ["ragctx", "ingest", str(file.relative_to(here) if here in file.parents else file)]
        if self.index_path != DEFAULT_INDEX:
            words += ["--index", str(self.index_path)]
        return shlex.join([*words, "--ocr", "auto", "--rebuild"])

    def rows(self) -> tuple[IngestRow, ...]:
        """Bring the files into the index, once no other process writes to it."""
        from ragctx.index.index import Index
        from ragctx.index.made_with import embedder_of
        from ragctx.ingestion.finding import find_files

        # Before a model is loaded and a folder made for nothing.
        try:
            files = find_files(self.paths, known=self._sources() if self.prune else ())
        except InputError as error:
            raise InputError(f"{error}{self._hint()}") from None
        embedder = embedder_of(self.index_path, self.embedder_spec)

        def ingested() -> tuple[IngestRow, ...]:
            index = Index.open_or_create(self.index_path, embedder=embedder)
            return self._ingested(files, index, embedder, workers)

        try:
            with self._workers(embedder) as workers:
                return when_unlocked(ingested, "writes to this index")
        except KeyboardInterrupt:
            held = set(self._sources())
            kept = sum(str(path) in held for path in files)
            raise Interrupted(
                f"{kept} of {counted(len(files), 'file')} are in {self.index_path}; run the same "
                "command again to go on from there"
            ) from None

    @contextmanager
    def _workers(self, embedder: Embedder) -> Iterator[Workers | None]:
        """Who reads and embeds, if not this process."""
        if self.ray_address is None:
            yield None
            return
        from ragctx.embedding import bundled_name, load_embedder
        from ragctx.ingestion.on_ray.workers import on_ray
        from ragctx.paths import expanded

        path = expanded(self.embedder_spec)
        spec = str(path.resolve()) if path.is_dir() else self.embedder_spec
        load = partial(load_embedder, bundled_name(embedder.id) or spec)
        with ExitStack() as stack:
            with loading("Ray"):
                workers = stack.enter_context(on_ray(embedder, load=load, address=self.ray_address))
            yield workers

    def _ingested(
        self, files: Sequence[Path], index: Index, embedder: Embedder, workers: Workers | None
    ) -> tuple[IngestRow, ...]:
        from ragctx.index.address import folders
        from ragctx.index.noted import note_index
        from ragctx.ingestion.finding import Reach
        from ragctx.ingestion.run import ingest_files

        for folder in folders(self.index_path):
            note_index(folder)
        with ingest_progress() as progress:
            return ingest_files(
                files,
                index,
                embedder,
                reach=Reach.of(self.paths),
                settings=self.settings,
                prune=self.prune,
                rebuild=self.rebuild,
                lenders=_lenders(),
                embed_at_most=0 if self.lexical else None,
                workers=workers,
                progress=progress,
            )

    def _hint(self) -> str:
        """What to do if the index holds what the disk no longer does."""
        from ragctx.ingestion.finding import Reach, is_gone

        reach = Reach.of(self.paths)
        with suppress(StoreError):
            gone = [path for path in self._sources() if reach.holds(path) and is_gone(path)]
            if gone:
                files = counted(len(gone), "file")
                return f"; to remove {files} from the index: {self.prune_command}"
        return ""

    def _sources(self) -> Iterator[str]:
        """The paths that the index knows."""
        from ragctx.index.index import Index

        with suppress(IndexMissingError):
            yield from (source.path for source in Index.open(self.index_path).sources())


def _lenders() -> list[Path]:
    """The default index, those that `ingest` made elsewhere, and those of `ask` with PDFs."""
    from ragctx.index.cache import IndexCache
    from ragctx.index.noted import noted_indexes

    lenders = [DEFAULT_INDEX, *noted_indexes()]
    with suppress(InputError):  # no place for caches
        lenders += IndexCache().folders()
    return lenders


def _print(rows: Sequence[IngestRow], seconds: float, index_path: IndexPlace) -> None:
    if len(rows) == 1 and rows[0].outcome == "failed":
        return  # its one line says it all
    screen = console()
    told = [row for row in rows if not is_plain(row) and row.outcome != "vanished"]
    if told:
        screen.print(ingest_table(told))
    screen.print(ingest_words(rows, seconds))
    screen.print(f"index: {index_path}", soft_wrap=True)


def _tell_vanished(rows: Sequence[IngestRow], command: str) -> None:
    gone = [row for row in rows if row.outcome == "vanished"]
    if not gone:
        return
    names = ", ".join(shown_path(row.path) for row in gone[:_NAMED])
    more = f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else ""
    say(
        f"{counted(len(gone), 'file')} of the index {'is' if len(gone) == 1 else 'are'} no longer "
        f"on disk ({names}{more}); to remove {'it' if len(gone) == 1 else 'them'}: {command}"
    )


def _lacks_headers(index_path: IndexPlace) -> bool:
    """Whether the index was made before passages were indexed with headers."""
    from ragctx.index.index import Index
    from ragctx.ingestion.settings import Recipe

    with suppress(StoreError):
        recipe = Recipe.parsed(Index.open(index_path).info().recipe)
        return recipe is not None and recipe.headers is None
    return False


def _exit_code(rows: Sequence[IngestRow], *, strict: bool, as_json: bool) -> int:
    failures = failure_lines(rows)
    if as_json or len(rows) == 1:
        for line in failures:
            say(line)
    elif failures:
        say(f"{counted(len(failures), 'file')} could not be read; the table says why")
    nothing_came = not any(map(is_in_index, rows))
    return FAILED if failures and (strict or nothing_came) else OK
