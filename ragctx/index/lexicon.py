"""Search by words over the segments of one state of an index, by the scores of FTS5.

FTS5 (`store.search_words`) scores every passage that holds any of the words, one by one: at a
million passages a common word takes a second. From `database.LEXICON_FROM` passages on the
segments' own postings give the same scores (`postings`), and FTS5 only what they cannot: words that
it splits into several, and beginnings of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragctx.index.engine import IdsOf, masks, ranked
from ragctx.index.postings import Postings, key_of, tokens_of
from ragctx.index.segment import Ints, Mask, Segment

LATE_MOST = 20_000
"""With more passages in no segment FTS5 is asked: to split them takes longer. Chosen by hand."""
_K1, _B = 1.2, 0.75  # of BM25, as FTS5 has them
_LEAST_IDF = 1e-6  # of a word that most passages hold, as FTS5 has it
_BLOCK = 64
_WORD = re.compile(r'"(\w+)"')

Scores: TypeAlias = NDArray[np.float64]
FtsScores = Callable[[str], Mapping[int, float]]
"""The BM25 scores that FTS5 gives for an expression, by chunk row."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Lexicon:
    """The words of all passages: those of segments and those in none; masks are one a segment."""

    segments: tuple[Segment, ...]  # each with its words
    alive: tuple[Mask, ...]

    @cached_property
    def _words(self) -> tuple[Postings, ...]:
        return tuple(segment.words for segment in self.segments if segment.words is not None)

    @cached_property
    def _count(self) -> int:
        return sum(int(alive.sum()) for alive in self.alive)

    @cached_property
    def _norms(self) -> tuple[Scores, ...]:
        """What BM25 adds to a count in the denominator, (n,) of each segment."""
        held = zip(self._words, self.alive, strict=True)
        total = sum(int(words.lengths[alive].sum()) for words, alive in held)
        mean = total / max(1, self._count) or 1.0
        lengths = [words.lengths.astype(np.float64) for words in self._words]
        return tuple(_K1 * (1 - _B + _B * of_each / mean) for of_each in lengths)

    def mask(self, documents: set[int] | None, pages: tuple[int, int]) -> tuple[Mask, ...]:
        """Which chunks belong to these documents (None: all) and touch these pages."""
        return masks(self.segments, self.alive, documents, pages)

    def matching(
        self,
        expression: str,
        k: int,
        ids_of: IdsOf,
        fts: FtsScores,
        allowed: Sequence[Mask] | None = None,
    ) -> list[tuple[int, float]]:
        """The k best (chunk row, BM25 score) for what `match_expression` gives, ties by chunk id.

        Args:
            expression: words, each quoted, joined by OR.
            k: how many; fewer come back if fewer passages hold a word.
            ids_of: gives the ids of chunks that tie.
            fts: asked for words that are not one word in FTS5.
            allowed: which passages of each segment to search; by default all that are alive.
        """
        scores = [np.zeros(len(segment)) for segment in self.segments]
        for part, key in _keys(expression.split(" OR ")).items():
            if key is None:
                self._add_rows(scores, fts(part))
            else:
                self._add_word(scores, key)
        for some, mask in zip(scores, self.alive if allowed is None else allowed, strict=True):
            some[~mask] = 0.0
        positions = _best(scores, k)
        rows = [s.rows[at] for s, at in zip(self.segments, positions, strict=True)]
        best = [some[at] for some, at in zip(scores, positions, strict=True)]
        if not rows:
            return []
        return ranked(np.concatenate(rows), np.concatenate(best), k, ids_of)

    def _add_word(self, scores: Sequence[Scores], key: int) -> None:
        found = [words.find(key) for words in self._words]
        held = sum(
            int(np.count_nonzero(alive[places]))
            for (places, _), alive in zip(found, self.alive, strict=True)
        )
        idf = math.log((self._count - held + 0.5) / (held + 0.5))
        idf = idf if idf > 0 else _LEAST_IDF
        for (places, counts), some, norms in zip(found, scores, self._norms, strict=True):
            often = counts.astype(np.float64)
            some[places] += idf * ((often * (_K1 + 1.0)) / (often + norms[places]))

    def _add_rows(self, scores: Sequence[Scores], found: Mapping[int, float]) -> None:
        rows = np.array(sorted(found), np.int64)
        for segment, some in zip(self.segments, scores, strict=True):
            positions = segment.positions(rows)
            some[positions] += [found[int(row)] for row in segment.rows[positions]]


def _keys(parts: Sequence[str]) -> dict[str, int | None]:
    """Of each part of an expression the key of its word; None of what is not one word in FTS5."""
    words = [match[1] if (match := _WORD.fullmatch(part)) else "" for part in parts]
    tokens = tokens_of(words)
    return {
        part: key_of(of_part[0]) if word and len(of_part) == 1 else None
        for part, word, of_part in zip(parts, words, tokens, strict=True)
    }


def _best(scores: Sequence[Scores], k: int) -> list[Ints]:
    """The positions of scores above 0 that include the k best, in each segment.

    The k-th of the largest scores of blocks is no more than the k-th of all scores.
    """
    largest = np.concatenate([_largest(some) for some in scores] or [np.empty(0)])
    least = 0.0
    if len(largest) > k:
        least = np.partition(largest, len(largest) - k)[len(largest) - k]
    return [np.flatnonzero((some >= least) & (some > 0)) for some in scores]


def _largest(scores: Scores) -> Scores:
    """The largest score of each block."""
    whole = len(scores) // _BLOCK * _BLOCK
    blocks = scores[:whole].reshape(-1, _BLOCK).max(axis=1)
    return np.append(blocks, scores[whole:].max()) if whole < len(scores) else blocks
