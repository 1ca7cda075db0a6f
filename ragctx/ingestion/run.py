"""From PDFs on disk to an index: one ledger row per file, one transaction per document.

A file that cannot be read costs its own row, never the run: everything before it is already in the
index, and everything after it still gets its turn. Running again does only what is left to do.

A file is looked up once and hashed once: its id, taken from its bytes, decides whether the index
holds it already, and goes with it to whoever reads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragctx.arguments import require_kind
from ragctx.chunking import chunk_document
from ragctx.embedding import require_embedder
from ragctx.errors import PdfError
from ragctx.index.index import Index
from ragctx.index.unfinished import UnfinishedVectors
from ragctx.ingest_ledger import IngestOutcome, IngestRow
from ragctx.ingestion.finding import Reach, as_paths, find_pdfs, is_gone
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reuse import KnownVectors, embedded
from ragctx.ingestion.settings import IngestSettings, Recipe, require_same
from ragctx.pdf.ocr import Ocr
from ragctx.pdf.opening import require_size
from ragctx.pdf.read import file_id, read_pdf
from ragctx.records import Chunk, Document, PageStatus, PdfStatus

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.index import IndexWriter
    from ragctx.index.store import SourceInfo


def ingest(
    paths: str | Path | Iterable[str | Path],
    index: str | Path | Index,
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    prune: bool = False,
    rebuild: bool = False,
    lenders: Iterable[Path] = (),
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """Read, cut, embed and store the PDFs that `paths` name; one row for each.

    A file of the index below `paths` that is no longer on disk has a row, too: "vanished", or
    "removed" with `prune`. One that was moved has a single row, "moved".

    Args:
        paths: files, folders and glob patterns, or one of them; see `find_pdfs`. With `prune` they
            may name what is gone.
        index: where to store them; a path is opened, or created.
        embedder: the one the index was made with.
        settings: how documents are read and cut; by default as the index remembers it.
        prune: remove the files below `paths` from the index that are no longer on disk.
        rebuild: remember these settings in place of the index's own, and read every document of it
            again that was made by others. Run again, it goes on where it stopped.
        lenders: folders of other indexes; vectors that they hold of the same documents are not
            computed again.
        progress: functions to call on the way.

    Raises:
        InputError: a path names nothing, or a setting is out of range or not the index's own.
        StoreError: the index cannot be written.

    >>> rows = ingest(["manuals/"], index, embedder)  # doctest: +SKIP
    >>> [row.path for row in rows if row.outcome == "failed"]  # doctest: +SKIP
    """
    paths = as_paths(paths)
    files = None if prune else find_pdfs(paths)  # before a folder is made for nothing
    require_embedder(embedder)
    settings, progress = settings or IngestSettings(), progress or Progress()
    require_kind("settings", settings, IngestSettings, "give IngestSettings(chunk_tokens=…, …)")
    require_kind("progress", progress, Progress, "give Progress(on_row=…, …)")
    if not isinstance(index, Index):
        index = Index.open_or_create(index, embedder=embedder)
    if files is None:
        files = find_pdfs(paths, known=(source.path for source in index.sources()))
    return ingest_files(
        files,
        index,
        embedder,
        reach=Reach.of(paths),
        settings=settings,
        prune=prune,
        rebuild=rebuild,
        lenders=lenders,
        progress=progress,
    )


def ingest_files(
    files: Sequence[Path],
    index: Index,
    embedder: Embedder,
    *,
    reach: Reach | None = None,
    ids: Mapping[Path, str] | None = None,
    settings: IngestSettings | None = None,
    prune: bool = False,
    rebuild: bool = False,
    lenders: Iterable[Path] = (),
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """`ingest` for files that `find_pdfs` has found already.

    `reach` tells where to look for files that are gone; without one, nowhere. `ids` holds the
    `file_id` of those files that were hashed already; the others are hashed here.
    """
    settings, progress = settings or IngestSettings(), progress or Progress()
    with index.writer() as writer:
        recipe = _agreed(index, writer, embedder, settings, named=reach, rebuild=rebuild)
        if rebuild:
            files = _with_sources(files, writer)
        progress.on_files(len(files))
        progress.on_sizes([_size_of(path) for path in files])
        run = _Run(
            writer=writer,
            embedder=embedder,
            settings=settings,
            recipe=recipe,
            ocr=_ocr(recipe, settings),
            known=KnownVectors(index, lenders),
            unfinished=UnfinishedVectors(index.path, embedder),
            progress=progress,
            ids=ids or {},
        )
        rows = []
        for path in files:
            rows.append(run.one(path))
            progress.on_row(rows[-1])
        if reach is not None:
            rows += _gone(writer, reach, prune=prune)
    return tuple(rows)


def _ocr(recipe: Recipe, settings: IngestSettings) -> Ocr | None:
    """What reads pages from their picture; None if nothing is to.

    Raises MissingExtraError if that is not installed.
    """
    if recipe.ocr == "never":
        return None
    engine = settings.ocr_engine
    if engine is None:
        from ragctx.pdf.rapidocr_engine import RapidOcr

        engine = RapidOcr()
    return Ocr(engine=engine, every_page=recipe.ocr == "always")


def _agreed(
    index: Index,
    writer: IndexWriter,
    embedder: Embedder,
    settings: IngestSettings,
    *,
    named: Reach | None,
    rebuild: bool,
) -> Recipe:
    """How this run makes documents, which the index remembers from now on.

    Raises InputError if its documents were made otherwise, and are not to be made again.
    """
    with index.snapshot() as snapshot:
        told, is_empty = snapshot.recipe, not snapshot.recipes()
    remembered = Recipe.parsed(told)
    recipe = settings.recipe(embedder, remembered)
    if remembered is not None and not rebuild and not is_empty:
        require_same(recipe, remembered, index.path, named.paths if named else ())
    writer.remember(str(recipe))
    return recipe


def _with_sources(files: Sequence[Path], writer: IndexWriter) -> list[Path]:
    """The files, and all others that the index knows and the disk still has."""
    sources = (source.path for source in writer.sources())
    return sorted({*files, *(Path(path) for path in sources if not is_gone(path))})


def _gone(writer: IndexWriter, reach: Reach, *, prune: bool) -> list[IngestRow]:
    """Rows of the files that are no longer on disk; with `prune` they are removed."""
    gone = [
        source for source in writer.sources() if reach.holds(source.path) and is_gone(source.path)
    ]
    if prune and gone:
        writer.remove(*(source.path for source in gone))
    return [
        IngestRow(
            path=source.path,
            outcome="removed" if prune else "vanished",
            status=source.status,
            document_id=source.document_id,
        )
        for source in gone
    ]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One ingest run over many files."""

    writer: IndexWriter
    embedder: Embedder
    settings: IngestSettings
    recipe: Recipe  # how every document of this run is made
    ocr: Ocr | None  # for pages that it reads from their picture
    known: KnownVectors
    unfinished: UnfinishedVectors
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
            was_moved = self._follow(path, document_id)
            row = self._known(path, document_id, was_moved) or self._fresh(path, document_id)
        except PdfError as error:
            return _failed(path, error.status, str(error), began)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error}); check the path and permissions"
            return _failed(path, "unreadable", reason, began)
        return replace(row, seconds=time.perf_counter() - began)

    def _follow(self, path: Path, document_id: str) -> bool:
        """Whether the file was moved here from a path that is gone; the index then follows it."""
        sources = self.writer.sources(document_id=document_id)
        if any(source.path == str(path) for source in sources):
            return False
        old = next((source.path for source in sources if is_gone(source.path)), None)
        if old is not None:
            self.writer.move(old, str(path))
        return old is not None

    def _known(self, path: Path, document_id: str, was_moved: bool) -> IngestRow | None:
        """The row of a file whose content is in the index already, made by this recipe."""
        sources = self.writer.sources(document_id=document_id)
        if not sources or sources[0].recipe != str(self.recipe):  # all are of one document
            return None
        outcome: IngestOutcome = "moved" if was_moved else "unchanged"
        if all(source.path != str(path) for source in sources):
            self.writer.alias(str(path), document_id, recipe=str(self.recipe))
            outcome = "duplicate"
        return _row_of(path, outcome, sources[0])

    def _fresh(self, path: Path, document_id: str) -> IngestRow:
        """Read, cut, embed and store a file."""
        document = read_pdf(
            path,
            document_id=document_id,
            password=self.settings.password,
            reader=self.recipe.reader,
            limits=self.settings.limits,
            ocr=self.ocr,
            on_page=self.progress.on_page,
        )
        chunks = chunk_document(
            document,
            self.embedder.tokenizer,
            max_tokens=self.recipe.chunk_tokens,
            overlap_tokens=self.recipe.overlap_tokens,
        )
        vectors = embedded(
            chunks,
            self.embedder,
            known=self.known.of(document_id, str(self.recipe)),
            unfinished=self.unfinished,
            on_embedded=self.progress.on_embedded,
        )
        return self._store(path, document, chunks, vectors)

    def _store(
        self, path: Path, document: Document, chunks: Sequence[Chunk], vectors: Vectors
    ) -> IngestRow:
        name = str(path)
        outcome: IngestOutcome = "replaced" if self.writer.sources(path=name) else "added"
        self.writer.put(name, document, chunks, vectors, recipe=str(self.recipe))
        self.unfinished.forget([chunk.text for chunk in chunks])
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


def _row_of(path: Path, outcome: IngestOutcome, source: SourceInfo) -> IngestRow:
    return IngestRow(
        path=str(path),
        outcome=outcome,
        status=source.status,
        document_id=source.document_id,
        pages=source.pages,
        chunks=source.chunks,
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
    sound = ("ok", "ocr", "empty")
    return tuple((page.number, page.status) for page in document.pages if page.status not in sound)


def _advice(document: Document) -> str:
    if document.status == "no_text":
        return "no text layer; run OCR on it first, for example: ocrmypdf in.pdf out.pdf"
    if document.status == "ocr":
        by_ocr = sum(page.status == "ocr" for page in document.pages)
        return f"{by_ocr} of {len(document.pages)} pages were read by OCR"
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
