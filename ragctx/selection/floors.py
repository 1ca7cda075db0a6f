"""Which candidates are worth showing at all: an irrelevant passage costs tokens and may distract.

(Passages that are near the question but do not answer it stand among the first ten for most
questions, and mislead some models: Cuconasu et al. 2025, "Do RAG Systems Really Suffer From
Positional Bias?", arXiv 2505.15561.)
A floor is a function that looks at all candidates and says which stay. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ragctx.errors import InputError
from ragctx.records import Hit, LedgerRow
from ragctx.selection.relevance import is_real

Floor: TypeAlias = Callable[[Sequence[Hit]], list[str]]
"""Candidates in rank order -> for each, why it is dropped; "" for those that stay."""

DROP = 0.25
"""How far below the best candidate's similarity `near_best` reaches."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Candidates that are left, in rank order, with their costs, and a row for each that is not."""

    hits: tuple[Hit, ...]
    costs: tuple[int, ...]
    ledger: tuple[LedgerRow, ...]


def cut_below(hits: Sequence[Hit], costs: Sequence[int], floor: Floor) -> Cut:
    """Drop the candidates that a floor does not let pass; costs[i] is what hits[i] costs in tokens.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3, 4)]
    >>> cut = cut_below(hits, [2, 2, 2, 2], at_least(0.3))
    >>> [hit.rank for hit in cut.hits], cut.ledger[0].reason
    ([1, 2, 3], 'score 0.25 is below the floor of 0.3')
    """
    pairs = sorted(zip(hits, costs, strict=True), key=lambda pair: pair[0].rank)
    reasons = floor([hit for hit, _ in pairs])
    return _split(pairs, reasons)


def keep_best(hits: Sequence[Hit], costs: Sequence[int], max_chunks: int) -> Cut:
    """Keep the candidates of the best `max_chunks` ranks.

    Raises:
        InputError: `max_chunks` is below 1.
    """
    if max_chunks < 1:
        raise InputError(f"max_chunks is {max_chunks}. Give 1 or more.")
    pairs = sorted(zip(hits, costs, strict=True), key=lambda pair: pair[0].rank)
    reason = f"not among the best {max_chunks}"
    return _split(pairs, ["" if i < max_chunks else reason for i in range(len(pairs))])


def at_least(min_score: float) -> Floor:
    """The floor that a score must reach. A candidate without a score does not.

    Scores are the retriever's own: cosines for `dense` (-1 to 1), BM25 for `lexical` (0 up), sums
    of 1 / (60 + rank) for `hybrid` (at most 0.033).

    Raises:
        InputError: `min_score` is NaN.
    """
    if not is_real(min_score):
        raise InputError(f"min_score is {min_score}. Give a number, e.g. 0.3.")

    def below(hit: Hit) -> str:
        if not is_real(hit.score):
            return f"no score, and the floor is {min_score:.4g}"
        if hit.score < min_score:
            return f"score {hit.score:.4g} is below the floor of {min_score:.4g}"
        return ""

    return lambda hits: [below(hit) for hit in hits]


def near_best(hits: Sequence[Hit]) -> list[str]:
    """The floor that the candidates set themselves: the best similarity less 0.25.

    Similarities are cosines of passage and question (`Hit.similarity`). A level relative to the
    best one follows the question (some have no passage above 0.4, others ten), which a fixed one
    cannot. Of 461 questions on which it was not chosen, with a right passage among 20 candidates,
    98.5 % keep one, for half of the tokens; the ten best by rank keep 95.0 % (`benchmarks.cut`).
    It saves tokens: the bundled reader, which refuses what no passage is about by itself, answered
    neither better nor clearly worse. The level is meant for the cosines of all-MiniLM-L6-v2.
    Candidates without a similarity, as those of another retriever, stay.
    """
    known = [hit.similarity for hit in hits if is_real(hit.similarity)]
    least = max(known, default=0.0) - DROP
    return [
        f"similarity {hit.similarity:.2f} is below {least:.2f}, the best less {DROP}"
        if hit.similarity < least
        else ""
        for hit in hits
    ]


def _split(pairs: Sequence[tuple[Hit, int]], reasons: Sequence[str]) -> Cut:
    kept = [pair for pair, reason in zip(pairs, reasons, strict=True) if not reason]
    rows = (
        LedgerRow(
            chunk=hit.chunk.id,
            document=hit.document,
            rank=hit.rank,
            score=hit.score,
            tokens=cost,
            outcome="dropped",
            reason=reason,
        )
        for (hit, cost), reason in zip(pairs, reasons, strict=True)
        if reason
    )
    return Cut(tuple(hit for hit, _ in kept), tuple(cost for _, cost in kept), tuple(rows))
