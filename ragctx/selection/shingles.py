"""Runs of words that texts share: all shingles (Broder 1997), not a sample of them. Pure.

Words are compared by their first and last eight bytes and their length, runs by 64-bit hashes of
their words: fast enough to compare a thousand passages in about 20 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragctx.text.folding import plain

RUN_WORDS = 5
"""Words of a run. Shorter runs are shared by chance, longer ones miss copies that were edited.
Chosen by hand, within what is usual for finding near-duplicates."""

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def shared_runs(texts: Sequence[str]) -> tuple[Numbers, Numbers, Numbers]:
    """The runs that two texts or more share.

    Returns:
        owners: (m,) the index of a text, one entry for each shared run of each text, ascending.
        runs: (m,) the number of that run, counted from 0 over all shared runs.
        totals: (n,) how many different runs each text has, shared or not.

    A run that comes twice in one text counts once. A text of fewer than five words is one run.

    >>> [numbers.tolist() for numbers in shared_runs(["a b c", "x y", "a  b\\nc"])]
    [[0, 2], [0, 0], [1, 1, 1]]
    """
    hashes, owners, totals = _runs(texts)
    likely = _may_repeat(hashes)
    hashes, owners = hashes[likely], owners[likely]
    order = np.argsort(hashes, kind="stable")  # of equal hashes the owners stay in order
    hashes, owners = hashes[order], owners[order]
    new_run = _changes(hashes)
    first = new_run | _changes(owners)
    totals -= np.bincount(owners[~first], minlength=len(texts))
    numbers, owners = np.cumsum(new_run[first], dtype=np.int64), owners[first]
    shared = np.bincount(numbers, minlength=1)[numbers] > 1
    numbers, owners = numbers[shared], owners[shared]
    runs = np.cumsum(_changes(numbers)) - 1
    order = np.argsort(owners, kind="stable")
    return owners[order], runs[order], totals


def _changes(values: Hashes | Numbers) -> Flags:
    """Where a value differs from the one before it; the first one does."""
    changed: Flags = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _may_repeat(hashes: Hashes) -> Flags:
    """Which hashes may come twice: those that share a bucket. The others need not be sorted."""
    bits = len(hashes).bit_length() + 2  # four to eight buckets for each hash: few share by chance
    buckets = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    crowded: Flags = (np.bincount(buckets, minlength=1) > 1)[buckets]
    return crowded


def _runs(texts: Sequence[str]) -> tuple[Hashes, Numbers, Numbers]:
    """Hash (m,) and owner (m,) of each run of each text, in order; number of runs of each (n,)."""
    words, counts = _words(texts)
    ends = np.cumsum(counts)
    owners = np.repeat(np.arange(len(texts)), counts)
    place = np.arange(len(words))
    gap = RUN_WORDS - 1  # empty words after each text, so that no run reaches into the next
    padded = np.zeros(len(words) + gap * (len(texts) + 1), dtype=np.uint64)
    spread = place + gap * owners
    padded[spread] = words
    size = len(padded) - gap
    sums = sum(padded[k : k + size] * np.uint64(_FACTORS[k]) for k in range(RUN_WORDS))
    whole = (ends[owners] - place >= RUN_WORDS) | (place == (ends - counts)[owners])
    hashes = np.asarray(sums, dtype=np.uint64)[spread[whole]]
    hashes ^= hashes >> np.uint64(29)
    totals = np.bincount(owners[whole], minlength=len(texts))
    return hashes * np.uint64(_FACTORS[-1]), owners[whole], totals


_FACTORS = (
    0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93,
    0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3,
)  # fmt: skip
"""Odd 64-bit constants without a pattern, to multiply by: those of splitmix64 and wyhash."""


def _words(texts: Sequence[str]) -> tuple[Hashes, Numbers]:
    """A hash of every word of all texts, one text after another, and how many words each text has.

    A word is a run of bytes without whitespace; each Chinese or Japanese character is a word. These
    begin with the UTF-8 bytes E3 to E9 (U+3000 to U+9FFF), which no other byte of UTF-8 equals.
    """
    pieces = [plain(text).encode("utf-8", "surrogatepass") for text in texts]
    joined = b" " * 8 + b" ".join(pieces) + b" " * 8
    data = np.frombuffer(joined, dtype=np.uint8)
    blank = (data <= 32) | ((data >= 0xE3) & (data <= 0xE9))  # whitespace, or a word of its own
    edge = np.flatnonzero(blank)
    bounds = np.append(edge, len(data))
    starts = np.where(data[edge] <= 32, edge + 1, edge)
    stops = bounds[1:]
    kept = stops > starts
    starts, stops = starts[kept], stops[kept]
    hashes = _hash_words(joined, starts, stops)
    lengths = np.fromiter((len(piece) + 1 for piece in pieces), dtype=np.int64, count=len(pieces))
    firsts = np.searchsorted(starts, 8 + np.cumsum(lengths) - lengths)
    return hashes, np.diff(np.append(firsts, len(starts)))


def _hash_words(data: bytes, starts: Numbers, stops: Numbers) -> Hashes:
    """A hash of each word `data[start:stop]`: of its first and last eight bytes, and its length.

    `data` has eight bytes of padding at both ends.
    """
    eights: Hashes = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    lengths = np.minimum(stops - starts, 8).astype(np.uint64)
    beside = np.uint64(64) - np.uint64(8) * lengths  # bits that belong to neighbours
    first = eights[starts] << beside
    last = eights[stops - 8] >> beside
    hashes: Hashes = (first * np.uint64(_FACTORS[5])) ^ (last * np.uint64(_FACTORS[6]))
    hashes += (stops - starts).astype(np.uint64) * np.uint64(_FACTORS[7])
    return hashes
