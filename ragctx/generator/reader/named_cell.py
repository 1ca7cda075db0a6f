"""The cell of a table that a question names by its row and its column.

The reader learnt on prose: a sentence that sounds like the question draws it away from the row that
has its words. Where the question says little but a row's label and a column's name ("How many
litres does the pepper get?", of columns plant and litres), the cell where they meet is the answer.
Of columns that are periods ("Three Months Ended July 1, 2023") the year is enough, if no other
column is as well named ("in the third quarter of 2023").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragctx.generator.reader.rows import further_figures
from ragctx.generator.reader.spans import is_echo
from ragctx.records import CopiedSpan, Prompt, Segment
from ragctx.tables import TableCell, tables_of
from ragctx.text.words import STOP_WORDS, singular, words_of

LEFT_OVER = 1 / 2
"""Share of the question's words, at most, that neither row nor column nor what is above them has.
Chosen on the training parts of two sets of questions about tables (training/LOG.md)."""

BEFORE = 250
"""Characters before a table that tell what it is about. Chosen by hand: two lines or three."""

_UNFIT = frozenset(
    "or than why cause caused compare compared between difference most least highest lowest last "
    "first next previous before after above below more less fewer greater longest shortest largest "
    "smallest biggest higher lower bigger smaller earlier later earliest latest combined both each "
    "same average other besides beside except also without not increase increased decrease "
    "decreased change changed growth percentage respectively include represent mean".split()
)
"""Words of questions that no single cell answers, or not the one that is named; but for those that
name its row or column themselves ("Net change in cash")."""
_ASKING = frozenset("much number amount kind type value get make made list name many".split())
_PERIODS = {
    "quarter": {"three", "month"},
    "quarterly": {"three", "month"},
    "half": {"six", "month"},
    "annual": {"year", "twelve"},
    "fiscal": {"year"},
}
"""What a table calls a period for which a question has another word."""
_MONTHS = frozenset(
    "january february march april may june july august september october november december".split()
)
_YEAR = re.compile(r"(?:19|20)\d\d(?!\d)")
_BRACKETS = re.compile(r"\([^()]{0,80}\)")
_LETTER = re.compile(r"[^\W\d_]")
_NAME = re.compile(r"(?<=\s)[A-Z][\w’'-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question: the stems of its words, and those of them that are of some kind."""

    text: str
    words: frozenset[str]
    periods: frozenset[str]  # and what tables call the periods among them
    years: frozenset[str]
    unfit: frozenset[str]
    names: frozenset[str]  # written with a capital, months aside


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A cell that fits: how many of the question's words name its row, and its rank by all words.

    Of equals those rank higher whose label above has fewer words that are not asked for.
    """

    span: CopiedSpan
    text: str
    row: int
    rank: tuple[int, int]


def named_cell(prompt: Prompt) -> CopiedSpan | None:
    """Where the one cell is that the question names; None if there is none, or several differ."""
    asked = _asked(prompt.question)
    if not asked.words:
        return None
    named = list(_all_named(prompt, asked))
    rows = max((row for row, _ in named), default=0)
    fits = [one for _, one in named if one is not None]
    top = max((one.rank for one in fits), default=(0, 0))
    best = [one for one in fits if one.rank == top]
    # a row that has more of the question's words is meant, though it is not named in full
    if len({one.text for one in best}) != 1 or best[0].row < rows:
        return None
    return best[0].span


def _asked(question: str) -> _Asked:
    words = _stems(question) - _ASKING
    names = _stems(" ".join(_NAME.findall(question))) - _MONTHS
    return _Asked(
        text=question,
        words=words,
        periods=words.union(*(_PERIODS.get(word, ()) for word in words)),
        years=_years(question),
        unfit=frozenset(map(singular, _UNFIT.intersection(words_of(question)))),
        names=names & words,
    )


def _all_named(prompt: Prompt, asked: _Asked) -> Iterator[tuple[int, _Named | None]]:
    """For each cell how many words its row shares with the question, and the cell if it fits."""
    for number, passage in enumerate(prompt.passages):
        if passage.hit is None:
            continue
        chunk = passage.hit.chunk
        absent = asked.names - _document_words(prompt, passage)
        around = _stems(" ".join((passage.hit.document, chunk.title, *chunk.section)))
        for table in tables_of(chunk):
            told = around | _stems(chunk.text[max(0, table.start - BEFORE) : table.start])
            for cell in (cell for row in table.rows for cell in row):
                label = _stems(_BRACKETS.sub(" ", cell.row))
                rank = _rank(cell, label, told, asked, absent)
                span = CopiedSpan(number, cell.start, cell.end)
                row = len(label & asked.words)
                fit = rank and _Named(span=span, text=cell.text, row=row, rank=rank)
                yield row, fit or None


def _document_words(prompt: Prompt, passage: Segment) -> frozenset[str]:
    """All words that the prompt has of a passage's document."""
    assert passage.hit is not None
    of_document = [
        f"{other.hit.document} {other.hit.chunk.title} {' '.join(other.hit.chunk.section)} "
        f"{other.hit.chunk.lead_in} {other.own_text}"
        for other in prompt.passages
        if other.hit is not None and other.hit.chunk.document_id == passage.hit.chunk.document_id
    ]
    return _stems(" ".join(of_document))


def _rank(
    cell: TableCell,
    label: frozenset[str],
    told: frozenset[str],
    asked: _Asked,
    absent: frozenset[str],
) -> tuple[int, int] | None:
    """How well the question names a cell; None if it does not.

    `told` are the words that tell what the table is about, `absent` the question's names that its
    document does not have: it is not about them.
    """
    group = _stems(cell.group)
    column = _column(cell, label, told | group, asked)
    is_named = label and label <= asked.words and _LETTER.search(cell.row) and column
    if not is_named or column is None or not asked.unfit <= label | column:
        return None
    named = label | column | (group & asked.words)
    left_over = asked.words - named - told
    if absent - named or len(left_over) > LEFT_OVER * len(asked.words):
        return None
    if is_echo(cell.text, asked.text) or further_figures(cell.text, 0, len(cell.text)):
        return None
    return len(named), -len(group - asked.words)


def _column(
    cell: TableCell, label: frozenset[str], told: frozenset[str], asked: _Asked
) -> frozenset[str] | None:
    """The words by which the question names a cell's column; None if it does not.

    A period is named by its year, any other column by all of its words.
    """
    name = _BRACKETS.sub(" ", cell.column)
    column, years = _stems(name), _years(name)
    if years:
        is_named = asked.years and asked.years <= years | label
        return (column & asked.periods) | (years & asked.years) if is_named else None
    is_named = column and column <= asked.words - label and asked.years <= label | told
    return column if is_named else None


def _years(text: str) -> frozenset[str]:
    return frozenset(_YEAR.findall(text))


def _stems(text: str) -> frozenset[str]:
    return frozenset(singular(word) for word in words_of(text) if word not in STOP_WORDS)
