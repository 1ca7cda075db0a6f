"""A folder of indexes that can be made again, bounded in bytes: those used longest ago go first.

Each index has a folder of its own, named by its key, with a lock file whose time is that of its
last use. Whoever uses an index holds that lock, shared; what is removed is locked for good first,
so that an index in use, by whatever process, stays. Everything is for this user alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ragctx.errors import InputError, StoreError
from ragctx.index.database import DATABASE
from ragctx.index.lock import take_exclusive, take_shared
from ragctx.paths import cache_dir, open_regular, private_folder

MAX_BYTES = 2 * 2**30
"""Size of the cache unless $RAGCTX_CACHE_BYTES says otherwise: thousands of reports."""
LEASE = "ragctx.use.lock"
_TRIES = 1000  # to lock a folder that others keep removing; chosen by hand
_KEY = re.compile(r"[0-9a-f]{24}")
_REMOVED = re.compile(r"\.[0-9a-f]{24}\.[0-9a-f]{16}\.removed")


def max_cache_bytes() -> int:
    """Bytes that the cached indexes may take: $RAGCTX_CACHE_BYTES, else `MAX_BYTES`.

    Raises:
        InputError: it is not a number of bytes.
    """
    given = os.environ.get("RAGCTX_CACHE_BYTES", "").strip()
    if not given:
        return MAX_BYTES
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise InputError(
            f"RAGCTX_CACHE_BYTES is {given!r:.60}; set it to a number of bytes, such as "
            f"{MAX_BYTES}, or 0 to keep only what is in use"
        )
    return int(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedIndex:
    """One index in a cache: its folder, the bytes of its files, and when it was last used."""

    folder: Path
    bytes: int
    used: float  # seconds since 1970


class Lease:
    """The right to use a cached index: as long as this lives, the index stays."""

    def __init__(self, folder: Path, descriptor: int | None) -> None:
        self.folder = folder
        if descriptor is not None:
            weakref.finalize(self, os.close, descriptor)


class IndexCache:
    """The cache in `folder`, by default `cache_dir() / "indexes"`, of `max_bytes` at most.

    More is held only while it is in use. Raises InputError where `cache_dir` does.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int | None = None) -> None:
        self.folder = folder or cache_dir() / "indexes"
        self.max_bytes = max_cache_bytes() if max_bytes is None else max_bytes

    def lease(self, key: str) -> Lease:
        """The folder of an index, made if need be, and the right to use it.

        Raises:
            StoreError: it cannot be made.
        """
        folder = self.folder / key
        for _ in range(_TRIES):
            try:
                private_folder(self.folder)
                private_folder(folder)
            except FileNotFoundError:
                continue  # another process removed it in between
            except OSError as error:
                raise StoreError(
                    f"The folder {folder} cannot be made ({error.strerror}). Choose another for "
                    "caches: RAGCTX_CACHE_DIR"
                ) from error
            descriptor = _opened_lease(folder)
            if descriptor is None:
                continue
            take_shared(descriptor)
            if _is_at(descriptor, folder / LEASE):
                with suppress(OSError):  # on a read-only disk
                    os.utime(folder / LEASE)
                return Lease(folder, descriptor)
            os.close(descriptor)
        return Lease(folder, None)

    def folders(self) -> list[Path]:
        """The folders of all indexes, the one used last first."""
        return [entry.folder for entry in reversed(self.entries())]

    def entries(self) -> list[CachedIndex]:
        """All indexes, the one used longest ago first."""
        return sorted(self._entries(), key=lambda entry: (entry.used, entry.folder.name))

    def empty(self, lease: Lease) -> None:
        """Remove what a folder holds, damaged as it may be, but for its lease."""
        for path in lease.folder.iterdir():
            if path.name != LEASE:
                _remove(path)

    def shrink(self) -> int:
        """Remove indexes until the rest is within the bound; returns how many were removed."""
        return self._remove_until(self.max_bytes)

    def clear(self) -> int:
        """Remove every index that nobody uses; returns how many were removed."""
        return self._remove_until(-1)

    def _remove_until(self, max_bytes: int) -> int:
        self._sweep()
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        removed = 0
        for entry in entries:
            if total <= max_bytes:
                break
            if self._removed(entry.folder):
                total -= entry.bytes
                removed += 1
        return removed

    def _entries(self) -> Iterator[CachedIndex]:
        with suppress(OSError):
            for folder in self.folder.iterdir():
                if _KEY.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                    yield CachedIndex(folder=folder, bytes=_size(folder), used=_last_use(folder))

    def _removed(self, folder: Path) -> bool:
        """Remove an index unless it is in use. It goes by one step, so that it is never half."""
        descriptor = _opened_lease(folder)
        if descriptor is None:
            return False
        try:
            # the lock may be that of a folder which was removed while this one waited for it
            if not take_exclusive(descriptor) or not _is_at(descriptor, folder / LEASE):
                return False
            aside = self.folder / f".{folder.name}.{secrets.token_hex(8)}.removed"
            if sys.platform == "win32":
                os.close(descriptor)  # there a folder with an open file cannot be renamed
                descriptor = None
            os.rename(folder, aside)
        except OSError:
            return False
        finally:
            if descriptor is not None:
                os.close(descriptor)
        _remove(aside)
        return True

    def _sweep(self) -> None:
        """Remove what a process that was killed while removing left behind."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _REMOVED.fullmatch(path.name):
                    _remove(path)


def _opened_lease(folder: Path) -> int | None:
    """A descriptor of the lock file; None where there can be none, as on a read-only disk."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            return open_regular(folder / LEASE, flags)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at a path."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _last_use(folder: Path) -> float:
    for name in (LEASE, DATABASE, "."):
        with suppress(OSError):
            return (folder / name).stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    total = 0
    with suppress(OSError):
        for path in folder.rglob("*"):
            with suppress(OSError):
                total += path.lstat().st_size
    return total


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
