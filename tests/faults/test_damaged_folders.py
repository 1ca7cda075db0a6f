"""The law of damage to an index folder: any file of it, any bytes, never a wrong result in silence.

Whatever is damaged, reading gives what was stored, or one line of error. `verify` tells of every
damage that changes what is found. `repair` saves every document whose own rows can be read, which
is known here from the sound folder: from SQLite's own map of its pages, and from a walk through the
frames of its log that shares no code with what is tested.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from ragctx.errors import RagctxError
from ragctx.index.database import DATABASE
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.lock import LOCK
from ragctx.index.repair import repair_index, verify_index
from ragctx.records import Chunk, Document, Hit
from tests.faults.test_salvage import DOCUMENTS, pages_of, sound
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import put, segment_of

__all__ = ["pages_of", "sound"]  # fixtures

VECTORS = "vectors"  # whatever its file is called
LOG, MAP = f"{DATABASE}-wal", f"{DATABASE}-shm"  # the map of the log is made again when opened
FRAME = 24 + 4096
EMBEDDER = HashEmbedder()
[QUERY] = EMBEDDER.encode(["Page 1 of document 7."])


@dataclass(frozen=True, kw_only=True)
class Found:
    """What reading an index gives."""

    sources: Mapping[str, str]
    documents: Mapping[str, Document | None]
    near: Sequence[Hit]
    matching: Sequence[Hit]


def found_in(folder: Path) -> Found:
    index = Index.open(folder, embedder=EMBEDDER)
    with index.snapshot() as snapshot:
        sources = {source.path: source.document_id for source in snapshot.sources()}
        return Found(
            sources=sources,
            documents={id_: snapshot.document(id_) for id_ in sources.values()},
            near=snapshot.hits(snapshot.nearest(QUERY, 10, Filter())),
            matching=snapshot.hits(snapshot.matching('"page" AND "7"', 10, Filter())),
        )


T = TypeVar("T")


def one_line_or(work: Callable[[], T]) -> T | None:
    """What `work` gives; None if it raises an error of ragctx's own, of one line."""
    try:
        return work()
    except RagctxError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, str(error)
        return None


# ---- Damage ----------------------------------------------------------------------------------


def flip(data: bytearray, chance: random.Random) -> set[int]:
    places = {chance.randrange(len(data)) for _ in range(chance.choice((1, 1, 1, 4, 20)))}
    for place in places:
        data[place] ^= 1 << chance.randrange(8)
    return places


def zero_page(data: bytearray, chance: random.Random) -> set[int]:
    start = chance.randrange(len(data)) // 4096 * 4096
    end = min(start + 4096, len(data))
    data[start:end] = bytes(end - start)
    return set(range(start, end))


def overwrite(data: bytearray, chance: random.Random) -> set[int]:
    start = chance.randrange(len(data))
    end = min(start + chance.choice((1, 16, 512, 8192)), len(data))
    data[start:end] = chance.randbytes(end - start)
    return set(range(start, end))


def cut(data: bytearray, chance: random.Random) -> set[int]:
    start, size = chance.choice((0, chance.randrange(len(data)))), len(data)
    del data[start:]
    return set(range(start, size))


DAMAGE = (flip, flip, flip, zero_page, overwrite, cut)


def damaged(file: Path, chance: random.Random) -> tuple[str, set[int]]:
    """(What was done, the places of the bytes that are no longer what they were)."""
    data = bytearray(file.read_bytes())
    change = chance.choice(DAMAGE)
    places = change(data, chance)
    file.write_bytes(data)
    return f"{change.__name__} {file.name} {sorted(places)[:3]}", places


# ---- What is readable ------------------------------------------------------------------------


Readable = Callable[[str, set[int]], set[str]]
"""The documents whose rows can be read after damage to these bytes of a file, by its name."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder to damage copies of; it is never opened itself, which could change it."""

    path: Path
    whole: Found
    chunks: Mapping[tuple[str, int], Chunk]  # by document and start
    readable: Readable
    path_roots: frozenset[int]  # pages of the table of paths and of its index: both have them all

    def paths_are_lost(self, name: str, places: set[int]) -> bool:
        hit = {place // 4096 + 1 for place in places}
        return name == DATABASE and len(self.path_roots & hit) == len(self.path_roots)


def folder_at(path: Path, copy: Path, readable: Readable) -> Folder:
    shutil.copytree(path, copy)
    whole, index = found_in(copy), Index.open(copy)
    chunks = {(c.document_id, c.start): c for id_ in whole.documents for c in index.chunks(id_)}
    with closing(sqlite3.connect(copy / DATABASE)) as database:
        roots = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name IN ('sources', 'sources_of_document')"
        ).fetchall()
    return Folder(
        path=path,
        whole=whole,
        chunks=chunks,
        readable=readable,
        path_roots=frozenset(root for (root,) in roots),
    )


@pytest.fixture(scope="module")
def checkpointed(
    sound: Path, pages_of: dict[str, set[int]], tmp_path_factory: pytest.TempPathFactory
) -> Folder:
    """A folder of which everything is in the database."""

    def readable(name: str, places: set[int]) -> set[str]:
        hit = {place // 4096 + 1 for place in places} if name == DATABASE else set()
        return {id_ for id_, pages in pages_of.items() if not pages & hit}

    return folder_at(sound, tmp_path_factory.mktemp("sound") / "copy", readable)


@pytest.fixture(scope="module")
def with_log(
    sound: Path, pages_of: dict[str, set[int]], tmp_path_factory: pytest.TempPathFactory
) -> Folder:
    """A folder whose last documents are only in the log, as a writer that was killed leaves it."""
    base, folder = tmp_path_factory.mktemp("log") / "base", tmp_path_factory.mktemp("log") / "index"
    shutil.copytree(sound, base)
    ends: list[tuple[int, set[str]]] = [(0, set(DOCUMENTS))]
    with closing(sqlite3.connect(base / DATABASE)) as reader:
        reader.execute("SELECT 1 FROM meta").fetchone()
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM meta").fetchone()  # as long as this reads, the log stays
        with Index.open(base).writer() as writer:
            for i in range(6):
                put(writer, f"new{i}", *DOCUMENTS[f"d{i:02}"])
                ends.append((commits_in(base / LOG)[-1], ends[-1][1] | {f"new{i}"}))
        shutil.copytree(base, folder)

    newer = pages_in(folder / LOG)

    def readable(name: str, places: set[int]) -> set[str]:
        if name == DATABASE:
            hit = {place // 4096 + 1 for place in places} - newer
            return ends[-1][1] - {id_ for id_, pages in pages_of.items() if pages & hit}
        first = min(places, default=2**60) if name == LOG else 2**60
        return next(ids for end, ids in reversed(ends) if end <= first)

    return folder_at(folder, base / "copy", readable)


def frames_of(log: Path) -> list[tuple[int, int, int]]:
    """(Where it ends in bytes, its page, whether it ends a commit) of each frame of a log."""
    data = log.read_bytes()
    starts = range(32, len(data) - FRAME + 1, FRAME)
    return [
        (start + FRAME, *struct.unpack_from(">II", data, start))
        for start in starts
        if data[start + 8 : start + 16] == data[16:24]  # of this log, not of one before it
    ]


def commits_in(log: Path) -> list[int]:
    return [end for end, _, commit in frames_of(log) if commit]


def pages_in(log: Path) -> set[int]:
    return {page for _, page, _ in frames_of(log)}


# ---- The laws --------------------------------------------------------------------------------


def require_true(found: Found | None, folder: Folder) -> None:
    """Every passage found is one that was stored, of the document that it is said to be of."""
    for hit in (*found.near, *found.matching) if found else ():
        known = folder.chunks.get((hit.chunk.document_id, hit.chunk.start))
        assert known is not None, f"{hit} was never stored"
        told = (hit.chunk.text, hit.chunk.end, hit.chunk.first_page, hit.chunk.last_page)
        assert told == (known.text, known.end, known.first_page, known.last_page)


def one_damage(folder: Folder, name: str, scene: Path, chance: random.Random) -> str:
    """Damage one file, read, verify and repair; returns in a word how it went."""
    shutil.copytree(folder.path, scene)
    file = segment_of(scene) if name == VECTORS else scene / name
    told, places = damaged(file, chance)
    try:
        return checked(folder, name, places, scene)
    except Exception as error:
        raise AssertionError(f"after {told}: {error!r}") from error
    finally:
        shutil.rmtree(scene)


def checked(folder: Folder, name: str, places: set[int], scene: Path) -> str:
    whole = folder.whole
    found = one_line_or(lambda: found_in(scene))
    require_true(found, folder)
    for hit in (*found.near, *found.matching) if found else ():
        assert whole.sources[hit.path] == hit.chunk.document_id
    told = one_line_or(lambda: verify_index(scene)) != ()
    readable = folder.readable(name, places)
    if found is None or set(found.sources.values()) >= readable:
        silent = found is not None and found != whole and name != LOG
        assert told or not silent, "verify says that all is well"
    try:
        repair = repair_index(scene, embedder=EMBEDDER.id)
    except RagctxError as error:
        assert "\n" not in str(error)
        assert not readable, f"not repaired: {error}"
        return "hopeless"
    assert verify_index(scene) == ()
    after = found_in(scene)
    require_true(after, folder)
    saved = set(after.documents)
    assert saved >= readable, f"{sorted(readable - saved)} are lost"
    for id_ in saved & set(whole.documents):
        known = whole.documents[id_]
        assert known is not None and after.documents[id_] is not None
        assert known.pages == after.documents[id_].pages
        assert f"{id_}.pdf" in after.sources or folder.paths_are_lost(name, places)
    if name == DATABASE:
        lost = set(whole.documents) - saved
        named = {lost.document_id for lost in repair.quarantined}
        named |= {path[:-4] for lost in repair.quarantined for path in lost.paths}
        assert lost <= named, f"{sorted(lost - named)} are lost in silence: {repair}"
    return "error" if found is None else "as before" if found == whole else "less"


def outcomes(folder: Folder, name: str, tmp_path: Path, seeds: range) -> Counter[str]:
    return Counter(
        one_damage(folder, name, tmp_path / "scene", random.Random(f"{name} {seed}"))
        for seed in seeds
    )


SOME = 6


@pytest.mark.parametrize("name", [DATABASE, VECTORS, LOCK])
def test_damage_to_any_file(name: str, checkpointed: Folder, tmp_path: Path) -> None:
    assert outcomes(checkpointed, name, tmp_path, range(SOME)).total() == SOME


@pytest.mark.parametrize("name", [LOG, MAP, DATABASE])
def test_damage_to_a_log_that_a_killed_writer_left(
    name: str, with_log: Folder, tmp_path: Path
) -> None:
    assert outcomes(with_log, name, tmp_path, range(SOME)).total() == SOME


@pytest.mark.slow
def test_a_thousand_damages(checkpointed: Folder, with_log: Folder, tmp_path: Path) -> None:
    for folder, name, number in (
        (checkpointed, DATABASE, 500),
        (checkpointed, VECTORS, 150),
        (checkpointed, LOCK, 20),
        (with_log, DATABASE, 100),
        (with_log, LOG, 200),
        (with_log, MAP, 50),
    ):
        assert outcomes(folder, name, tmp_path, range(SOME, SOME + number)).total() == number
