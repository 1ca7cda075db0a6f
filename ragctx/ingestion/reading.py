"""A file on disk to a document and its chunks, in a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.chunking import chunk_document
from ragctx.errors import DocumentError, MissingExtraError
from ragctx.file_formats import text_format_of
from ragctx.formats.read import id_of_file, read_document
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.settings import IngestSettings, Recipe
from ragctx.pdf.ocr import Ocr
from ragctx.pdf.opening import require_size
from ragctx.pdf.read import read_pdf
from ragctx.pdf.readers import Readers
from ragctx.records import Chunk, Document

if TYPE_CHECKING:
    from ragctx.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """A file on disk: its id, and whether it is to be read; or why it cannot be."""

    path: Path
    document_id: str = ""
    is_new: bool = False
    error: DocumentError | OSError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """What came of a file: its id and, if it was read, its document."""

    path: Path
    document_id: str = ""
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    error: DocumentError | OSError | None = None  # why it could not be read
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FileReader:
    """Finds, reads and cuts the files of one ingest run; several threads may read at once.

    A file is hashed once: its id, taken from its bytes, decides whether it is read at all.
    """

    tokenizer: Tokenizer
    settings: IngestSettings
    recipe: Recipe
    ocr: Ocr | None  # for pages that it reads from their picture
    progress: Progress
    made: Mapping[str, str]  # how the documents that the index holds were made, by id
    ids: Mapping[Path, str]  # of files that were hashed before
    processes: int = 1  # that may read one long file at once
    readers: Readers | None = None  # where they come from; None: each file's own
    stopped: threading.Event = field(default_factory=threading.Event)  # set: nobody waits for it
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def found(self, paths: Iterable[Path]) -> Iterator[FileFound]:
        """Look up files: of those with the same content, the first is to be read."""
        known = {id_ for id_, recipe in self.made.items() if recipe == str(self.recipe)}
        for path in paths:
            with self._one_at_a_time:
                self.progress.on_file(str(path))
            try:
                _require_file(path)
                require_size(path, self.settings.limits)  # before its bytes are hashed
                document_id = self.ids.get(path) or id_of_file(path)
            except (DocumentError, OSError) as error:
                yield FileFound(path=path, error=error)
                continue
            yield FileFound(path=path, document_id=document_id, is_new=document_id not in known)
            known.add(document_id)

    def read(self, found: FileFound) -> FileRead:
        """Read and cut a file if it is new."""
        path, document_id = found.path, found.document_id
        if found.error is not None or not found.is_new:
            return FileRead(path=path, document_id=document_id, error=found.error)
        began = time.perf_counter()
        try:
            document = self._document(path, document_id)
            chunks = self._cut(document)
        except (DocumentError, OSError) as error:
            return FileRead(path=path, error=error, seconds=time.perf_counter() - began)
        return FileRead(
            path=path,
            document_id=document_id,
            document=document,
            chunks=chunks,
            seconds=time.perf_counter() - began,
        )

    def tell_page(self, path: Path, done: int, pages: int) -> None:
        """Tell `progress` how many of a file's pages were read by now."""
        with self._one_at_a_time:
            self.progress.on_page(str(path), done, pages)

    def _document(self, path: Path, document_id: str) -> Document:
        if text_format_of(str(path)) is not None:
            return self._text_document(path, document_id)
        read: set[int] = set()  # some are read twice, and not in their order

        def on_page(page: int, pages: int) -> None:
            if self.stopped.is_set():
                raise _Stopped
            read.add(page)
            self.tell_page(path, len(read), pages)

        return read_pdf(
            path,
            document_id=document_id,
            password=self.settings.password,
            reader=self.recipe.reader,
            hidden=self.recipe.hidden,
            ocr=self.ocr,
            limits=self.settings.limits,
            processes=self.processes,
            readers=self.readers,
            on_page=on_page,
        )

    def _text_document(self, path: Path, document_id: str) -> Document:
        try:
            document = read_document(
                path,
                document_id=document_id,
                hidden=self.recipe.hidden,
                limits=self.settings.limits,
                is_wanted=lambda: not self.stopped.is_set(),
            )
        except MissingExtraError as error:  # of this format: other files can be read
            raise DocumentError(str(error), status="unreadable") from error
        sections = len(document.pages)
        with self._one_at_a_time:
            self.progress.on_page(str(path), sections, sections)
        return document

    def _cut(self, document: Document) -> tuple[Chunk, ...]:
        with self._one_at_a_time:  # a tokenizer need not bear several threads
            return tuple(
                chunk_document(
                    document,
                    self.tokenizer,
                    max_tokens=self.recipe.chunk_tokens,
                    overlap_tokens=self.recipe.overlap_tokens,
                    headers=bool(self.recipe.headers),
                )
            )


class _Stopped(Exception):
    """Ends the reading of a file that nobody waits for any more."""


def ocr_of(recipe: Recipe, settings: IngestSettings) -> Ocr | None:
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


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _require_file(path: Path) -> None:
    """Raise DocumentError for what is not a file, and for names that an index cannot hold."""
    if path.exists() and not path.is_file():
        raise DocumentError(
            f"{path.name} is not a file; name a file or a folder", status="unreadable"
        )
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise DocumentError(
            f"the name {path.name!a} is not valid Unicode; rename the file", status="unreadable"
        )
