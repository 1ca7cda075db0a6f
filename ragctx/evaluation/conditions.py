"""What a comparison compares: a plan, and the conditions that it consists of.

A *condition* is one way of asking a question. Two conditions of one kind differ in one thing only:
the order of the passages, the slot of the gold one, or the budget.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One way of asking a question, made by `of_placement`, `of_position` or `of_budget`.

    Results, reports and CSV files know a condition by `name`, a path such as "strategy/edges". That
    name is never taken apart: its parts are the fields. A field that does not belong to the kind
    of condition keeps its default.
    """

    name: str  # in results, e.g. "position/20/4"
    label: str  # in tables, e.g. "slot 4 of 20"
    word: str  # in a sentence of a verdict, e.g. "4"
    strategy: str = ""  # of a placement: a name in placement.strategies.STRATEGIES
    seed: int = 0  # of a placement: what the strategy "random" shuffles by
    slot: int = 0  # of a position: where the gold passage is, counted from 0
    budget: int = 0  # of a budget: tokens of the whole prompt

    @classmethod
    def of_placement(cls, strategy: str, seed: int | None = None) -> Condition:
        """The passages in the order of a strategy; with a `seed`, one random order of several.

        >>> Condition.of_placement("edges").name, Condition.of_placement("random", 1).name
        ('strategy/edges', 'strategy/random#1')
        """
        word = strategy if seed is None else f"{strategy}#{seed}"
        name = f"strategy/{word}"
        return cls(name=name, label=word, word=word, strategy=strategy, seed=seed or 0)

    @classmethod
    def of_position(cls, passages: int, slot: int) -> Condition:
        """The gold passage in one slot among `passages`.

        >>> Condition.of_position(20, 4).name, Condition.of_position(20, 4).label
        ('position/20/4', 'slot 4 of 20')
        """
        name = f"position/{passages}/{slot}"
        return cls(name=name, label=f"slot {slot} of {passages}", word=str(slot), slot=slot)

    @classmethod
    def of_budget(cls, tokens: int) -> Condition:
        """As many passages as fit into a prompt of `tokens` tokens.

        >>> Condition.of_budget(1024).name, Condition.of_budget(1024).label
        ('budget/1024', '1,024 tokens')
        """
        name = f"budget/{tokens}"
        return cls(name=name, label=f"{tokens:,} tokens", word=str(tokens), budget=tokens)


CLOSED_BOOK = Condition(name="control/closed_book", label="closed book", word="closed_book")
"""No passage at all: what the model knows by itself."""
GOLD_ONLY = Condition(name="control/gold_only", label="gold only", word="gold_only")
"""The gold passage alone: what the model reads where nothing distracts it."""
CONTROLS = (CLOSED_BOOK, GOLD_ONLY)
"""Conditions that are reported beside the placements and tested against none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be compared. Empty tuples leave a part out."""

    strategies: tuple[str, ...] = ()
    random_seeds: tuple[int, ...] = (0, 1, 2)  # of the strategy "random", each its own condition
    controls: bool = True  # closed book, and the gold passage alone
    k: int = 20  # candidates of the strategies and budgets
    position_passages: tuple[int, ...] = ()
    slots: int = 5
    budgets: tuple[int, ...] = ()  # tokens of the whole prompt
    budget_strategy: str = "edges"

    @property
    def placements(self) -> tuple[Condition, ...]:
        """The strategies in the order in which they are reported: random orders come last."""
        named = [Condition.of_placement(name) for name in self.strategies if name != "random"]
        seeds = self.random_seeds if "random" in self.strategies else ()
        return (*named, *(Condition.of_placement("random", seed) for seed in seeds))

    @property
    def budget_conditions(self) -> tuple[Condition, ...]:
        """The budgets, in the order of `budgets`."""
        return tuple(Condition.of_budget(tokens) for tokens in self.budgets)

    @property
    def most_passages(self) -> int:
        """The number of candidates that the most demanding part of the plan needs."""
        return max(self.k, *self.position_passages, 1)


def slots_of(passages: int, slots: int) -> tuple[int, ...]:
    """Slots of a sweep, counted from 0: the first, the last, and equal steps between.

    >>> slots_of(20, 5), slots_of(10, 3), slots_of(3, 5)
    ((0, 4, 9, 14, 19), (0, 4, 9), (0, 1, 2))
    """
    if slots >= passages:
        return tuple(range(passages))
    return tuple(i * (passages - 1) // max(1, slots - 1) for i in range(slots))


def position_conditions(passages: int, slots: int) -> tuple[Condition, ...]:
    """The gold passage in each of `slots` slots among `passages`, first to last."""
    return tuple(Condition.of_position(passages, slot) for slot in slots_of(passages, slots))


def budgets_up_to(largest: int, least: int = 256) -> tuple[int, ...]:
    """Budgets in tokens that double from `least`, and `largest` itself.

    >>> budgets_up_to(1500)
    (256, 512, 1024, 1500)
    """
    doublings = max(0, largest // least).bit_length()
    doubled = [least * 2**i for i in range(doublings)]
    return (*(budget for budget in doubled if budget < largest), largest)
