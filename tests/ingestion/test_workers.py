"""Laws of who reads and embeds: whoever does, and however late, the index is the same."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import ragctx.ingestion.reading
from ragctx.index.index import Index
from ragctx.index.repair import verify_index
from ragctx.ingestion import embedding_queue
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reading import FileFound, FileRead, FileReader
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from ragctx.ingestion.workers import Embedded, LocalWorkers
from ragctx.records import IngestRow
from tests.index.test_waiting_vectors import tables
from tests.ingestion.test_reading_ahead import Batched
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write

SETTINGS = IngestSettings(chunk_tokens=16)


class Remote:
    """Vectors that are computed by another thread."""

    def __init__(self, future: Future[Embedded]) -> None:
        self._future = future

    def is_ready(self) -> bool:
        return self._future.done()

    def result(self) -> Embedded:
        return self._future.result()


class Elsewhere:
    """Several readers and embedders, each of which takes its time."""

    def __init__(self, embedder: HashEmbedder, *, readers: int, groups: int, seed: int) -> None:
        self._embedder = embedder
        self.readers, self.groups = readers, groups
        self.on_their_way = self.most_on_their_way = 0
        self._pool = ThreadPoolExecutor(groups)
        self._chance = random.Random(seed)

    def read(self, reader: FileReader, found: FileFound) -> FileRead:
        time.sleep(self._chance.random() / 50)
        return reader.read(found)

    def embed(self, texts: Sequence[str], on_progress: object) -> Remote:
        assert len(texts) <= embedding_queue.GROUP
        self.on_their_way += 1
        self.most_on_their_way = max(self.on_their_way, self.most_on_their_way)
        return Remote(self._pool.submit(self._embed, list(texts), self._chance.random() / 50))

    def _embed(self, texts: Sequence[str], seconds: float) -> Embedded:
        time.sleep(seconds)
        self.on_their_way -= 1
        return Embedded(vectors=self._embedder.encode(texts), seconds=seconds)


@pytest.fixture
def pdfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of which some have more chunks than several windows, and some share texts."""
    monkeypatch.setattr(embedding_queue, "WINDOW", 16)
    monkeypatch.setattr(embedding_queue, "GROUP", 4)
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", TextReader())
    words = "tin lead iron gold melts rusts boils in water and air at degrees".split()
    chance = random.Random(5)
    for i in range(12):
        pages = [
            " ".join(chance.choices(words, k=chance.choice([3, 12, 40]))) + "."
            for _ in range(chance.choice([1, 3, 30]))
        ]
        write(tmp_path / "pdfs" / f"{i:02}.pdf", *pages, "The same page in every file.")
    write(tmp_path / "pdfs" / "03.pdf", "!corrupt")
    write(tmp_path / "pdfs" / "05.pdf", "")
    return tmp_path / "pdfs"


@pytest.mark.parametrize("groups", [1, 2, 7, 40])
def test_the_index_does_not_depend_on_who_embeds_and_how_fast(
    pdfs: Path, tmp_path: Path, groups: int
) -> None:
    here = ingest(pdfs, tmp_path / "here", Batched(), settings=SETTINGS)
    workers = Elsewhere(Batched(), readers=3, groups=groups, seed=groups)
    told: list[IngestRow] = []
    counts: list[int] = []
    progress = Progress(on_row=told.append, on_embedded=lambda done, chunks: counts.append(done))
    there = ingest(
        pdfs, tmp_path / "there", Batched(), settings=SETTINGS, workers=workers, progress=progress
    )
    assert [(row.path, row.outcome, row.chunks) for row in there] == [
        (row.path, row.outcome, row.chunks) for row in here
    ]
    assert tuple(told) == there
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert verify_index(tmp_path / "there") == ()
    assert workers.most_on_their_way <= groups
    assert groups == 1 or workers.most_on_their_way > 1
    assert counts[-1] == Index.open(tmp_path / "there").info().chunks


def test_a_run_that_broke_off_with_groups_on_their_way_goes_on(pdfs: Path, tmp_path: Path) -> None:
    class Breaking(Elsewhere):
        begun = 0

        def embed(self, texts: Sequence[str], on_progress: object) -> Remote:
            self.begun += 1
            if self.begun > 12:
                raise KeyboardInterrupt
            return super().embed(texts, on_progress)

    with pytest.raises(KeyboardInterrupt):
        workers = Breaking(HashEmbedder(), readers=2, groups=5, seed=1)
        ingest(pdfs, tmp_path / "index", HashEmbedder(), settings=SETTINGS, workers=workers)
    assert verify_index(tmp_path / "index") == ()
    ingest(pdfs, tmp_path / "index", HashEmbedder(), settings=SETTINGS)
    ingest(pdfs, tmp_path / "whole", HashEmbedder(), settings=SETTINGS)
    assert tables(tmp_path / "index") == tables(tmp_path / "whole")


def test_by_words_alone_nothing_is_embedded_anywhere(pdfs: Path, tmp_path: Path) -> None:
    workers = Elsewhere(Batched(), readers=2, groups=5, seed=1)
    ingest(pdfs, tmp_path / "index", Batched(), settings=SETTINGS, workers=workers, embed_at_most=0)
    assert workers.most_on_their_way == 0


def test_this_process_embeds_nothing_before_it_is_asked_for() -> None:
    class Counting(HashEmbedder):
        calls = 0

        def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
            self.calls += 1
            return super().encode(texts, **settings)  # type: ignore[arg-type]

    embedder = Counting()
    embedding = LocalWorkers(embedder).embed(["tin"], lambda done: None)
    assert not embedding.is_ready() and embedder.calls == 0
    assert embedding.result().vectors.shape == (1, embedder.dim)
