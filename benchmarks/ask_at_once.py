"""What is lost while documents have no vectors: words first, a few passages embedded per question.

    python -m benchmarks.ask_at_once --data ../shared/data/qa
    python -m benchmarks.ask_at_once --pdf manual.pdf "How long is the notice period?"

The passages and questions of `benchmarks.retrieval`, in an index without any vectors. Every
question is the first one: nothing that was embedded for another is kept. `hybrid` of the same index
with all of its vectors is what is aimed at; the interval is a paired bootstrap over questions of
the difference in recall@5 to it.

With --pdf: how long the first question about a PDF takes, stage by stage, and as a whole. Seconds
of the processor are those of all threads and processes; on the clock, two stages of a busy machine
cannot be compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import result, table
from benchmarks.retrieval import CUTS, interval, load, mean_over_sets, ranks
from ragctx import unembedded
from ragctx.chunking import chunk_document
from ragctx.cli.exit_codes import ABSTAINED, OK
from ragctx.embedding import Embedder, load_embedder
from ragctx.generator.load import load_generator
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.ingestion.reading import cores
from ragctx.pdf.read import read_pdf
from ragctx.pipeline import ask
from ragctx.records import Document, Hit, Page
from ragctx.retrieval import CANDIDATES, Query, Retriever, hybrid, lexical

COUNTS = (0, 8, 16, 32, 64, 100)


class Remembering:
    """An embedder that computes no text twice, so that every variant takes next to no time."""

    def __init__(self, embedder: Embedder) -> None:
        self.id, self.dim, self.tokenizer = embedder.id, embedder.dim, embedder.tokenizer
        self.max_seq_length = embedder.max_seq_length
        self._embedder = embedder
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """As the embedder's own."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._embedder.encode(new), strict=True))
        return np.array([self._known[text] for text in texts], np.float32).reshape(-1, self.dim)


def build(folder: Path, texts: dict[str, str], embedder: Embedder) -> tuple[Index, Index]:
    """An index with all vectors, and one of the same passages without any."""
    whole = Index.create(folder / "whole", embedder=embedder)
    bare = Index.create(folder / "bare", embedder=embedder)
    with whole.writer() as of_whole, bare.writer() as of_bare:
        for id, text in texts.items():
            document = Document(id=id, path=id, pages=(Page(number=1, label="1", text=text),))
            chunks = chunk_document(document, embedder.tokenizer)
            vectors = embedder.encode([chunk.text for chunk in chunks])
            of_whole.put(id, document, chunks, vectors, recipe="benchmark")
            of_bare.put_text(id, document, chunks, recipe="benchmark")
    return whole, bare


def searched(index: Index, retriever: Retriever, queries: Sequence[Query]) -> list[list[Hit]]:
    """The hits of every question."""
    found = []
    for query in queries:
        fresh = Query(query.text, query.embedder)  # which has embedded nothing yet
        with index.snapshot() as snapshot:
            found.append(retriever(snapshot, fresh, CANDIDATES, Filter()))
    return found


Stages = dict[str, tuple[float, float]]
"""Seconds on the clock and of the processor, by what took them."""


@contextmanager
def timed(stages: Stages, name: str) -> Iterator[None]:
    """Note how long the block takes."""
    began, used = perf_counter(), _processor_s()
    yield
    stages[name] = perf_counter() - began, _processor_s() - used


def _processor_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def first_question(pdf: Path, question: str) -> tuple[Stages, int]:
    """What `ragctx ask` does with a PDF that was never read, and how many chunks that has."""
    stages: Stages = {}
    with tempfile.TemporaryDirectory() as folder:
        with timed(stages, "load the embedder"):
            embedder = load_embedder()
        index = Index.create(Path(folder) / "index", embedder=embedder)
        with timed(stages, "read the pages"):
            document = read_pdf(pdf, processes=cores())
        with timed(stages, "cut into chunks"):
            chunks = chunk_document(document, embedder.tokenizer)
        with timed(stages, "store and index the words"), index.writer() as writer:
            writer.put_text(str(pdf), document, chunks, recipe="benchmark")
        with timed(stages, "load the model"):
            generator = load_generator()
        with timed(stages, "answer"):
            ask(question, index, embedder, generator)
        command = [sys.executable, "-m", "ragctx", "ask", question, str(pdf)]
        with timed(stages, "the whole command"):
            environment = {**os.environ, "XDG_CACHE_HOME": folder}
            asked = subprocess.run(command, env=environment, capture_output=True, check=False)
        if asked.returncode not in (OK, ABSTAINED):
            raise SystemExit(asked.stderr.decode())
    return stages, len(chunks)


def measure_first_question(pdf: Path, question: str, repeats: int) -> None:
    """Print each stage: the least seconds of some runs."""
    runs = [first_question(pdf, question) for _ in range(repeats)]
    stages, chunks = [stages for stages, _ in runs], runs[0][1]
    least = {
        name: [round(min(run[name][k] for run in stages), 2) for k in (0, 1)] for name in stages[0]
    }
    table(("stage", "clock s", "processor s"), [(name, *both) for name, both in least.items()])
    result("first_question", pdf=pdf.name, chunks=chunks, n=repeats, load=os.getloadavg(), s=least)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/qa")
    parser.add_argument("--passages", type=int, default=600, help="of each set at most")
    parser.add_argument("--questions", type=int, default=200, help="of each set at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pdf", type=Path, help="measure the first question about it instead")
    parser.add_argument("--repeats", type=int, default=3, help="with --pdf: runs")
    parser.add_argument("question", nargs="?", default="What is it about?", help="with --pdf")
    given = parser.parse_args()
    if given.pdf:
        measure_first_question(given.pdf, given.question, given.repeats)
        return
    texts, questions = load(given.data, given.passages, given.questions, given.seed)
    real = load_embedder()
    embedder = Remembering(real)
    queries = [Query(question.text, embedder) for question in questions]
    embedder.encode([query.text for query in queries])
    with tempfile.TemporaryDirectory() as folder:
        whole, bare = build(Path(folder), texts, embedder)
        chunks = whole.info().chunks
        ranked = {"hybrid, all vectors": searched(whole, hybrid, queries)}
        ranked["lexical"] = searched(bare, lexical, queries)
        for count in COUNTS[1:]:
            with mock.patch.object(unembedded, "FOR_ONE_QUESTION", count):
                ranked[f"hybrid, {count} embedded"] = searched(bare, hybrid, queries)
        some = [hit.chunk.text for hit in ranked["lexical"][0]][: max(COUNTS)]
    seconds = {}
    for count in COUNTS[1:]:
        began = perf_counter()
        real.encode(some[:count])
        seconds[count] = round(perf_counter() - began, 3)
    sets = np.array([question.set for question in questions])
    at = {name: ranks(hits, questions) for name, hits in ranked.items()}
    best = at["hybrid, all vectors"] <= 5
    scores: dict[str, dict[str, Any]] = {}
    for name, rank in at.items():
        scores[name] = {f"recall@{k}": round(mean_over_sets(rank <= k, sets), 4) for k in CUTS}
        scores[name]["mrr"] = round(mean_over_sets(1 / rank, sets), 4)
        less = (rank <= 5).astype(np.float64) - best
        scores[name]["recall@5_minus_all"] = [
            round(end, 4) for end in interval(less, sets, given.seed)
        ]
    header = ("retriever", *(f"recall@{k}" for k in CUTS), "MRR", "recall@5 minus all (95 %)")
    rows = [
        (
            name,
            *(f"{score[f'recall@{k}']:.3f}" for k in CUTS),
            f"{score['mrr']:.3f}",
            "{:+.3f} … {:+.3f}".format(*score["recall@5_minus_all"]),
        )
        for name, score in scores.items()
    ]
    table(header, rows)
    result(
        "ask_at_once",
        n=len(questions),
        passages=len(texts),
        chunks=chunks,
        seed=given.seed,
        embedder=real.id,
        scores=scores,
        embedding_s=seconds,
    )


if __name__ == "__main__":
    main()
