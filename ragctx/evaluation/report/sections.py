"""The parts of a report on positions, placements and budgets: picture, verdict and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ragctx.evaluation.numbers import (
    money,
    p_words,
    percent,
    points,
    points_range,
    seconds,
    share_range,
)
from ragctx.evaluation.report.blocks import findings, numbers, section
from ragctx.evaluation.report.svg import (
    Axis,
    Point,
    Reference,
    curve,
    frontier,
    interval_bar,
    span_of,
)
from ragctx.evaluation.report.wording import (
    Label,
    accuracy_table,
    behaviour_table,
    confidence_words,
    findings_of,
    pairs_table,
)
from ragctx.evaluation.results import (
    BudgetSweep,
    PairTest,
    PositionSweep,
    Result,
    StrategyComparison,
    Summary,
)
from ragctx.text.markup import Markup, joined, tag

_LEAST_REACH = 0.05
"""The least half-width of the axis of differences, as a share: 5 points; chosen by hand."""
_MARGIN = 1.15
"""The factor by which a logarithmic axis goes beyond its first and last point; chosen by hand."""
_LEAST_PRICE = 1e-9
"""A price of 0 is drawn as this one: a logarithmic axis has no 0."""


# ---- Positions -------------------------------------------------------------------------------


def positions_section(result: Result, label: Label) -> Markup:
    """Accuracy by the slot of the gold passage."""
    references = _references(result.strategies)
    return section(
        "positions",
        "Does it matter where the answer stands?",
        _reference_words(references),
        *(_position(result, sweep, references, label) for sweep in result.positions),
    )


def _position_figure(sweep: PositionSweep, references: Sequence[Reference]) -> Markup:
    points_ = [
        Point(slot, summary.correct, summary.label)
        for slot, summary in zip(sweep.slots, sweep.summaries, strict=True)
    ]
    title = f"Correct by slot of the gold passage, {sweep.passages} passages"
    description = "; ".join(f"slot {p.x:g}: {percent(p.y.value)}" for p in points_)
    ticks = tuple((point.x, f"{point.x:g}") for point in points_)
    axis = Axis(
        title="slot of the gold passage (0 = first)",
        low=0,
        high=max(1, sweep.passages - 1),
        ticks=ticks,
    )
    picture = curve(title, description, axis, points_, references)
    return tag("figure", tag("figcaption", title), picture)


def _position(
    result: Result, sweep: PositionSweep, references: Sequence[Reference], label: Label
) -> Markup:
    """The curve of one sweep, with its verdict and findings beside it."""
    fill = f"The prompts filled {percent(sweep.window_fill)} of the context window."
    skipped = f" {sweep.skipped:,} questions could not take part." if sweep.skipped else ""
    words = tag(
        "div",
        tag("p", sweep.verdict, class_="verdict"),
        findings((*findings_of(sweep, label), fill + skipped)),
    )
    tables = numbers(
        sweep.omnibus,
        accuracy_table(f"By slot, {sweep.passages} passages", sweep.summaries, result.settings),
        pairs_table(sweep.pairs, label, "Every pair of slots"),
    )
    return joined(tag("div", _position_figure(sweep, references), words, class_="charts"), tables)


def _references(strategies: StrategyComparison | None) -> tuple[Reference, ...]:
    if strategies is None:
        return ()
    return tuple(
        Reference(summary.correct.value, f"{summary.label} {percent(summary.correct.value)}")
        for summary in strategies.controls
    )


def _reference_words(references: Sequence[Reference]) -> Markup | None:
    if not references:
        return None
    levels = "; ".join(reference.label for reference in references)
    return tag("p", f"For comparison: {levels}.", class_="soft")


# ---- Placements ------------------------------------------------------------------------------


def placements_section(result: Result, part: StrategyComparison, label: Label) -> Markup:
    """Placements side by side, each against the baseline."""
    recall = ", ".join(f"{percent(share)} of the first {k}" for k, share in part.recall_at_k)
    recall_words = f"A passage with the answer is among the candidates: {recall}."
    return section(
        "strategies",
        "Which placement answers best?",
        tag("p", part.verdict, class_="verdict"),
        _forest(part, label),
        tag(
            "p",
            f"Dots are estimates, bars {confidence_words(result.settings)} intervals. On the "
            f"right the paired difference to {label(part.baseline)}: a bar that reaches across the "
            "line is no evidence of a difference. p is adjusted by Holm.",
            class_="soft",
        ),
        findings((*findings_of(part, label), *((recall_words,) if recall else ()))),
        numbers(
            part.omnibus,
            accuracy_table("Placements and controls", part.summaries, result.settings),
            behaviour_table(part.summaries),
            pairs_table(part.pairs, label, f"Against {label(part.baseline)}"),
        ),
    )


def _forest(part: StrategyComparison, label: Label) -> Markup:
    """A forest plot: a row per condition, with its accuracy and its difference to the baseline."""
    span = span_of(summary.correct for summary in part.summaries)
    widest = max(
        (max(abs(p.difference.low), abs(p.difference.high)) for p in part.pairs), default=0.1
    )
    reach = max(_LEAST_REACH, widest)
    pairs = {pair.first: pair for pair in part.pairs}
    columns = (
        ("placement", None, ""),
        ("correct", None, "number"),
        (None, _share_scale(span), "plot"),
        (f"vs {label(part.baseline)}", None, "number"),
        (None, _points_scale(reach), "plot"),
        ("p", None, "number"),
        ("tokens", None, "number"),
        ("latency", None, "number"),
    )
    head = tag(
        "tr",
        *(
            tag("th", scale or name, scope="col", class_=kind or None)
            for name, scale, kind in columns
        ),
    )
    controls = part.controls
    rows = [
        tag(
            "tr",
            *_accuracy_cells(summary, span, is_control=summary in controls),
            *_difference_cells(
                pairs.get(summary.condition),
                is_baseline=summary.condition == part.baseline,
                reach=reach,
            ),
            *_price_cells(summary),
        )
        for summary in part.summaries
    ]
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="forest")


def _accuracy_cells(
    summary: Summary, span: tuple[float, float], *, is_control: bool
) -> Iterator[Markup]:
    """Name and accuracy of a condition, and the accuracy as a bar on the axis `span`."""
    kind = "control" if is_control else ""
    correct, interval = percent(summary.correct.value), share_range(summary.correct)
    description = f"{summary.label}: {correct} ({interval})"
    yield tag("th", summary.label, scope="row", class_=kind or None)
    yield tag("td", tag("b", correct), " ", tag("small", f"({interval})"), class_="number")
    yield tag("td", interval_bar(summary.correct, span, description, kind=kind), class_="plot")


def _price_cells(summary: Summary) -> Iterator[Markup]:
    """Tokens and time of a condition."""
    tokens = f"{summary.mean_prompt_tokens:,.0f}"
    yield tag("td", tokens, class_="number", data_name="tokens")
    yield tag("td", seconds(summary.mean_latency_s), class_="number", data_name="latency")


def _difference_cells(
    pair: PairTest | None, *, is_baseline: bool, reach: float
) -> Iterator[Markup]:
    if pair is None:
        yield tag("td", "baseline" if is_baseline else "", class_="number")
        yield tag("td", class_="plot")
        yield tag("td", class_="number")
        return
    description = f"{points(pair.difference.value)} points ({points_range(pair.difference)})"
    kind = "sure" if pair.significant else ""
    bar = interval_bar(pair.difference, (-reach, reach), description, kind=kind, zero=0.0)
    yield tag(
        "td",
        points(pair.difference.value),
        " ",
        tag("small", f"({points_range(pair.difference)})"),
        class_="number",
        data_name="difference",
    )
    yield tag("td", bar, class_="plot")
    yield tag("td", p_words(pair.p_adjusted), class_="number", data_name="p")


def _share_scale(span: tuple[float, float]) -> Markup:
    return _scale_words(percent(span[0]), percent((span[0] + span[1]) / 2), percent(span[1]))


def _points_scale(reach: float) -> Markup:
    return _scale_words(points(-reach), "0", points(reach))


def _scale_words(*ticks: str) -> Markup:
    return tag("span", *(tag("span", tick) for tick in ticks), class_="scale")


# ---- Budgets ---------------------------------------------------------------------------------


def budgets_section(result: Result, part: BudgetSweep, label: Label) -> Markup:
    """Accuracy against tokens, time and cost."""
    prices = [
        ("prompt tokens", [s.mean_prompt_tokens for s in part.summaries], "{:,.0f}".format),
        ("latency", [s.mean_latency_s for s in part.summaries], seconds),
    ]
    costs = [s.mean_cost for s in part.summaries if s.mean_cost is not None]
    if len(costs) == len(part.summaries):
        prices.append(("cost per question", costs, money))
    return section(
        "budgets",
        "How large a prompt is worth its price?",
        tag("p", part.verdict, class_="verdict"),
        tag("div", *(_budget_figure(part, *price) for price in prices), class_="charts"),
        tag(
            "p",
            f"Placement {part.strategy}. Labels are budgets in tokens; a hollow dot is "
            "beaten: another budget is at least as good for less.",
            class_="soft",
        ),
        findings(findings_of(part, label)),
        numbers(
            part.omnibus,
            accuracy_table("By budget", part.summaries, result.settings),
            behaviour_table(part.summaries),
            pairs_table(part.pairs, label, "Against the largest budget"),
        ),
    )


def _budget_figure(
    part: BudgetSweep, name: str, values: Sequence[float], words: Callable[[float], str]
) -> Markup:
    points_ = [
        Point(max(value, _LEAST_PRICE), summary.correct, f"{budget:,}")
        for value, summary, budget in zip(values, part.summaries, part.budgets, strict=True)
    ]
    xs = [point.x for point in points_]
    title = f"Correct by {name}"
    description = "; ".join(
        f"budget {p.label}: {percent(p.y.value)} for {words(p.x)}" for p in points_
    )
    low, high = min(xs) / _MARGIN, max(xs) * _MARGIN
    middle = (low * high) ** 0.5
    ticks = tuple((x, words(x)) for x in dict.fromkeys((min(xs), middle, max(xs))))
    axis = Axis(
        title=f"{name} (mean, logarithmic)", low=low, high=high, ticks=ticks, logarithmic=True
    )
    return tag("figure", tag("figcaption", title), frontier(title, description, axis, points_))
