"""Which candidates may be shown at all: an irrelevant passage costs tokens and may distract.

(Passages that are close to the question but do not answer it are among the first ten for most
questions, and mislead some models: Cuconasu et al. 2025, "Do RAG Systems Really Suffer From
Positional Bias?", arXiv 2505.15561.)
A floor is a function that is given all candidates and decides which of them stay. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ragctx.errors import InputError
from ragctx.records import Hit
from ragctx.selection.candidates import Step, in_rank_order, ledger_row
from ragctx.selection.relevance import is_real

Floor: TypeAlias = Callable[[Sequence[Hit]], list[str]]
"""Candidates in rank order -> for each, why it is dropped; "" for those that stay."""

DROP = 0.25
"""How far below the best candidate's similarity `near_best` reaches, in units of cosine. Measured:
see `near_best`."""


def cut_below(hits: Sequence[Hit], costs: Sequence[int], floor: Floor) -> Step:
    """Drop the candidates that do not reach a floor; costs[i] is what hits[i] costs, in tokens.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3, 4)]
    >>> cut = cut_below(hits, [2, 2, 2, 2], at_least(0.3))
    >>> [hit.rank for hit in cut.hits], cut.ledger[0].reason
    ([1, 2, 3], 'score 0.25 is below the floor of 0.3')
    """
    pairs = in_rank_order(hits, costs)
    return _split(pairs, floor([hit for hit, _ in pairs]))


def keep_best(hits: Sequence[Hit], costs: Sequence[int], max_chunks: int) -> Step:
    """Keep the candidates of the best `max_chunks` ranks.

    Raises:
        InputError: `max_chunks` is below 1.
    """
    if max_chunks < 1:
        raise InputError(f"max_chunks is {max_chunks}. Give 1 or more.")
    pairs = in_rank_order(hits, costs)
    reason = f"not among the best {max_chunks}"
    return _split(pairs, ["" if i < max_chunks else reason for i in range(len(pairs))])


def at_least(min_score: float, name: str = "score") -> Floor:
    """A floor in units of the retriever's score. A candidate without a score does not reach it.

    What the scores of ragctx's retrievers are, and how far they reach: `retrieval.SCORE_SCALES`.
    `name` is what reasons call the score.

    Raises:
        InputError: `min_score` is NaN.
    """
    if not is_real(min_score):
        raise InputError(f"min_score is {min_score}. Give a number, e.g. 0.3.")

    def below(hit: Hit) -> str:
        if not is_real(hit.score):
            return f"no {name}, and the floor is {min_score:.4g}"
        if hit.score < min_score:
            return f"{name} {hit.score:.4g} is below the floor of {min_score:.4g}"
        return ""

    return lambda hits: [below(hit) for hit in hits]


def near_best(hits: Sequence[Hit]) -> list[str]:
    """The floor that the candidates set themselves: the best similarity less 0.25.

    Similarities are cosines of passage and question (`Hit.similarity`). A floor relative to the
    best one follows the question (for some no passage is above 0.4, for others ten are), which a
    fixed one cannot. Measured by `benchmarks.floors`: of 461 questions, other than those on which
    0.25 was chosen, with a right passage among 20 candidates, 98.5 % keep one, for half of the
    tokens; the ten best by rank keep 95.0 %. It saves tokens and no more: the bundled reader, which
    by itself refuses to answer from passages about something else, answered neither better nor
    clearly worse. The number is for the cosines of all-MiniLM-L6-v2. Candidates without a
    similarity, such as those of another retriever, stay.
    """
    known = [hit.similarity for hit in hits if is_real(hit.similarity)]
    least = max(known, default=0.0) - DROP
    return [
        f"similarity {hit.similarity:.2f} is below {least:.2f}, the best less {DROP}"
        if is_real(hit.similarity) and hit.similarity < least
        else ""
        for hit in hits
    ]


def _split(pairs: Sequence[tuple[Hit, int]], reasons: Sequence[str]) -> Step:
    """Keep the pairs without a reason, and write the others down with theirs."""
    kept: list[tuple[Hit, int]] = []
    ledger = []
    for (hit, cost), reason in zip(pairs, reasons, strict=True):
        if reason:
            ledger.append(ledger_row(hit, cost, "dropped", reason))
        else:
            kept.append((hit, cost))
    return Step(
        hits=tuple(hit for hit, _ in kept),
        costs=tuple(cost for _, cost in kept),
        ledger=tuple(ledger),
    )
