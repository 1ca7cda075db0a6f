"""What caches of keys and values did and hold: the bundled reader's and local models'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What a cache in memory did so far and holds now.

    Numbers of passages (the bundled reader) or of blocks of tokens (local models), and bytes where
    named so.
    """

    hits: int
    misses: int
    evictions: int
    held: int
    held_bytes: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store on disk did since it was opened and holds now: numbers of files, and bytes."""

    hits: int
    misses: int
    damaged: int
    evictions: int
    held: int
    held_bytes: int
    max_bytes: int


@runtime_checkable
class TellsCache(Protocol):
    """A generator that keeps keys and values of what it read, and tells about it."""

    def cache_stats(self) -> tuple[CacheStats, StoreStats | None]:
        """In memory, and on disk where a folder was named."""
        ...
