"""A grid: every combination of some choices, each with all that it takes to ask it.

What is chosen (a retriever, a number of passages, a size of chunks, ...) is data: a cell says which
source its candidates come from, how many of them are used, and how the prompt is assembled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ragctx.assembly import Assembly
from ragctx.evaluation.candidates import Source
from ragctx.evaluation.conditions import Condition
from ragctx.evaluation.results import GridAxis


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """One combination: a value of each axis, and how it is asked."""

    condition: Condition
    values: tuple[str, ...]
    source: Source
    k: int  # candidates
    assembly: Assembly


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Axes and all their combinations; the first is the one that all others are compared with."""

    axes: tuple[GridAxis, ...]
    cells: tuple[GridCell, ...]


def combinations_of(axes: Sequence[GridAxis]) -> list[tuple[str, ...]]:
    """Every combination of the axes' values, the last axis changing fastest.

    >>> one, other = GridAxis(name="k", values=("5", "20")), GridAxis(name="mmr", values=("0", "1"))
    >>> combinations_of([one, other])
    [('5', '0'), ('5', '1'), ('20', '0'), ('20', '1')]
    """
    return list(product(*(axis.values for axis in axes)))


def condition_of(axes: Sequence[GridAxis], values: Sequence[str]) -> Condition:
    """The condition of a combination.

    >>> axes = [GridAxis(name="retriever", values=("dense",)), GridAxis(name="k", values=("5",))]
    >>> condition_of(axes, ("dense", "5")).name, condition_of(axes, ("dense", "5")).label
    ('grid/retriever=dense/k=5', 'retriever dense, k 5')
    """
    named = [(axis.name, value) for axis, value in zip(axes, values, strict=True)]
    label = ", ".join(f"{name} {value}" for name, value in named)
    path = "/".join(f"{name}={value}" for name, value in named)
    return Condition(name=f"grid/{path}", label=label, word=label)
