"""What to do after a comparison, in a sentence or two that say no more than its tests do. Pure.

Advice follows from tested differences only (paired, corrected, as the verdicts claim them); where
nothing was found, from how large a difference would have been found. Parts whose questions are too
few are named as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragctx.evaluation.numbers import plain_points
from ragctx.evaluation.results import (
    BudgetSweep,
    GridComparison,
    Omnibus,
    PairTest,
    PositionSweep,
    Power,
    StrategyComparison,
    Summary,
)
from ragctx.evaluation.verdicts import ALPHA, too_few, unseen_words

Part = StrategyComparison | PositionSweep | BudgetSweep | GridComparison
"""A part of a comparison, with tests of its own."""


@dataclass(frozen=True, slots=True)
class _Advice:
    """What to do about one part; `says` is "" where its questions are too few to tell."""

    about: str  # in the plural, e.g. "placements"
    says: str
    power: Power | None  # where something may have gone unseen


def recommendation(parts: Sequence[Part], *, questions: int, synthetic: int, model: str) -> str:
    """The recommendation, and what it cannot tell; "" where nothing was compared.

    `questions` were asked, `synthetic` of them made from the documents.
    """
    advice = [one for part in parts if part.omnibus and (one := _advice(part, part.omnibus))]
    if not advice:
        return ""
    asked = f"{questions:,} {'synthetic ' if synthetic == questions else ''}questions"
    if 0 < synthetic < questions:
        asked += f" ({synthetic:,} of them synthetic)"
    told = [one.says for one in advice if one.says]
    sentences = [f"For {model} and these {asked}: {'; '.join(told)}."] if told else []
    untold = [one for one in advice if not one.says]
    if untold:
        sentences.append(_untold(untold, f"these {asked}" if told else f"{model}, these {asked}"))
    limits = [
        f"{plain_points(one.power.detectable_difference)} between {one.about}"
        for one in advice
        if one.says and one.power and one.power.detectable_difference is not None
    ]
    if limits:
        sentences.append(
            f"It cannot tell differences below {_listed(limits)}, nor how other questions would do."
        )
    return " ".join(sentences)


def _untold(advice: Sequence[_Advice], who: str) -> str:
    """That the questions are too few, and how many would do."""
    powers = [one.power for one in advice if one.power]
    most = max(powers, key=lambda power: power.detectable_difference or 2.0)
    needed = max((power.questions_for_5_points or 0 for power in powers), default=0)
    more = f"; about {needed:,} would show 5 points" if needed else ""
    lead = "" if who.startswith("these") else "For "
    sentence = (
        f"{lead}{who} are too few to tell {_listed([one.about for one in advice])} apart: "
        f"{unseen_words(most)}{more}."
    )
    return sentence[:1].upper() + sentence[1:]


def _listed(names: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _advice(part: Part, omnibus: Omnibus) -> _Advice | None:
    if isinstance(part, PositionSweep):
        return _of_positions(part, omnibus)
    if isinstance(part, BudgetSweep):
        return _of_budgets(part, omnibus)
    if isinstance(part, GridComparison):
        return _of_choice(part, omnibus, "combinations", "use")
    return _of_choice(part, omnibus, "placements", "place by")


def _of_choice(
    part: StrategyComparison | GridComparison, omnibus: Omnibus, about: str, verb: str
) -> _Advice:
    """The choice that beats the base, or that any will do, or which will not."""
    labels = {summary.condition: summary.label for summary in part.summaries}
    if not _differ(omnibus):
        if part.power and too_few(part.power):
            return _Advice(about, "", part.power)
        return _Advice(about, _any_will_do(part, about, omnibus), part.power)
    base = labels[part.pairs[0].second]
    better = [pair for pair in part.pairs if pair.significant and pair.difference.value > 0]
    worse = [pair for pair in part.pairs if pair.significant and pair.difference.value < 0]
    if better:
        best = max(better, key=lambda pair: pair.difference.value)
        return _Advice(about, f"{verb} {labels[best.first]}, which beats {base}", None)
    if worse:
        losers = _listed([labels[pair.first] for pair in worse])
        return _Advice(about, f"{verb} {base}, not {losers}", part.power)
    return _Advice(about, f"{verb} {base}: nothing measurably beats it", part.power)


def _any_will_do(part: StrategyComparison | GridComparison, about: str, omnibus: Omnibus) -> str:
    if isinstance(part, StrategyComparison):
        return "any placement will do"
    tokens = [summary.mean_prompt_tokens for summary in part.summaries]
    shortest = part.summaries[tokens.index(min(tokens))]
    words = f"any of the {len(omnibus.conditions)} {about} will do"
    if max(tokens) - min(tokens) < 1:
        return words
    return f"{words}, and {shortest.label} takes the fewest tokens"


def _of_budgets(part: BudgetSweep, omnibus: Omnibus) -> _Advice:
    """The smallest budget from which on none is measurably worse than the largest."""
    about = "budgets"
    if not _differ(omnibus) and part.power and too_few(part.power):
        return _Advice(about, "", part.power)
    tested = {pair.first: pair for pair in part.pairs if _differ(omnibus) and pair.significant}
    better = [pair for pair in tested.values() if pair.difference.value > 0]
    if better:
        best = max(better, key=lambda pair: pair.difference.value)
        budget = part.budgets[_place(part.summaries, best)]
        return _Advice(about, f"{budget:,} tokens beat {part.budgets[-1]:,}", None)
    worse = [_place(part.summaries, pair) for pair in tested.values()]
    enough = part.budgets[max(worse, default=-1) + 1]
    if enough == part.budgets[-1]:
        return _Advice(about, f"{enough:,} tokens are needed, and more may help", None)
    return _Advice(about, f"{enough:,} tokens are enough", part.power)


def _place(summaries: Sequence[Summary], pair: PairTest) -> int:
    return [summary.condition for summary in summaries].index(pair.first)


def _of_positions(part: PositionSweep, omnibus: Omnibus) -> _Advice:
    about = f"positions among {part.passages} passages"
    if _differ(omnibus):
        advice = (
            f"among {part.passages} passages it matters where the answer stands, so try "
            "--placement calibrated after ragctx probe"
        )
        return _Advice(about, advice, None)
    if part.power and too_few(part.power):
        return _Advice(about, "", part.power)
    return _Advice(
        about, f"among {part.passages} passages the answer may stand anywhere", part.power
    )


def _differ(omnibus: Omnibus) -> bool:
    return omnibus.p_value < ALPHA
