"""Laws of the vectors that wait for their document."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.index import unfinished
from ragctx.index.unfinished import UNFINISHED, UnfinishedVectors
from tests.support.fakes import HashEmbedder

TEXTS = ["Tin melts.", "Iron rusts.", "Gold does neither.", "\ud800"]


def kept(folder: Path, texts: list[str], embedder: HashEmbedder | None = None) -> UnfinishedVectors:
    embedder = embedder or HashEmbedder()
    vectors = UnfinishedVectors(folder, embedder)
    for text in texts:
        vectors.keep([text], embedder.encode([text]))
    return vectors


def found(folder: Path, embedder: HashEmbedder | None = None) -> list[str]:
    """The texts whose vectors are found, each with its own."""
    embedder = embedder or HashEmbedder()
    vectors = UnfinishedVectors(folder, embedder).find(TEXTS)
    for text, vector in vectors.items():
        np.testing.assert_array_equal(vector, embedder.encode([text])[0])
    return list(vectors)


def test_another_process_finds_what_was_kept(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    kept(tmp_path, TEXTS)
    assert found(tmp_path) == TEXTS


def test_vectors_belong_to_their_embedder(tmp_path: Path) -> None:
    kept(tmp_path, TEXTS)
    assert found(tmp_path, HashEmbedder(id="hash@2")) == []


@given(st.integers(0, 4 * 56), st.booleans())
def test_a_file_cut_off_anywhere_gives_what_is_whole_in_it(length: int, more: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        kept(folder, TEXTS)
        record = (folder / UNFINISHED).stat().st_size // 4
        os.truncate(folder / UNFINISHED, min(length, 4 * record))
        whole = TEXTS[: length // record]
        assert found(folder) == whole
        if more:  # what is added to it later stays readable
            kept(folder, TEXTS[3:])
            assert found(folder) == list(dict.fromkeys([*whole, TEXTS[3]]))


@given(st.integers(0, 4 * 56 - 1), st.integers(1, 255))
def test_a_changed_byte_costs_its_vector_only(at: int, change: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        kept(folder, TEXTS)
        data = bytearray((folder / UNFINISHED).read_bytes())
        data[at] ^= change
        (folder / UNFINISHED).write_bytes(data)
        lost = TEXTS[at // (len(data) // 4)]
        assert found(folder) == [text for text in TEXTS if text != lost]


def test_what_is_stored_is_forgotten_and_the_rest_is_not(tmp_path: Path) -> None:
    kept(tmp_path, TEXTS[:2])
    vectors = kept(tmp_path, TEXTS[2:])
    vectors.forget(["never kept"])
    vectors.forget(TEXTS[2:])
    assert found(tmp_path) == TEXTS[:2]
    UnfinishedVectors(tmp_path, HashEmbedder()).forget(TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "MAX_BYTES", 120)  # a record has 16 + 8 * 4 + 8 bytes
    kept(tmp_path, TEXTS)
    assert (tmp_path / UNFINISHED).stat().st_size == 112
    assert found(tmp_path) == TEXTS[:2]


def test_what_nobody_took_up_in_a_month_goes(tmp_path: Path) -> None:
    kept(tmp_path, TEXTS)
    month_ago = time.time() - 31 * 86400
    os.utime(tmp_path / UNFINISHED, (month_ago, month_ago))
    assert found(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_read_nor_written(what: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "index"
    folder.mkdir()
    if what == "link":
        (folder / UNFINISHED).symlink_to(victim)
    elif what == "pipe":
        os.mkfifo(folder / UNFINISHED)
    else:
        (folder / UNFINISHED).mkdir()
    kept(folder, TEXTS[:1])
    assert victim.read_text() == "precious"
