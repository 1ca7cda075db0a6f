"""How sure the reader may be of an answer, fitted to questions about documents.

These are the half of `benchmarks.dev_set` that is there to choose by, about real PDFs (the other
half reports how good the fit is, `benchmarks.answers`), and written questions that were held out,
each beside the chunks of all written documents: some that nothing answers, and some with what
answers them gone. Both kinds weigh alike: written documents resemble one another more than real
PDFs do, and the reader is less often right about them. A hundred questions alone would leave the
fit to luck.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.answer_judge import is_right
from benchmarks.answer_stages import READ, holds_answer
from benchmarks.dev_set import DevQuestion, dev_questions, pdf_paths
from ragctx.assembly import Assembly, assemble
from ragctx.chunking import chunk_document
from ragctx.embedding import Embedder
from ragctx.generator.reader.certainty import Signs, fit_certainty
from ragctx.generator.reader.reader import BundledReader
from ragctx.headers import fitted
from ragctx.index.index import Index
from ragctx.index.protocol import Snapshot
from ragctx.ingestion import ingest
from ragctx.pipeline import fit_generator
from ragctx.records import Hit
from ragctx.retrieval import Retrieval, retrieve
from training.common import Config
from training.written import CHUNK_TOKENS, FILES, WrittenDocument, all_written

EVERY = 4
"""One of so many written questions is asked."""
GONE_EVERY = 8
"""One of so many of these is asked again, with what answers it gone. Chosen so that about as many
have no answer as of the questions about real PDFs."""

Judged = tuple[Signs, bool]
"""What tells whether a best guess is right, and whether it is."""


def fit_to_documents(reader: BundledReader, config: Config, embedder: Embedder) -> dict[str, Any]:
    """The `certainty` of reader.json; without any PDFs {}, and a line says so.

    Exits with a message if only some of the PDFs are there: a fit to these would be another one.
    """
    if next(config.pdfs.rglob("*.pdf"), None) is None:
        sys.stderr.write(
            f"no PDFs in {config.pdfs}: the reader is as sure as its calibration says\n"
        )
        return {}
    with tempfile.TemporaryDirectory() as made:
        pdfs = Index.open_or_create(Path(made) / "pdfs", embedder=embedder)
        ingest(pdf_paths(dev_questions(), config.pdfs), pdfs, embedder)
        judged = list(judged_on(reader, pdfs, embedder, dev_questions("choose")))
        documents = [
            one for name in FILES for one in all_written(config.written, name, config.texts)
        ]
        written = Index.open_or_create(Path(made) / "written", embedder=embedder)
        put_written(written, embedder, documents)
        asked = list(held_out_questions(documents))[::EVERY]
        made_up = list(judged_on(reader, written, embedder, asked, gone_every=GONE_EVERY))
    return certainty_entry([*made_up, *judged * max(1, round(len(made_up) / len(judged)))])


def certainty_entry(judged: Sequence[Judged]) -> dict[str, Any]:
    """What reader.json holds of the certainty that fits these guesses."""
    signs, right = zip(*judged, strict=True)
    found = asdict(fit_certainty(signs, right))
    return {"certainty": {**found, "answer_from": round(found["answer_from"], 4)}}


def judged_on(
    reader: BundledReader,
    index: Index,
    embedder: Embedder,
    questions: Iterable[DevQuestion],
    *,
    gone_every: int = 0,
) -> Iterator[Judged]:
    """Each best guess from what the search brings; of some questions, too, what answers them gone.

    Then every second time only the passages that answer it, else its whole document.
    """
    with index.snapshot() as snapshot:
        for i, question in enumerate(questions):
            hits = retrieve(question.question, snapshot, embedder, Retrieval(k=4 * READ))
            text, signs = _guess(reader, question, hits[:READ], snapshot)
            yield signs, is_right(text, question)
            if gone_every and i % gone_every == 0 and question.answerable:
                whole = i % 2 == 1
                left = [
                    hit
                    for hit in hits
                    if not holds_answer(hit, question)
                    and not (whole and hit.document == question.document)
                ]
                ranked = [replace(hit, rank=rank) for rank, hit in enumerate(left[:READ], start=1)]
                _, signs = _guess(reader, question, ranked, snapshot)
                yield signs, False


def _guess(
    reader: BundledReader, question: DevQuestion, hits: Sequence[Hit], snapshot: Snapshot
) -> tuple[str, Signs]:
    prompt = assemble(
        question.question,
        hits,
        reader.tokenizer,
        context_window=reader.context_window,
        assembly=fit_generator(Assembly(), reader),
        get_document=snapshot.document,
    )
    return reader.guess(prompt)


def put_written(index: Index, embedder: Embedder, documents: Iterable[WrittenDocument]) -> None:
    """Put written documents into an index, cut and embedded as files are."""
    tokenizer, limit = embedder.tokenizer, embedder.max_seq_length - 2

    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    with index.writer() as writer:
        for document in documents:
            whole = document.whole()
            chunks = chunk_document(whole, tokenizer, max_tokens=CHUNK_TOKENS)
            vectors = embedder.encode([fitted(chunk, count, limit) for chunk in chunks])
            writer.put(f"/{whole.id}.pdf", whole, chunks, vectors, recipe="written")


def held_out_questions(documents: Iterable[WrittenDocument]) -> Iterator[DevQuestion]:
    """The questions about the documents that are not trained on."""
    for document in documents:
        if not document.is_held_out:
            continue
        name = document.whole().id
        for page, passage in enumerate(document.passages, start=1):
            for number, (question, answers) in enumerate(passage.questions):
                yield DevQuestion(
                    id=f"{name}-{page}-{number}",
                    half="choose",
                    kind="fact",
                    question=question,
                    answers=tuple(answers),
                    document=f"{name}.pdf",
                    pages=(page,),
                    quote=answers[0],
                )
            for number, question in enumerate(passage.unanswered):
                yield DevQuestion(
                    id=f"{name}-{page}-nowhere-{number}",
                    half="choose",
                    kind="unanswerable",
                    question=question,
                )
