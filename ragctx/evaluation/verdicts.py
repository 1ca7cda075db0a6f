"""What a comparison found, in a sentence that claims no more than the tests do. Pure.

A difference is claimed only where the omnibus test rejects *and* the pair's own test does, after
Holm's correction. Where nothing is found, the sentence names the difference that would have been;
where not even a large one would have been, it says that the questions are too few to tell.

The tests name conditions by `Condition.name`; `conditions` gives each by that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ragctx.evaluation.numbers import bare_percent, plain_p, plain_points, plain_range
from ragctx.evaluation.results import Omnibus, PairTest, Power, Spread, Summary

if TYPE_CHECKING:
    from ragctx.evaluation.conditions import Condition

ALPHA = 0.05
"""The level of significance of every test: the usual convention."""
LARGE_DIFFERENCE = 0.2
"""What "Lost in the Middle" (Liu et al. 2023) found between the best and the worst slot, roughly. A
run that could not have seen as much does not say that there is no measurable difference."""
_MOST_NAMED = 3  # differences named in one sentence, the largest first; chosen by hand


def strategy_verdict(
    omnibus: Omnibus | None,
    pairs: Sequence[PairTest],
    power: Power | None,
    shares: Mapping[str, float],
    conditions: Mapping[str, Condition],
    *,
    n: int,
    what: str = "placements",
) -> str:
    """Do the placements differ? `shares` holds the accuracy of each, at least one.

    `n` is the number of questions that they are shares of; `what` are the conditions, in the
    plural.
    """
    if omnibus is None:
        return _only_one(shares, conditions, n)
    if omnibus.p_value >= ALPHA:
        if power is not None and too_few(power):
            return _too_few(power, f"{len(omnibus.conditions)} {what}", omnibus)
        return f"No measurable difference between {len(omnibus.conditions)} {what} " + _nothing(
            omnibus, power
        )
    significant = sorted(
        (pair for pair in pairs if pair.significant), key=lambda pair: -abs(pair.difference.value)
    )
    if not significant:
        baseline = conditions[pairs[0].second].word
        return (
            f"The {what} differ ({_q(omnibus)}), but none of them measurably from "
            f"{baseline}{_detectable(power)}."
        )
    named = "; ".join(_pair_words(pair, conditions) for pair in significant[:_MOST_NAMED])
    return f"{named}{_others_words(len(significant) - _MOST_NAMED)} ({_q(omnibus)})."


def position_verdict(
    passages: int,
    omnibus: Omnibus | None,
    spread: Spread | None,
    power: Power | None,
    conditions: Mapping[str, Condition],
) -> str:
    """Does it matter which slot the gold passage takes?"""
    if omnibus is None or spread is None:
        return f"With {passages} passages only one slot was asked: there is nothing to compare."
    if omnibus.p_value >= ALPHA:
        if power is not None and too_few(power):
            slots = f"{len(omnibus.conditions)} slots of the gold passage"
            return f"With {passages} passages, {_too_few(power, slots, omnibus)}"
        return (
            f"With {passages} passages, no measurable difference between "
            f"{len(omnibus.conditions)} slots of the gold passage " + _nothing(omnibus, power)
        )
    best, worst = conditions[spread.best].slot, conditions[spread.worst].slot
    return (
        f"With {passages} passages it matters where the gold one stands: best in slot "
        f"{best}, worst in slot {worst}, {plain_points(spread.value)} apart "
        f"(95 % interval {plain_range(spread.low, spread.high)}; chance alone gives "
        f"{plain_points(spread.expected_by_chance)}; {_q(omnibus)})."
    )


def budget_verdict(
    summaries: Sequence[Summary],
    omnibus: Omnibus | None,
    pairs: Sequence[PairTest],
    power: Power | None,
    conditions: Mapping[str, Condition],
) -> str:
    """From which budget on do more tokens not measurably help?

    `summaries` are of the budgets in ascending order; `pairs` test each against the largest.
    """
    if omnibus is None:
        return "Only one budget was asked: there is nothing to compare."
    budgets = [conditions[summary.condition].budget for summary in summaries]
    claimed = [pair for pair in pairs if omnibus.p_value < ALPHA and pair.significant]
    better = [pair for pair in claimed if pair.difference.value > 0]
    worse = [pair for pair in claimed if pair.difference.value < 0]
    if better:
        best = max(better, key=lambda pair: pair.difference.value)
        tokens = {summary.condition: summary.mean_prompt_tokens for summary in summaries}
        largest = summaries[-1].condition
        return (
            f"{conditions[best.first].budget:,} tokens beat the largest budget by "
            f"{_difference(best)}, with {tokens[best.first]:,.0f} prompt tokens in the mean "
            f"instead of {tokens[largest]:,.0f} ({_q(omnibus)})."
        )
    if not worse:
        if power is not None and too_few(power):
            span = f"{len(budgets)} budgets, {budgets[0]:,} to {budgets[-1]:,} tokens,"
            return _too_few(power, span, omnibus)
        return (
            f"No measurable difference between {len(budgets)} budgets, {budgets[0]:,} to "
            f"{budgets[-1]:,} tokens " + _nothing(omnibus, power)
        )
    worse_budgets = {conditions[pair.first].budget for pair in worse}
    enough = next(budget for budget in budgets if budget not in worse_budgets)
    largest_worse = max(worse, key=lambda pair: conditions[pair.first].budget)
    if enough == budgets[-1]:
        return (
            f"Every smaller budget is worse; {_pair_words(largest_worse, conditions)} "
            f"({_q(omnibus)})."
        )
    return (
        f"{enough:,} tokens are not measurably worse than {budgets[-1]:,}; "
        f"{_pair_words(largest_worse, conditions)} ({_q(omnibus)}){_detectable(power)}."
    )


def too_few(power: Power) -> bool:
    """Whether a run could not have seen even a large difference."""
    least = power.detectable_difference
    return least is None or least > LARGE_DIFFERENCE


def unseen_words(power: Power) -> str:
    """What a run with too few questions would not have seen, as the end of a sentence."""
    if power.detectable_difference is None:
        return "no difference, however large, would be seen"
    return f"a difference below {plain_points(power.detectable_difference)} would not be seen"


def _too_few(power: Power, what: str, omnibus: Omnibus) -> str:
    return (
        f"{power.n} questions are too few to tell {what} apart: {unseen_words(power)} with 80 % "
        f"power ({_q(omnibus)})."
    )


def _only_one(shares: Mapping[str, float], conditions: Mapping[str, Condition], n: int) -> str:
    name, share = next(iter(shares.items()))
    right = f"{bare_percent(share)} % of {n:,} questions"
    return f"Only {conditions[name].word} was asked: {right} right; there is nothing to compare."


def _nothing(omnibus: Omnibus, power: Power | None) -> str:
    return f"({_q(omnibus)}){_detectable(power)}."


def _detectable(power: Power | None) -> str:
    """What difference would have been seen, as the end of a sentence."""
    if power is None:
        return ""
    if power.detectable_difference is None:
        return f"; {power.n} questions are too few to show any difference with 80 % power"
    return (
        f"; with {power.n} questions a difference of {plain_points(power.detectable_difference)} "
        "would have been seen with 80 % power"
    )


def _others_words(others: int) -> str:
    if others < 1:
        return ""
    return "; 1 more differs" if others == 1 else f"; {others} more differ"


def _pair_words(pair: PairTest, conditions: Mapping[str, Condition]) -> str:
    first, second = conditions[pair.first].word, conditions[pair.second].word
    better = "better" if pair.difference.value > 0 else "worse"
    return f"{first} is {better} than {second} by {_difference(pair)}"


def _difference(pair: PairTest) -> str:
    low, high = sorted((abs(pair.difference.low), abs(pair.difference.high)))
    if pair.difference.low < 0 < pair.difference.high:  # the exact test and the bootstrap disagree
        low = -low
    return (
        f"{plain_points(abs(pair.difference.value))} (95 % interval {plain_range(low, high)}, "
        f"p = {plain_p(pair.p_adjusted)} after Holm's correction)"
    )


def _q(omnibus: Omnibus) -> str:
    return f"Cochran's Q: p = {plain_p(omnibus.p_value)}, n = {omnibus.n}"
