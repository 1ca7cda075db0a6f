"""Search by words: the words of SQLite's full-text index (FTS5), and its BM25, in SQL.

FTS5 itself splits the texts, in memory, so that a passage has the same words here as in an index in
a folder, and the same score. PostgreSQL's own full-text search has other words, and no BM25.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragctx.index.postgres.filtering import Where
from ragctx.index.postgres.reading import read_chunks
from ragctx.index.postgres.texts import term_of
from ragctx.index.postings import tokens_of
from ragctx.index.store import words_or_none
from ragctx.records import Chunk

if TYPE_CHECKING:
    from ragctx.index.postgres.connection import Connection

_K1, _B = 1.2, 0.75  # of BM25, as FTS5 has them
_LEAST_IDF = 1e-6  # of a word that most passages hold, as FTS5 has it
_SLACK = 1e-9  # how far PostgreSQL's sums may be off, as a share: they have no order
_TEXTS = 512
"""Texts split at a time. Chosen by hand."""
_PART = re.compile(r'"(.*)"(\*?)')
_MOST_COUNT = 2**31 - 1
_LAST = "\U0010ffff"  # sorts after whatever a word goes on with


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """How often a text holds a word, and how many words it has in all."""

    place: int
    term: str
    count: int
    length: int


def postings_of(texts: Sequence[str]) -> Iterator[Posting]:
    """The words of texts; `place` is the text's."""
    for first in range(0, len(texts), _TEXTS):
        for at, tokens in enumerate(tokens_of(texts[first : first + _TEXTS]), first):
            length = min(len(tokens), _MOST_COUNT)
            for token, count in sorted(Counter(tokens).items()):
                yield Posting(place=at, term=term_of(token), count=count, length=length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The passages of an index, and the words of all of them."""

    chunks: int
    words: int


def read_totals(connection: Connection) -> Totals:
    """Counted with each document, so that no writer waits for another to count."""
    found = connection.execute(
        "SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(words), 0)::bigint FROM documents"
    ).fetchone()
    chunks, words = found or (0, 0)
    return Totals(chunks=chunks, words=words)


def search_words(
    connection: Connection, expression: str, k: int, totals: Totals, where: Where
) -> list[tuple[int, float]]:
    """The k best (chunk row, BM25 score) for `fts_query.match_expression`, ties by chunk id."""
    parts = [_part(part) for part in expression.split(" OR ")]
    phrases = [_phrase(connection, i, part) for i, part in enumerate(parts) if len(part.terms) > 1]
    found = connection.execute(
        _BEST.format(where=f"WHERE m.row IN (SELECT row FROM chunks WHERE {where.sql})")
        if where.sql
        else _BEST.format(where=""),
        {
            "terms": [p.terms[0] for p in parts if p.is_word],
            "parts": [i for i, p in enumerate(parts) if p.is_word],
            "beginnings": [p.terms[0] for p in parts if p.is_beginning],
            "ends": [p.terms[0] + _LAST for p in parts if p.is_beginning],
            "beginning_parts": [i for i, p in enumerate(parts) if p.is_beginning],
            "phrase_parts": [one[0] for of_part in phrases for one in of_part],
            "phrase_rows": [one[1] for of_part in phrases for one in of_part],
            "phrase_counts": [one[2] for of_part in phrases for one in of_part],
            "phrase_lengths": [one[3] for of_part in phrases for one in of_part],
            "n": totals.chunks,
            "mean": totals.words / max(1, totals.chunks) or 1.0,
            "k": k,
            **where.values,
        },
        binary=True,
    ).fetchall()
    return _ranked(found, totals)[:k]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of an expression, by the words that FTS5 makes of it."""

    terms: tuple[str, ...]
    is_open: bool  # whether the last one is only the beginning of a word

    @property
    def is_word(self) -> bool:
        return len(self.terms) == 1 and not self.is_open

    @property
    def is_beginning(self) -> bool:
        return len(self.terms) == 1 and self.is_open


def _part(text: str) -> _Part:
    found = _PART.fullmatch(text)
    word, star = found.groups() if found else ("", "")
    terms = tuple(map(term_of, tokens_of([word])[0]))
    return _Part(terms=terms, is_open=bool(star))


_BEST = f"""
WITH matches AS MATERIALIZED (
    SELECT w.part, p.row, p.count, p.length
    FROM unnest(%(terms)s::text[], %(parts)s::int[]) AS w(term, part)
    JOIN postings p ON p.term = w.term COLLATE "C"
  UNION ALL
    SELECT w.part, p.row, sum(p.count)::int, min(p.length)
    FROM unnest(%(beginnings)s::text[], %(ends)s::text[], %(beginning_parts)s::int[])
        AS w(first, last, part)
    JOIN postings p ON p.term >= w.first COLLATE "C" AND p.term < w.last COLLATE "C"
    GROUP BY w.part, p.row
  UNION ALL
    SELECT * FROM unnest(%(phrase_parts)s::int[], %(phrase_rows)s::bigint[],
        %(phrase_counts)s::int[], %(phrase_lengths)s::int[])
), held AS MATERIALIZED (
    SELECT part, count(*) AS held FROM matches GROUP BY part
), weights AS (
    SELECT part, CASE WHEN 2 * held >= %(n)s THEN {_LEAST_IDF}
        ELSE ln((%(n)s - held + 0.5::float8) / (held + 0.5::float8)) END AS idf FROM held
), scored AS MATERIALIZED (
    SELECT m.row, sum(idf * ((m.count * ({_K1}::float8 + 1)) / (m.count + {_K1}::float8
        * (1 - {_B}::float8 + {_B}::float8 * m.length / %(mean)s::float8)))) AS score
    FROM matches m JOIN weights USING (part) {{where}} GROUP BY m.row
), least AS (
    SELECT score * (1 - {_SLACK}::float8) AS least FROM scored
    ORDER BY score DESC OFFSET %(k)s::bigint - 1 LIMIT 1
)
SELECT c.id, s.row, m.part, m.count, m.length, h.held
FROM scored s JOIN matches m USING (row) JOIN held h USING (part) JOIN chunks c ON c.row = s.row
WHERE s.score >= coalesce((SELECT least FROM least), 0)"""


def _ranked(found: Sequence[tuple[Any, ...]], totals: Totals) -> list[tuple[int, float]]:
    """Scored again, word by word in the question's order: equal passages have equal scores."""
    mean = totals.words / max(1, totals.chunks) or 1.0
    ids: dict[int, str] = {}
    scores: dict[int, float] = defaultdict(float)
    for id_, row, _, count, length, held in sorted(found, key=lambda match: match[2]):
        idf = math.log((totals.chunks - held + 0.5) / (held + 0.5))
        idf = idf if idf > 0 else _LEAST_IDF
        norm = _K1 * (1 - _B + _B * length / mean)
        scores[row] += idf * ((count * (_K1 + 1.0)) / (count + norm))
        ids[row] = id_
    return sorted(scores.items(), key=lambda each: (-each[1], ids[each[0]]))


# ---- Phrases ---------------------------------------------------------------------------------


def _phrase(connection: Connection, which: int, part: _Part) -> list[tuple[int, int, int, int]]:
    """(part, row, count, length) of the passages that hold several words one after another.

    FTS5 makes several words of one where it has a sign in it, as of "file_name". The passages that
    hold all of them are split again, to see where they stand.
    """
    whole = part.terms[:-1] if part.is_open else part.terms
    candidates = [
        row
        for (row,) in connection.execute(
            "SELECT row FROM postings WHERE term = ANY(%s) GROUP BY row HAVING count(*) = %s",
            (list(set(whole)), len(set(whole))),
        )
    ]
    found = []
    for first in range(0, len(candidates), _TEXTS):
        passages = read_passages(connection, candidates[first : first + _TEXTS])
        for row, tokens in zip(passages, tokens_of(list(passages.values())), strict=True):
            count = _occurrences([term_of(token) for token in tokens], part)
            if count:
                found.append((which, row, count, len(tokens)))
    return found


def _occurrences(terms: Sequence[str], part: _Part) -> int:
    n = len(part.terms)
    whole = list(part.terms[:-1])
    return sum(
        list(terms[i : i + n - 1]) == whole
        and (
            terms[i + n - 1].startswith(part.terms[-1])
            if part.is_open
            else terms[i + n - 1] == part.terms[-1]
        )
        for i in range(len(terms) - n + 1)
    )


def read_passages(connection: Connection, rows: Sequence[int]) -> dict[int, str]:
    """What is indexed of chunks, by row."""
    return {row: passage_of(chunk) for row, (chunk, _) in read_chunks(connection, rows).items()}


def passage_of(chunk: Chunk) -> str:
    """What is indexed of a chunk: its text with its header, in the form that is searched."""
    return words_or_none(chunk) or chunk.text
