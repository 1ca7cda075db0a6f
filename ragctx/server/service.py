"""What can be asked of one index with warm models. No web: `app` puts it under addresses.

Requests come from many threads. Searching and assembling go side by side; the model answers one
question after another, for it has one memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly, Trace, trace
from ragctx.errors import IndexLockedError
from ragctx.explanation.fates import Explanation, explain
from ragctx.follow_ups import standalone
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from ragctx.pdf.ocr import Ocr
from ragctx.pipeline import ask, fit_generator
from ragctx.records import Answer, Hit, Prompt
from ragctx.retrieval import Retrieval, retrieve
from ragctx.selection.selectors import as_selector
from ragctx.server.bodies import Asked

if TYPE_CHECKING:
    from ragctx.documents import Document, Page
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.index import Index
    from ragctx.index.store import SourceInfo
    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion.progress import Progress
    from ragctx.pdf.ocr import OcrEngine

WAIT_S = 30.0
"""Seconds to wait for another process that writes to the index. Chosen by hand."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An index, the models that were loaded for it, and how it is asked unless a request says."""

    index: Index
    embedder: Embedder
    generator: Generator
    retrieval: Retrieval = field(default_factory=lambda: Retrieval(k=5))
    assembly: Assembly = field(default_factory=Assembly)
    writer: Generator | None = None
    """A model that writes, to make follow-ups stand by themselves; None: they do by rule."""
    password: str | None = None  # of documents that are encrypted
    ocr_engine: OcrEngine | None = None
    """What finds quotes on pages that were read by OCR; None: they are not marked."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, asked: Asked, on_text: Callable[[str], None] | None = None) -> Answer:
        """Answer a question. Raises what `ragctx.pipeline.ask` does, and what `on_text` does."""
        with self._turn:
            return ask(
                standalone(asked.question, asked.earlier, self.writer),
                self.index,
                self.embedder,
                self.generator,
                retrieval=asked.retrieval,
                assembly=asked.assembly,
                on_text=on_text,
                min_confidence=asked.min_confidence,
                strict=asked.strict,
            )

    def search(self, asked: Asked) -> list[Hit]:
        """The passages that match the question best."""
        with self.index.snapshot() as snapshot:
            return retrieve(asked.by_itself, snapshot, self.embedder, asked.retrieval)

    def prompt(self, asked: Asked) -> Prompt:
        """The prompt that the model would be given."""
        return self._trace(asked)[0].prompt

    def explain(self, asked: Asked) -> Explanation:
        """What became of each passage found, and why."""
        made, hits, fitted = self._trace(asked)
        select = as_selector(fitted.select)
        return explain(made, hits, select, score_name=asked.retrieval.score_name)

    def _trace(self, asked: Asked) -> tuple[Trace, Sequence[Hit], Assembly]:
        fitted, question = fit_generator(asked.assembly, self.generator), asked.by_itself
        with self.index.snapshot() as snapshot:
            hits = retrieve(question, snapshot, self.embedder, asked.retrieval)
            made = trace(
                question,
                hits,
                self.generator.tokenizer,
                context_window=self.generator.context_window,
                assembly=fitted,
                get_document=snapshot.document,
                get_chunks=snapshot.chunks,
            )
        return made, hits, fitted

    # ---- documents -------------------------------------------------------------------------

    def sources(self) -> tuple[SourceInfo, ...]:
        """The files that the index knows."""
        return self.index.sources()

    def document(self, document_id: str) -> Document:
        """A document by its id. Raises LookupError if there is none."""
        with self.index.snapshot() as snapshot:
            document = snapshot.document(document_id)
        if document is None:
            raise LookupError(f"there is no document {document_id!r}; see /documents")
        return document

    def path_of(self, document_id: str) -> Path:
        """A file that holds a document. Raises LookupError if the index knows none on disk."""
        paths = [Path(s.path) for s in self.sources() if s.document_id == document_id]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            what = "is no longer on disk" if paths else "is not in the index"
            raise LookupError(f"the file of document {document_id!r} {what}; see /documents")
        return found

    def ocr_for(self, page: Page) -> Ocr | None:
        """What finds a quote on a page; None for one whose text is that of the file."""
        if self.ocr_engine is None or page.status != "ocr":
            return None
        return Ocr(engine=self.ocr_engine)

    def add(self, path: Path, progress: Progress | None = None) -> IngestRow:
        """Put a file into the index, and give its row of the ingest ledger."""
        (row,) = self.update([str(path)], progress=progress)
        return row

    def update(
        self, paths: Sequence[str], *, prune: bool = False, progress: Progress | None = None
    ) -> tuple[IngestRow, ...]:
        """Read what is new or has changed below paths; with `prune`, forget what is gone there.

        Raises IndexLockedError if another process writes to the index for longer than `WAIT_S`.
        """
        settings = IngestSettings(password=self.password, ocr_engine=self.ocr_engine)
        given_up = time.monotonic() + WAIT_S
        with self._writing:
            while True:
                try:
                    return ingest(
                        paths,
                        self.index,
                        self.embedder,
                        settings=settings,
                        prune=prune,
                        progress=progress,
                    )
                except IndexLockedError:
                    if time.monotonic() > given_up:
                        raise
                    time.sleep(_POLL_S)

    def remove(self, document_id: str) -> tuple[SourceInfo, ...]:
        """Take a document out of the index; the files that it had there.

        Raises LookupError if there is none.
        """
        with self._writing:
            gone = tuple(one for one in self.sources() if one.document_id == document_id)
            if not gone:
                raise LookupError(f"there is no document {document_id!r}; see /documents")
            with self.index.writer() as writer:
                writer.remove(document_id)
        return gone
