"""Cached passages on disk, so that another process need not read the same passage again.

Each passage is a file, named by what it depends on: the model and the tokens. A file holds a BLAKE2
checksum and then safetensors: nothing in it is ever executed, and a damaged one is deleted and its
passage read again. The folder is bounded in bytes; what was used longest ago goes first. In a
folder that cannot be written, what is there is used and nothing is added.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ragctx.errors import InputError, ModelError
from ragctx.generator.reader.passages import CachedPassage, Tokens
from ragctx.paths import open_regular, private_folder, write_whole

SUFFIX = ".segment"
"""Ending of the files' names, as in the first release: folders kept since then stay valid."""

_UNFINISHED = ".*" + SUFFIX + ".*.part"
"""Names of files that are being written, or were when their process was killed."""
_STALE_S = 600.0  # seconds after which nobody is writing an unfinished file any more; by hand
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store did since it was opened and holds now: numbers of files, and bytes."""

    hits: int
    misses: int
    damaged: int
    evictions: int
    held: int
    held_bytes: int
    max_bytes: int


class PassageStore:
    """Cached passages of one model in `folder`, never more than `max_bytes` on disk.

    `model` names the weights and the precision that passages are kept in. Several processes may
    share a folder: files are written whole or not at all, and a file that another process deleted
    is only a miss.

    Raises InputError for a negative bound, ModelError if the folder cannot be created.
    """

    def __init__(self, folder: Path, max_bytes: int, *, model: str) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}; a cache needs 0 (off) or more bytes")
        try:
            if not folder.is_dir():
                private_folder(folder)
        except OSError as error:
            raise ModelError(
                f"{folder} cannot hold a cache ({error}); name another with --kv-cache"
            ) from error
        self.folder, self.max_bytes, self.model = folder, max_bytes, model
        self._hits = self._misses = self._damaged = self._evictions = 0

    def find(self, tokens: Tokens) -> CachedPassage | None:
        """The passage of these tokens; None if not held, or if damaged, which deletes the file."""
        path = self._path(tokens)
        try:
            with open(open_regular(path), "rb") as stream:
                content = stream.read()
        except OSError:
            self._misses += 1
            return None
        passage = _deserialise(content, len(tokens))
        if passage is None:
            self._damaged += 1
            self._misses += 1
            _remove(path)
            return None
        self._hits += 1
        with suppress(OSError):
            os.utime(path)
        return passage

    def keep(self, tokens: Tokens, passage: CachedPassage) -> None:
        """Write a passage unless it is larger than the bound; a full disk is not an error."""
        content = _serialise(passage)
        if len(content) > self.max_bytes:
            return
        with suppress(OSError):
            write_whole(self._path(tokens), content)
        self._shrink()

    @property
    def stats(self) -> StoreStats:
        """Counters since the store was opened; files and bytes as they are on disk now."""
        files = self._files()
        held = sum(size for _, size, _ in (*files, *self._files(_UNFINISHED)))
        return StoreStats(
            hits=self._hits,
            misses=self._misses,
            damaged=self._damaged,
            evictions=self._evictions,
            held=len(files),
            held_bytes=held,
            max_bytes=self.max_bytes,
        )

    def _path(self, tokens: Tokens) -> Path:
        digest = hashlib.blake2b(self.model.encode() + b"\0", digest_size=20)
        digest.update(struct.pack(f"<{len(tokens)}q", *tokens))
        return self.folder / (digest.hexdigest() + SUFFIX)

    def _files(self, pattern: str = "*" + SUFFIX) -> list[tuple[float, int, Path]]:
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
        for written, size, path in self._files(_UNFINISHED):
            if time.time() - written < _STALE_S or not _remove(path):
                unfinished += size
        files = self._files()
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


def _serialise(passage: CachedPassage) -> bytes:
    from safetensors.numpy import save

    arrays = {field.name: getattr(passage, field.name) for field in fields(passage)}
    body = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + body


def _deserialise(content: bytes, tokens: int) -> CachedPassage | None:
    """The passage, or None if the bytes are not those that were written.

    Anybody can make a checksum, so its parts must be there and fit together, too.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        return None
    try:
        passage = CachedPassage(**load(body))
    except (SafetensorError, TypeError, KeyError, ValueError):
        return None
    if any(getattr(passage, field.name).dtype != np.float16 for field in fields(passage)):
        return None
    caches, states = (passage.keys, passage.values), (passage.early, passage.states)
    fits = all(t.ndim == 4 and t.shape[2] == tokens for t in caches)
    fits = fits and all(t.ndim == 2 and t.shape[0] == tokens for t in states)
    return passage if fits else None
