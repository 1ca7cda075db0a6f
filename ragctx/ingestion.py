"""From PDFs on disk to an index: one ledger row per file, one transaction per document.

A file that cannot be read costs its own row, never the run: everything before it is already in the
index and everything after it still gets its turn. Running again does only what is left to do.
"""

from __future__ import annotations

import glob
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.chunking import chunk_document
from ragctx.errors import InputError, PdfError
from ragctx.pdf import Limits, PdfReader, read_pdf
from ragctx.records import Document, IngestOutcome, IngestRow, PageStatus

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index import Index, IndexWriter

CHUNK_TOKENS = 180
"""Default size of a chunk in the embedder's tokens: within what embedder and reader read well."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How documents are read and cut. A source made with other settings is made again.

    `chunk_tokens` and `overlap_tokens` are in the embedder's tokens.
    """

    reader: PdfReader = "auto"
    chunk_tokens: int = CHUNK_TOKENS
    overlap_tokens: int = 0
    password: str | None = None
    limits: Limits = Limits()

    def recipe(self, embedder: Embedder) -> str:
        """What decides the chunks and vectors of a given file, as one comparable string."""
        return (
            f"reader={self.reader} chunk_tokens={self.chunk_tokens} "
            f"overlap_tokens={self.overlap_tokens} embedder={embedder.id}"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Called back while ingesting; each does nothing unless replaced."""

    on_files: Callable[[int], None] = lambda count: None  # how many files there are to do
    on_file: Callable[[str], None] = lambda path: None  # work on this one begins
    on_page: Callable[[int, int], None] = lambda page, pages: None  # page read, pages in all
    on_embedded: Callable[[int, int], None] = lambda done, chunks: None
    on_row: Callable[[IngestRow], None] = lambda row: None  # this one is done


def find_pdfs(paths: Iterable[str | Path]) -> list[Path]:
    """The files that `paths` (files, folders, glob patterns) name, sorted, each once.

    A folder stands for every `*.pdf` below it; a file counts whatever its name. Raises InputError
    when a path names nothing, or a folder holds no PDF.
    """
    found: dict[Path, None] = {}
    for path in paths:
        matches = [Path(path)] if Path(path).exists() else _globbed(str(path))
        if not matches:
            raise InputError(f"{str(path)!r} does not exist; name a PDF, a folder or a pattern")
        for match in matches:
            files = _pdfs_below(match) if match.is_dir() else [match]
            found.update((file.absolute(), None) for file in files)
    if not found:
        names = ", ".join(repr(str(path)) for path in paths)
        raise InputError(f"no PDF (*.pdf) in {names}; name a folder that holds some")
    return list(found)


def ingest(
    paths: Iterable[str | Path],
    index: Index,
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """Read, cut, embed and store the PDFs that `paths` name; one row for each.

    `prune` also removes from the index every source whose file is gone. Raises InputError for
    paths or settings that cannot be, StoreError when the index cannot be written.

    >>> rows = ingest(["manuals/"], index, embedder)  # doctest: +SKIP
    >>> [row.path for row in rows if row.outcome == "failed"]  # doctest: +SKIP
    """
    settings, progress = settings or IngestSettings(), progress or Progress()
    _check(settings, embedder)
    files = find_pdfs(list(paths))
    progress.on_files(len(files))
    rows = []
    with index.writer() as writer:
        run = _Run(index, writer, embedder, settings, progress)
        for path in files:
            rows.append(run.one(path))
            progress.on_row(rows[-1])
        if prune:
            rows += [row for row in run.prune()]
    return tuple(rows)


def _check(settings: IngestSettings, embedder: Embedder) -> None:
    most = embedder.max_seq_length - 2
    if not 16 <= settings.chunk_tokens <= most:
        raise InputError(
            f"chunk_tokens is {settings.chunk_tokens}; the embedder {embedder.id} reads "
            f"16 to {most} tokens without cutting"
        )
    if not 0 <= settings.overlap_tokens <= settings.chunk_tokens // 2:
        raise InputError(
            f"overlap_tokens is {settings.overlap_tokens}; use 0 to {settings.chunk_tokens // 2}, "
            "half a chunk"
        )


@dataclass(frozen=True)
class _Run:
    """One ingest run over many files."""

    index: Index
    writer: IndexWriter
    embedder: Embedder
    settings: IngestSettings
    progress: Progress

    def one(self, path: Path) -> IngestRow:
        """Bring one file into the index, or say in its row why not."""
        began = time.perf_counter()
        self.progress.on_file(str(path))
        try:
            document_id = file_id(path)
            row = self._known(path, document_id) or self._fresh(path, began)
        except PdfError as error:
            return _failed(path, error.status, str(error), began)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error}); check its permissions"
            return _failed(path, "unreadable", reason, began)
        return row

    def prune(self) -> Iterable[IngestRow]:
        """Remove the sources whose files are gone."""
        for source in self.index.sources():
            if not Path(source.path).exists():
                self.writer.remove(source.path)
                yield IngestRow(source.path, "removed", "ok", source.document_id)

    def _known(self, path: Path, document_id: str) -> IngestRow | None:
        """The row of a file whose content is in the index already, under this recipe."""
        recipe = self.settings.recipe(self.embedder)
        for source in self.index.sources():
            if (source.document_id, source.recipe) != (document_id, recipe):
                continue
            if source.path == str(path):
                outcome: IngestOutcome = "unchanged"
            elif self.writer.alias(str(path), document_id, recipe=recipe):
                outcome = "duplicate"
            else:
                continue
            return IngestRow(
                str(path), outcome, source.status, document_id, source.pages, source.chunks
            )
        return None

    def _fresh(self, path: Path, began: float) -> IngestRow:
        known = any(source.path == str(path) for source in self.index.sources())
        document = read_pdf(
            path, password=self.settings.password, reader=self.settings.reader,
            limits=self.settings.limits, on_page=self.progress.on_page,
        )
        chunks = chunk_document(
            document, self.embedder.tokenizer, max_tokens=self.settings.chunk_tokens,
            overlap_tokens=self.settings.overlap_tokens,
        )
        vectors = self.embedder.encode(
            [chunk.text for chunk in chunks],
            on_progress=lambda done: self.progress.on_embedded(done, len(chunks)),
        )
        self.writer.put(
            str(path), document, chunks, vectors, recipe=self.settings.recipe(self.embedder)
        )
        return IngestRow(
            path=str(path), outcome="replaced" if known else "added", status=document.status,
            document_id=document.id, pages=len(document.pages), chunks=len(chunks),
            reader=document.reader, seconds=time.perf_counter() - began,
            message=_advice(document), page_problems=page_problems(document),
            warnings=document.warnings,
        )


def page_problems(document: Document) -> tuple[tuple[int, PageStatus], ...]:
    """The pages that gave no sound text, with what is wrong; blank pages do not count."""
    sound = ("ok", "empty")
    return tuple((page.number, page.status) for page in document.pages if page.status not in sound)


def file_id(path: Path) -> str:
    """A document's id: the first 16 hex digits of the SHA-256 of the file's bytes."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _advice(document: Document) -> str:
    if document.status == "no_text":
        return "no text layer; run OCR on it first, for example: ocrmypdf in.pdf out.pdf"
    if document.status == "partial":
        bad = page_problems(document)
        return f"{len(bad)} of {len(document.pages)} pages gave no text"
    return ""


def _failed(path: Path, status: str, message: str, began: float) -> IngestRow:
    return IngestRow(
        str(path), "failed", status, seconds=time.perf_counter() - began,  # type: ignore[arg-type]
        message=message,
    )


def _globbed(pattern: str) -> list[Path]:
    return [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]


def _pdfs_below(folder: Path) -> Sequence[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() == ".pdf")
    return sorted(path for path in files if path.is_file())
