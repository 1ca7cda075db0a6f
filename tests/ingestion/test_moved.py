"""Laws of files that went elsewhere, and of those that are gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.index.index import Index
from ragctx.ingestion.finding import Reach, find_files, is_gone
from ragctx.ingestion.run import ingest
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write


@pytest.fixture
def folder(tmp_path: Path, reader: TextReader) -> Path:
    for name in ("old/tin", "old/iron", "apart/gold"):
        write(tmp_path / f"{name}.pdf", f"About {name}.")
    run(tmp_path, "old", "apart")
    return tmp_path


def run(folder: Path, *what: str, prune: bool = False) -> dict[str, str]:
    rows = ingest([folder / path for path in what], folder / "index", HashEmbedder(), prune=prune)
    return {str(Path(row.path).relative_to(folder)): row.outcome for row in rows}


def paths(folder: Path) -> list[str]:
    sources = Index.open(folder / "index").sources()
    return [str(Path(source.path).relative_to(folder)) for source in sources]


def test_a_folder_that_was_moved_is_followed(folder: Path, reader: TextReader) -> None:
    # Every file of it was in the index twice afterwards, once under a path that no longer was.
    reader.read.clear()
    (folder / "old").rename(folder / "new")
    assert run(folder, "new") == {"new/iron.pdf": "moved", "new/tin.pdf": "moved"}
    assert paths(folder) == ["apart/gold.pdf", "new/iron.pdf", "new/tin.pdf"]
    assert reader.read == []
    assert run(folder, "new") == {"new/iron.pdf": "unchanged", "new/tin.pdf": "unchanged"}


def test_a_copy_is_no_move(folder: Path) -> None:
    shutil.copytree(folder / "old", folder / "new")
    assert set(run(folder, "new").values()) == {"duplicate"}
    assert len(paths(folder)) == 5


def test_of_two_new_places_one_is_the_move(folder: Path) -> None:
    shutil.copytree(folder / "old", folder / "new")
    (folder / "old").rename(folder / "newer")
    assert sorted(run(folder, "new", "newer").values()) == ["duplicate"] * 2 + ["moved"] * 2
    assert len(paths(folder)) == 5


def test_a_file_moved_over_another_leaves_the_other_s_document_to_nobody(folder: Path) -> None:
    os.replace(folder / "old/tin.pdf", folder / "old/iron.pdf")
    assert run(folder, "old") == {"old/iron.pdf": "moved"}
    assert paths(folder) == ["apart/gold.pdf", "old/iron.pdf"]
    assert Index.open(folder / "index").info().documents == 2


def test_two_files_that_changed_their_places_keep_both(folder: Path) -> None:
    os.rename(folder / "old/tin.pdf", folder / "old/x")
    os.rename(folder / "old/iron.pdf", folder / "old/tin.pdf")
    os.rename(folder / "old/x", folder / "old/iron.pdf")
    run(folder, "old")
    index = Index.open(folder / "index")
    texts = {
        Path(source.path).stem: document.text
        for source in index.sources()
        if (document := index.document(source.document_id))
    }
    assert texts == {
        "tin": "About old/iron.",
        "iron": "About old/tin.",
        "gold": "About apart/gold.",
    }


def test_what_is_gone_is_told_and_stays(folder: Path) -> None:
    (folder / "old/tin.pdf").unlink()
    assert run(folder, "old") == {"old/iron.pdf": "unchanged", "old/tin.pdf": "vanished"}
    assert "old/tin.pdf" in paths(folder)


def test_pruning_stays_below_the_paths_that_were_named(folder: Path) -> None:
    # It removed whatever was gone, anywhere: the documents of a disk that was not mounted as well.
    (folder / "old/tin.pdf").unlink()
    (folder / "apart/gold.pdf").unlink()
    assert run(folder, "old", prune=True) == {"old/iron.pdf": "unchanged", "old/tin.pdf": "removed"}
    assert paths(folder) == ["apart/gold.pdf", "old/iron.pdf"]


@pytest.mark.parametrize("what", ["old", "old/tin.pdf", "old/t*.pdf", "o*/**/*.pdf"])
def test_what_is_wholly_gone_can_still_be_named_to_prune_it(folder: Path, what: str) -> None:
    shutil.rmtree(folder / "old")
    with pytest.raises(InputError, match="does not exist"):
        run(folder, what)
    assert set(run(folder, what, prune=True).values()) == {"removed"}
    left = ["old/iron.pdf"] if what == "old/tin.pdf" else []
    assert [path for path in paths(folder) if path.startswith("old/")] == left


def test_an_empty_folder_can_be_pruned(folder: Path) -> None:
    for file in (folder / "old").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no document"):
        run(folder, "old")
    assert len(run(folder, "old", prune=True)) == 2


def test_what_was_never_known_does_not_exist_though_one_prunes(folder: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run(folder, "olf", prune=True)
    with pytest.raises(InputError, match="does not exist"):
        find_files(folder / "old.pdf", known=[str(folder / "old/tin.pdf")])


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("a/b", "a/b"),
        ("a/*.pdf", "a"),
        ("**/*.pdf", ""),
        ("*.pdf", ""),
        ("a [1]/x?.pdf", "a [1]"),
        ("a/../b/*.pdf", "b"),
    ],
)
def test_a_pattern_reaches_as_far_as_it_is_fixed(
    path: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a [1]").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Reach.of(path).roots == (os.path.join(tmp_path, root).rstrip("/"),)


@given(st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3), st.sampled_from(["a", "b", "ab"]))
def test_a_folder_holds_what_is_below_it_and_nothing_else(below: list[str], name: str) -> None:
    path = "/".join(["", *below, "x.pdf"])
    assert Reach.of(f"/{name}").holds(path) == (below[:1] == [name])
    assert Reach.of("/").holds(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_cannot_be_looked_up_is_not_gone(folder: Path) -> None:
    (folder / "old").chmod(0)
    assert not is_gone(folder / "old/tin.pdf")
    (folder / "old").chmod(0o700)


def test_gone_means_that_there_is_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "a.pdf", "x")
    assert [is_gone(path) for path in (file, file / "below", tmp_path / "b")] == [False, True, True]
    assert not is_gone("a\0b")
