"""Laws of the disk: what was committed stays, whole; damage is noticed and nothing is hidden."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import (
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    InputError,
    StoreError,
)
from ragctx.index.database import DATABASE
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index
from ragctx.index.lock import LOCK
from ragctx.index.repair import QUARANTINE, repair_index, verify_index
from ragctx.retrieval import search
from ragctx.text.words import spaced
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import (
    chunks_of,
    document_of,
    index_with,
    made_of,
    put,
    segment_of,
)
from tests.support.paths import ROOT

TWO = {"a": ["cats sleep", "dogs bark"], "b": ["rain falls", "", "snow melts"]}


def change(folder: Path, statement: str, *values: object) -> None:
    """Damage an index from behind."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute(statement, values)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


# ---- What is put comes back ------------------------------------------------------------------


def test_a_document_comes_back_as_it_was_put(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    document, chunks, vectors = made_of("b", *TWO["b"])
    assert index.document("b") == document
    assert list(index.chunks("b")) == chunks
    np.testing.assert_array_equal(index.vectors_of([c.id for c in chunks]), vectors)
    np.testing.assert_array_equal(index.vectors_of([chunks[1].id]), vectors[1:])
    assert index.document("nobody") is None


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_any_text_comes_back_and_leaves_the_index_sound(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    """NUL, line separators, signs outside the basic plane: none may be lost or break the words."""
    folder = tmp_path_factory.mktemp("index")
    index = index_with(folder, {"d": texts, "e": ["other"]})
    assert index.document("d") == document_of("d", *texts)
    assert verify_index(index.path) == ()
    with index.writer() as writer:
        writer.remove("d")
    assert verify_index(index.path) == ()


def test_a_document_without_text_is_remembered(tmp_path: Path) -> None:
    index = index_with(tmp_path, {"scan": ["", ""]})
    (source,) = index.sources()
    assert (source.pages, source.chunks) == (2, 0)
    assert verify_index(index.path) == ()
    assert search(index, HashEmbedder(), "anything") == []


def test_putting_the_same_again_changes_nothing(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    before = index.info(), index.sources(), segment_of(tmp_path).stat().st_mtime_ns
    index_with(tmp_path, TWO)
    assert before == (index.info(), index.sources(), segment_of(tmp_path).stat().st_mtime_ns)


def test_a_lone_surrogate_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    with index.writer() as writer, pytest.raises(InputError, match=r"page 1.*lone surrogate"):
        put(writer, "c", "bad \ud800 sign")
    assert len(index.sources()) == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d, c, v: (d, c, v[:1]), r"float32 \(1, 8\); 2 chunks.*\(2, 8\)"),
        (lambda d, c, v: (d, c, v[:, :4]), r"\(2, 4\).*\(2, 8\)"),
        (lambda d, c, v: (d, c, v.astype(np.float64)), "float64"),
        (lambda d, c, v: (d, c, v * 2), r"vectors\[0\] has norm 2, not 1"),
        (lambda d, c, v: (d, c, v * np.float32("nan")), "norm nan"),
        (lambda d, c, v: (d, [c[0], c[0]], v), r"chunks\[1\].*twice"),
        (lambda d, c, v: (document_of("a", "other", "text"), c, v), "is not document.text"),
        (lambda d, c, v: (document_of("z", *TWO["a"]), c, v), "is of 'a', not of 'z'"),
    ],
)
def test_what_does_not_fit_is_refused_naming_both_sides(
    tmp_path: Path, spoil: object, message: str
) -> None:
    index = index_with(tmp_path, {})
    made = spoil(*made_of("a", *TWO["a"]))  # type: ignore[operator]
    with index.writer() as writer, pytest.raises(InputError, match=message):
        writer.put("a.pdf", *made, recipe="r")
    assert index.sources() == ()


# ---- Opening ---------------------------------------------------------------------------------


def test_a_missing_index_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match=f"ragctx ingest PATH --index {tmp_path}"):
        Index.open(tmp_path)
    (tmp_path / DATABASE).touch()  # cut off while it was made
    with pytest.raises(IndexMissingError, match="ragctx ingest PATH"):
        Index.open(tmp_path)
    assert verify_index(index_with(tmp_path, TWO).path) == ()


def test_another_embedder_or_dimension_is_refused_naming_both(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    for other in (HashEmbedder(id="other@2"), HashEmbedder(dim=4)):
        for refused in (Index.open, Index.open_or_create):
            with pytest.raises(IndexMismatchError, match=rf"hash@1 \(dim 8\).*{other.id}"):
                refused(tmp_path, embedder=other)
        with pytest.raises(IndexMismatchError):
            search(index, other, "cats")


def test_another_format_version_is_refused_naming_both(tmp_path: Path) -> None:
    index_with(tmp_path, TWO)
    change(tmp_path, "UPDATE meta SET value = '99' WHERE key = 'format_version'")
    with pytest.raises(IndexMismatchError, match=r"version 99.*reads versions 1 and 2"):
        Index.open(tmp_path)


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE theirs (x)")
    for refused in (Index.open, verify_index, repair_index):
        with pytest.raises(IndexMismatchError, match="not a ragctx index"):
            refused(tmp_path)
    with pytest.raises(IndexMismatchError):
        Index.open_or_create(tmp_path, embedder=HashEmbedder())


def test_create_refuses_to_overwrite(tmp_path: Path) -> None:
    Index.create(tmp_path / "new", embedder=HashEmbedder())
    with pytest.raises(StoreError, match="already"):
        Index.create(tmp_path / "new", embedder=HashEmbedder())
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Index.create(tmp_path / "file", embedder=HashEmbedder())


@contextmanager
def as_nobody() -> Iterator[None]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_index_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = index_with(folder, TWO)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        with as_nobody():
            index = Index.open(folder, embedder=HashEmbedder())
            assert search(index, HashEmbedder(), "cats", 1)[0].document == "a.pdf"
            assert verify_index(index.path) == ()
            with pytest.raises(StoreError, match="cannot be written"), index.writer():
                pass
    finally:
        folder.chmod(0o755)


# ---- One writer, any readers -----------------------------------------------------------------

HOLD = """
import sys
from ragctx.index.index import Index
with Index.open(sys.argv[1]).writer():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    with python(HOLD, tmp_path) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(IndexLockedError, match=f"process {holder.pid}"), index.writer():
            pass
        assert search(index, HashEmbedder(), "cats", 1)  # readers do not wait
        holder.kill()
    with index.writer() as writer:  # the lock died with its holder
        put(writer, "c", "new")
    assert (tmp_path / LOCK).exists()


def test_two_writers_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    with index.writer(), pytest.raises(IndexLockedError), Index.open(tmp_path).writer():
        pass


def test_a_reader_sees_one_state_while_a_writer_works(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    with index.writer() as writer:
        with index.snapshot() as snapshot:
            before = search(snapshot, HashEmbedder(), "cats", 9)
            writer.remove("a")
            put(writer, "c", "cats cats cats")
            assert search(snapshot, HashEmbedder(), "cats", 9) == before
            assert snapshot.document("a") is not None
            assert len(snapshot.sources()) == 2
            assert snapshot.info().documents == 2
            assert index.document("a") is None  # the index itself has moved on
        assert {h.document for h in search(index, HashEmbedder(), "cats", 9)} == {"b.pdf", "c.pdf"}


CHURN = """
import sys
from ragctx.index.index import Index
from tests.support.index_samples import put
index = Index.open(sys.argv[1])
with index.writer() as writer:
    print("go", flush=True)
    for i in range(10**6):
        put(writer, f"n{i % 7}", *[f"word{i} same" for _ in range(i % 5 + 1)], path=f"{i % 7}.pdf")
"""


def test_readers_beside_a_busy_writer_always_see_whole_documents(tmp_path: Path) -> None:
    index = index_with(tmp_path, {})
    with python(CHURN, tmp_path) as writer:
        try:
            assert writer.stdout and writer.stdout.readline() == "go\n"
            end = time.monotonic() + 2
            while time.monotonic() < end:
                hits = search(index, HashEmbedder(), "same", 100)
                by_document: dict[str, set[str]] = {}
                for hit in hits:
                    by_document.setdefault(hit.document, set()).add(hit.chunk.text)
                assert all(len(texts) == 1 for texts in by_document.values())
        finally:
            writer.kill()
    assert hits


def test_after_a_kill_at_any_instant_every_committed_document_is_there(tmp_path: Path) -> None:
    """Each line the writer printed is a commit that must have survived; the next one may have."""
    code = CHURN.replace('path=f"{i % 7}.pdf")', 'path=f"{i}.pdf"); print(i, flush=True)').replace(
        "{i % 7}", "{sys.argv[2]}-{i}"
    )
    generator = random.Random(0)
    for round in range(5):
        index_with(tmp_path, {})
        with python(code, tmp_path, round) as writer:
            assert writer.stdout and writer.stdout.readline() == "go\n"
            time.sleep(generator.uniform(0, 0.3))
            writer.send_signal(signal.SIGKILL)
            promised = len(writer.stdout.read().splitlines())
        index = Index.open(tmp_path, embedder=HashEmbedder())
        survived = [s for s in index.sources() if s.document_id.startswith(f"n{round}-")]
        assert promised <= len(survived) <= promised + 1
        assert verify_index(index.path) == ()
        assert all(s.chunks == s.pages and s.chunks > 0 for s in survived)
        assert len(search(index, HashEmbedder(), "same", 10**6)) == index.info().chunks


# ---- Damage ----------------------------------------------------------------------------------


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98, 0.999])
def test_a_damaged_vector_file_is_noticed_and_made_anew(tmp_path: Path, share: float) -> None:
    index = index_with(tmp_path, TWO)
    expected = search(index, HashEmbedder(), "cats", 9)
    file = segment_of(tmp_path)
    flip(file, int(share * file.stat().st_size))
    assert [problem.part for problem in verify_index(index.path)] == ["vectors"]
    fresh = Index.open(tmp_path)
    assert search(fresh, HashEmbedder(), "cats", 9) == expected
    repair_index(fresh.path)
    assert verify_index(index.path) == ()


@pytest.mark.parametrize("content", [None, b"", b"ragctx01", b"x" * 60])
def test_a_missing_or_cut_vector_file_costs_nothing(tmp_path: Path, content: bytes | None) -> None:
    expected = search(index_with(tmp_path, TWO), HashEmbedder(), "cats", 9)
    (file := segment_of(tmp_path)).unlink()
    if content is not None:
        file.write_bytes(content)
    assert [problem.part for problem in verify_index(tmp_path)] == ["vectors"]
    index = Index.open(tmp_path)
    assert search(index, HashEmbedder(), "cats", 9) == expected
    with index.writer():
        pass  # a writer brings the file up to date
    assert segment_of(tmp_path).stat().st_size > 60
    assert verify_index(index.path) == ()


def test_the_vector_file_of_another_index_is_not_believed(tmp_path: Path) -> None:
    index = index_with(tmp_path / "one", TWO)
    index_with(tmp_path / "two", {"a": ["x y"], "b": ["z"]})
    expected = search(index, HashEmbedder(), "cats", 9)
    segment_of(tmp_path / "two").replace(segment_of(tmp_path / "one"))
    assert search(Index.open(tmp_path / "one"), HashEmbedder(), "cats", 9) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pages SET text = 'forged' WHERE text = 'rain falls'",
        "UPDATE chunks SET text = 'forged' WHERE text = 'rain falls'",
        "UPDATE chunks SET first_page = 2 WHERE text = 'rain falls'",
        "UPDATE documents SET title = 'forged' WHERE id = 'b'",
        "UPDATE documents SET outline = 'no json' WHERE id = 'b'",
        "UPDATE vectors SET vector = zeroblob(32) WHERE row = (SELECT max(row) FROM vectors)",
        "UPDATE vectors SET vector = x'00' WHERE row = (SELECT max(row) FROM vectors)",
    ],
)
def test_a_changed_document_is_noticed_and_put_aside_not_lost(
    tmp_path: Path, statement: str
) -> None:
    index = index_with(tmp_path, TWO)
    change(tmp_path, statement)
    assert "document" in {problem.part for problem in verify_index(index.path)}
    repair = repair_index(index.path)
    (lost,) = repair.quarantined
    assert (lost.document_id, lost.paths) == ("b", ("b.pdf",))
    assert "b.pdf" in json.loads(Path(lost.file).read_text("utf-8"))["paths"]
    assert verify_index(index.path) == ()
    assert [source.path for source in index.sources()] == ["a.pdf"]
    assert [hit.document for hit in search(index, HashEmbedder(), "rain", 9)] == ["a.pdf"] * 2
    with index.writer() as writer:
        put(writer, "b", *TWO["b"])
    assert verify_index(index.path) == ()


def test_words_that_do_not_agree_with_the_passages_are_noticed_and_made_anew(
    tmp_path: Path,
) -> None:
    index = index_with(tmp_path, TWO)
    change(tmp_path, "INSERT INTO words(words) VALUES ('delete-all')")
    assert [problem.part for problem in verify_index(index.path)] == ["words"]
    assert repair_index(index.path).quarantined == ()
    assert verify_index(index.path) == ()
    change(tmp_path, "UPDATE chunks SET spaced = 'forged words'")
    assert "words" in {problem.part for problem in verify_index(index.path)}
    repair_index(index.path)
    assert verify_index(index.path) == ()


def test_rows_that_point_to_nothing_are_noticed_and_the_rest_is_saved(tmp_path: Path) -> None:
    index = index_with(tmp_path, TWO)
    change(tmp_path, "DELETE FROM documents WHERE id = 'b'")
    assert {problem.part for problem in verify_index(index.path)} == {"database"}
    repair = repair_index(index.path)
    assert [lost.paths for lost in repair.quarantined] == [("b.pdf",)]
    assert (tmp_path / QUARANTINE / "ragctx-1.sqlite3").exists()
    assert verify_index(index.path) == ()
    assert index.document("a") == document_of("a", *TWO["a"])


def test_a_writer_cut_off_while_it_writes_the_vector_file_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_with(tmp_path, TWO)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="Everything is stored"):
        patch.setattr("ragctx.paths.os.replace", full)
        with index.writer() as writer:
            put(writer, "c", "more text")
    (left_by_a_kill := tmp_path / ".vectors-1.safetensors.1-1.part").write_bytes(b"half of it")
    fresh = Index.open(tmp_path)
    assert len(search(fresh, HashEmbedder(), "text", 9)) == 5
    assert verify_index(fresh.path) == ()
    with fresh.writer():
        pass
    assert not left_by_a_kill.exists()


def test_a_file_that_is_no_database_is_called_damaged_with_the_remedy(tmp_path: Path) -> None:
    index_with(tmp_path, TWO)
    (tmp_path / DATABASE).write_bytes(b"not a database, " * 999)
    with pytest.raises(IndexDamagedError, match=f"ragctx index repair {tmp_path}"):
        Index.open(tmp_path)
    assert [problem.part for problem in verify_index(tmp_path)] == ["database"]
    with pytest.raises(IndexDamagedError, match="a copy is"):
        repair_index(tmp_path)
    assert (tmp_path / QUARANTINE / "ragctx-1.sqlite3").stat().st_size == 16 * 999


def test_whatever_byte_of_the_database_flips_sound_documents_are_saved(tmp_path: Path) -> None:
    """After repair the index is sound, and every document in it is exactly one that was put."""
    pages = {f"d{i}": [f"passage {i} {j} " + "filler " * 80 for j in range(9)] for i in range(12)}
    index_with(tmp_path / "good", pages)
    whole = (tmp_path / "good" / DATABASE).read_bytes()
    generator = random.Random(1)
    saved = []
    for round in range(12):
        folder = tmp_path / str(round)
        folder.mkdir()
        damaged = bytearray(whole)
        start = generator.randrange(4096, len(whole) - 300)
        damaged[start : start + 300] = generator.randbytes(300)
        (folder / DATABASE).write_bytes(bytes(damaged))
        try:
            repair_index(folder)
        except (IndexDamagedError, IndexMismatchError, IndexMissingError):
            assert list((folder / QUARANTINE).iterdir())
            continue
        assert verify_index(folder) == ()
        index = Index.open(folder)
        found = {source.document_id for source in index.sources()}
        assert all(index.document(id) == document_of(id, *pages[id]) for id in found)
        saved.append(len(found))
    assert len(saved) >= 9 and np.mean(saved) > 9


def test_verify_changes_nothing(tmp_path: Path) -> None:
    index_with(tmp_path, TWO)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert verify_index(tmp_path) == ()
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


# ---- Words -----------------------------------------------------------------------------------


@given(st.text())
def test_no_question_is_ever_query_syntax(question: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE w USING fts5(text)")
        connection.execute("INSERT INTO w VALUES ('anything AND NEAR OR NOT text')")
        if expression := match_expression(question):
            connection.execute("SELECT * FROM w WHERE w MATCH ?", (expression,)).fetchall()


@given(st.text())
def test_spacing_loses_no_character_and_leaves_spaced_scripts_alone(text: str) -> None:
    assert set(spaced(text)) - {" "} == set(text) - {" "}
    if text.isascii():
        assert spaced(text) == text


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("The fuse ＡＢＣ－１２３ blows.", "ABC-123"),
        ("The 𝑚𝑎𝑥𝑖𝑚𝑢𝑚 𝑝𝑜𝑤𝑒𝑟 is 5 kW.", "maximum power"),
        ("A room of 20 m² holds ㎏ of H₂O.", "m2"),
        ("A room of 20 m² holds ㎏ of H₂O.", "kg"),
        ("A room of 20 m² holds ㎏ of H₂O.", "H2O"),
        ("ﾄﾗﾝｽ", "トランス"),
        ("Die Straße ist nass.", "STRASSE"),
        ("The ﬁsh ﬂoats.", "fish"),
        ("the code ABC-123", "ＡＢＣ－１２３"),
    ],
)
def test_characters_that_are_read_alike_are_found(written: str, asked: str, tmp_path: Path) -> None:
    index = index_with(tmp_path, {"d": [written], "other": ["Nothing of it."]})
    found = search(index, HashEmbedder(), asked, retriever="lexical")
    assert [hit.chunk.text for hit in found] == [written]


def test_stop_words_count_when_there_is_nothing_else() -> None:
    assert match_expression("What is the Who?") == '"what" OR "is" OR "the" OR "who"'
    assert match_expression("Who are the Rolling Stones?") == '"rolling" OR "stones"'
    assert match_expression("?!") == ""


@pytest.mark.parametrize("word", ["Müller", "Küchengeräte", "Ångström", "xq\N{COMBINING TILDE}z"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_a_word_is_found_however_its_accents_are_stored(
    word: str, stored: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    # "Müller" typed with a loose diaeresis, as macOS gives file names, was asked as "mu" and "ller"
    # and found nothing. The index itself knows both ways of writing.
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE w USING fts5(text, tokenize='unicode61 remove_diacritics 2')"
        )
        connection.execute("INSERT INTO w VALUES (?)", (unicodedata.normalize(stored, word),))
        expression = match_expression(unicodedata.normalize(asked, word))
        assert connection.execute("SELECT 1 FROM w WHERE w MATCH ?", (expression,)).fetchall()
        assert " OR " not in expression


def test_chunks_of_samples_obey_the_text_law() -> None:
    document = document_of("d", "one", "", "three")
    assert [document.text[c.start : c.end] for c in chunks_of(document)] == ["one", "three"]
