"""Passages already read, in memory and optionally on disk.

A `CachedPassage` depends on its own tokens and the model, on nothing else: not on its neighbours,
not on its place in the prompt. So one cache serves every question, placement and budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ragctx.errors import InputError
from ragctx.generator.cache_stats import CacheStats
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage, Tokens


class PassageCache:
    """Cached passages by token ids, never more than `max_bytes`; least recently used go first.

    A passage larger than the whole bound is returned but not kept. What is not in memory is fetched
    from `store`, if there is one, and passages that had to be encoded are kept there too.

    Raises InputError for a negative bound.
    """

    def __init__(self, max_bytes: int, store: PassageStore | None = None) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}; a cache needs 0 (off) or more bytes")
        self.max_bytes = max_bytes
        self.store = store
        self._held: OrderedDict[Tokens, CachedPassage] = OrderedDict()
        self._held_bytes = self._hits = self._misses = self._evictions = 0

    def fetch(
        self, wanted: Sequence[Tokens], encode: Callable[[list[Tokens]], list[CachedPassage]]
    ) -> tuple[list[CachedPassage], int]:
        """Return each wanted passage, encoding those not held, and how many tokens were reused.

        `encode` is called at most once, with the distinct missing passages.
        """
        known = {tokens: self._held[tokens] for tokens in wanted if tokens in self._held}
        known |= self._stored([tokens for tokens in dict.fromkeys(wanted) if tokens not in known])
        missing = [tokens for tokens in dict.fromkeys(wanted) if tokens not in known]
        reused = [tokens for tokens in wanted if tokens in known]
        self._hits += len(reused)
        self._misses += len(wanted) - len(reused)
        if missing:
            encoded = dict(zip(missing, encode(missing), strict=True))
            known |= encoded
            self._store(encoded)
        for tokens in wanted:
            self._keep(tokens, known[tokens])
        return [known[tokens] for tokens in wanted], sum(map(len, reused))

    @property
    def stats(self) -> CacheStats:
        """What the cache did so far and holds now."""
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            evictions=self._evictions,
            held=len(self._held),
            held_bytes=self._held_bytes,
            max_bytes=self.max_bytes,
        )

    def clear(self) -> None:
        """Drop every passage from memory; the store and the counters stay."""
        self._held.clear()
        self._held_bytes = 0

    def _stored(self, wanted: Sequence[Tokens]) -> dict[Tokens, CachedPassage]:
        if self.store is None:
            return {}
        stored = {tokens: self.store.find(tokens) for tokens in wanted}
        return {tokens: passage for tokens, passage in stored.items() if passage is not None}

    def _store(self, encoded: dict[Tokens, CachedPassage]) -> None:
        if self.store is not None:
            for tokens, passage in encoded.items():
                self.store.keep(tokens, passage)

    def _keep(self, tokens: Tokens, passage: CachedPassage) -> None:
        if tokens in self._held:
            self._held.move_to_end(tokens)
            return
        if passage.nbytes > self.max_bytes:
            return
        self._held[tokens] = passage
        self._held_bytes += passage.nbytes
        while self._held_bytes > self.max_bytes:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= oldest.nbytes
            self._evictions += 1
