"""From files on disk to an index: one ledger row per file, its text stored in one transaction.

A file that cannot be read costs its own row, never the run: everything before it is already in the
index, and everything after it still gets its turn. A file is found by its words as soon as it was
read; its vectors follow. Running again does only what is left to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ragctx.arguments import require_kind
from ragctx.embedding import require_embedder
from ragctx.errors import DocumentError
from ragctx.file_formats import unit_of
from ragctx.formats.document import EMPTY
from ragctx.headers import indexed_text
from ragctx.index.address import PostgresAddress
from ragctx.index.index import Index
from ragctx.ingest_ledger import IngestOutcome, IngestRow
from ragctx.ingestion.ahead import Ahead
from ragctx.ingestion.embedding_queue import EmbeddingQueue
from ragctx.ingestion.finding import Reach, as_paths, find_files, is_gone
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reading import FileFound, FileRead, FileReader, cores, ocr_of
from ragctx.ingestion.reuse import KnownVectors
from ragctx.ingestion.settings import IngestSettings, Recipe, require_same
from ragctx.ingestion.workers import LocalWorkers
from ragctx.pdf.readers import ForkedReaders
from ragctx.records import Document, PageStatus, PdfStatus

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.index.protocol import IndexWriter
    from ragctx.index.store import SourceInfo
    from ragctx.ingestion.workers import Workers


def ingest(
    paths: str | Path | Iterable[str | Path],
    index: str | Path | PostgresAddress | Index,
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    prune: bool = False,
    rebuild: bool = False,
    lenders: Iterable[Path] = (),
    embed_at_most: int | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """Read, cut, embed and store the files that `paths` name; one row for each.

    A file of the index below `paths` that is no longer on disk has a row, too: "vanished", or
    "removed" with `prune`. One that was moved has a single row, "moved". Files are read by several
    processes, while others are embedded; the index that comes of it is the same.

    Args:
        paths: files, folders and glob patterns, or one of them; see `find_files`. With `prune` they
            may name what is gone.
        index: where to store them; a path or an address is opened, or created.
        embedder: the one the index was made with.
        settings: how documents are read and cut; by default as the index remembers it.
        prune: remove the files below `paths` from the index that are no longer on disk.
        rebuild: remember these settings in place of the index's own, and read every document of it
            again that was made by others. Run again, it goes on where it stopped.
        lenders: folders of other indexes; vectors that they hold of the same documents are not
            computed again.
        embed_at_most: leave all vectors to a later run if more chunks than this lack one. The
            documents are found by their words until then.
        workers: who reads and embeds; by default threads of this process. With
            `ragctx.ingestion.on_ray.workers.on_ray`, a Ray cluster.
        progress: functions to call on the way.

    Raises:
        InputError: a path names nothing, or a setting is out of range or not the index's own.
        StoreError: the index cannot be written.

    >>> rows = ingest(["manuals/"], index, embedder)  # doctest: +SKIP
    >>> [row.path for row in rows if row.outcome == "failed"]  # doctest: +SKIP
    """
    paths = as_paths(paths)
    files = None if prune else find_files(paths)  # before a folder is made for nothing
    require_embedder(embedder)
    settings, progress = settings or IngestSettings(), progress or Progress()
    require_kind("settings", settings, IngestSettings, "give IngestSettings(chunk_tokens=…, …)")
    require_kind("progress", progress, Progress, "give Progress(on_row=…, …)")
    if isinstance(index, str | os.PathLike | PostgresAddress):
        index = Index.open_or_create(index, embedder=embedder)
    if files is None:
        files = find_files(paths, known=(source.path for source in index.sources()))
    return ingest_files(
        files,
        index,
        embedder,
        reach=Reach.of(paths),
        settings=settings,
        prune=prune,
        rebuild=rebuild,
        lenders=lenders,
        embed_at_most=embed_at_most,
        workers=workers,
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
    embed_at_most: int | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> tuple[IngestRow, ...]:
    """`ingest` for files that `find_files` has found already.

    `reach` tells where to look for files that are gone; without one, nowhere. `ids` holds the
    `file_id` of those files that were hashed already; the others are hashed here.
    """
    settings, progress = settings or IngestSettings(), progress or Progress()
    workers = workers or LocalWorkers(embedder)
    with index.writer() as writer, ForkedReaders() as readers:
        with index.snapshot() as snapshot:
            told, made = Recipe.parsed(snapshot.recipe), snapshot.recipes()
        if rebuild and told is not None and told.headers is None:
            told = replace(told, headers=True)
        recipe = settings.recipe(embedder, told)
        if told is not None and made and not rebuild:
            require_same(recipe, told, index.path, reach.paths if reach else ())
        writer.remember(str(recipe))
        if rebuild:
            files = _with_sources(files, writer)
        progress.on_files(len(files))
        progress.on_sizes([_size_of(path) for path in files])
        run = _Run(
            writer=writer,
            reader=FileReader(
                tokenizer=embedder.tokenizer,
                settings=settings,
                recipe=recipe,
                ocr=ocr_of(recipe, settings),
                progress=progress,
                made=made,
                ids=ids or {},
                processes=cores() // max(1, len(files)),
                readers=readers,
            ),
            known=KnownVectors(index, lenders),
            queue=EmbeddingQueue(writer, embedder, workers, on_embedded=progress.on_embedded),
            workers=workers,
            progress=progress,
            embed_at_most=embed_at_most,
            waiting=writer.waiting_documents(),
        )
        rows = run.rows(files)
        if reach is not None:
            rows += _gone(writer, reach, prune=prune)
    return tuple(rows)


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


@dataclass(kw_only=True)
class _Run:
    """One ingest run over many files: what was read is stored and embedded while others are read.

    Everything is written by the thread that calls `rows`, in the order of the files.
    """

    writer: IndexWriter
    reader: FileReader
    known: KnownVectors
    queue: EmbeddingQueue
    workers: Workers
    progress: Progress
    embed_at_most: int | None
    waiting: set[str]  # documents whose vectors an earlier run left to be computed
    resumed: set[str] = field(default_factory=set)  # those of them that are in the queue
    done: list[IngestRow] = field(default_factory=list)  # in the order of the files
    told: int = 0  # rows that were given to `progress`

    def rows(self, files: Sequence[Path]) -> list[IngestRow]:
        """Bring the files into the index; of one that fails, its row gives the reason."""
        threads = min(self.workers.readers, len(files))
        found, stopped = self.reader.found(files), self.reader.stopped
        with Ahead(self._read, found, threads=threads, stopped=stopped) as ahead:
            for path in files:
                while (self.queue.is_ready() or not ahead.is_ready()) and self._step(flush=False):
                    pass
                self.done.append(self._taken(ahead.take()))
                self.progress.on_read(str(path))
                self._tell()
                if self.embed_at_most is None:
                    self.queue.send(flush=False)
        while self._step(flush=True):
            pass
        self._tell(everything=True)
        return self.done

    def _read(self, found: FileFound) -> FileRead:
        return self.workers.read(self.reader, found)

    def _step(self, *, flush: bool) -> bool:
        """Embed one group of chunks, if any waits and vectors are wanted."""
        most = self.embed_at_most
        if most is not None and not (flush and self.queue.lacking <= most):
            return False
        embedded = self.queue.step(flush=flush)
        self._tell()
        return embedded

    def _tell(self, *, everything: bool = False) -> None:
        """Tell of the files that are done, in their order."""
        while self.told < len(self.done):
            row = self.done[self.told]
            waits = row.document_id in self.queue
            if waits and not everything:
                return
            if row.document_id in self.resumed and row.outcome == "unchanged" and not waits:
                row = replace(row, outcome="completed")
            row = replace(row, seconds=row.seconds + self.queue.seconds_of(row.document_id))
            self.done[self.told] = row
            self.told += 1
            self.progress.on_row(row)

    def _taken(self, read: FileRead) -> IngestRow:
        """Bring what was read of a file into the index."""
        began = time.perf_counter()
        row = _failure(read)
        if row is None:
            was_moved = self._follow(read.path, read.document_id)
            row = self._known(read.path, read.document_id, was_moved)
        if row is None and read.document is None:  # what made it known is gone, or failed
            path, document_id = read.path, read.document_id
            read = self._read(FileFound(path=path, document_id=document_id, is_new=True))
            row = _failure(read)
        row = row or self._stored(read)
        return replace(row, seconds=read.seconds + time.perf_counter() - began)

    def _follow(self, path: Path, document_id: str) -> bool:
        """Whether the file was moved here from a path that is gone; the index then follows it."""
        if self.writer.sources(path=str(path), document_id=document_id):
            return False
        sources = self.writer.sources(document_id=document_id)
        old = next((source.path for source in sources if is_gone(source.path)), None)
        if old is not None:
            self.writer.move(old, str(path))
        return old is not None

    def _known(self, path: Path, document_id: str, was_moved: bool) -> IngestRow | None:
        """The row of a file whose content is in the index already, made by this recipe."""
        # Its own path alone, if it has one: of many copies each would list all others.
        own = self.writer.sources(path=str(path), document_id=document_id)
        sources = own or self.writer.sources(document_id=document_id)
        recipe = str(self.reader.recipe)
        if not sources or sources[0].recipe != recipe:  # all are of one document
            return None
        outcome: IngestOutcome = "moved" if was_moved else "unchanged"
        if not own:
            self.writer.alias(str(path), document_id, recipe=recipe)
            outcome = "duplicate"
        if document_id in self.waiting:
            self.waiting.discard(document_id)
            self.resumed.add(document_id)
            self._queue(document_id, sources[0].chunks, self.known.of(document_id, recipe))
        return _row_of(path, outcome, sources[0])

    def _stored(self, read: FileRead) -> IngestRow:
        """Store a file that was read: with its vectors if all are known, else to wait for them."""
        document, chunks, name = read.document, read.chunks, str(read.path)
        assert document is not None
        recipe = str(self.reader.recipe)
        outcome: IngestOutcome = "replaced" if self.writer.sources(path=name) else "added"
        known = self.known.of(document.id, recipe)
        self.waiting.discard(document.id)
        texts = [indexed_text(chunk) for chunk in chunks]
        if all(text in known for text in texts):
            vectors = np.array([known[text] for text in texts], np.float32)
            shaped = vectors.reshape(len(chunks), self.queue.dim)
            self.writer.put(name, document, chunks, shaped, recipe=recipe)
        else:
            self.writer.put_text(name, document, chunks, recipe=recipe)
            self._queue(document.id, len(chunks), known)
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

    def _queue(self, document_id: str, chunks: int, known: Mapping[str, Vectors]) -> None:
        """Let a stored document wait for those of its vectors that are not known."""
        lacking = self.writer.lacking(document_id) if known else {}
        texts = {row: indexed_text(chunk) for row, chunk in lacking.items()}
        lent = {row: known[text] for row, text in texts.items() if text in known}
        if lent:
            self.writer.keep(lent)
        self.queue.add(document_id, chunks)


def _failure(read: FileRead) -> IngestRow | None:
    """The row of a file that could not be read."""
    error = read.error
    if error is None:
        return None
    if isinstance(error, DocumentError):
        return _failed(read.path, error.status, str(error))
    reason = f"cannot be read ({error.strerror or error}); check the path and permissions"
    return _failed(read.path, "unreadable", reason)


def _row_of(path: Path, outcome: IngestOutcome, source: SourceInfo) -> IngestRow:
    return IngestRow(
        path=str(path),
        outcome=outcome,
        status=source.status,
        document_id=source.document_id,
        pages=source.pages,
        chunks=source.chunks,
    )


def page_problems(document: Document) -> tuple[tuple[int, PageStatus], ...]:
    """The pages that gave no sound text, with what is wrong; blank pages do not count."""
    sound = ("ok", "ocr", "empty")
    return tuple((page.number, page.status) for page in document.pages if page.status not in sound)


def _advice(document: Document) -> str:
    if document.status == "no_text" and unit_of(document.path) == "section":
        return EMPTY
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


def _failed(path: Path, status: str, message: str) -> IngestRow:
    return IngestRow(
        path=str(path), outcome="failed", status=cast(PdfStatus, status), message=message
    )
