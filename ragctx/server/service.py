"""What can be asked of one index with warm models. No web: `app` puts it under addresses.

Requests come from many threads. Searching and assembling go side by side; the model answers one
question after another, for it has one memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly, Trace, trace
from ragctx.explanation.fates import Explanation, explain
from ragctx.ingestion.run import ingest
from ragctx.pipeline import ask, fit_generator
from ragctx.records import Answer, Hit, Prompt
from ragctx.retrieval import RETRIEVERS, SCORE_SCALES, Retrieval, retrieve
from ragctx.selection.selectors import as_selector
from ragctx.server.bodies import Asked

if TYPE_CHECKING:
    from ragctx.documents import Document
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.index import Index
    from ragctx.index.store import SourceInfo
    from ragctx.ingest_ledger import IngestRow
    from ragctx.ingestion.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An index, the models that were loaded for it, and how it is asked unless a request says."""

    index: Index
    embedder: Embedder
    generator: Generator
    retrieval: Retrieval = field(default_factory=lambda: Retrieval(k=5))
    assembly: Assembly = field(default_factory=Assembly)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, asked: Asked, on_text: Callable[[str], None] | None = None) -> Answer:
        """Answer a question. Raises what `ragctx.pipeline.ask` does, and what `on_text` does."""
        with self._turn:
            return ask(
                asked.question,
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
            return retrieve(asked.question, snapshot, self.embedder, asked.retrieval)

    def prompt(self, asked: Asked) -> Prompt:
        """The prompt that the model would be given."""
        return self._trace(asked)[0].prompt

    def explain(self, asked: Asked) -> Explanation:
        """What became of each passage found, and why."""
        made, hits, fitted = self._trace(asked)
        name = next(
            (name for name, known in RETRIEVERS.items() if known is asked.retrieval.retriever), ""
        )
        score_name = SCORE_SCALES[name].name if name else "score"
        return explain(made, hits, as_selector(fitted.select), score_name=score_name)

    def _trace(self, asked: Asked) -> tuple[Trace, Sequence[Hit], Assembly]:
        fitted = fit_generator(asked.assembly, self.generator)
        with self.index.snapshot() as snapshot:
            hits = retrieve(asked.question, snapshot, self.embedder, asked.retrieval)
            made = trace(
                asked.question,
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

    def add(self, path: Path, progress: Progress | None = None) -> IngestRow:
        """Put a file into the index, and give its row of the ingest ledger."""
        with self._writing:
            (row,) = ingest(path, self.index, self.embedder, progress=progress)
        return row

    def update(self, paths: Sequence[str]) -> tuple[IngestRow, ...]:
        """Read again what has changed below paths."""
        with self._writing:
            return ingest(paths, self.index, self.embedder)

    def remove(self, document_id: str) -> int:
        """Take a document out of the index; how many files it had there."""
        with self._writing, self.index.writer() as writer:
            return writer.remove(document_id)
