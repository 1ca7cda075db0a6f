"""The index and the models that a server keeps, loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.cli.answering import Answering
from ragctx.cli.exit_codes import say
from ragctx.cli.model_options import with_profile, writer_in
from ragctx.cli.output import failure_lines
from ragctx.cli.progress import ingest_progress, loading
from ragctx.errors import MissingExtraError

if TYPE_CHECKING:
    from ragctx.ingest_ledger import IngestRow
    from ragctx.pdf.ocr import OcrEngine
    from ragctx.server.service import Service
    from ragctx.server.watching import Watcher


def load_service(pdfs: tuple[str, ...], answering: Answering) -> Service:
    """Put the files and folders named into the index, and load the models."""
    from ragctx.index.index import Index
    from ragctx.index.made_with import embedder_of
    from ragctx.ingestion.run import ingest
    from ragctx.ingestion.settings import IngestSettings
    from ragctx.server.service import Service

    retrieval, assembly = answering.resolve()
    with loading("the embedder"):
        embedder = embedder_of(answering.index_path, answering.embedder_spec)
    index = Index.open_or_create(answering.index_path, embedder=embedder)
    if pdfs:
        with ingest_progress() as progress:
            settings = IngestSettings(password=answering.password)
            rows = ingest(pdfs, index, embedder, settings=settings, progress=progress)
        for line in failure_lines(rows):
            say(line)
    with loading("the model"):
        generator = answering.model.load(assembly.context_window)
    return Service(
        index=index,
        embedder=embedder,
        generator=generator,
        retrieval=retrieval,
        assembly=with_profile(assembly, answering.model, generator),
        writer=writer_in(generator),
        password=answering.password,
        ocr_engine=_ocr_engine(),
    )


def _ocr_engine() -> OcrEngine | None:
    """What reads pages from their picture; None if it is not installed."""
    from ragctx.pdf.rapidocr_engine import RapidOcr
    from ragctx.server.pages import RememberingEngine

    try:
        return RememberingEngine(RapidOcr())
    except MissingExtraError:
        return None


def watcher(service: Service, pdfs: tuple[str, ...]) -> Watcher:
    """What reads files again when they change, with one line for each; to be started."""
    from ragctx.server.watching import Watcher

    return Watcher(service, pdfs, _tell_row)


def _tell_row(row: IngestRow) -> None:
    say(f"{row.path}: {row.outcome}")
