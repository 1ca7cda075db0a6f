"""The cell of a table that a question names by its row and its column.

The reader learnt on prose: a sentence that sounds like the question draws it away from the row that
has its words. Where the question says little but a row's label and a column's name ("How many
litres does the pepper get?", of columns plant and litres), the cell where they meet is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragctx.records import CopiedSpan, Prompt
from ragctx.tables import TableCell, tables_of
from ragctx.text.words import STOP_WORDS, words_of

LEFT_OVER = 1 / 3
"""Share of the question's words, at most, that neither row nor column nor what is above them has.
Chosen on the training parts of two sets of questions about tables (training/LOG.md)."""

_UNFIT = frozenset(
    "or than why cause caused compare compared between difference most least highest lowest last "
    "first next previous before after above below more less fewer greater longest shortest largest "
    "smallest biggest higher lower bigger smaller earlier later earliest latest combined both each "
    "same average other besides beside except also without not increase increased decrease "
    "decreased change changed growth percentage respectively".split()
)
"""Words of questions that no single cell answers, or not the one that is named."""
_ASKING = frozenset("much number amount kind type value get make made list name".split())
_YEAR = re.compile(r"(?:19|20)\d\d")
_BRACKETS = re.compile(r"\([^()]{0,80}\)")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A cell with how many of the question's words name its row, and how many row and column."""

    span: CopiedSpan
    text: str
    row: int
    both: int


def named_cell(prompt: Prompt) -> CopiedSpan | None:
    """Where the one cell is that the question names; None if there is none, or several differ."""
    words = _ordered(prompt.question)
    if not words or not _UNFIT.isdisjoint(words_of(prompt.question)):
        return None
    named = list(_all_named(prompt, words))
    rows = max((row for row, _ in named), default=0)
    fits = [one for row, one in named if one is not None]
    both = max((one.both for one in fits), default=0)
    best = [one for one in fits if one.both == both]
    # a row that has more of the question's words is meant, though it is not named in full
    if len({one.text for one in best}) != 1 or best[0].row < rows:
        return None
    return best[0].span


def _all_named(prompt: Prompt, words: list[str]) -> Iterator[tuple[int, _Named | None]]:
    """For each cell how many words its row shares with the question, and the cell if it fits."""
    asked = frozenset(words)
    for number, passage in enumerate(prompt.passages):
        if passage.hit is None:
            continue
        chunk = passage.hit.chunk
        around = asked & _stems(" ".join((passage.hit.document, chunk.title, *chunk.section)))
        for table in tables_of(chunk):
            for cell in (cell for row in table.rows for cell in row):
                label = _stems(_BRACKETS.sub(" ", cell.row))
                both = _fit(cell, label, words, around)
                span = CopiedSpan(number, cell.start, cell.end)
                row = len(label & asked)
                fit = both and _Named(span=span, text=cell.text, row=row, both=both)
                yield row, fit or None


def _fit(cell: TableCell, label: set[str], words: list[str], around: frozenset[str]) -> int:
    """How many of the question's words name the cell; 0 if they do not."""
    asked = frozenset(words)
    column = _stems(_BRACKETS.sub(" ", cell.column))
    if not label or not column or not label <= asked or not column <= asked - label:
        return 0
    # what is asked for is the column; of a column that is a period it is the row
    is_asked = words[0] in column or (words[0] in label and _YEAR.search(cell.column))
    group = _stems(cell.group) & asked
    left_over = asked - label - column - group - around
    if not is_asked or not _LETTER.search(cell.row) or len(left_over) > LEFT_OVER * len(asked):
        return 0
    return len(label | column | group)


def _ordered(question: str) -> list[str]:
    """The content words of a question, by their stems, in its order."""
    stems = [_stem(word) for word in words_of(question) if word not in STOP_WORDS]
    return [word for word in stems if word not in _ASKING and word != "many"]


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in words_of(text) if word not in STOP_WORDS}


def _stem(word: str) -> str:
    """The word without the s of a plural or a verb.

    >>> _stem("litres"), _stem("gas"), _stem("glass")
    ('litre', 'gas', 'glass')
    """
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
