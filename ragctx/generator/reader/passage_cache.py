"""Chunks already read: keys turned from each chunk's own start, so that they can stand anywhere.

A `Segment` depends on its own tokens and the model, on nothing else: not on its neighbours, not on
its place in the prompt. So one cache serves every question, placement and budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragctx.errors import InputError
from ragctx.generator.reader.passage_store import SegmentStore
from ragctx.generator.reader.passages import Segment, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Counted in segments, except `held_bytes`."""

    hits: int
    misses: int
    evictions: int
    held: int
    held_bytes: int
    max_bytes: int


class SegmentCache:
    """Segments by token ids, least recently used out first, never more than `max_bytes`.

    A segment larger than the whole bound is given back but not kept. What is not held in memory is
    looked for in `store`, if there is one, and what was read anew is kept there too.
    """

    def __init__(self, max_bytes: int, store: SegmentStore | None = None) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}; a cache needs 0 (off) or more bytes")
        self.max_bytes = max_bytes
        self.store = store
        self._held: OrderedDict[Tokens, Segment] = OrderedDict()
        self._held_bytes = self._hits = self._misses = self._evictions = 0

    def fetch(
        self, wanted: Sequence[Tokens], encode: Callable[[list[Tokens]], list[Segment]]
    ) -> tuple[list[Segment], int]:
        """The segment of each of `wanted`, encoding those not held; and the tokens reused.

        `encode` is called once at most, with the distinct missing chunks.
        """
        found = {tokens: self._held[tokens] for tokens in wanted if tokens in self._held}
        found |= self._stored([tokens for tokens in dict.fromkeys(wanted) if tokens not in found])
        missing = [tokens for tokens in dict.fromkeys(wanted) if tokens not in found]
        reused = sum(len(tokens) for tokens in wanted if tokens in found)
        self._hits += len(wanted) - sum(tokens not in found for tokens in wanted)
        self._misses += sum(tokens not in found for tokens in wanted)
        if missing:
            made = dict(zip(missing, encode(missing), strict=True))
            found |= made
            self._store(made)
        for tokens in wanted:
            self._keep(tokens, found[tokens])
        return [found[tokens] for tokens in wanted], reused

    @property
    def stats(self) -> CacheStats:
        """What the cache did so far."""
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            evictions=self._evictions,
            held=len(self._held),
            held_bytes=self._held_bytes,
            max_bytes=self.max_bytes,
        )

    def clear(self) -> None:
        """Forget every segment; the counters stay."""
        self._held.clear()
        self._held_bytes = 0

    def _stored(self, wanted: Sequence[Tokens]) -> dict[Tokens, Segment]:
        if self.store is None:
            return {}
        found = {tokens: self.store.find(tokens) for tokens in wanted}
        return {tokens: segment for tokens, segment in found.items() if segment is not None}

    def _store(self, made: dict[Tokens, Segment]) -> None:
        if self.store is not None:
            for tokens, segment in made.items():
                self.store.keep(tokens, segment)

    def _keep(self, tokens: Tokens, segment: Segment) -> None:
        if tokens in self._held:
            self._held.move_to_end(tokens)
            return
        if segment.nbytes > self.max_bytes:
            return
        self._held[tokens] = segment
        self._held_bytes += segment.nbytes
        while self._held_bytes > self.max_bytes:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= oldest.nbytes
            self._evictions += 1
