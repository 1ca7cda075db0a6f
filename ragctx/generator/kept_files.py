"""Keys and values on disk, so that another process need not read the same text again.

Each file is named by what its contents depend on, and holds a BLAKE2 checksum and then safetensors:
nothing in it is ever executed, and a damaged one is deleted and its text read again. The folder is
bounded in bytes; what was used longest ago goes first. In a folder that cannot be written, what is
there is used and nothing is added.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ragctx.errors import InputError, ModelError
from ragctx.generator.cache_stats import StoreStats
from ragctx.paths import open_regular, private_folder, write_whole

T = TypeVar("T")

STORE_BYTES = 2**30
"""Bytes of files in a folder unless another bound is given."""

_STALE_S = 600.0  # seconds after which nobody is writing an unfinished file any more; by hand
_DIGEST_BYTES = 32


class KeptFiles:
    """Files of one ending in `folder`, never more than `max_bytes` on disk.

    Several processes may share a folder: files are written whole or not at all, and a file that
    another process deleted is only a miss.

    Raises InputError for a negative bound, ModelError if the folder cannot be created.
    """

    def __init__(self, folder: Path, max_bytes: int, *, suffix: str) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}; a cache needs 0 (off) or more bytes")
        try:
            if not folder.is_dir():
                private_folder(folder)
        except OSError as error:
            raise ModelError(
                f"{folder} cannot hold a cache ({error}); name another with --kv-cache"
            ) from error
        self.folder, self.max_bytes, self.suffix = folder, max_bytes, suffix
        self._hits = self._misses = self._damaged = self._evictions = 0

    def find(self, name: str, read: Callable[[bytes], T | None]) -> T | None:
        """What `read` makes of a file's contents; None if not held.

        Also None if damaged, by the checksum or because `read` says so by None: anybody can make a
        checksum. That deletes the file.
        """
        path = self._path(name)
        try:
            with open(open_regular(path), "rb") as stream:
                content = stream.read()
        except OSError:
            self._misses += 1
            return None
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        whole = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() == digest
        found = read(body) if whole else None
        if found is None:
            self._damaged += 1
            self._misses += 1
            _remove(path)
            return None
        self._hits += 1
        with suppress(OSError):
            os.utime(path)
        return found

    def keep(self, name: str, body: bytes) -> None:
        """Write a file unless it is larger than the bound; a full disk is not an error."""
        self.keep_all([(name, body)])

    def keep_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write files by name, each as `keep` does, and only then look at the bound."""
        for name, body in files:
            content = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + body
            if len(content) <= self.max_bytes:
                with suppress(OSError):
                    write_whole(self._path(name), content)
        self._shrink()

    def has(self, name: str) -> bool:
        """Whether there is a file, be it damaged."""
        return self._path(name).exists()

    def touch(self, name: str) -> bool:
        """Count a file as used now; whether there is one, be it damaged."""
        path = self._path(name)
        with suppress(OSError):
            os.utime(path)
        return self.has(name)

    @property
    def stats(self) -> StoreStats:
        """Counters since the store was opened; files and bytes as they are on disk now."""
        files = self._files("*" + self.suffix)
        held = sum(size for _, size, _ in (*files, *self._files(self._unfinished)))
        return StoreStats(
            hits=self._hits,
            misses=self._misses,
            damaged=self._damaged,
            evictions=self._evictions,
            held=len(files),
            held_bytes=held,
            max_bytes=self.max_bytes,
        )

    @property
    def _unfinished(self) -> str:
        """Names of files that are being written, or were when their process was killed."""
        return f".*{self.suffix}.*.part"

    def _path(self, name: str) -> Path:
        return self.folder / (name + self.suffix)

    def _files(self, pattern: str) -> list[tuple[float, int, Path]]:
        """When each file was last used (seconds), its bytes and its path; oldest first."""
        files = []
        for path in self.folder.glob(pattern):
            with suppress(OSError):
                stat = path.lstat()
                files.append((stat.st_mtime, stat.st_size, path))
        return sorted(files)

    def _shrink(self) -> None:
        """Delete the files used longest ago until the folder is within its bound.

        Unfinished files count; those that nobody is writing any more are deleted first.
        """
        unfinished = 0
        for written, size, path in self._files(self._unfinished):
            if time.time() - written < _STALE_S or not _remove(path):
                unfinished += size
        files = self._files("*" + self.suffix)
        over = sum(size for _, size, _ in files) + unfinished - self.max_bytes
        for _, size, path in files:
            if over <= 0:
                return
            if _remove(path):
                over -= size
                self._evictions += 1


def _remove(path: Path) -> bool:
    """Whether the file is gone: in a folder that cannot be written it stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
