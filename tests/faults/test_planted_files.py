"""What others put into a folder of indexes, caches or models: not followed, not run for long."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ragctx.errors import IndexMismatchError, RagctxError, StoreError, TokenizerError
from ragctx.evaluation.answer_cache import AnswerCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.index.lock import LOCK
from ragctx.index.repair import repair_index, verify_index
from ragctx.paths import open_regular, replacing, write_whole
from ragctx.retrieval import Retrieval, retrieve
from ragctx.tokens.chat_template import ChatTemplate
from tests.generator.test_passage_store import passage
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, put, segment_of

TWO = {"a": ["Cats purr."], "b": ["Dogs bark."]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index_with(tmp_path / "index", TWO)
    return tmp_path / "index"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside that a link points to."""
    file = tmp_path / "victim"
    file.write_text("precious")
    return file


def link(victim: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(victim)


def pipe(victim: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    os.mkfifo(place)


Planting = Callable[[Path, Path], None]
planted = pytest.mark.parametrize("plant", [link, pipe])


@planted
def test_the_lock_is_not_written_through_a_link(
    plant: Planting, folder: Path, victim: Path
) -> None:
    # The process id was written over the file that a link named; a pipe was locked and written.
    plant(victim, folder / LOCK)
    with pytest.raises(StoreError, match=r"ragctx\.index\.lock is not a regular file"):
        with Index.open(folder).writer():
            pass
    assert victim.read_text() == "precious"


@planted
@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_sqlite_s_files_are_not_opened_through_a_link(
    ending: str, plant: Planting, folder: Path, victim: Path
) -> None:
    plant(victim, folder / f"{DATABASE}{ending}")
    with pytest.raises(StoreError, match=f"{ending} is not a regular file"):
        Index.open(folder)
    assert victim.read_text() == "precious"


def test_a_database_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / DATABASE).rename(tmp_path / "elsewhere")
    (folder / DATABASE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is not a regular file"):
        Index.open(folder)


@planted
def test_the_vectors_file_is_replaced_not_followed(
    plant: Planting, folder: Path, victim: Path
) -> None:
    # A pipe in its place was opened, and never came back.
    (file := segment_of(folder)).unlink()
    plant(victim, file)
    index = Index.open(folder)
    hits = retrieve("Cats purr.", index, HashEmbedder(), Retrieval(k=1))
    assert hits[0].document == "a.pdf"
    with index.writer() as writer:
        put(writer, "c", "Birds sing.")
    assert segment_of(folder).is_file() and not segment_of(folder).is_symlink()
    assert victim.read_text() == "precious"


def test_an_unfinished_file_has_a_name_that_nobody_can_guess(tmp_path: Path) -> None:
    # It was the process's id, so that a link could wait there and be written through.
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "file") as unfinished:
            names.add(unfinished.name)
            assert unfinished.is_file() and not unfinished.is_symlink()
    assert len(names) == 3
    write_whole(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@planted
def test_a_kept_passage_is_not_read_through_a_link(
    plant: Planting, tmp_path: Path, victim: Path
) -> None:
    store = PassageStore(tmp_path / "cache", 10**6, model="m")
    store.keep((1,), passage((1,)))
    [file] = store.files.folder.iterdir()
    file.rename(victim)
    plant(victim, file)
    assert store.find((1,)) is None
    store.keep((1,), passage((1,)))
    assert store.find((1,)) is not None and not file.is_symlink()


@planted
def test_answers_are_not_kept_through_a_link(plant: Planting, tmp_path: Path, victim: Path) -> None:
    plant(victim, tmp_path / "answers.sqlite3")
    with pytest.raises(StoreError, match="not a regular file"):
        AnswerCache(tmp_path / "answers.sqlite3")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_WRONLY])
@pytest.mark.parametrize("what", ["link", "pipe", "device", "folder"])
def test_only_a_regular_file_is_opened(what: str, flags: int, tmp_path: Path, victim: Path) -> None:
    path = tmp_path / "what"
    if what == "link":
        path.symlink_to(victim)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path = Path(os.devnull)
    with pytest.raises(OSError):
        os.close(open_regular(path, flags))


# --- schemas

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            f"DROP VIEW passages; CREATE VIEW passages AS {ENDLESS} i AS row, 'x' AS text FROM n",
            "view 'passages'",
        ),
        (f"CREATE VIEW v AS {ENDLESS} i FROM n", "view 'v'"),
        (
            "ALTER TABLE sources RENAME TO old; "
            f"CREATE VIEW sources AS {ENDLESS} 'x' AS path, i AS document FROM n",
            "'",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents; END",
            "trigger 't'",
        ),
        ("CREATE TABLE other (x)", "table 'other'"),
        ("CREATE VIRTUAL TABLE f USING fts5 (x)", "table 'f"),
        ("CREATE INDEX i ON documents (title)", "index 'i'"),
        ('CREATE TABLE "\x1b[2J" (x)', r"table '\\x1b\[2J'"),
    ],
)
def test_a_schema_that_is_not_an_index_s_is_refused_by_name(
    statements: str, named: str, folder: Path
) -> None:
    # An endless view in the place of a table took more than 25 s and would not end.
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript(statements)
    began = time.monotonic()
    works: list[Callable[[], object]] = [
        lambda: Index.open(folder),
        lambda: Index.open_or_create(folder, embedder=HashEmbedder()),
        lambda: verify_index(folder),
        lambda: repair_index(folder),
    ]
    for work in works:
        with pytest.raises(IndexMismatchError, match=f"holds the .*{named}"):
            work()
    assert time.monotonic() - began < 5


def test_a_schema_changed_after_opening_is_refused_too(folder: Path) -> None:
    index = Index.open(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM chunks; END")
    for work in (index.sources, index.info):
        with pytest.raises(IndexMismatchError, match="trigger 't'"):
            work()
    with pytest.raises(IndexMismatchError, match="trigger 't'"), index.writer():
        pass


def test_what_analyze_leaves_is_no_harm(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("ANALYZE")
    assert len(Index.open(folder).sources()) == 2


def test_answers_with_a_trigger_are_refused(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    with closing(sqlite3.connect(cache.path)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END")
    for work in (lambda: AnswerCache(cache.path), lambda: cache.find(["k"])):
        with pytest.raises(StoreError, match="something else than answers"):
            work()


# --- chat templates

LOOPS = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
DOUBLED = (
    "{% set ns = namespace(s='x' * 999) %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}"
)


@pytest.mark.parametrize(
    "source",
    [
        LOOPS,
        LOOPS + "{{ messages[0].content }}",
        f"{DOUBLED}{{% endfor %}}",
        "{{ 'x' * 10 ** 10 }}",
        "{{ 'x' | center(10 ** 10) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
        "{{ 'x' * 2000000 }}{{ messages[0].content }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    ],
    ids=range(10),
)
def test_a_chat_template_cannot_take_all_memory_or_time(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, one took 3 GB, and others as long as they liked.
    monkeypatch.setattr("ragctx.tokens.chat_template._CPU_S", 1)
    began = time.monotonic()
    with pytest.raises(TokenizerError, match="chat template of here failed") as caught:
        ChatTemplate(source, {}, "here").frame()
    assert time.monotonic() - began < 30
    assert isinstance(caught.value, RagctxError) and len(str(caught.value)) < 1000
    assert ChatTemplate(source, {}, "here").system_frame() is None
