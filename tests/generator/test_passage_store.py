"""Laws of the passages on disk: bounded, shared, and never believed when damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.errors import InputError, ModelError
from ragctx.generator.reader.passage_cache import PassageCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage, Tokens

Damage = Callable[[bytes], bytes]


def passage(tokens: Tokens) -> CachedPassage:
    rng = np.random.default_rng(sum(tokens))
    n = len(tokens)
    sizes = ((2, 3, n, 4), (2, 3, n, 4), (n, 12), (n, 12))
    keys, values, early, states = (rng.normal(size=size).astype(np.float16) for size in sizes)
    return CachedPassage(keys=keys, values=values, early=early, states=states)


def same(a: CachedPassage, b: CachedPassage) -> bool:
    names = [field.name for field in fields(CachedPassage)]
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def test_what_was_kept_is_found_by_another_process_bit_for_bit(tmp_path: Path) -> None:
    PassageStore(tmp_path, 10**6, model="m").keep((1, 2, 3), passage((1, 2, 3)))
    found = PassageStore(tmp_path, 10**6, model="m").find((1, 2, 3))
    assert found is not None and same(found, passage((1, 2, 3)))


def test_another_model_or_other_tokens_find_nothing(tmp_path: Path) -> None:
    PassageStore(tmp_path, 10**6, model="m").keep((1, 2), passage((1, 2)))
    assert PassageStore(tmp_path, 10**6, model="other").find((1, 2)) is None
    assert PassageStore(tmp_path, 10**6, model="m").find((2, 1)) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        lambda content: content + b"x",
    ],
    ids=["cut", "empty", "header only", "one bit", "longer"],
)
def test_a_damaged_file_is_counted_deleted_and_read_again(tmp_path: Path, damage: Damage) -> None:
    store = PassageStore(tmp_path, 10**6, model="m")
    store.keep((1, 2, 3), passage((1, 2, 3)))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    cache = PassageCache(10**6, store)
    (found,), reused = cache.fetch([(1, 2, 3)], lambda missing: [passage(t) for t in missing])
    assert reused == 0 and same(found, passage((1, 2, 3)))
    assert store.stats.damaged == 1
    again = PassageStore(tmp_path, 10**6, model="m").find((1, 2, 3))
    assert again is not None and same(again, found)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), max_size=12), bound=st.integers(0, 6000))
def test_the_folder_never_holds_more_than_its_bound(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bound: int
) -> None:
    store = PassageStore(tmp_path_factory.mktemp("store"), bound, model="m")
    for i, size in enumerate(sizes):
        store.keep((i,) * size, passage((i,) * size))
        assert sum(path.stat().st_size for path in store.files.folder.iterdir()) <= bound
        assert store.stats.held_bytes <= bound


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    one = 10**6
    store = PassageStore(tmp_path, one, model="m")
    for i in (1, 2, 3):
        store.keep((i,) * 5, passage((i,) * 5))
        newest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (i, i))
    assert store.find((1,) * 5) is not None  # used now: the second is the oldest
    store.files.max_bytes = store.stats.held_bytes
    store.keep((4,) * 5, passage((4,) * 5))
    assert store.find((2,) * 5) is None
    assert store.find((1,) * 5) is not None and store.find((4,) * 5) is not None
    assert store.stats.evictions == 1


def test_a_file_that_another_process_took_is_a_miss(tmp_path: Path) -> None:
    store = PassageStore(tmp_path, 10**6, model="m")
    store.keep((1, 2), passage((1, 2)))
    for path in tmp_path.iterdir():
        path.unlink()
    assert store.find((1, 2)) is None and store.stats.misses == 1


def test_memory_is_asked_before_the_disk_and_hits_are_told_apart(tmp_path: Path) -> None:
    store = PassageStore(tmp_path, 10**6, model="m")
    cache = PassageCache(10**6, store)
    for _ in range(2):
        cache.fetch([(1, 2)], lambda missing: [passage(t) for t in missing])
    assert store.stats.hits == 0 and cache.stats.hits == 1
    fresh = PassageCache(10**6, store)
    _, reused = fresh.fetch([(1, 2)], lambda _: pytest.fail("encoded again"))
    assert reused == 2 and store.stats.hits == 1


def test_a_bad_bound_and_a_bad_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="-1"):
        PassageStore(tmp_path, -1, model="m")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="--kv-cache"):
        PassageStore(tmp_path / "file", 10, model="m")


def test_a_new_folder_and_what_is_in_it_are_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = PassageStore(tmp_path / "new" / "kept", 10**6, model="m")
        store.keep((1,), passage((1,)))
    finally:
        os.umask(before)
    assert oct(store.files.folder.stat().st_mode & 0o777) == "0o700"
    assert [oct(path.stat().st_mode & 0o777) for path in store.files.folder.iterdir()] == ["0o600"]
