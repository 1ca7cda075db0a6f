"""What a comparison found, in a sentence that claims no more than the tests do. Pure.

A difference is claimed only where the omnibus test rejects *and* the pair's own test does, after
Holm's correction. Where nothing is found, the sentence says what would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragctx.evaluation.results import Omnibus, PairTest, Power, Spread, Summary

ALPHA = 0.05
_NAMED = 3  # differences named in one sentence, the largest first


def strategy_verdict(
    omnibus: Omnibus | None,
    pairs: Sequence[PairTest],
    power: Power | None,
    shares: Mapping[str, float],
) -> str:
    """Do the placements differ?"""
    if omnibus is None:
        (only, share), *_ = [*shares.items(), ("", 0.0)]
        return (
            f"Only {_name(only)} was asked: {_percent(share)} right; there is nothing to compare."
        )
    if omnibus.p_value >= ALPHA:
        return f"No measurable difference between {len(omnibus.conditions)} placements " + _none(
            omnibus, power
        )
    found = sorted(
        (pair for pair in pairs if pair.significant), key=lambda pair: -abs(pair.difference.value)
    )
    if not found:
        return (
            f"The placements differ ({_q(omnibus)}), but none of them measurably from "
            f"{_name(pairs[0].second)}{_would(power)}."
        )
    others = len(found) - _NAMED
    more = f"; {others} more differ{'s' * (others == 1)}" if others > 0 else ""
    return f"{'; '.join(map(_pair_words, found[:_NAMED]))}{more} ({_q(omnibus)})."


def position_verdict(
    passages: int, omnibus: Omnibus | None, spread: Spread | None, power: Power | None
) -> str:
    """Does it matter where the gold passage stands?"""
    if omnibus is None or spread is None:
        return f"With {passages} passages only one slot was asked: there is nothing to compare."
    if omnibus.p_value >= ALPHA:
        return (
            f"With {passages} passages, no measurable difference between "
            f"{len(omnibus.conditions)} slots of the gold passage " + _none(omnibus, power)
        )
    return (
        f"With {passages} passages it matters where the gold one stands: best in slot "
        f"{_name(spread.best)}, worst in slot {_name(spread.worst)}, {_points(spread.value)} apart "
        f"(95 % interval {100 * spread.low:.1f} to {100 * spread.high:.1f}; chance alone gives "
        f"{_points(spread.expected_by_chance)}; {_q(omnibus)})."
    )


def budget_verdict(
    budgets: Sequence[int],
    summaries: Sequence[Summary],
    omnibus: Omnibus | None,
    pairs: Sequence[PairTest],
    power: Power | None,
) -> str:
    """From which budget on do more tokens not measurably help?"""
    if omnibus is None:
        return "Only one budget was asked: there is nothing to compare."
    differ = omnibus.p_value < ALPHA
    better = [p for p in pairs if differ and p.significant and p.difference.value > 0]
    if better:
        best = max(better, key=lambda pair: pair.difference.value)
        tokens = summaries[len(budgets) - 1].mean_prompt_tokens
        own = summaries[budgets.index(int(_name(best.first)))].mean_prompt_tokens
        return (
            f"{_tokens(best.first)} beat the largest budget by {_difference(best)}, with "
            f"{own:,.0f} prompt tokens in the mean instead of {tokens:,.0f} ({_q(omnibus)})."
        )
    worse = [pair for pair in pairs if differ and pair.significant and pair.difference.value < 0]
    if not worse:
        return (
            f"No measurable difference between {len(budgets)} budgets, {budgets[0]:,} to "
            f"{budgets[-1]:,} tokens " + _none(omnibus, power)
        )
    enough = next(b for b in budgets if f"budget/{b}" not in {pair.first for pair in worse})
    last = max(worse, key=lambda pair: int(_name(pair.first)))
    if enough == budgets[-1]:
        return f"Every smaller budget is worse; {_pair_words(last)} ({_q(omnibus)})."
    return (
        f"{enough:,} tokens are not measurably worse than {budgets[-1]:,}; "
        f"{_pair_words(last)} ({_q(omnibus)}){_would(power)}."
    )


def _none(omnibus: Omnibus, power: Power | None) -> str:
    return f"({_q(omnibus)}){_would(power)}."


def _would(power: Power | None) -> str:
    if power is None:
        return ""
    if power.detectable_difference is None:
        return f"; {power.n} questions are too few to show any difference with 80 % power"
    return (
        f"; with {power.n} questions a difference of {_points(power.detectable_difference)} would "
        "have been seen with 80 % power"
    )


def _pair_words(pair: PairTest) -> str:
    first, second = _name(pair.first), _name(pair.second)
    better = "better" if pair.difference.value > 0 else "worse"
    return f"{first} is {better} than {second} by {_difference(pair)}"


def _difference(pair: PairTest) -> str:
    low, high = sorted((abs(pair.difference.low), abs(pair.difference.high)))
    if pair.difference.low < 0 < pair.difference.high:  # the exact test and the bootstrap disagree
        low = -low
    return (
        f"{_points(abs(pair.difference.value))} (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}, p = {_p(pair.p_adjusted)} after Holm's correction)"
    )


def _q(omnibus: Omnibus) -> str:
    return f"Cochran's Q: p = {_p(omnibus.p_value)}, n = {omnibus.n}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.0001 else f"{value:.0e}"


def _points(share: float) -> str:
    """A share as percentage points.

    >>> _points(0.053), _points(0.01)
    ('5.3 points', '1.0 point')
    """
    return f"{100 * share:.1f} point{'s' * (abs(share) != 0.01)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _tokens(condition: str) -> str:
    return f"{int(_name(condition)):,} tokens"


def _name(condition: str) -> str:
    """The last part of a condition's path."""
    return condition.rsplit("/", 1)[-1]
