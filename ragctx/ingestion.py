"""From PDFs on disk to an index: one ledger row per file, one transaction per document.

A file that cannot be read costs its own row, never the run: everything before it is already in the
index, and everything after it still gets its turn. Running again does only what is left to do.

A file is looked up once and hashed once: its id, taken from its bytes, decides whether the index
holds it already, and goes with it to whoever reads it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragctx.arguments import require_kind, require_whole
from ragctx.chunking import chunk_document
from ragctx.embedding import require_embedder
from ragctx.errors import IndexDamagedError, IndexMismatchError, InputError, PdfError
from ragctx.index.index import Index
from ragctx.ingest_ledger import IngestOutcome, IngestRow
from ragctx.paths import cache_dir
from ragctx.pdf.names import PdfReader
from ragctx.pdf.process import Limits
from ragctx.pdf.read import file_id, read_pdf, require_size
from ragctx.records import Chunk, Document, PageStatus, PdfStatus

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.index import IndexWriter

CHUNK_TOKENS = 180
"""Default size of a chunk in the embedder's tokens: within what embedder and reader read well."""
MIN_CHUNK_TOKENS = 16
"""Smaller chunks are refused: a sentence would be torn into several. Chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """How documents are read and cut. A document made with other settings is made again.

    `chunk_tokens` and `overlap_tokens` are in the embedder's tokens.
    """

    reader: PdfReader = "auto"
    chunk_tokens: int = CHUNK_TOKENS
    overlap_tokens: int = 0
    password: str | None = None
    limits: Limits = Limits()

    def recipe(self, embedder: Embedder) -> str:
        """What decides the chunks and vectors of a given file, as one string to compare."""
        return (
            f"reader={self.reader} chunk_tokens={self.chunk_tokens} "
            f"overlap_tokens={self.overlap_tokens} embedder={embedder.id}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Functions to call while ingesting; each does nothing unless replaced."""

    on_files: Callable[[int], None] = lambda count: None  # the number of files to do
    on_file: Callable[[str], None] = lambda path: None  # work on this file begins
    on_page: Callable[[int, int], None] = lambda page, pages: None  # page read, pages in the file
    on_embedded: Callable[[int, int], None] = lambda done, chunks: None  # chunks embedded, in all
    on_row: Callable[[IngestRow], None] = lambda row: None  # a file is done


def find_pdfs(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The files that `paths` (files, folders, glob patterns) name, sorted, each once.

    A folder means every `*.pdf` below it; a file counts whatever its name.

    Raises:
        InputError: a path names nothing, a folder cannot be read, or no folder holds a PDF.
    """
    found: dict[Path, None] = {}
    if isinstance(paths, str | Path):
        paths = [paths]
    require_kind("paths", paths, Iterable, "give the path of a PDF or a folder, or a list of them")
    paths = list(paths)
    for path in paths:
        require_kind("one of paths", path, (str, os.PathLike), "give the path of a PDF or a folder")
        matches = [Path(path)] if Path(path).exists() else _globbed(str(path))
        if not matches:
            raise InputError(f"{str(path)!r} does not exist; name a PDF, a folder or a pattern")
        for match in matches:
            if match.is_dir() and not os.access(match, os.R_OK | os.X_OK):
                raise InputError(f"the folder {str(match)!r} cannot be read; check its permissions")
            files = _pdfs_below(match) if match.is_dir() else [match]
            found.update((Path(os.path.abspath(file)), None) for file in files)
    if not found:
        names = ", ".join(repr(str(path)) for path in paths)
        raise InputError(f"no PDF (*.pdf) in {names}; name a folder that holds some")
    return list(found)


def ingest(
    paths: str | Path | Iterable[str | Path],
    index: str | Path | Index,
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """Read, cut, embed and store the PDFs that `paths` name; one row for each.

    Args:
        paths: files, folders and glob patterns, or one of them; see `find_pdfs`.
        index: where to store them; a path is opened, or created.
        embedder: the one the index was made with.
        settings: how documents are read and cut.
        prune: also remove from the index every source whose file is gone.
        progress: functions to call on the way.

    Raises:
        InputError: a path names nothing, or a setting is out of range.
        StoreError: the index cannot be written.

    >>> rows = ingest(["manuals/"], index, embedder)  # doctest: +SKIP
    >>> [row.path for row in rows if row.outcome == "failed"]  # doctest: +SKIP
    """
    files = find_pdfs(paths)
    require_embedder(embedder)
    settings = settings or IngestSettings()
    require_kind("settings", settings, IngestSettings, "give IngestSettings(chunk_tokens=…, …)")
    if progress is not None:
        require_kind("progress", progress, Progress, "give Progress(on_row=…, …)")
    if not isinstance(index, Index):
        index = Index.open_or_create(index, embedder=embedder)
    return ingest_files(files, index, embedder, settings=settings, prune=prune, progress=progress)


def ingest_files(
    files: Sequence[Path],
    index: Index,
    embedder: Embedder,
    *,
    ids: Mapping[Path, str] | None = None,
    settings: IngestSettings | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """`ingest` for files that `find_pdfs` has found already.

    `ids` holds the `file_id` of those that were hashed already; the others are hashed here.
    """
    settings, progress = settings or IngestSettings(), progress or Progress()
    _check(settings, embedder)
    progress.on_files(len(files))
    rows = []
    with index.writer() as writer:
        run = _Run(
            writer=writer, embedder=embedder, settings=settings, progress=progress, ids=ids or {}
        )
        for path in files:
            rows.append(run.one(path))
            progress.on_row(rows[-1])
        if prune:
            rows += run.prune()
    return tuple(rows)


def _check(settings: IngestSettings, embedder: Embedder) -> None:
    require_kind("limits", settings.limits, Limits, "give Limits(file_timeout_s=…, …)")
    if settings.password is not None:
        require_kind("password", settings.password, str, "give a text")
    require_whole("chunk_tokens", settings.chunk_tokens)
    require_whole("overlap_tokens", settings.overlap_tokens)
    most = embedder.max_seq_length - 2  # the embedder adds a token at either end
    if not MIN_CHUNK_TOKENS <= settings.chunk_tokens <= most:
        raise InputError(
            f"chunk_tokens is {settings.chunk_tokens}; the embedder {embedder.id} reads "
            f"{MIN_CHUNK_TOKENS} to {most} tokens without cutting"
        )
    if not 0 <= settings.overlap_tokens <= settings.chunk_tokens // 2:
        raise InputError(
            f"overlap_tokens is {settings.overlap_tokens}; use 0 to {settings.chunk_tokens // 2}, "
            "half a chunk"
        )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One ingest run over many files."""

    writer: IndexWriter
    embedder: Embedder
    settings: IngestSettings
    progress: Progress
    ids: Mapping[Path, str] = field(default_factory=dict)  # of files that were hashed before

    def one(self, path: Path) -> IngestRow:
        """Bring one file into the index; if that fails, its row gives the reason."""
        began = time.perf_counter()
        self.progress.on_file(str(path))
        try:
            _require_file(path)
            require_size(path, self.settings.limits)  # before its bytes are hashed
            document_id = self.ids.get(path) or file_id(path)
            row = self._known(path, document_id) or self._fresh(path, document_id)
        except PdfError as error:
            return _failed(path, error.status, str(error), began)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error}); check the path and permissions"
            return _failed(path, "unreadable", reason, began)
        return replace(row, seconds=time.perf_counter() - began)

    def prune(self) -> Iterator[IngestRow]:
        """Remove the sources whose files are gone."""
        for source in self.writer.sources():
            if not Path(source.path).exists():
                self.writer.remove(source.path)
                yield IngestRow(
                    path=source.path,
                    outcome="removed",
                    status=source.status,
                    document_id=source.document_id,
                )

    @cached_property
    def recipe(self) -> str:
        """How every document of this run is made; see `IngestSettings.recipe`."""
        return self.settings.recipe(self.embedder)

    def _known(self, path: Path, document_id: str) -> IngestRow | None:
        """The row of a file whose content is in the index already, made by this recipe."""
        sources = self.writer.sources(document_id=document_id)
        if not sources or sources[0].recipe != self.recipe:  # all are of one document
            return None
        outcome: IngestOutcome = "unchanged"
        if all(source.path != str(path) for source in sources):
            self.writer.alias(str(path), document_id, recipe=self.recipe)
            outcome = "duplicate"
        source = sources[0]
        return IngestRow(
            path=str(path),
            outcome=outcome,
            status=source.status,
            document_id=document_id,
            pages=source.pages,
            chunks=source.chunks,
        )

    def _fresh(self, path: Path, document_id: str) -> IngestRow:
        """Read, cut, embed and store a file."""
        document = read_pdf(
            path,
            document_id=document_id,
            password=self.settings.password,
            reader=self.settings.reader,
            limits=self.settings.limits,
            on_page=self.progress.on_page,
        )
        chunks = chunk_document(
            document,
            self.embedder.tokenizer,
            max_tokens=self.settings.chunk_tokens,
            overlap_tokens=self.settings.overlap_tokens,
        )
        vectors = self.embedder.encode(
            [chunk.text for chunk in chunks],
            on_progress=lambda done: self.progress.on_embedded(done, len(chunks)),
        )
        return self._store(path, document, chunks, vectors)

    def _store(
        self, path: Path, document: Document, chunks: Sequence[Chunk], vectors: Vectors
    ) -> IngestRow:
        name = str(path)
        outcome: IngestOutcome = "replaced" if self.writer.sources(path=name) else "added"
        self.writer.put(name, document, chunks, vectors, recipe=self.recipe)
        return IngestRow(
            path=name,
            outcome=outcome,
            status=document.status,
            document_id=document.id,
            pages=len(document.pages),
            chunks=len(chunks),
            reader=document.reader,
            message=_advice(document),
            page_problems=page_problems(document),
            warnings=document.warnings,
        )


def _require_file(path: Path) -> None:
    """Raise PdfError for what is not a file, and for names that an index cannot hold."""
    if path.exists() and not path.is_file():
        raise PdfError(f"{path.name} is not a file; name a PDF or a folder", status="unreadable")
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise PdfError(
            f"the name {path.name!a} is not valid Unicode; rename the file", status="unreadable"
        )


def page_problems(document: Document) -> tuple[tuple[int, PageStatus], ...]:
    """The pages that gave no sound text, with what is wrong; blank pages do not count."""
    sound = ("ok", "empty")
    return tuple((page.number, page.status) for page in document.pages if page.status not in sound)


def _advice(document: Document) -> str:
    if document.status == "no_text":
        return "no text layer; run OCR on it first, for example: ocrmypdf in.pdf out.pdf"
    if document.status == "partial":
        bad = page_problems(document)
        if bad:
            return f"{len(bad)} of {len(document.pages)} pages gave no text"
        return "part of the text is missing: " + "; ".join(document.warnings[:3])
    return ""


def _failed(path: Path, status: str, message: str, began: float) -> IngestRow:
    seconds = time.perf_counter() - began
    return IngestRow(
        path=str(path),
        outcome="failed",
        status=cast(PdfStatus, status),
        seconds=seconds,
        message=message,
    )


def _globbed(pattern: str) -> list[Path]:
    """What a pattern matches, sorted. A part of it that exists as written is not a pattern."""
    path = Path(pattern)
    return sorted(set(_matches(path.anchor, path.relative_to(path.anchor).parts)))


def _matches(base: str, parts: Sequence[str]) -> Iterator[Path]:
    """Paths below the folder `base` ("": the working directory) that match the parts."""
    if not parts:
        yield Path(base)
        return
    first, left = os.path.join(base, parts[0]), parts[1:]
    if os.path.lexists(first):
        yield from _matches(first, left)
        return
    pattern = os.path.join(glob.escape(base), parts[0])
    if parts[0] == "**" and left:
        pattern = os.path.join(pattern, "")  # folders only, and `base` itself
    for match in glob.glob(pattern, recursive=True):
        if not left or os.path.isdir(match):
            yield from _matches(match, left)
    if parts[0] == "**" and left and not base:
        yield from _matches(base, left)


def _pdfs_below(folder: Path) -> Sequence[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() == ".pdf")
    return sorted(path for path in files if path.is_file())


def open_cached(
    paths: Iterable[str | Path],
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> tuple[Index, tuple[IngestRow, ...]]:
    """The index of exactly these PDFs, made unless it is in the cache; and the rows of making it.

    The cache (`folder`, by default `paths.cache_dir() / "indexes"`) is keyed by the files' bytes
    and the recipe: a changed file makes another index, a renamed one is recognised. No rows means
    that nothing had to be done. A cached index that is damaged is made again.

    Raises:
        InputError: a path names nothing, or a setting is out of range.
        StoreError: the cache cannot be written.

    >>> index, rows = open_cached(["contract.pdf"], embedder)  # doctest: +SKIP
    """
    settings = settings or IngestSettings()
    ids = {path: _id_of(path, settings.limits) for path in find_pdfs(list(paths))}
    key = _key(ids.values(), settings.recipe(embedder))
    index = _opened((folder or cache_dir() / "indexes") / key, embedder)
    wanted = {str(path): document_id for path, document_id in ids.items()}
    if {source.path: source.document_id for source in index.sources()} == wanted:
        return index, ()
    rows = ingest_files(list(ids), index, embedder, ids=ids, settings=settings, progress=progress)
    _forget_others(index, wanted)
    return index, rows


def _opened(folder: Path, embedder: Embedder) -> Index:
    try:
        return Index.open_or_create(folder, embedder=embedder)
    except (IndexDamagedError, IndexMismatchError):
        shutil.rmtree(folder)
        return Index.open_or_create(folder, embedder=embedder)


def _key(ids: Iterable[str], recipe: str) -> str:
    return hashlib.sha256("\n".join([recipe, *sorted(ids)]).encode()).hexdigest()[:24]


def _id_of(path: Path, limits: Limits) -> str:
    """The file's id; "" if it is too large or cannot be read, which its row will report."""
    try:
        require_size(path, limits)
        return file_id(path)
    except (OSError, PdfError):
        return ""


def _forget_others(index: Index, wanted: Mapping[str, str]) -> None:
    """Remove the paths under which these files were cached before: citations name today's."""
    others = [source.path for source in index.sources() if source.path not in wanted]
    if others:
        with index.writer() as writer:
            for path in others:
                writer.remove(path)
