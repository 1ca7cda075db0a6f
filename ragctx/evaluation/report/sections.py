"""The parts of a report on positions, placements and budgets: picture, verdict and tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from ragctx.evaluation.numbers import (
    money,
    p_words,
    percent,
    points,
    points_range,
    seconds,
    share_range,
)
from ragctx.evaluation.report.blocks import findings, numbers, section, table_block
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
    against_table,
    behaviour_table,
    confidence_words,
    findings_of,
    latency_table,
    pairs_table,
)
from ragctx.evaluation.results import (
    AgainstRun,
    BudgetSweep,
    GridComparison,
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
_Price = tuple[str, str, Sequence[float], Callable[[float], str]]
"""(What it is, the statistic over questions, its value for each budget, how to write a value)."""


# ---- Positions -------------------------------------------------------------------------------


def positions_section(result: Result, label: Label) -> Markup:
    """Accuracy by the slot of the gold passage."""
    return section(
        "positions",
        "Does it matter where the answer stands?",
        *(_position(result, sweep, label) for sweep in result.positions),
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


def _position(result: Result, sweep: PositionSweep, label: Label) -> Markup:
    """The curve of one sweep, with its verdict and findings beside it."""
    references = _references(sweep.controls)
    fill = f"The prompts filled {percent(sweep.window_fill)} of the context window."
    skipped = f" {sweep.skipped:,} questions could not take part." if sweep.skipped else ""
    words = tag(
        "div",
        tag("p", sweep.verdict, class_="verdict"),
        findings((*findings_of(sweep, label), fill + skipped, *_reference_words(references))),
    )
    tables = numbers(
        sweep.omnibus,
        accuracy_table(f"By slot, {sweep.passages} passages", sweep.summaries, result.settings),
        pairs_table(sweep.pairs, label, "Every pair of slots"),
    )
    return joined(tag("div", _position_figure(sweep, references), words, class_="charts"), tables)


def _references(controls: Sequence[Summary]) -> tuple[Reference, ...]:
    return tuple(
        Reference(summary.correct.value, f"{summary.label} {percent(summary.correct.value)}")
        for summary in controls
        if summary.n
    )


def _reference_words(references: Sequence[Reference]) -> tuple[str, ...]:
    levels = "; ".join(reference.label for reference in references)
    return (f"For comparison, on the same questions: {levels}.",) if references else ()


# ---- Placements ------------------------------------------------------------------------------


def placements_section(result: Result, part: StrategyComparison, label: Label) -> Markup:
    """Placements side by side, each against the baseline."""
    recall = ", ".join(f"{percent(share)} of the first {k}" for k, share in part.recall_at_k)
    recall_words = f"A passage with the answer is among the candidates: {recall}."
    return section(
        "strategies",
        "Which placement answers best?",
        tag("p", part.verdict, class_="verdict"),
        _forest(
            "placement",
            part.summaries,
            (*part.pairs, *part.control_pairs),
            part.baseline,
            part.controls,
        ),
        tag(
            "p",
            f"Dots are estimates, bars {confidence_words(result.settings)} intervals. On the "
            f"right the paired difference to {label(part.baseline)}: a bar that reaches across the "
            "line is no evidence of a difference. p is adjusted by Holm. The difference of a "
            "control is over the questions that both were asked.",
            class_="soft",
        ),
        findings((*findings_of(part, label), *((recall_words,) if recall else ()))),
        numbers(
            part.omnibus,
            accuracy_table("Placements and controls", part.summaries, result.settings),
            behaviour_table(part.summaries),
            pairs_table(part.pairs, label, f"Against {label(part.baseline)}"),
            pairs_table(
                part.control_pairs, label, "Controls, on the questions that both were asked"
            ),
        ),
    )


def _forest(
    name: str,
    summaries: Sequence[Summary],
    tests: Sequence[PairTest],
    base: str,
    controls: Collection[Summary] = (),
) -> Markup:
    """A forest plot: a row per condition, with its accuracy and its difference to the base.

    `name` says what the conditions are, `base` is the condition that they are compared with.
    """
    span = span_of(summary.correct for summary in summaries)
    widest = max((max(abs(p.difference.low), abs(p.difference.high)) for p in tests), default=0.1)
    reach = max(_LEAST_REACH, widest)
    pairs = {pair.first: pair for pair in tests}
    labels = {summary.condition: summary.label for summary in summaries}
    columns = (
        (name, None, ""),
        ("correct", None, "number"),
        (None, _share_scale(span), "plot"),
        (f"vs {labels.get(base, base)}", None, "number"),
        (None, _points_scale(reach), "plot"),
        ("p", None, "number"),
        ("tokens", None, "number"),
    )
    head = tag(
        "tr",
        *(
            tag("th", scale or name, scope="col", class_=kind or None)
            for name, scale, kind in columns
        ),
    )
    rows = [
        tag(
            "tr",
            *_accuracy_cells(summary, span, is_control=summary in controls),
            *_difference_cells(
                pairs.get(summary.condition),
                is_baseline=summary.condition == base,
                reach=reach,
            ),
            *_price_cells(summary),
        )
        for summary in summaries
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
    """The tokens of a condition."""
    tokens = f"{summary.mean_prompt_tokens:,.0f}"
    yield tag("td", tokens, class_="number", data_name="tokens")


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


# ---- Grids -----------------------------------------------------------------------------------


def grid_section(result: Result, part: GridComparison, label: Label) -> Markup:
    """Every combination of some choices, each against the first."""
    base = part.summaries[0].condition
    return section(
        "grid",
        "Which combination answers best?",
        tag("p", part.verdict, class_="verdict"),
        _forest(", ".join(axis.name for axis in part.axes), part.summaries, part.pairs, base),
        findings(findings_of(part, label)),
        numbers(
            part.omnibus,
            accuracy_table("Combinations", part.summaries, result.settings),
            behaviour_table(part.summaries),
            pairs_table(part.pairs, label, f"Against {label(base)}"),
        ),
    )


# ---- A saved run -----------------------------------------------------------------------------


def against_section(part: AgainstRun) -> Markup:
    """This run beside a saved one."""
    changed = "; ".join(part.settings) or "none"
    return section(
        "against",
        "Is it worse than the saved run?",
        tag("p", part.verdict, class_="verdict"),
        tag("p", f"Settings that changed: {changed}.", class_="soft"),
        table_block(against_table(part)),
    )


# ---- Budgets ---------------------------------------------------------------------------------


def budgets_section(result: Result, part: BudgetSweep, label: Label) -> Markup:
    """Accuracy against tokens, time and cost."""
    tokens = [summary.mean_prompt_tokens for summary in part.summaries]
    prices: list[_Price] = [("prompt tokens", "mean", tokens, "{:,.0f}".format)]
    if part.latencies:
        times = [row.seconds.value for row in part.latencies]
        prices.append(("time", "median", times, seconds))
    costs = [s.mean_cost for s in part.summaries if s.mean_cost is not None]
    if len(costs) == len(part.summaries):
        prices.append(("cost per question", "mean", costs, money))
    return section(
        "budgets",
        "How large a prompt is worth its price?",
        tag("p", part.verdict, class_="verdict"),
        tag("div", *(_budget_figure(part, price) for price in prices), class_="charts"),
        tag(
            "p",
            f"Placement {part.strategy}. Labels are budgets in tokens. A hollow dot: another "
            "budget was at least as often right for less. That is no test; the sentence above is.",
            class_="soft",
        ),
        findings(findings_of(part, label)),
        numbers(
            part.omnibus,
            accuracy_table("By budget", part.summaries, result.settings),
            behaviour_table(part.summaries),
            pairs_table(part.pairs, label, "Against the largest budget"),
            latency_table(part, label),
        ),
    )


def _budget_figure(part: BudgetSweep, price: _Price) -> Markup:
    name, statistic, values, words = price
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
        title=f"{name} ({statistic}, logarithmic)",
        low=low,
        high=high,
        ticks=ticks,
        logarithmic=True,
    )
    return tag("figure", tag("figcaption", title), frontier(title, description, axis, points_))
