"""Index, embedder and model, loaded once to answer one question or a thousand."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import click

from ragctx.cli.answering import Answering
from ragctx.cli.exit_codes import say
from ragctx.cli.model_options import tell_notes, with_profile
from ragctx.cli.output import failure_lines
from ragctx.cli.progress import ingest_progress, loading
from ragctx.errors import IndexDamagedError, IndexLockedError, RagctxError
from ragctx.text.wording import counted
from ragctx.views import is_in_index

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.address import IndexPlace
    from ragctx.index.index import Index
    from ragctx.index.waiting import Lacking
    from ragctx.ingest_ledger import IngestRow
    from ragctx.records import Answer
    from ragctx.retrieval import Retrieval

T = TypeVar("T")

WAIT_S = 600.0
"""How long to wait for a process that reads the same files: it may take minutes; chosen by hand."""
AT_ONCE = 256
"""Chunks of named PDFs that are embedded before one question is answered: some 65 pages, for which
a person waits some seconds. With more, the question is answered by words first. Chosen by hand."""
_POLL_S = 0.1
_NAMED = 3  # files without vectors that a command names one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The documents to ask: the PDFs that were named, or else an index.

    `chunk_tokens` is the size of chunks into which PDFs are cut; None is the default. PDFs with
    more chunks to embed than `embed_at_most` are asked before they are; see `open_cached`.
    """

    pdfs: tuple[str, ...]
    index_path: IndexPlace
    embedder_spec: str
    password: str | None
    chunk_tokens: int | None = None
    embed_at_most: int | None = None


def sources_of(
    ctx: click.Context,
    *,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
) -> Sources:
    """The documents that a command line names, for one question.

    Files and --index together are wrong usage.
    """
    if pdfs and ctx.get_parameter_source("index_path") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("name files or --index, not both.", ctx)
    return Sources(
        pdfs=pdfs,
        index_path=index_path,
        embedder_spec=embedder_spec,
        password=password,
        embed_at_most=AT_ONCE,
    )


@dataclass(slots=True, kw_only=True)
class Session:
    """All that `ask` needs. `sources` tells how an index in the cache is made again."""

    index: Index
    embedder: Embedder
    generator: Generator
    retrieval: Retrieval
    assembly: Assembly
    load_s: float  # seconds, PDFs read included
    sources: Sources

    def ask(
        self,
        question: str,
        on_text: Callable[[str], None] | None = None,
        *,
        min_confidence: float = 0.0,
        strict: bool = False,
    ) -> Answer:
        """Answer one question; an index in the cache that proves damaged is made again first."""
        written: list[str] = []

        def write(piece: str) -> None:
            written.append(piece)
            if on_text:
                on_text(piece)

        try:
            return self._ask(question, write, min_confidence, strict)
        except IndexDamagedError:
            if not self.sources.pdfs:
                raise
            say("what was remembered of the files is damaged; reading them again")
            shutil.rmtree(str(self.index.path), ignore_errors=True)
            self.index = open_index(self.sources, self.embedder)
        return self._ask(question, None if written else on_text, min_confidence, strict)

    def _ask(
        self,
        question: str,
        on_text: Callable[[str], None] | None,
        min_confidence: float,
        strict: bool,
    ) -> Answer:
        from ragctx.pipeline import ask

        answer = ask(
            question,
            self.index,
            self.embedder,
            self.generator,
            retrieval=self.retrieval,
            assembly=self.assembly,
            on_text=on_text,
            min_confidence=min_confidence,
            strict=strict,
        )
        tell_notes(self.generator)
        return answer


def open_session(sources: Sources, answering: Answering) -> Session:
    """Load everything, what is quick to check first."""
    began = time.perf_counter()
    retrieval_settings, assembly_settings = answering.resolve()
    with loading("the embedder"):
        embedder = load_embedder(sources)
    index = open_index(sources, embedder)
    with loading("the model"):
        generator = answering.model.load(assembly_settings.context_window)
    return Session(
        index=index,
        embedder=embedder,
        generator=generator,
        retrieval=retrieval_settings,
        assembly=with_profile(assembly_settings, answering.model, generator),
        load_s=time.perf_counter() - began,
        sources=sources,
    )


def with_load_time(answer: Answer, session: Session) -> Answer:
    """The answer with the seconds that loading took among its timings."""
    return replace(answer, timing=(("load_s", session.load_s), *answer.timing))


def load_embedder(sources: Sources) -> Embedder:
    """The embedder that a command line names; by default the index's own."""
    from ragctx import embedding
    from ragctx.index.made_with import embedder_of

    if sources.pdfs:
        return embedding.load_embedder(sources.embedder_spec)
    return embedder_of(sources.index_path, sources.embedder_spec)


def open_index(sources: Sources, embedder: Embedder) -> Index:
    """Read the PDFs that were named, or open the index; one line tells what has no vectors yet."""
    from ragctx.index.index import Index

    if sources.pdfs:
        index = _open_pdfs(sources, embedder)
    else:
        index = Index.open(sources.index_path, embedder=embedder)
    with index.snapshot() as snapshot:
        if not snapshot.is_complete:
            _tell_lacking(snapshot.lacking(), sources)
    return index


def _tell_lacking(lacking: Lacking, sources: Sources) -> None:
    if not lacking.chunks:
        return
    paths = sources.pdfs or lacking.paths
    if len(paths) > _NAMED and not sources.pdfs:
        paths = (os.path.commonpath(paths),)
    words = ["ragctx", "ingest", *paths]
    if not sources.pdfs:
        words += ["--index", str(sources.index_path)]
    say(
        f"{counted(lacking.chunks, 'passage')} without vectors yet: found by their words, the "
        f"likeliest compared by meaning too; for all of them: {shlex.join(words)}"
    )


def when_unlocked(work: Callable[[], T], busy: str = "reads the same files") -> T:
    """What `work` returns, once no other process writes to the index that it needs.

    `busy` says in the line on standard error what the other process does.

    Raises IndexLockedError after `WAIT_S`.
    """
    began = time.monotonic()
    is_told = False
    while True:
        try:
            return work()
        except IndexLockedError:
            if time.monotonic() - began > WAIT_S:
                raise
        if not is_told:
            say(f"waiting for another process that {busy} ({WAIT_S:g} s at most)")
            is_told = True
        time.sleep(_POLL_S)


def _open_pdfs(sources: Sources, embedder: Embedder) -> Index:
    from ragctx.index.address import folders
    from ragctx.index.noted import noted_indexes
    from ragctx.ingestion.cached import open_cached
    from ragctx.ingestion.settings import IngestSettings

    settings = IngestSettings(password=sources.password, chunk_tokens=sources.chunk_tokens)

    def opened() -> tuple[Index, tuple[IngestRow, ...]]:
        with ingest_progress() as progress:
            return open_cached(
                sources.pdfs,
                embedder,
                settings=settings,
                embed_at_most=sources.embed_at_most,
                lenders=[*folders(sources.index_path), *noted_indexes()],
                progress=progress,
            )

    index, rows = when_unlocked(opened)
    failures = failure_lines(rows)
    for line in failures:
        say(line)
    if failures and not any(map(is_in_index, rows)):
        raise RagctxError("none of the files could be read; the lines above say why")
    return index
