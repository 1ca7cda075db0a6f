"""Put the selected hits in prompt order, by name or by a function. Pure: a permutation, no more.

`STRATEGIES` has the names; the functions are in `placement.orders` and, for the orders of other
packages, in `placement.compat`. A strategy of your own is a function from hits in rank order to the
same hits in prompt order: pass it to `place` as it is, or `register` it under a name.

>>> def worst_last_but_one(hits):
...     return (*hits[:-2], *reversed(hits[-2:]))
>>> mine = register("worst_last_but_one", worst_last_but_one)
>>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3, 4)]
>>> [hit.rank for hit in place(hits, "worst_last_but_one", strategies=mine).hits]
[1, 2, 4, 3]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from ragctx.arguments import require_function, require_kind
from ragctx.errors import InputError
from ragctx.placement.compat import autorag, haystack, langchain, llama_index, llmlingua
from ragctx.placement.laws import Strategy, check_laws, check_permutation
from ragctx.placement.orders import (
    PositionProfile,
    best_first,
    best_last,
    calibrated,
    document_order,
    edges,
    edges_end,
    middle,
    shuffled,
)
from ragctx.records import Hit, Placement, Selection

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "best_first": best_first,
        "best_last": best_last,
        "edges": edges,
        "edges_end": edges_end,
        "middle": middle,
        "document_order": document_order,
        "random": shuffled,  # with seed 0; `place` passes its own
        "calibrated": edges,  # as without a profile; `place` uses `calibrated` if it has one
        "langchain": langchain,
        "llama_index": llama_index,
        "haystack": haystack,
        "llmlingua": llmlingua,
        "autorag": autorag,
    }
)
"""The strategies by name. It never changes; `register` gives a copy with one more."""


def place(
    hits: Selection | Sequence[Hit],
    strategy: str | Strategy = "edges",
    *,
    seed: int = 0,
    profile: PositionProfile | None = None,
    strategies: Mapping[str, Strategy] = STRATEGIES,
) -> Placement:
    """Put the selected hits in prompt order.

    Args:
        hits: a selection or its hits, in any order: their ranks decide.
        strategy: a name in `strategies`, or a function of your own.
        seed: for "random"; the same seed gives the same order on every machine.
        profile: for "calibrated"; without a significant one it is "edges", and `note` tells so.
        strategies: the names to choose from, e.g. from `register`.

    Raises:
        InputError: the name is unknown, or the function's result is not a permutation.

    >>> hits = [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in (1, 2, 3, 4, 5, 6)]
    >>> [hit.rank for hit in place(hits).hits]
    [1, 3, 5, 6, 4, 2]
    >>> [hit.rank for hit in place(hits, lambda hits: [*hits[3:], *hits[:3]]).hits]
    [4, 5, 6, 1, 2, 3]
    """
    chosen = hits.selected if isinstance(hits, Selection) else hits
    ranked = tuple(sorted(_all_hits("hits", chosen), key=lambda hit: hit.rank))
    name, order, note = _resolve(strategy, seed, profile, strategies)
    placed = _all_hits(f"what the strategy {name} gave", order(ranked))
    check_permutation(name, ranked, placed)
    return Placement(name, placed, note)


def register(
    name: str, strategy: Strategy, strategies: Mapping[str, Strategy] = STRATEGIES
) -> Mapping[str, Strategy]:
    """`strategies` and one more, as a new mapping for `place`. Nothing global changes.

    Args:
        name: letters, digits and underscores, not beginning with a digit; not taken yet.
        strategy: hits in rank order -> the same hits in prompt order. It is tried out here.
        strategies: the mapping to add to.

    Raises:
        InputError: the name is invalid or taken, or the function breaks a rule (`check_laws`); the
            message tells which rule, and for which hits.
    """
    require_kind("name", name, str, "the order is register(name, strategy)")
    if not name.isidentifier():
        raise InputError(f"{name!r} cannot name a strategy. Use letters, digits and underscores.")
    if name in strategies:
        raise InputError(f"There is a strategy {name!r} already. Choose another name.")
    check_laws(name, strategy)
    return MappingProxyType({**strategies, name: strategy})


def _all_hits(name: str, hits: Iterable[Hit]) -> tuple[Hit, ...]:
    require_kind(name, hits, Iterable, "give a list of hits")
    found = tuple(hits)
    for hit in found:
        require_kind(f"one of {name}", hit, Hit, "give hits; Hit.from_text makes one of a text")
    return found


def _resolve(
    strategy: str | Strategy,
    seed: int,
    profile: PositionProfile | None,
    strategies: Mapping[str, Strategy],
) -> tuple[str, Strategy, str]:
    """The name and the function to use, and a note if that is not quite what was asked for."""
    if not isinstance(strategy, str):
        require_function(
            "placement", strategy, f"give a function of hits, or {', '.join(strategies)}"
        )
        return getattr(strategy, "__name__", type(strategy).__name__), strategy, ""
    if strategy not in strategies:
        raise InputError(f"No placement is called {strategy!r}. Valid: {', '.join(strategies)}.")
    if strategy == "random":
        return strategy, partial(shuffled, seed=seed), ""
    if strategy == "autorag":
        return strategy, autorag, "the copy of the best passage that AutoRAG appends is left out"
    if strategy != "calibrated":
        return strategy, strategies[strategy], ""
    if profile is None:
        return "edges", edges, "edges instead of calibrated: no position profile was given"
    require_kind("profile", profile, PositionProfile, "give a PositionProfile")
    if not profile.significant:
        note = f"edges instead of calibrated: the profile of {profile.model} is not significant"
        return "edges", edges, note
    return strategy, partial(calibrated, profile=profile), ""
