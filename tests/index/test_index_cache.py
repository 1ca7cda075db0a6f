"""Laws of the cache of indexes: bounded, private, and never taken from who uses it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError, StoreError
from ragctx.index import cache
from ragctx.index.cache import LEASE, MAX_BYTES, IndexCache, max_cache_bytes
from ragctx.index.lock import take_exclusive

KIB = 1024


def key(number: int) -> str:
    return f"{number:024x}"


def fill(cache: IndexCache, number: int, size: int = 10 * KIB, used: float | None = None) -> Path:
    """An entry of about `size` bytes that nobody uses, last used at `used`."""
    folder = cache.lease(key(number)).folder
    (folder / "data").write_bytes(bytes(size))
    used = float(number) if used is None else used
    os.utime(folder / LEASE, (used, used))
    return folder


def held(cache: IndexCache) -> list[int]:
    return [int(entry.folder.name, 16) for entry in cache.entries()]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    # Every PDF that was ever asked stayed in the cache for good.
    cache = IndexCache(tmp_path / "indexes", 35 * KIB)
    for number in (3, 1, 5, 2, 4):
        fill(cache, number)
    assert cache.shrink() == 2
    assert held(cache) == [3, 4, 5]
    assert cache.shrink() == 0


def test_using_an_index_makes_it_the_last_to_go(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "indexes", 10 * KIB)
    for number in (1, 2):
        fill(cache, number)
    cache.lease(key(1))
    assert held(cache) == [2, 1]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=8),
    st.integers(0, 100),
    st.sets(st.integers(0, 7)),
)
def test_shrinking_is_what_a_list_would_do(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    bound: int,
    in_use: set[int],
) -> None:
    cache = IndexCache(tmp_path_factory.mktemp("cache") / "indexes", bound * KIB)
    for number, (size, used) in enumerate(sizes):
        fill(cache, number, size * KIB, float(used))
    leases = []
    for number in sorted(in_use & set(range(len(sizes)))):
        leases.append(cache.lease(key(number)))
        os.utime(leases[-1].folder / LEASE, (sizes[number][1], sizes[number][1]))
    left = sorted(range(len(sizes)), key=lambda n: (sizes[n][1], n))
    for number in list(left):
        if sum(sizes[n][0] for n in left) > bound and number not in in_use:
            left.remove(number)
    cache.shrink()
    assert held(cache) == left
    assert cache.clear() == len(set(left) - in_use)
    assert set(held(cache)) == set(left) & in_use


def test_an_index_in_use_stays_however_old(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "indexes", 0)
    fill(cache, 1)
    lease = cache.lease(key(1))
    assert (cache.shrink(), cache.clear(), held(cache)) == (0, 0, [1])
    assert (lease.folder / "data").exists()
    del lease
    assert (cache.shrink(), held(cache)) == (1, [])


USE = """
import sys
from pathlib import Path
from ragctx.index.cache import IndexCache
lease = IndexCache(Path(sys.argv[1])).lease(sys.argv[2])
print("used", flush=True)
sys.stdin.read()
"""


def test_an_index_that_another_process_uses_stays_until_it_ends(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "indexes", 0)
    fill(cache, 1)
    with subprocess.Popen(
        [sys.executable, "-c", USE, str(cache.folder), key(1)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "used\n"
        assert (cache.clear(), held(cache)) == (0, [1])
        process.kill()
    assert (cache.clear(), held(cache)) == (1, [])


def test_only_what_the_cache_made_is_removed(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "indexes", 0)
    fill(cache, 1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").write_text("precious")
    (cache.folder / key(2)).symlink_to(tmp_path / "elsewhere")
    (cache.folder / "default").mkdir()
    (cache.folder / "default" / "ragctx.sqlite3").write_text("precious")
    (cache.folder / key(3)).write_text("a file")
    assert cache.clear() == 1
    names = sorted(path.name for path in cache.folder.iterdir())
    assert names == [key(2), key(3), "default"]
    assert (tmp_path / "elsewhere" / "data").read_text() == "precious"


@pytest.mark.parametrize("what", ["link", "file"])
def test_what_is_no_folder_is_not_used_as_one(what: str, tmp_path: Path) -> None:
    # A link was followed: files were written, and modes changed, wherever it pointed.
    cache = IndexCache(tmp_path / "indexes")
    cache.folder.mkdir()
    victim = tmp_path / "victim"
    if what == "link":
        victim.mkdir(mode=0o755)
        (cache.folder / key(1)).symlink_to(victim)
    else:
        victim.write_text("precious")
        (cache.folder / key(1)).write_text("precious")
    before = victim.stat().st_mode
    with pytest.raises(StoreError, match="not a folder"):
        cache.lease(key(1))
    assert victim.stat().st_mode == before
    assert not victim.is_dir() or list(victim.iterdir()) == []


def test_what_was_half_removed_is_removed_whole(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "indexes")
    leftover = cache.folder / f".{key(1)}.{'0' * 16}.removed"
    leftover.mkdir(parents=True)
    (leftover / "data").write_text("x")
    cache.shrink()
    assert not leftover.exists()


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "none")
    assert (cache.entries(), cache.shrink(), cache.clear()) == ([], 0, 0)
    assert not cache.folder.exists()


def test_a_cache_on_a_read_only_disk_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = IndexCache(tmp_path / "indexes")
    folder = fill(cache, 1)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", read_only)
    assert cache.lease(key(1)).folder == folder


MAKE = """
import os, sys
from pathlib import Path
from ragctx.index.cache import IndexCache
mine = f"data{os.getpid()}"
cache = IndexCache(Path(sys.argv[1]), 0)
for _ in range(150):
    lease = cache.lease("0" * 24)
    (lease.folder / mine).write_text("x")
    assert (lease.folder / mine).read_text() == "x"
    del lease
    cache.shrink()
"""


def test_who_locks_a_folder_that_is_gone_does_not_remove_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two removed one index: the second, late, took away the one that was made in between."""
    index_cache, key = IndexCache(tmp_path, 0), "0" * 24
    folder, used = index_cache.lease(key).folder, []
    (folder / "data").write_text("of the first")

    def late(descriptor: int) -> bool:
        os.rename(folder, tmp_path / "taken-away-by-another")
        used.append(index_cache.lease(key))
        (folder / "data").write_text("x")
        return take_exclusive(descriptor)

    monkeypatch.setattr(cache, "take_exclusive", late)
    assert index_cache.shrink() == 0 and used
    assert (folder / "data").read_text() == "x"


def test_those_who_use_and_those_who_remove_do_not_meet(tmp_path: Path) -> None:
    folder = str(tmp_path / "indexes")
    started = [
        subprocess.Popen([sys.executable, "-c", MAKE, folder], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert errors == [""] * 3
    assert IndexCache(Path(folder)).clear() <= 1
    assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folders_are_for_this_user_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        lease = IndexCache(tmp_path / "new" / "indexes").lease(key(1))
    finally:
        os.umask(before)
    made = [tmp_path / "new", tmp_path / "new" / "indexes", lease.folder]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700"] * 3
    assert oct((lease.folder / LEASE).stat().st_mode & 0o777) == "0o600"


def test_folders_of_an_earlier_ragctx_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "indexes" / key(1)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    IndexCache(tmp_path / "indexes").lease(key(1))
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder.parent)] == ["0o700"] * 2


@pytest.mark.parametrize(("given", "expected"), [("", MAX_BYTES), ("0", 0), (" 1000 ", 1000)])
def test_the_bound_comes_from_the_environment(
    given: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_BYTES", given)
    assert max_cache_bytes() == expected


@pytest.mark.parametrize("given", ["2GiB", "-1", "1.5", "9" * 30, "²"])
def test_a_bound_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_BYTES", given)
    with pytest.raises(InputError, match="RAGCTX_CACHE_BYTES is "):
        max_cache_bytes()
