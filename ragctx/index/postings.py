"""The words of a segment's passages: for every word, the passages that hold it, and how often.

They give the very scores of SQLite's full-text index (FTS5), which made them: its words, its BM25.
What they save is time. FTS5 scores every passage with any of the words one by one, and looks each
up twice on the way; here a word's passages are two arrays, and a million are scored at once.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.index.database import TOKENIZE
from ragctx.index.segment_file import Planned

Ints = NDArray[np.int64]
_BLOCK = 2**22
"""Entries merged at a time: some 100 MB. Chosen by hand."""
_TEXTS = 4096
"""Passages split into words at a time. Chosen by hand."""
_MOST = 2**16 - 1
"""Of one word in one passage: more are counted as this."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Postings:
    """The words of n passages, each named by its place, from 0.

    Word `i` is `keys[i]`, and `places[starts[i]:starts[i + 1]]` hold it, each as often as `counts`
    tells at the same position.
    """

    keys: Ints  # (words,), increasing: `key_of` the words
    starts: Ints  # (words + 1,)
    places: NDArray[np.uint32]  # (entries,)
    lengths: NDArray[np.uint32]  # (n,): words of each passage
    counts: NDArray[np.uint16]  # (entries,)

    def __len__(self) -> int:
        return len(self.lengths)

    def find(self, key: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The places of the passages that hold a word, and how often each does."""
        at = int(np.searchsorted(self.keys, key))
        if at == len(self.keys) or self.keys[at] != key:
            return self.places[:0], self.counts[:0]
        entries = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.places[entries], self.counts[entries]

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its arrays by the names they have in a file."""
        return {name: getattr(self, name) for name in NAMES}


_NONE = np.empty(0, np.int64)
NAMES = ("keys", "starts", "places", "lengths", "counts")


def key_of(word: str) -> int:
    """The number of a word: 64 bits of its hash, the same for two of ten million once in 10^5.

    >>> key_of("tin") == key_of("tin") != key_of("zinc")
    True
    """
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def postings_of(texts: Sequence[str]) -> Postings:
    """The words of passages, as FTS5 splits them; place i is that of `texts[i]`."""
    parts = [_few(texts[at : at + _TEXTS]) for at in range(0, len(texts), _TEXTS)] or [_few(())]
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([len(part) for part in parts])
    moved = [(part, np.arange(end - len(part), end)) for part, end in zip(parts, ends, strict=True)]
    return read_merged(merged(moved, len(texts)))


def _few(texts: Sequence[str]) -> Postings:
    with closing(_splitter()) as fts:
        fts.executemany("INSERT INTO passages(rowid, text) VALUES (?, ?)", enumerate(texts))
        found = fts.execute(
            "SELECT term, doc, count(*) FROM instances GROUP BY term, doc ORDER BY term, doc"
        ).fetchall()
    terms = dict.fromkeys(term for term, _, _ in found)
    keys = dict(zip(terms, map(key_of, terms), strict=True))
    of_word = np.fromiter((keys[term] for term, _, _ in found), np.int64, len(found))
    place = np.fromiter((doc for _, doc, _ in found), np.uint32, len(found))
    exact = np.fromiter((count for _, _, count in found), np.int64, len(found))
    order = np.argsort(of_word, kind="stable")
    unique, first = np.unique(of_word[order], return_index=True)
    lengths = np.bincount(place, weights=exact, minlength=len(texts))
    return Postings(
        keys=unique,
        starts=np.append(first, len(found)).astype(np.int64),
        places=place[order],
        lengths=lengths.astype(np.uint32),
        counts=np.minimum(exact[order], _MOST).astype(np.uint16),
    )


def tokens_of(words: Sequence[str]) -> list[list[str]]:
    """What FTS5 makes of some words: of each its tokens, in order.

    >>> tokens_of(["Straße", "a_b", "."])
    [['straße'], ['a', 'b'], []]
    """
    found: list[list[str]] = [[] for _ in words]
    with closing(_splitter()) as fts:
        fts.executemany("INSERT INTO passages(rowid, text) VALUES (?, ?)", enumerate(words))
        for place, term in fts.execute('SELECT doc, term FROM instances ORDER BY doc, "offset"'):
            found[place].append(term)
    return found


def _splitter() -> sqlite3.Connection:
    """A full-text index in memory that gives back what it was given, word by word."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        f"CREATE VIRTUAL TABLE passages USING fts5(text, content='', tokenize='{TOKENIZE}')"
    )
    connection.execute("CREATE VIRTUAL TABLE instances USING fts5vocab(passages, instance)")
    return connection


# ---- Merging ---------------------------------------------------------------------------------


def merged(parts: Sequence[tuple[Postings, Ints]], n: int) -> dict[str, Planned]:
    """Several postings as one of n passages, block by block, for a file.

    Args:
        parts: the postings, each with the new places (len,) of its passages; -1 where one is left
            out.
        n: how many passages there are then.
    """
    kept = [(part, to, _kept_counts(part, to)) for part, to in parts]
    keys: Ints = np.unique(np.concatenate([_NONE, *(p.keys[count > 0] for p, _, count in kept)]))
    per_word = np.zeros(len(keys), np.int64)
    for part, _, count in kept:
        held = count > 0
        per_word[np.searchsorted(keys, part.keys[held])] += count[held]
    starts = np.concatenate([[0], np.cumsum(per_word)]).astype(np.int64)
    lengths = np.zeros(n, np.uint32)
    for part, to, _ in kept:
        lengths[to[to >= 0]] = part.lengths[to >= 0]
    blocks = _Blocks(tuple((part, to) for part, to in parts), keys, starts)
    size = (int(starts[-1]),)
    return {
        "keys": Planned.of(keys),
        "starts": Planned.of(starts),
        "places": Planned(kind=np.uint32, shape=size, blocks=blocks.of(0)),
        "lengths": Planned.of(lengths),
        "counts": Planned(kind=np.uint16, shape=size, blocks=blocks.of(1)),
    }


def read_merged(plan: Mapping[str, Planned]) -> Postings:
    """What `merged` planned, in memory."""
    made = {
        name: np.concatenate([np.empty(0, planned.kind), *planned.blocks])
        for name, planned in plan.items()
    }
    return Postings(**made)


def _kept_counts(part: Postings, to: Ints) -> Ints:
    """How many entries of each word stay, (words,)."""
    if len(to) and to.min() >= 0:
        return np.diff(part.starts)
    ends = np.empty(len(part.places) + 1, np.int64)
    ends[0] = 0
    for at in range(0, len(part.places), _BLOCK):
        some = to[part.places[at : at + _BLOCK]] >= 0
        ends[at + 1 : at + 1 + len(some)] = ends[at] + np.cumsum(some)
    return np.diff(ends[part.starts])


@dataclass(frozen=True)
class _Blocks:
    """The entries of the merged words, some words at a time, by word and then by place."""

    parts: tuple[tuple[Postings, Ints], ...]
    keys: Ints
    starts: Ints

    def of(self, which: int) -> Iterator[NDArray[Any]]:
        """The places (0) or the counts (1), block by block."""
        first = 0
        while first < len(self.keys):
            limit = self.starts[first] + _BLOCK
            end = max(first + 1, int(np.searchsorted(self.starts, limit, "right")) - 1)
            yield self._block(first, end)[which]
            first = end

    def _block(self, first: int, end: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The entries of the words from `first` to before `end`."""
        own = self.keys[first:end]
        order, places, counts = [], [], []
        for part, to in self.parts:
            a = int(np.searchsorted(part.keys, own[0]))
            b = int(np.searchsorted(part.keys, own[-1], "right"))
            entries = slice(int(part.starts[a]), int(part.starts[b]))
            new = to[part.places[entries]]
            held = new >= 0
            word = np.searchsorted(own, part.keys[a:b])
            of_word = np.repeat(word, np.diff(part.starts[a : b + 1]))
            order.append((of_word[held] << 32) | new[held])  # places have 32 bits
            places.append(new[held].astype(np.uint32))
            counts.append(part.counts[entries][held])
        by_word = np.argsort(np.concatenate(order))
        return np.concatenate(places)[by_word], np.concatenate(counts)[by_word]
