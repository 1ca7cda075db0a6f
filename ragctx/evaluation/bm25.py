"""BM25 over texts in memory: ranks a question's passages and finds hard negatives."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ragctx.text.words import STOP_WORDS, searchable

_K1, _B = 1.2, 0.75  # the usual defaults, as in Lucene: damp repeated words, favour short texts
_WORD = re.compile(r"\w+")


class Bm25:
    """Scores of texts for a question; higher is better, 0 without a common word.

    Σ idf(w) · f (k1 + 1) / (f + k1 (1 - b + b · length / mean length)) over the question's words,
    idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.2, b = 0.75 (Robertson and Zaragoza 2009).

    >>> Bm25(["Tin melts.", "Iron melts late.", "Snow."]).ranked("When does iron melts?", 2)
    [1, 0]
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = []
        for i, text in enumerate(texts):
            words = Counter(_words(text))
            lengths.append(sum(words.values()))
            for word, count in words.items():
                self._postings[word].append((i, count))
        mean = sum(lengths) / max(1, len(lengths)) or 1.0
        self._norms = [_K1 * (1 - _B + _B * length / mean) for length in lengths]

    def scores(self, question: str) -> list[float]:
        """The score of every text, in the order the texts were given."""
        scores = [0.0] * len(self._norms)
        words = set(_words(question))
        for word in sorted(words - STOP_WORDS or words):  # sorted: sums depend on the order
            postings = self._postings.get(word, ())
            rarity = math.log(1 + (len(scores) - len(postings) + 0.5) / (len(postings) + 0.5))
            for i, count in postings:
                scores[i] += rarity * count * (_K1 + 1) / (count + self._norms[i])
        return scores

    def ranked(self, question: str, k: int) -> list[int]:
        """Indices of the k best texts, best first; of equal scores the earlier text comes first."""
        scores = self.scores(question)
        return sorted(range(len(scores)), key=lambda i: -scores[i])[:k]


def _words(text: str) -> list[str]:
    return _WORD.findall(searchable(text).lower())
