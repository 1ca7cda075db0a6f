"""Term proximity: how close the question's words, or words like them, are to each token.

A small reader recognises what kind of thing is asked for, and of several such things in a passage
often takes the wrong one. The one that is close to the question's words is likelier to be right. An
answer's own words do not count, or the question would answer itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ragctx.generator.reader.passages import Mask
from ragctx.generator.reader.rows import Row
from ragctx.generator.reader.softmax import Floats

FIRST_WORD = 1996
"""The first id of BERT's vocabulary that is a word; those below are marks and single characters."""

REACH = 30
"""Distance in tokens at which a word's proximity has fallen to 1/e. Chosen among 8, 15, 30, 60 and
120 by F1 on held-out questions (training/LOG.md)."""

LIKE = 0.4
"""Cosine of two token embeddings above which the tokens count as alike; 1 is the same token.
Chosen between 0.6 and 0.4 by F1 on held-out questions (training/LOG.md)."""

LEAST = np.float32(0.15)
"""Weight that the question's words must have in the row that is named best, for it to count in
full. Chosen between 0.05, 0.15 and 0.3 (training/LOG.md)."""


Embedded = Callable[[list[int]], Floats]
"""(n,) token ids -> their embeddings (n, width)."""


class TermProximity(NamedTuple):
    """For Q words of the question and N tokens of the context: 0, far away, to 1."""

    before: Floats  # (Q, N): the word's proximity among the tokens before each, in its passage
    after: Floats  # (Q, N): and among the tokens after it
    weights: Floats  # (Q,): how much each word counts, rare ones more; they sum to 1
    rows: Floats  # (N,): how well the question names the row of a table it is in, 0 to 1
    columns: Floats  # (N,): and the column

    def of_tokens(self) -> Floats:
        """(N,): proximity of all words to each token."""
        return self._of_all_words(np.maximum(self.before, self.after))

    def of_spans(self, first: Sequence[int], last: Sequence[int]) -> Floats:
        """(S,): proximity of all words to spans, given by their first and last positions."""
        return self._of_all_words(np.maximum(self.before[:, first], self.after[:, last]))

    def _of_all_words(self, each: Floats) -> Floats:
        """(Q, n) -> (n,): not a matrix product, whose last bits would depend on n."""
        summed: Floats = (self.weights[:, None] * each).sum(0)
        return summed


def term_proximity(
    embedded: Embedded,
    question: Sequence[int],
    passages: Sequence[Sequence[int]],
    contents: Sequence[Mask],
    rows: Sequence[Sequence[Row]] = (),
) -> TermProximity:
    """Proximity of the words of `question` to the tokens of `passages`, all given as token ids.

    `embedded` looks up the embeddings (n, width) of n tokens; `contents` has a mask (T,) for each
    passage, True at its own text. `rows` are the rows of each passage's tables: a row is as close
    to what stands before and behind the table as if it were the only one.

    >>> ids, everything = (2000, 2001, 2002, 2000), np.ones(4, dtype=np.bool_)
    >>> table = np.eye(2003, dtype=np.float32)
    >>> proximity = term_proximity(lambda ids: table[ids], (2000, 102), [ids], [everything])
    >>> proximity.of_tokens().round(4)  # exp of -3 / 30, -1 / 30, ...
    array([0.9048, 0.9672, 0.9672, 0.9048], dtype=float32)
    >>> proximity.of_spans([2], [3]).round(4)
    array([0.9355], dtype=float32)
    """
    rarity = rarities(question)
    words = unit(embedded(list(rarity)))
    counts = np.array(list(rarity.values()), dtype=np.float32)
    weights = counts / np.float32(sum(rarity.values()) or 1.0)
    sides, named = [], []
    for passage, content, its_rows in zip(
        passages, contents, rows or [()] * len(passages), strict=True
    ):
        alike = likeness(words, unit(embedded(list(passage)))) * content
        sides.append(_with_rows(alike, its_rows))
        named.append(_named(alike, weights, its_rows))
    before, after = (np.concatenate(side, axis=1) for side in zip(*sides, strict=True))
    by_row, by_column = (np.concatenate(share) for share in zip(*named, strict=True))
    return TermProximity(before, after, weights, by_row, by_column)


def rarities(question: Iterable[int]) -> dict[int, float]:
    """How much each word of a question counts: the logarithm of its frequency rank.

    BERT's vocabulary is sorted by frequency, so a word's id tells its rank.

    >>> rarities([2054, 8271, 102])[8271] > rarities([2054, 8271, 102])[2054]
    True
    """
    return {token: math.log(token - FIRST_WORD + 2) for token in question if token >= FIRST_WORD}


def unit(vectors: Floats) -> Floats:
    """Each row scaled to length 1; a row of zeros stays."""
    lengths: Floats = np.sqrt((vectors**2).sum(1, keepdims=True))
    units: Floats = vectors / lengths.clip(min=1e-12)
    return units


def likeness(words: Floats, tokens: Floats) -> Floats:
    """(Q, T): 0 for tokens that are not alike, 1 for the same one."""
    above: Floats = (words @ tokens.T - np.float32(LIKE)) / np.float32(1 - LIKE)
    return above.clip(0, 1)


def _with_rows(likeness: Floats, rows: Sequence[Row]) -> tuple[Floats, Floats]:
    """`_proximity`, each row of a table without the rows between it and what it belongs to."""
    before, after = _proximity(likeness)
    for row in rows:
        seen = [*range(row.since), *row.own, *range(row.until, likeness.shape[1])]
        stop = row.since + len(row.own)
        for side, of_row in zip((before, after), _proximity(likeness[:, seen]), strict=True):
            side[:, row.tokens] = of_row[:, stop - len(row.tokens) : stop]
    return before, after


def _named(likeness: Floats, weights: Floats, rows: Sequence[Row]) -> tuple[Floats, Floats]:
    """(T,) twice: how well the question names each token's row, and its column."""
    by_row, by_column = np.zeros((2, likeness.shape[1]), dtype=np.float32)
    for _, table in groupby(rows, key=lambda row: row.since):
        of_table = list(table)
        shares = _telling([row.own for row in of_table], likeness, weights)
        for row, share in zip(of_table, shares, strict=True):
            by_row[row.tokens] = share
            if row.columns:
                of_columns = _telling([names for _, names in row.columns], likeness, weights)
                for (cell, _), of_column in zip(row.columns, of_columns, strict=True):
                    by_column[cell] = of_column
    return by_row, by_column


def _telling(groups: Sequence[Sequence[int]], likeness: Floats, weights: Floats) -> Floats:
    """(G,): how well the question names each group of tokens, by words that not all of them have.

    The best one has 1, or less where only words of little weight name it.
    """
    each = np.stack([likeness[:, list(group)].max(axis=1, initial=0.0) for group in groups])
    found = (each * (weights * (1 - each.mean(axis=0)))).sum(axis=1)
    shares: Floats = found / max(found.max(), LEAST)
    return shares


def _proximity(likeness: Floats) -> tuple[Floats, Floats]:
    """(Q, T) twice: the best likeness, faded by distance, before and after each token."""
    with np.errstate(divide="ignore"):  # the logarithm of 0, not alike, is -inf
        logs = np.log(likeness)
    return _best_before(logs), _best_before(logs[:, ::-1])[:, ::-1]


def _best_before(logs: Floats) -> Floats:
    """max over s < t of exp(logs[s] - (t - s) / REACH), in one pass: a running maximum."""
    place = np.arange(logs.shape[1], dtype=np.float32) / np.float32(REACH)
    best = np.maximum.accumulate(logs + place, axis=1)
    return np.pad(np.exp(best[:, :-1] - place[1:]), ((0, 0), (1, 0)))
