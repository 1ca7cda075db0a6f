"""The sentences and tables of a report, the same ones in every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragctx.evaluation.numbers import (
    MINUS,
    UNKNOWN,
    bare_percent,
    money,
    p_clause,
    p_words,
    percent,
    plain_range,
    points,
    points_range,
    seconds,
    share_range,
    signed_seconds,
)
from ragctx.evaluation.results import (
    AgainstRun,
    BudgetSweep,
    GridComparison,
    Omnibus,
    PairTest,
    PositionSweep,
    Power,
    Result,
    Settings,
    Spread,
    StrategyComparison,
    Summary,
)
from ragctx.evaluation.verdicts import ALPHA, too_few, unseen_words

Label = Callable[[str], str]
"""What to call the condition of a given name."""
_MOST_PATHS = 40  # PDFs named in the settings; chosen by hand
Part = StrategyComparison | PositionSweep | BudgetSweep | GridComparison
"""A part of a comparison."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text. The columns after the first hold numbers, aligned to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


# ---- Sentences -------------------------------------------------------------------------------


def headline(result: Result) -> str:
    """One sentence about which choices made a measurable difference, and which did not."""
    parts: list[tuple[str, Part]] = [
        *((_positions_words(same), same[0]) for same in _by_finding(result.positions)),
        *((("placements", result.strategies),) if result.strategies else ()),
        *((("budgets", result.budgets),) if result.budgets else ()),
        *(((grid_words(result.grid), result.grid),) if result.grid else ()),
    ]
    tested = [(name, part, part.omnibus) for name, part in parts if part.omnibus]
    differ = [name for name, _, omnibus in tested if _differs(omnibus)]
    alike = [(name, part.power) for name, part, omnibus in tested if not _differs(omnibus)]
    same = [f"between {name}" for name, power in alike if not (power and too_few(power))]
    unseen = [(name, power) for name, power in alike if power and too_few(power)]
    findings = [f"{_listed(differ, 'and')} differ measurably"] if differ else []
    if same:
        findings.append(f"no measurable difference {_listed(same, 'or')}")
    if unseen:
        findings.append(_too_few_words(unseen, alone=not findings))
    if not findings:
        return "Nothing to compare: only one way was asked."
    headline = "; ".join(findings)
    return f"{headline[0].upper()}{headline[1:]}."


def grid_words(grid: GridComparison) -> str:
    """What a grid compares, e.g. "combinations of retriever and k"."""
    return f"combinations of {_listed([axis.name for axis in grid.axes], 'and')}"


def _too_few_words(unseen: Sequence[tuple[str, Power]], *, alone: bool) -> str:
    """That the questions are too few, about everything or only about what is named."""
    names = "" if alone else f" about {_listed([name for name, _ in unseen], 'and')}"
    most = max(
        (power for _, power in unseen),
        key=lambda power: (power.detectable_difference is None, power.detectable_difference or 0.0),
    )
    return f"{most.n:,} questions are too few to tell{names}: {unseen_words(most)}"


def _differs(omnibus: Omnibus) -> bool:
    return omnibus.p_value < ALPHA


def _by_finding(sweeps: Sequence[PositionSweep]) -> list[list[PositionSweep]]:
    """The sweeps that found a difference, and those that found none; no empty list."""
    tested = [(sweep, _differs(sweep.omnibus)) for sweep in sweeps if sweep.omnibus]
    different = [sweep for sweep, differs in tested if differs]
    alike = [sweep for sweep, differs in tested if not differs]
    unseen = [sweep for sweep in alike if sweep.power and too_few(sweep.power)]
    seen = [sweep for sweep in alike if sweep not in unseen]
    return [sweeps for sweeps in (different, seen, unseen) if sweeps]


def _positions_words(sweeps: Sequence[PositionSweep]) -> str:
    return f"positions among {_listed([str(sweep.passages) for sweep in sweeps], 'or')} passages"


def _listed(names: Sequence[str], last: str) -> str:
    """Names as an enumeration: "a, b or c"."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def omnibus_words(omnibus: Omnibus) -> str:
    """The result of Cochran's Q as a sentence."""
    return (
        f"Cochran’s Q({omnibus.degrees_of_freedom}) = {omnibus.statistic:.2f}, "
        f"{p_clause(omnibus.p_value)}, over {omnibus.n:,} questions."
    )


def spread_words(spread: Spread, label: Label) -> str:
    """Best minus worst against what chance alone gives, as sentences."""
    return (
        f"Best minus worst: {bare_percent(spread.value)} points ({label(spread.best)} over "
        f"{label(spread.worst)}; interval {plain_range(spread.low, spread.high)}). "
        f"Chance alone would give {bare_percent(spread.expected_by_chance)}; "
        f"{p_clause(spread.p_value)}."
    )


def power_words(power: Power) -> str:
    """How large a difference this many questions can show, as sentences."""
    if power.detectable_difference is None:
        can = f"{power.n:,} questions are too few to show any difference"
    else:
        least = bare_percent(power.detectable_difference)
        can = f"{power.n:,} questions show a difference of {least} points or more"
    need = ""
    if power.questions_for_5_points is not None:
        need = f"; for 5 points {power.questions_for_5_points:,} would be needed"
    return (
        f"{can} (80 % power){need}. Two conditions disagree on {percent(power.discordant)} "
        "of the questions."
    )


READING = (
    "Correct: an accepted answer stands in what was said, case, articles and punctuation aside "
    "(best-subspan exact match, Liu et al. 2023); a question without an answer must be refused.",
    "Exact match and token F1 are those of SQuAD (Rajpurkar et al. 2016).",
    "Differences are paired: the same questions under both conditions. p is McNemar’s exact test, "
    "adjusted by Holm over the family of tests it belongs to; significant means below 0.05.",
    "Cochran’s Q asks whether any of the conditions differ. Best minus worst is above zero by "
    "chance alone, so it is compared with what permuting each question’s outcomes gives.",
    "Times are medians over the same questions, with intervals by order statistics; times of a run "
    "that reuses what it has read are not compared.",
    "No significant difference is no proof of equality: look at the interval, and at the "
    "difference that so many questions can show.",
)
"""How to read the numbers, a line each."""


def synthetic_words(result: Result) -> str:
    """A notice that some questions were made, not asked by people; "" if none was."""
    synthetic = sum(question.synthetic for question in result.questions)
    if not synthetic:
        return ""
    return (
        f"{synthetic:,} of {len(result.questions):,} questions are synthetic: made from sentences "
        "of the documents, not asked by people. They show whether the passage that tells is found "
        "and read; they are no measure of answering real questions."
    )


# ---- Tables ----------------------------------------------------------------------------------


def labels_of(result: Result) -> dict[str, str]:
    """The label of each condition, by its name."""
    return {summary.condition: summary.label for summary in summaries_of(result)}


def summaries_of(result: Result) -> tuple[Summary, ...]:
    """The summaries of every condition, in the order in which they are reported."""
    strategies = result.strategies.summaries if result.strategies else ()
    budgets = result.budgets.summaries if result.budgets else ()
    positions = (summary for sweep in result.positions for summary in sweep.summaries)
    grid = result.grid.summaries if result.grid else ()
    return (*strategies, *positions, *budgets, *grid)


def accuracy_table(caption: str, summaries: tuple[Summary, ...], settings: Settings) -> TextTable:
    """Accuracy and tokens, a row per condition."""
    columns = (
        "condition",
        "questions",
        "correct",
        f"{confidence_words(settings)} interval",
        "exact match",
        "token F1",
        "prompt tokens",
    )
    rows = tuple(
        (
            s.label,
            f"{s.n:,}",
            percent(s.correct.value),
            share_range(s.correct),
            percent(s.exact_match.value),
            percent(s.token_f1.value),
            f"{s.mean_prompt_tokens:,.0f}",
        )
        for s in summaries
    )
    return TextTable(caption, columns, rows)


def latency_table(part: BudgetSweep, label: Label) -> TextTable:
    """The time of a question by budget, and how it differs from that of the largest."""
    largest = label(part.summaries[-1].condition)
    columns = ("condition", "questions", "median time", "interval", f"vs {largest}", "interval")
    rows = tuple(
        (
            label(row.condition),
            f"{row.n:,}",
            seconds(row.seconds.value),
            f"{seconds(row.seconds.low)} to {seconds(row.seconds.high)}",
            signed_seconds(row.difference.value) if row.difference else UNKNOWN,
            f"{signed_seconds(row.difference.low)} to {signed_seconds(row.difference.high)}"
            if row.difference
            else UNKNOWN,
        )
        for row in part.latencies
    )
    return TextTable("Time of a question, and paired differences (medians)", columns, rows)


def against_table(part: AgainstRun) -> TextTable:
    """This run and a saved one, a row per condition."""
    columns = (
        "condition",
        "questions",
        "before",
        "now",
        "difference (points)",
        "interval",
        "p (Holm)",
        "worse",
    )
    rows = tuple(
        (
            one.label,
            f"{one.test.n:,}",
            percent(one.before.value),
            percent(one.now.value),
            points(one.test.difference.value),
            points_range(one.test.difference),
            p_words(one.test.p_adjusted),
            "yes" if one.is_worse else "no",
        )
        for one in part.conditions
    )
    return TextTable(f"Against {part.path}", columns, rows)


def behaviour_table(summaries: tuple[Summary, ...]) -> TextTable:
    """Refusals, citations and cost, a row per condition."""
    columns = (
        "condition",
        "answer in prompt",
        "refused",
        "refusals right",
        "refused of hopeless",
        "citation verified",
        "citation correct",
        "cost",
    )
    rows = tuple(
        (
            s.label,
            percent(s.gold_in_prompt),
            percent(s.abstention_rate),
            percent(s.abstention_precision),
            percent(s.abstention_recall),
            percent(s.citation_verified),
            percent(s.citation_correct),
            money(s.mean_cost),
        )
        for s in summaries
    )
    return TextTable("Refusals, citations and cost", columns, rows)


def pairs_table(pairs: tuple[PairTest, ...], label: Label, caption: str) -> TextTable:
    """Paired differences with their tests, a row per pair."""
    columns = (
        "pair",
        "difference (points)",
        "interval",
        "only first right",
        "only second right",
        "p (McNemar)",
        "p (Holm)",
        "significant",
    )
    rows = tuple(
        (
            f"{label(pair.first)} {MINUS} {label(pair.second)}",
            points(pair.difference.value),
            points_range(pair.difference),
            f"{pair.only_first:,}",
            f"{pair.only_second:,}",
            p_words(pair.p_value),
            p_words(pair.p_adjusted),
            "yes" if pair.significant else "no",
        )
        for pair in pairs
    )
    return TextTable(caption, columns, rows)


def settings_table(settings: Settings) -> TextTable:
    """All that is needed to run the comparison again."""
    budget = "what the window leaves"
    if settings.budget_tokens is not None:
        budget = f"{settings.budget_tokens:,} tokens"
    prices = "none given"
    if settings.price_prompt is not None and settings.price_answer is not None:
        prices = f"{settings.price_prompt:g} prompt, {settings.price_answer:g} answer"
    rows = (
        ("ragctx", settings.ragctx_version),
        ("questions", f"{settings.questions:,} of {settings.questions_file}"),
        ("SHA-256 of the questions", settings.questions_sha256),
        ("passages from", settings.source),
        *((("PDFs", _some(settings.documents)),) if settings.documents else ()),
        ("model", settings.model),
        ("model from", settings.model_spec or "not recorded"),
        ("model hash", settings.model_hash),
        ("decoding", f"{settings.decoding}, at most {settings.max_new_tokens:,} new tokens"),
        ("prompt template", settings.template),
        ("context window", f"{settings.context_window:,} tokens"),
        ("budget", budget),
        (
            "passages",
            f"{settings.k} candidates, ranked by {settings.retriever}, selected by "
            f"{settings.select}",
        ),
        ("baseline", settings.baseline),
        ("position profile", settings.profile or "none"),
        ("prices per million tokens", prices),
        (
            "statistics",
            f"seed {settings.seed}, {settings.resamples:,} resamples, "
            f"{confidence_words(settings)} intervals",
        ),
    )
    return TextTable("Settings", ("setting", "value"), rows)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_PATHS:,} more" if len(paths) > _MOST_PATHS else ""
    return f"{', '.join(paths[:_MOST_PATHS])}{more}"


def confidence_words(settings: Settings) -> str:
    """The confidence of all intervals, e.g. "95 %"."""
    return percent(settings.confidence)


def findings_of(part: Part, label: Label) -> tuple[str, ...]:
    """What a part of the comparison found beyond its verdict, in sentences."""
    spread = None if isinstance(part, BudgetSweep | GridComparison) else part.spread
    return (
        *((spread_words(spread, label),) if spread else ()),
        *((power_words(part.power),) if part.power else ()),
    )
