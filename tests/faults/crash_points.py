"""End a writer before each of its writing system calls, and look at what it leaves.

LD_PRELOAD=faulty_calls.so python -m tests.faults.crash_points FOLDER HOW POINTS OPERATION...

POINTS (0: all) are tried of each operation, evenly spread. Everything happens in forked children of
one process that has imported everything, so a point costs about a tenth of a second. For each
operation a line of JSON is written: its calls, the points tried, and what was found wrong.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

import ragctx.ingestion.reading
from ragctx.chunking import chunk_document
from ragctx.errors import IndexMissingError, RagctxError
from ragctx.evaluation.answer_cache import AnswerCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage
from ragctx.index import repair, sealing
from ragctx.index.database import DATABASE, FORMAT_VERSION
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.sealing import OLD_VECTORS
from ragctx.ingestion import IngestSettings, Progress, ingest
from ragctx.pdf.read import file_id, read_pdf
from ragctx.records import Document, Generation
from tests.support import pdf_files
from tests.support.fakes import HashEmbedder
from tests.support.faulty_calls import Counter, How, calls_seen, fault, in_child
from tests.support.index_samples import as_version

EMBEDDER = HashEmbedder()
SETTINGS = IngestSettings(chunk_tokens=16)
State = Mapping[str, str]  # the documents of an index: {path: id}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is interrupted, and what must hold then.

    `prepare` fills a folder, `work` is interrupted and calls its argument after each step that is
    done, `check` gets the folder and the number of steps done, and raises AssertionError.
    """

    prepare: Callable[[Path], None]
    work: Callable[[Path, Callable[[], None]], None]
    check: Callable[[Path, int], None]


# ---- Some PDFs, read once --------------------------------------------------------------------


def text_of(name: str) -> list[str]:
    return [f"Page {page} of {name}: tin melts at {232 + page} degrees." for page in range(12)]


class Library:
    """PDFs in a folder, and their documents, so that no process is started to read them again."""

    def __init__(self, folder: Path, documents: dict[str, Document]) -> None:
        self.folder, self.documents = folder, documents
        folder.mkdir(parents=True)

    def write(self, name: str, words: str) -> Path:
        contents = [pdf_files.lines(line) for line in text_of(words)]
        path = pdf_files.write(self.folder / name, contents)
        if (id_ := file_id(path)) not in self.documents:
            self.documents[id_] = read_pdf(path)
        return path

    def read(self, path: Path, **_: object) -> Document:
        """Instead of `read_pdf`."""
        return replace(self.documents[file_id(path)], path=str(path))


# ---- Laws ------------------------------------------------------------------------------------


def state_of(folder: Path) -> State:
    try:
        return {s.path: s.document_id for s in Index.open(folder, embedder=EMBEDDER).sources()}
    except IndexMissingError:
        return {}


def require_whole(folder: Path, library: Library) -> State:
    """The state of an index that is sound, and finds all of its documents and nothing else."""
    state = state_of(folder)
    try:
        index = Index.open(folder, embedder=EMBEDDER)
    except IndexMissingError:
        return {}
    assert repair.verify_index(folder) == (), repair.verify_index(folder)
    chunk_ids = set()
    for id_ in set(state.values()):
        known = index.document(id_)
        assert known == replace(library.documents[id_], path=known.path if known else "")
        chunks = chunk_document(known, EMBEDDER.tokenizer, max_tokens=SETTINGS.chunk_tokens)
        assert list(index.chunks(id_)) == list(chunks)
        chunk_ids |= {chunk.id for chunk in chunks}
    (vector,) = EMBEDDER.encode(["melts"])
    with index.snapshot() as snapshot:
        near = snapshot.hits(snapshot.nearest(vector, 10**6, Filter()))
        matching = snapshot.hits(snapshot.matching('"melts"', 10**6, Filter()))
        late = snapshot.chunks_by_row(snapshot.waiting_rows(Filter())).values()
    chunks_found = [*(hit.chunk for hit in near), *late]  # a document has all vectors, or none
    assert sorted(chunk.id for chunk in chunks_found) == sorted(chunk_ids)
    assert {hit.chunk.id for hit in matching} == {
        chunk.id for chunk in chunks_found if "melts" in chunk.text
    }
    return state


def ingestion_of(library: Library, before: Callable[[Path], None], *, prune: bool) -> Operation:
    """Ingest the library's folder into an index that `before` made; every file read is a step."""
    states: list[State] = []

    def work(folder: Path, done: Callable[[], None]) -> None:
        progress = Progress(on_read=lambda path: done())
        rows = ingest(
            [library.folder], folder, EMBEDDER, settings=SETTINGS, prune=prune, progress=progress
        )
        assert not [row for row in rows if row.outcome == "failed"], rows

    def prepare(folder: Path) -> None:
        before(folder)

        def note() -> None:
            states.append(state_of(folder / "noted"))

        shutil.copytree(folder, folder / "noted") if folder.exists() else None
        note()
        work(folder / "noted", note)
        note()
        shutil.rmtree(folder / "noted")

    def check(folder: Path, steps: int) -> None:
        state = require_whole(folder, library)
        assert state in states[steps:], f"after {steps} steps: {state}"
        work(folder, lambda: None)
        assert require_whole(folder, library) == states[-1]
        assert not list(folder.glob(".*.part"))

    return Operation(prepare=prepare, work=work, check=check)


def removal(library: Library, path: Path) -> Operation:
    """Remove one of the library's documents from an index of all of them."""

    def work(folder: Path, done: Callable[[], None]) -> None:
        with Index.open(folder, embedder=EMBEDDER).writer() as writer:
            writer.remove(str(path))
            done()

    def check(folder: Path, steps: int) -> None:
        state = require_whole(folder, library)
        everything = {str(p) for p in library.folder.iterdir()}
        assert set(state) in [everything, everything - {str(path)}][steps:]
        work(folder, lambda: None)
        assert set(require_whole(folder, library)) == everything - {str(path)}

    return Operation(prepare=lambda folder: fill(folder, library), work=work, check=check)


def compaction(library: Library, before: Callable[[Path], None]) -> Operation:
    """Join the segments of an index of all documents, which `before` has changed."""

    def prepare(folder: Path) -> None:
        fill(folder, library)
        before(folder)

    def work(folder: Path, done: Callable[[], None]) -> None:
        Index.open(folder, embedder=EMBEDDER).compact()
        done()

    def check(folder: Path, steps: int) -> None:
        everything = {str(p) for p in library.folder.iterdir()}
        assert set(require_whole(folder, library)) == everything
        with Index.open(folder).snapshot() as snapshot:
            info = snapshot.info()
            sealed = info.format_version == FORMAT_VERSION and not info.unsealed
        assert (folder / OLD_VECTORS).exists() or sealed
        assert not steps or (info.segments, info.deleted) == (1, 0)
        work(folder, lambda: None)
        assert set(require_whole(folder, library)) == everything
        left = {f.name for f in folder.iterdir() if "vectors" in f.name}
        with Index.open(folder).snapshot() as snapshot:
            assert left == {told.name for told in snapshot.meta.segments}

    return Operation(prepare=prepare, work=work, check=check)


def in_several_segments(folder: Path) -> None:
    """Store some documents again, none beside what is in a segment already; delete others."""
    with mock.patch.object(sealing, "REWRITE_ROWS", 0), mock.patch.object(sealing, "DEAD_SHARE", 1):
        for source in Index.open(folder).sources():
            with Index.open(folder).writer() as writer:
                index = Index.open(folder)
                document, chunks = (
                    index.document(source.document_id),
                    index.chunks(source.document_id),
                )
                assert document is not None
                vectors = index.vectors_of([chunk.id for chunk in chunks])
                writer.remove(source.path)
                writer.put(source.path, document, chunks, vectors, recipe=source.recipe)


def fill(folder: Path, library: Library) -> None:
    ingest([library.folder], folder, EMBEDDER, settings=SETTINGS)


def repairing(
    library: Library, damage: Callable[[Path], None], lost: int, *, opens: bool = False
) -> Operation:
    """Repair an index that `damage` has damaged: `lost` documents cannot be saved."""

    def prepare(folder: Path) -> None:
        fill(folder, library)
        damage(folder)

    def work(folder: Path, done: Callable[[], None]) -> None:
        repair.repair_index(folder)
        done()

    def check(folder: Path, steps: int) -> None:
        problems = repair.verify_index(folder)
        assert not (steps and problems), problems
        if not problems:
            require_whole(folder, library)
        work(folder, lambda: None)
        state = require_whole(folder, library)
        expected = len(list(library.folder.iterdir())) - lost
        assert len(state) >= expected, f"{len(state)} documents, not {expected}"
        left = [f.name for f in folder.rglob("*") if f.name.endswith(".part") or "repair" in f.name]
        assert not left, left

    return Operation(prepare=prepare, work=work, check=check)


def zero_root(folder: Path, name: str, mode: str = "") -> None:
    with closing(sqlite3.connect(f"file:{folder / DATABASE}{mode}", uri=True)) as database:
        [root] = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
    with (folder / DATABASE).open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(bytes(4096))


def only_in_the_log(folder: Path) -> None:
    """Damage a database so that SQLite cannot open it; its documents are only in its log."""
    kept = folder.with_name(f"{folder.name}-kept")
    with closing(sqlite3.connect(folder / DATABASE)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM meta").fetchone()  # as long as this reads, the log stays
        with closing(sqlite3.connect(folder / DATABASE)) as writer, writer:
            writer.execute("UPDATE documents SET recipe = recipe || ' '")
        shutil.copytree(folder, kept)
    shutil.rmtree(folder)
    kept.rename(folder)
    (folder / f"{DATABASE}-shm").unlink()
    zero_root(folder, "documents", mode="?mode=ro&immutable=1")
    with (folder / DATABASE).open("r+b") as stream:
        stream.write(bytes(100))


def with_wrong_text(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        database.execute("UPDATE pages SET text = 'not so' WHERE rowid = 1")


# ---- Caches ----------------------------------------------------------------------------------


def keeping_passages() -> Operation:
    def passage(fill_value: float) -> CachedPassage:
        keys, flat = (
            np.full(sizes, fill_value, dtype=np.float16) for sizes in ((2, 2, 3, 4), (3, 8))
        )
        return CachedPassage(keys=keys, values=keys, early=flat, states=flat)

    def work(folder: Path, done: Callable[[], None]) -> None:
        store = PassageStore(folder, 6_000, model="m")
        for i in range(12):  # more than the folder may hold
            store.keep((i, i, i), passage(i))
            done()

    def check(folder: Path, steps: int) -> None:
        store = PassageStore(folder, 6_000, model="m")
        found = [store.find((i, i, i)) for i in range(12)]
        for i, known in enumerate(found):
            assert known is None or np.array_equal(known.keys, passage(i).keys)
        assert store.stats.damaged == 0
        work(folder, lambda: None)
        assert store.find((11, 11, 11)) is not None

    return Operation(prepare=lambda folder: None, work=work, check=check)


def keeping_answers() -> Operation:
    def answer(i: int) -> Generation:
        return Generation(
            text=f"answer {i} " * 400,
            token_ids=(i,),
            finish_reason="stop",
            prefill_s=0.0,
            decode_s=0.0,
            reused_tokens=0,
        )

    def work(folder: Path, done: Callable[[], None]) -> None:
        cache = AnswerCache(folder / "answers.sqlite3")
        for i in range(6):
            cache.keep({f"{i}": answer(i), f"{i}b": answer(i)})
            done()

    def check(folder: Path, steps: int) -> None:
        cache = AnswerCache(folder / "answers.sqlite3")
        found = cache.find([*(f"{i}" for i in range(6)), *(f"{i}b" for i in range(6))])
        assert all(found[key] == answer(int(key[0])) for key in found)
        assert {f"{i}" for i in range(steps)} <= found.keys()
        assert all((f"{i}" in found) == (f"{i}b" in found) for i in range(6))
        work(folder, lambda: None)
        assert len(cache.find([f"{i}" for i in range(6)])) == 6

    return Operation(prepare=lambda folder: None, work=work, check=check)


# ---- All of them -----------------------------------------------------------------------------


def operations(
    folder: Path, documents: dict[str, Document]
) -> Mapping[str, Callable[[], Operation]]:
    """What can be interrupted, by name. `documents` are those that were read before, by id."""
    library = Library(folder / "pdfs", documents)
    ragctx.ingestion.reading.read_pdf = library.read
    paths = [library.write(f"{name}.pdf", name) for name in ("tin", "zinc", "lead")]

    def before_a_replacement(index: Path) -> None:
        fill(index, library)
        library.write("tin.pdf", "pewter")
        library.write("gold.pdf", "gold")
        paths[2].unlink()

    def root(name: str) -> Callable[[Path], None]:
        return lambda index: zero_root(index, name)

    return {
        "ingest": lambda: ingestion_of(library, lambda index: None, prune=False),
        "replace": lambda: ingestion_of(library, before_a_replacement, prune=True),
        "remove": lambda: removal(library, paths[1]),
        "compact": lambda: compaction(library, in_several_segments),
        "migrate": lambda: compaction(library, lambda index: as_version(index, 2)),
        "repair": lambda: repairing(library, with_wrong_text, 1),
        "salvage": lambda: repairing(library, root("chunks_of_document"), 0),
        "salvage-log": lambda: repairing(library, only_in_the_log, 0),
        "passages": keeping_passages,
        "answers": keeping_answers,
    }


def one_point(operation: Operation, start: Path, scene: Path, at: int, how: How) -> str:
    """What was wrong after the work ended at a point, or ""."""
    _set(scene, start)
    steps = Counter()

    def work() -> None:
        def done() -> None:
            steps.value += 1

        fault(at, how)
        try:
            operation.work(scene, done)
        except (RagctxError, OSError) as error:
            fault(0, how, armed=False)
            assert how is How.FULL and isinstance(error, RagctxError), repr(error)
            assert "\n" not in str(error)

    end = in_child(work)
    if end not in ("", "killed"):
        return end
    return in_child(lambda: operation.check(scene, steps.value))


def calls_of(operation: Operation, start: Path, scene: Path) -> int:
    """How many calls the work makes when nothing goes wrong."""
    _set(scene, start)
    calls = Counter()

    def work() -> None:
        fault(0, How.KILLED)
        operation.work(scene, lambda: None)
        calls.value = calls_seen()

    end = in_child(work)
    assert not end, end
    return calls.value


def _set(scene: Path, start: Path) -> None:
    """Let the folder be as it was at the start; there may have been none."""
    if scene.exists():
        shutil.rmtree(scene)
    if start.exists():
        shutil.copytree(start, scene)


def main(arguments: Sequence[str]) -> None:
    """Try some points, and write what was found."""
    where, how, most, *names = arguments
    documents: dict[str, Document] = {}
    for name in names:
        folder = Path(where) / name
        operation = operations(folder, documents)[name]()
        start, scene = folder / "start", folder / "scene"
        operation.prepare(start)
        calls = calls_of(operation, start, scene)
        points = range(1, calls + 1)
        if int(most):
            points = points[calls // (2 * int(most)) :: calls // int(most)]
        told = {at: one_point(operation, start, scene, at, How[how]) for at in points}
        wrong = {at: what for at, what in told.items() if what}
        found = {"operation": name, "calls": calls, "points": len(points), "wrong": wrong}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
