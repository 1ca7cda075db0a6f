"""Check a placement function before it is used: it must permute its hits, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from ragctx.errors import InputError
from ragctx.records import Chunk, Hit

Strategy: TypeAlias = Callable[[Sequence[Hit]], Sequence[Hit]]
"""Hits in rank order -> the same hits in prompt order."""


def check_laws(name: str, strategy: Strategy) -> None:
    """Try `strategy` on no hit, one, two, odd and even counts, ties, negative and missing scores.

    Raises:
        InputError: it fails, does not give a permutation, changes its argument, or gives different
            results for the same hits. The message names the rule and the hits that broke it.

    >>> check_laws("backwards", lambda hits: hits[::-1])
    >>> check_laws("only_best", lambda hits: hits[:1])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ragctx.errors.InputError: The strategy only_best is no permutation: for ranks 1 2 it gave 1...
    """
    samples = tuple(_samples())
    for hits in samples:
        first, *others = [_try(name, strategy, hits, list(hits)) for _ in range(3)]
        for other in others:
            if other != first:
                raise InputError(
                    f"The strategy {name} is not deterministic: for {_described(hits)} it gave "
                    f"{_ranks(first)}, then {_ranks(other)}. Keep chance, time and state out of it."
                )
    for hits in samples:  # `place` hands over a tuple
        _try(name, strategy, hits, hits)


def check_permutation(name: str, hits: Sequence[Hit], placed: Sequence[Hit]) -> None:
    """Raise InputError unless `placed` are the very hits of `hits`, each once, in any order."""
    if sorted(map(id, placed)) != sorted(map(id, hits)):
        raise InputError(
            f"The strategy {name} is no permutation: for {_described(hits)} it gave "
            f"{_ranks(placed) or 'none'}. Return the very hits it is given, each once."
        )


def _try(
    name: str, strategy: Strategy, hits: tuple[Hit, ...], argument: Sequence[Hit]
) -> tuple[Hit, ...]:
    """Call the strategy with `argument`, the same hits as a list, which it might change, or tuple.

    Raises InputError if the strategy fails, changes its argument, or does not give a permutation.
    """
    try:
        placed = tuple(strategy(argument))
    except Exception as error:
        raise InputError(
            f"The strategy {name} fails for {_described(hits)}, "
            f"given as a {type(argument).__name__}: {type(error).__name__}: {error}. "
            "It must take any sequence of hits, none and one included, and scores that are None."
        ) from error
    if list(map(id, argument)) != list(map(id, hits)):
        raise InputError(
            f"The strategy {name} changes the list it is given: {_described(hits)} became "
            f"{_ranks(argument) or 'none'}. Work on a copy: sorted(hits), not hits.sort()."
        )
    check_permutation(name, hits, placed)
    return placed


_MOST_RANKS = 20  # in a message

_SCORES: tuple[tuple[float | None, ...], ...] = (
    *(tuple(1 / rank for rank in range(1, n + 1)) for n in (0, 1, 2, 3, 4, 7, 10)),
    (0.5,) * 6,
    (-0.5, -3.0, -9.0, -float("inf"), float("nan")),
    (0.9, None, -0.5, None),
)


def _samples() -> Iterator[tuple[Hit, ...]]:
    """Hits of three documents, ranked in another order than that of their texts."""
    for scores in _SCORES:
        yield tuple(_sample(rank, score) for rank, score in enumerate(scores, start=1))


def _sample(rank: int, score: float | None) -> Hit:
    document, start = f"document-{rank % 3}", 100 * (rank * 7 % 11)
    text = f"Passage {rank}."
    chunk = Chunk(
        id=f"{document}:{start}",
        document_id=document,
        start=start,
        end=start + len(text),
        first_page=1,
        last_page=1,
        text=text,
        token_count=3,
    )
    return Hit(rank=rank, score=score, chunk=chunk, document=document)  # type: ignore[arg-type]  # others' hits lack scores


def _described(hits: Sequence[Hit]) -> str:
    return f"ranks {_ranks(hits)}" if hits else "no hits"


def _ranks(hits: Sequence[Hit]) -> str:
    ranks = [str(getattr(hit, "rank", repr(hit))) for hit in hits[:_MOST_RANKS]]
    return " ".join([*ranks, "…"] if len(hits) > _MOST_RANKS else ranks)
