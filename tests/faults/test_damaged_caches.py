"""Caches that were damaged, left unfinished or made read-only: nothing of them is believed."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ragctx.errors import StoreError
from ragctx.evaluation.answer_cache import AnswerCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage
from ragctx.records import Generation
from tests.generator.test_passage_store import passage

ANSWERS = {
    f"key{i}": Generation(
        text=f"Tin melts at {i} degrees.",
        token_ids=(1, 2, i),
        finish_reason="stop",
        prefill_s=0.1,
        decode_s=0.2,
        reused_tokens=3,
        confidence=i / 100,
    )
    for i in range(60)
}


def filled(path: Path) -> AnswerCache:
    cache = AnswerCache(path)
    cache.keep(ANSWERS)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return cache


def damaged(content: bytes, at: random.Random) -> bytes:
    place = at.randrange(100, len(content))
    if at.random() < 0.3:
        return content[:place] + bytes(len(content) - place)
    changed = bytearray(content)
    changed[place] ^= 1 << at.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_gives_another_answer(seed: int, tmp_path: Path) -> None:
    # There was no checksum: of 200 flips and cuts 23 gave other answers, as if a model had.
    path, at = tmp_path / "answers.sqlite3", random.Random(seed)
    filled(path)
    sound, asked_again = path.read_bytes(), 0
    for _ in range(50):
        path.write_bytes(damaged(sound, at))
        for beside in tmp_path.glob("answers.sqlite3-*"):
            beside.unlink()
        try:
            found = AnswerCache(path).find(ANSWERS)
        except StoreError as error:
            assert "delete that file" in str(error)
            continue
        assert found == {key: ANSWERS[key] for key in found}
        asked_again += len(found) < len(ANSWERS)
    assert asked_again


@pytest.mark.parametrize("value", ["", "x", None, 7, b"\xff", "{}"])
def test_a_damaged_answer_is_kept_again(value: object, tmp_path: Path) -> None:
    cache = filled(tmp_path / "answers.sqlite3")
    with closing(sqlite3.connect(cache.path)) as database, database:
        database.execute("UPDATE answers SET answer = ? WHERE key = 'key7'", (value,))
    assert cache.find(["key7", "key8"]) == {"key8": ANSWERS["key8"]}
    cache.keep(ANSWERS)
    assert cache.find(ANSWERS) == ANSWERS


def test_an_answer_of_another_question_is_not_taken(tmp_path: Path) -> None:
    cache = filled(tmp_path / "answers.sqlite3")
    with closing(sqlite3.connect(cache.path)) as database, database:
        database.execute(
            "UPDATE answers SET answer = (SELECT answer FROM answers WHERE key = 'key8') "
            "WHERE key = 'key7'"
        )
    assert cache.find(["key7"]) == {}


def test_answers_of_ragctx_0_1_are_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID"
        )
        database.execute("INSERT INTO answers VALUES ('key7', '{}')")
    cache = AnswerCache(path)
    assert cache.find(["key7"]) == {}
    cache.keep(ANSWERS)
    assert cache.find(ANSWERS) == ANSWERS


# --- read-only


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder and its files, as somebody who may only read them finds them."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    for parent in (folder, *folder.parents):
        if parent == folder or parent.name.startswith("pytest-") or parent == folder.parent:
            parent.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.parametrize("is_filled", [True, False])
def test_answers_in_a_read_only_folder_are_used_and_none_is_added(
    is_filled: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    if is_filled:
        filled(folder / "answers.sqlite3")
    with read_only(folder):
        for path in (folder / "answers.sqlite3", folder / "deeper" / "answers.sqlite3"):
            cache = AnswerCache(path)
            assert cache.find(ANSWERS) == (ANSWERS if is_filled and path.exists() else {})
            cache.keep({"new": ANSWERS["key1"]})
            assert cache.find(["new"]) == {}


def test_passages_in_a_read_only_folder_are_used_and_none_is_added(tmp_path: Path) -> None:
    # OSError came out where a file was damaged, or the folder over its bound.
    folder = tmp_path / "cache"
    store = PassageStore(folder, 10**6, model="m")
    for tokens in ((1, 2), (3, 4)):
        store.keep(tokens, passage(tokens))
    damaged_file = min(folder.iterdir())
    damaged_file.write_bytes(b"?" * 100)
    with read_only(folder):
        store = PassageStore(folder, 3000, model="m")
        assert [store.find(tokens) is None for tokens in ((1, 2), (3, 4))].count(True) == 1
        store.keep((5,), passage((5,)))
        assert store.find((5,)) is None
        assert (store.stats.held, store.stats.evictions) == (2, 0)


# --- unfinished files


def test_an_unfinished_file_counts_and_an_old_one_is_removed(tmp_path: Path) -> None:
    # Files that killed processes left were never removed, and not counted: a bound of 1 GiB could
    # be over by any number of them.
    store = PassageStore(tmp_path, 10_000, model="m")
    store.keep((1,), passage((1,)))
    one = store.stats.held_bytes
    old, new = (tmp_path / f".{'a' * 40}.segment.{n}-1.part" for n in (1, 2))
    for file in (old, new):
        file.write_bytes(b"x" * 1000)
    os.utime(old, (time.time() - 3600,) * 2)
    assert store.stats.held_bytes == one + 2000
    store.keep((2,), passage((2,)))
    assert (old.exists(), new.exists()) == (False, True)
    store.files.max_bytes = one + 1000
    store.keep((3,), passage((3,)))
    assert store.stats.held == 1 and store.stats.held_bytes <= one + 1000


# --- passages


def test_no_damage_gives_another_passage(tmp_path: Path) -> None:
    store, at = PassageStore(tmp_path, 10**6, model="m"), random.Random(0)
    kept = passage((1, 2, 3))
    store.keep((1, 2, 3), kept)
    [file] = tmp_path.iterdir()
    sound = file.read_bytes()
    for _ in range(200):
        file.write_bytes(damaged(sound, at) if at.random() < 0.8 else sound[: at.randrange(900)])
        if file.read_bytes() != sound:  # what was zero may have been made zero
            assert store.find((1, 2, 3)) is None and not file.exists()
    store.keep((1, 2, 3), kept)
    assert file.read_bytes() == sound


@pytest.mark.parametrize("field", ["keys", "values", "early", "states"])
def test_a_forged_passage_whose_parts_do_not_fit_is_not_used(field: str, tmp_path: Path) -> None:
    # Its checksum is right, for anybody can make one; it ended in a TypeError.
    store, tokens = PassageStore(tmp_path, 10**6, model="m"), (1, 2, 3)
    store.keep(tokens, passage(tokens))
    [file] = tmp_path.iterdir()
    tensors = {f.name: getattr(passage(tokens), f.name) for f in fields(CachedPassage)}
    last = tensors[field].shape[-1]
    for part in (
        None,
        tensors[field].reshape(-1),
        tensors[field].reshape(-1, 1, last),
        tensors[field].astype(np.float64),
    ):
        forged = {k: v for k, v in {**tensors, field: part}.items() if v is not None}
        body = save({name: np.ascontiguousarray(array) for name, array in forged.items()})
        file.write_bytes(hashlib.blake2b(body, digest_size=32).digest() + body)
        assert store.find(tokens) is None
