"""The law of repair: whatever is damaged, every document whose own rows are readable is saved.

Which document has a row on which page is asked of the sound database, so what must be saved is
known before anything is damaged.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ragctx.errors import IndexDamagedError
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.index.raw_pages import PageFile
from ragctx.index.repair import repair_index, verify_index
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with

OWN = ("documents", "pages", "chunks", "vectors")
DOCUMENTS = {
    f"d{i:02}": [
        f"Page {page} of document {i}. " * (10 + 90 * (page == i % 3)) for page in range(4)
    ]
    for i in range(20)
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sound index, its log written into the database."""
    folder = tmp_path_factory.mktemp("sound") / "index"
    index_with(folder, DOCUMENTS)
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture(scope="module")
def pages_of(sound: Path) -> dict[str, set[int]]:
    """The pages that hold a document's own rows, by its id."""
    with closing(sqlite3.connect(sound / DATABASE)) as connection:
        ids = dict(connection.execute("SELECT row, id FROM documents"))
        document_of = {
            "documents": {row: row for row in ids},
            "pages": dict(connection.execute("SELECT rowid, document FROM pages")),
            "chunks": dict(connection.execute("SELECT row, document FROM chunks")),
        }
        document_of["vectors"] = document_of["chunks"]
        try:
            listed = connection.execute(
                "SELECT name, pageno, pagetype, path FROM dbstat WHERE name IN (?, ?, ?, ?)", OWN
            ).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite was built without dbstat, which tells what is on which page")
    file = PageFile(sound / DATABASE)
    pages: dict[str, set[int]] = {id_: set() for id_ in ids.values()}
    leaf_of: dict[tuple[str, str], int] = {
        (name, path): page for name, page, kind, path in listed if kind == "leaf"
    }
    for name, page, kind, path in listed:
        leaf = page if kind == "leaf" else leaf_of.get((name, path.partition("+")[0]))
        if kind == "internal" or leaf is None:
            continue
        for row in file._rows_of(leaf):
            assert row.rowid is not None
            pages[ids[document_of[name][row.rowid]]].add(page)
    return pages


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of the index, to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "index"))


def damage(folder: Path, change: Callable[[bytearray], None]) -> None:
    file = folder / DATABASE
    data = bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)


def saved_after_repair(folder: Path) -> set[str]:
    """The ids of the documents after a repair that must leave a sound index."""
    try:
        repair_index(folder, embedder=HashEmbedder().id)
    except IndexDamagedError:
        return set()
    assert verify_index(folder) == ()
    return {source.document_id for source in Index.open(folder).sources()}


def page_count(folder: Path) -> int:
    return (folder / DATABASE).stat().st_size // 4096


def roots(folder: Path) -> Iterator[tuple[str, int]]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        yield from connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0")


def zeroed(page: int) -> Callable[[bytearray], None]:
    def zero(data: bytearray) -> None:
        data[(page - 1) * 4096 : page * 4096] = bytes(4096)

    return zero


def test_what_is_on_which_page_is_known(pages_of: dict[str, set[int]]) -> None:
    assert len(pages_of) == 20 and all(len(pages) >= 4 for pages in pages_of.values())


@pytest.mark.parametrize("name", ["sources_of_document", "chunks_of_document", "sources"])
def test_a_zeroed_root_of_what_can_be_made_again_costs_no_document(folder: Path, name: str) -> None:
    # A zeroed root of the index on sources once threw all 20 documents away, with exit code 0.
    root = dict(roots(folder))[name]
    damage(folder, zeroed(root))
    repair = repair_index(folder)
    assert "saved 20 of 20 documents into a new database" in repair.done
    assert repair.quarantined == ()
    index = Index.open(folder)
    assert {source.document_id for source in index.sources()} == set(DOCUMENTS)


def test_any_zeroed_page_costs_only_the_documents_whose_rows_were_on_it(
    sound: Path, tmp_path: Path, pages_of: dict[str, set[int]]
) -> None:
    number = page_count(sound)
    assert number > 60
    for page in range(1, number + 1, 5):
        copy = Path(shutil.copytree(sound, tmp_path / f"zeroed-{page}"))
        damage(copy, zeroed(page))
        expected = {id_ for id_, pages in pages_of.items() if page not in pages}
        assert saved_after_repair(copy) >= expected, f"page {page}"


def test_of_a_database_that_was_cut_off_every_whole_document_is_saved(
    sound: Path, tmp_path: Path, pages_of: dict[str, set[int]]
) -> None:
    # It was given up before: "Nothing can be read".
    number = page_count(sound)
    saved = []
    for left in range(number // 4, number, number // 12):
        copy = Path(shutil.copytree(sound, tmp_path / f"cut-{left}"))
        damage(copy, lambda data, left=left: data.__delitem__(slice(left * 4096 - 100, None)))
        expected = {id_ for id_, pages in pages_of.items() if max(pages) < left}
        saved.append(saved_after_repair(copy))
        assert saved[-1] >= expected, f"{left} of {number} pages"
    assert any(saved)


def test_what_could_not_be_saved_is_counted_and_named(
    folder: Path, pages_of: dict[str, set[int]]
) -> None:
    root = dict(roots(folder))["documents"]
    of_all = set.intersection(*pages_of.values())
    page = min(pages_of["d03"] - of_all - {root})
    damage(folder, zeroed(page))
    lost = {id_ for id_, pages in pages_of.items() if page in pages}
    repair = repair_index(folder)
    assert f"saved {20 - len(lost)} of 20 documents into a new database" in repair.done
    assert {path for lost in repair.quarantined for path in lost.paths} == {
        f"{id_}.pdf" for id_ in lost
    }
    assert all(Path(lost.file).is_file() and lost.reason for lost in repair.quarantined)


def test_an_index_of_which_nothing_is_left_is_never_called_repaired(folder: Path) -> None:
    damage(folder, lambda data: data.__setitem__(slice(4096, None), bytes(len(data) - 4096)))
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(IndexDamagedError, match="a copy is"):
        repair_index(folder)
    assert (folder / DATABASE).read_bytes() == before
    assert [path.read_bytes() for path in (folder / "quarantine").iterdir()] == [before]


def test_an_index_that_no_longer_tells_its_embedder_is_saved_once_it_is_named(
    folder: Path,
) -> None:
    damage(folder, zeroed(dict(roots(folder))["meta"]))
    with pytest.raises(IndexDamagedError, match="--embedder default, or int8"):
        repair_index(folder)
    assert saved_after_repair(folder) == set(DOCUMENTS)
    assert Index.open(folder, embedder=HashEmbedder()).sources()


@pytest.mark.parametrize(
    ("table", "column"), [("pages", "text"), ("documents", "title"), ("chunks", "text")]
)
def test_a_text_that_became_bytes_is_one_documents_problem(
    folder: Path, table: str, column: str
) -> None:
    # One flipped bit makes TEXT a BLOB. Both commands ended in a TypeError.
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute(
            f"UPDATE {table} SET {column} = CAST({column} AS BLOB) "
            f"WHERE rowid = (SELECT min(rowid) FROM {table})"
        )
    assert any(problem.part == "document" for problem in verify_index(folder))
    assert len(saved_after_repair(folder)) >= 19


def test_an_outline_without_end_is_one_documents_problem(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute(
            "UPDATE documents SET outline = ? WHERE id = 'd00'", ("[" * 100_000 + "]" * 100_000,)
        )
    assert [problem.part for problem in verify_index(folder)] == ["document"]
    assert saved_after_repair(folder) == {*DOCUMENTS} - {"d00"}


def test_a_removed_document_does_not_come_back(folder: Path) -> None:
    with Index.open(folder).writer() as writer:
        writer.remove("d05.pdf")
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(folder, zeroed(dict(roots(folder))["sources_of_document"]))
    assert saved_after_repair(folder) == {*DOCUMENTS} - {"d05"}


def test_commits_that_are_only_in_the_log_are_saved(folder: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)  # while it is open the log stays
    connection.execute("SELECT 1 FROM meta").fetchone()
    with Index.open(folder).writer() as writer:
        writer.remove("d05.pdf")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    connection.close()
    assert (copy / f"{DATABASE}-wal").stat().st_size
    (copy / f"{DATABASE}-shm").unlink()
    damage(copy, zeroed(dict(roots(folder))["chunks_of_document"]))
    assert saved_after_repair(copy) >= {*DOCUMENTS} - {"d05"}


def test_half_copies_of_a_repair_that_was_killed_are_removed(folder: Path) -> None:
    half = folder / "quarantine" / "ragctx-1.sqlite3.part"
    half.parent.mkdir()
    half.write_bytes(b"half")
    repair_index(folder)
    assert not half.exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_flipped_bytes_never_cost_a_document_they_are_not_in(
    sound: Path, tmp_path: Path, pages_of: dict[str, set[int]], seed: int
) -> None:
    chance = random.Random(seed)
    for i in range(40):
        copy = Path(shutil.copytree(sound, tmp_path / f"flipped-{i}"))
        size = (copy / DATABASE).stat().st_size
        places = [chance.randrange(size) for _ in range(chance.choice((1, 1, 3, 20)))]

        def flip(data: bytearray, places: list[int] = places) -> None:
            for place in places:
                data[place] ^= 1 << chance.randrange(8)

        damage(copy, flip)
        hit = {place // 4096 + 1 for place in places}
        expected = {id_ for id_, pages in pages_of.items() if not pages & hit}
        assert saved_after_repair(copy) >= expected, places
        shutil.rmtree(copy)
