"""Laws of reading, embedding and storing at once: it gives what doing one after the other gives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import ragctx.ingestion.reading
from ragctx.chunking import chunk_document
from ragctx.errors import InputError
from ragctx.index.index import Index
from ragctx.index.repair import verify_index
from ragctx.ingestion import embedding_queue
from ragctx.ingestion.ahead import Ahead
from ragctx.ingestion.cached import open_cached
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.run import ingest, ingest_files
from ragctx.ingestion.settings import IngestSettings
from ragctx.pdf.read import file_id
from tests.index.test_waiting_vectors import tables
from tests.support.fakes import HashEmbedder
from tests.support.paths import ROOT
from tests.support.text_pdfs import TextReader, write

SETTINGS = IngestSettings(chunk_tokens=16)


class Slow(TextReader):
    """Reads a file for some time, so that files are read in another order than they have."""

    def __call__(self, path: Path, **settings: object) -> object:  # type: ignore[override]
        time.sleep(random.Random(path.name).random() / 50)
        return super().__call__(path, **settings)  # type: ignore[arg-type]


class Batched(HashEmbedder):
    """Its vectors depend on what is embedded together, as those of a real model do in its bits."""

    def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
        alone = super().encode(texts, **settings)  # type: ignore[arg-type]
        mixed = alone + 0.1 * alone.mean(0)
        return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve files: some long, one without text, one that fails, and a copy."""
    words = "tin lead iron gold melts rusts boils in water and air at degrees".split()
    chance = random.Random(7)
    for i in range(12):
        pages = [" ".join(chance.choices(words, k=40)) + "." for _ in range(chance.choice([1, 9]))]
        write(tmp_path / "pdfs" / f"{i:02}.pdf", *pages)
    write(tmp_path / "pdfs" / "03.pdf", "!corrupt")
    write(tmp_path / "pdfs" / "05.pdf", "")
    (tmp_path / "pdfs" / "08.pdf").write_bytes((tmp_path / "pdfs" / "02.pdf").read_bytes())
    return tmp_path


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_queue, "WINDOW", 32)
    monkeypatch.setattr(embedding_queue, "GROUP", 8)
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", Slow())


def one_after_the_other(folder: Path, index: Path) -> None:
    """Read, cut, embed and store each file before the next is looked at."""
    embedder = HashEmbedder()
    recipe = str(SETTINGS.recipe(embedder))
    stored: set[str] = set()
    with Index.create(index, embedder=embedder).writer() as writer:
        for path in sorted(folder.iterdir()):
            if path.read_text() == "!corrupt":
                continue
            if (id_ := file_id(path)) in stored:
                writer.alias(str(path), id_, recipe=recipe)
                continue
            stored.add(id_)
            document = TextReader()(path, document_id=id_)
            chunks = chunk_document(document, embedder.tokenizer, max_tokens=16)
            vectors = embedder.encode([chunk.text for chunk in chunks])
            writer.put(str(path), document, chunks, vectors, recipe=recipe)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_index_is_that_of_one_step_after_the_other(
    folder: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragctx.ingestion.workers.cores", lambda: cores)
    rows = ingest(folder / "pdfs", folder / "index", HashEmbedder(), settings=SETTINGS)
    one_after_the_other(folder / "pdfs", folder / "slow")
    assert tables(folder / "index") == tables(folder / "slow")
    assert [Path(row.path).name for row in rows] == [f"{i:02}.pdf" for i in range(12)]
    assert [row.outcome for row in rows if row.outcome != "added"] == ["failed", "duplicate"]
    assert verify_index(folder / "index") == ()


def test_which_chunks_are_embedded_together_does_not_depend_on_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for cores in (1, 4, 4):
        monkeypatch.setattr("ragctx.ingestion.workers.cores", lambda cores=cores: cores)
        index = folder / f"index{len(found)}"
        ingest(folder / "pdfs", index, Batched(), settings=SETTINGS)
        found.append(tables(index))
    assert found[0] == found[1] == found[2]


def test_files_are_embedded_while_others_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    text_of = TextReader()

    def read_pdf(path: Path, **settings: object) -> object:
        if path.name == "11.pdf":
            assert begun.wait(60), "nothing was embedded before the last file was read"
        return text_of(path, **settings)  # type: ignore[arg-type]

    class Watched(HashEmbedder):
        def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
            begun.set()
            return super().encode(texts, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", read_pdf)
    rows = ingest(folder / "pdfs", folder / "index", Watched(), settings=SETTINGS)
    assert rows[-1].outcome == "added"


def test_rows_are_told_in_order_when_their_vectors_are_there(folder: Path) -> None:
    index = Index.create(folder / "index", embedder=HashEmbedder())
    told: list[str] = []

    def on_row(row: object) -> None:
        path = row.path  # type: ignore[attr-defined]
        told.append(path)
        with index.snapshot() as snapshot:
            assert path not in snapshot.lacking().paths

    progress = Progress(on_row=on_row)
    rows = ingest(folder / "pdfs", index, HashEmbedder(), settings=SETTINGS, progress=progress)
    assert told == [row.path for row in rows]


# --- words first


def test_by_words_alone_and_then_completed(folder: Path) -> None:
    class Never(HashEmbedder):
        def encode(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:  # type: ignore[override]
            raise AssertionError("nothing is to be embedded")

    index, pdfs = folder / "index", folder / "pdfs"
    rows = ingest(pdfs, index, Never(), settings=SETTINGS, embed_at_most=0)
    assert {row.outcome for row in rows} == {"added", "failed", "duplicate"}
    info = Index.open(index).info()
    assert info.unembedded == info.chunks > 100
    assert verify_index(index) == ()
    again = ingest(pdfs, index, Never(), settings=SETTINGS, embed_at_most=0)
    assert {row.outcome for row in again} == {"unchanged", "failed"}
    done = ingest(pdfs, index, HashEmbedder(), settings=SETTINGS)
    assert {row.outcome for row in done} == {"completed", "unchanged", "failed"}
    assert [row.outcome for row in done if row.chunks == 0] == ["failed", "unchanged"]
    one_after_the_other(pdfs, folder / "slow")
    assert tables(index) == tables(folder / "slow")


def test_only_the_named_files_are_completed(folder: Path) -> None:
    ingest(folder / "pdfs", folder / "index", HashEmbedder(), embed_at_most=0)
    (row,) = ingest(folder / "pdfs" / "00.pdf", folder / "index", HashEmbedder())
    assert row.outcome == "completed"
    with Index.open(folder / "index").snapshot() as snapshot:
        waiting = [Path(path).name for path in snapshot.lacking().paths]
    assert waiting == [f"{i:02}.pdf" for i in range(1, 12) if i not in (3, 5)]


def test_a_few_chunks_are_embedded_at_once_and_many_are_not(folder: Path) -> None:
    few = folder / "pdfs" / "01.pdf"
    count = ingest(few, folder / "one", HashEmbedder())[0].chunks
    for most, left in ((count, 0), (count - 1, count)):
        index, _ = open_cached(
            [few], HashEmbedder(), folder=folder / f"cache{most}", embed_at_most=most
        )
        assert index.info().unembedded == left
    index, _ = open_cached([few], HashEmbedder(), folder=folder / f"cache{count - 1}")
    assert index.info().unembedded == 0


def test_what_was_ingested_meanwhile_completes_what_was_asked(folder: Path) -> None:
    few, cache = folder / "pdfs" / "01.pdf", folder / "cache"
    index, _ = open_cached([few], HashEmbedder(), folder=cache, embed_at_most=0)
    assert index.info().unembedded
    ingest(few, folder / "index", HashEmbedder())
    index, _ = open_cached(
        [few], HashEmbedder(), folder=cache, embed_at_most=0, lenders=[folder / "index"]
    )
    assert index.info().unembedded == 0


def test_a_lender_that_has_all_vectors_goes_before_one_that_has_a_few(folder: Path) -> None:
    few = folder / "pdfs" / "01.pdf"
    ingest(few, folder / "partly", HashEmbedder(), embed_at_most=0)
    ingest(few, folder / "wholly", HashEmbedder())
    lenders = [folder / "partly", folder / "wholly"]
    ingest(few, folder / "index", HashEmbedder(), embed_at_most=0, lenders=lenders)
    assert Index.open(folder / "index").info().unembedded == 0


# --- bad ends


def test_an_error_of_whoever_is_told_ends_the_run(folder: Path) -> None:
    def fail(*_: object) -> None:
        raise InputError("no more")

    for name in ("on_file", "on_page", "on_read", "on_embedded", "on_row"):
        with pytest.raises(InputError, match="no more"):
            progress = Progress(**{name: fail})
            ingest(folder / "pdfs", folder / name, HashEmbedder(), progress=progress)
        assert verify_index(folder / name) == ()


def test_reading_ends_soon_after_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, ended = threading.Event(), threading.Event()

    def endless(path: Path, *, on_page: Callable[[int, int], None], **_: object) -> None:
        began.set()
        try:
            for page in range(10**9):
                on_page(page, 10**9)
                time.sleep(0.001)
        finally:
            ended.set()

    def stop(*_: object) -> None:
        began.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", endless)
    write(folder / "pdfs" / "00.pdf", "!")
    (folder / "pdfs" / "a").mkdir()
    files = [folder / "pdfs" / "a", folder / "pdfs" / "01.pdf"]  # the first fails at once
    with pytest.raises(KeyboardInterrupt):
        index = Index.create(folder / "index", embedder=HashEmbedder())
        ingest_files(files, index, HashEmbedder(), progress=Progress(on_read=stop))
    assert ended.wait(10)


def test_a_bounded_number_is_done_ahead() -> None:
    begun: list[int] = []
    stopped = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        return item * item

    with Ahead(work, range(100), threads=3, stopped=stopped) as ahead:
        time.sleep(0.2)
        assert len(begun) == 6 and ahead.is_ready()
        assert [ahead.take() for _ in range(100)] == [i * i for i in range(100)]
        assert not ahead.is_ready()


def test_an_error_of_the_items_themselves_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("no more items")

    with Ahead(lambda i: i, items(), threads=4, stopped=threading.Event()) as ahead:
        assert ahead.take() == 1
        with pytest.raises(OSError, match="no more items"):
            ahead.take()


KILLED_IN_MID_FILE = """
import os, sys
from pathlib import Path
import ragctx.ingestion.reading
from ragctx.ingestion import embedding_queue
from ragctx.ingestion.run import ingest
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader

ragctx.ingestion.reading.read_pdf = TextReader()
embedding_queue.GROUP = 8

class Mortal(HashEmbedder):
    left = int(sys.argv[3])

    def encode(self, texts, **settings):
        if self.left < len(texts):
            os.kill(os.getpid(), 9)
        self.left -= len(texts)
        return super().encode(texts, **settings)

ingest(Path(sys.argv[1]), Path(sys.argv[2]), Mortal())
"""


def test_a_kill_in_a_long_file_loses_one_group_and_reads_nothing_again(tmp_path: Path) -> None:
    words = [
        f"Page {i} " + " ".join(["tin", "lead"][i // 2**j % 2] for j in range(99))
        for i in range(99)
    ]
    file = write(tmp_path / "long.pdf", *words)
    command = [sys.executable, "-c", KILLED_IN_MID_FILE, str(file), str(tmp_path / "index")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        done = subprocess.run([*command, "20"], env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
    assert verify_index(tmp_path / "index") == ()
    info = Index.open(tmp_path / "index").info()
    assert info.chunks - info.unembedded == 2 * 16  # of 20 each; the third group was lost

    asked: list[str] = []

    class Counting(HashEmbedder):
        def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
            asked.extend(texts)
            return super().encode(texts, **settings)  # type: ignore[arg-type]

    reader = TextReader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragctx.ingestion.reading, "read_pdf", reader)
        (row,) = ingest(file, tmp_path / "index", Counting())
    assert (row.outcome, reader.read) == ("completed", [])
    assert len(asked) == row.chunks - 2 * 16
    ingest(file, tmp_path / "whole", HashEmbedder())
    whole, pieces = tables(tmp_path / "whole"), tables(tmp_path / "index")
    assert whole == pieces
