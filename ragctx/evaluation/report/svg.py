"""The pictures of a report, as inline SVG without scripts or styles of their own.

Colours and sizes come from classes (`report.css`), so that they follow the reader's light or dark
mode. Every chart has a title and a description; the report gives the same numbers as a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ragctx.evaluation.numbers import percent, share_range
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.text.markup import Markup, decimal, joined, tag

_WIDTH, _HEIGHT = 400.0, 250.0  # of a chart, in its own units: about pixels on a phone
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 14.0, 24.0, 44.0
_INSET = 10.0  # between the ends of the axis and the first and last point
_CAP = 4.0  # half the width of an interval's end
_ROUNDING = 1e-9  # more than floating point errs in a share: 0.3 * 10 is not 3
_LONG = 0.5 + _ROUNDING  # a longer span of shares has a tick at every fifth, not at every tenth
_LEAST_LABEL_GAP = 34.0  # between the labels of two points; chosen by hand


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a chart: x in the axis' unit, y a share with its interval."""

    x: float
    y: Interval
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A horizontal axis. `ticks` are (value, label)."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The x coordinate of a value, in the chart's units."""
        low, high, x = (
            (math.log(v) if self.logarithmic else v) for v in (self.low, self.high, value)
        )
        share = (x - low) / (high - low) if high > low else 0.5
        return _LEFT + _INSET + share * (_WIDTH - _LEFT - _RIGHT - 2 * _INSET)


@dataclass(frozen=True, slots=True)
class Reference:
    """A level to compare with, such as the accuracy with the gold passage alone."""

    share: float
    label: str


def span_of(intervals: Iterable[Interval], least: float = 0.2) -> tuple[float, float]:
    """The first and last share of an axis that shows all intervals.

    They are tenths at least `least` apart, or fifths if that makes the axis long.

    >>> span_of([Interval(0.5, 0.47, 0.53)])
    (0.4, 0.6)
    >>> span_of([])
    (0.0, 1.0)
    """
    shown = list(intervals)
    if not shown:
        return 0.0, 1.0
    low = math.floor(min(interval.low for interval in shown) * 10 - _ROUNDING) / 10
    high = math.ceil(max(interval.high for interval in shown) * 10 + _ROUNDING) / 10
    while high - low < least - _ROUNDING:
        low, high = low - 0.1, high + 0.1
    if high - low > _LONG:
        low = math.floor(low * 5 + _ROUNDING) / 5
        high = math.ceil(high * 5 - _ROUNDING) / 5
    return max(0.0, round(low, 1)), min(1.0, round(high, 1))


# ---- Charts ----------------------------------------------------------------------------------


def curve(
    title: str,
    description: str,
    axis: Axis,
    points: Sequence[Point],
    references: Sequence[Reference] = (),
) -> Markup:
    """Points with intervals, joined by a line, over a linear axis."""
    scale = _Scale(*span_of(point.y for point in points))
    line = " ".join(f"{decimal(axis.at(p.x))},{decimal(scale.at(p.y.value))}" for p in points)
    shapes = [
        *_grid(axis, scale),
        *_reference_lines(references, scale),
        tag("polyline", points=line, class_="line"),
        *(_point(axis, scale, point) for point in points),
        *_reference_labels(references, scale, _widest_gap([axis.at(p.x) for p in points])),
    ]
    return _chart(title, description, shapes)


def frontier(title: str, description: str, axis: Axis, points: Sequence[Point]) -> Markup:
    """Accuracy against a price. A line joins the points that no other beats at lower price."""
    scale = _Scale(*span_of(point.y for point in points))
    best = unbeaten(points)
    line = " ".join(f"{decimal(axis.at(p.x))},{decimal(scale.at(p.y.value))}" for p in best)
    shapes = [
        *_grid(axis, scale),
        tag("polyline", points=line, class_="line"),
        *(_point(axis, scale, p, "" if p in best else "beaten") for p in points),
        *_labels(axis, scale, points),
    ]
    return _chart(title, description, shapes)


def unbeaten(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points for which no other is at least as good at no higher price (the Pareto frontier).

    >>> a, b, c = (Point(x, Interval(y, y, y), "") for x, y in ((1, 0.5), (2, 0.4), (3, 0.6)))
    >>> [point.x for point in unbeaten([a, b, c])]
    [1, 3]
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y.value)):
        if not best or point.y.value > best[-1].y.value:
            best.append(point)
    return tuple(best)


@dataclass(frozen=True, slots=True)
class _Scale:
    """The vertical axis: shares from `low` to `high`."""

    low: float
    high: float

    def at(self, share: float) -> float:
        inside = min(max(share, self.low), self.high)
        height = _HEIGHT - _TOP - _BOTTOM
        return _TOP + (self.high - inside) / (self.high - self.low) * height

    def ticks(self) -> Iterator[float]:
        step = 0.2 if self.high - self.low > _LONG else 0.1
        count = round((self.high - self.low) / step + _ROUNDING)
        yield from (self.low + i * step for i in range(count + 1))


def _chart(title: str, description: str, shapes: Sequence[Markup]) -> Markup:
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *shapes,
        viewBox=f"0 0 {decimal(_WIDTH)} {decimal(_HEIGHT)}",
        role="img",
        class_="chart",
        aria_label=f"{title}. {description}",
    )


def _grid(axis: Axis, scale: _Scale) -> Iterator[Markup]:
    bottom = _HEIGHT - _BOTTOM
    yield tag("text", "correct", x=2, y=12, class_="axis")
    for share in scale.ticks():
        y = scale.at(share)
        yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        yield tag("text", percent(share), x=_LEFT - 5, y=y + 4, class_="axis end")
    for value, label in axis.ticks:
        yield tag("text", label, x=axis.at(value), y=bottom + 16, class_="axis middle")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield tag("text", axis.title, x=middle, y=_HEIGHT - 8, class_="axis middle")


def _reference_lines(references: Sequence[Reference], scale: _Scale) -> Iterator[Markup]:
    """Dashed lines; a level outside the axis has none, it is given in words elsewhere."""
    for reference in references:
        if scale.low <= reference.share <= scale.high:
            y = scale.at(reference.share)
            yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="reference")


def _reference_labels(references: Sequence[Reference], scale: _Scale, x: float) -> Iterator[Markup]:
    for reference in references:
        if scale.low <= reference.share <= scale.high:
            y = scale.at(reference.share) - 4
            yield tag("text", reference.label, x=x, y=y, class_="told middle")


def _widest_gap(places: Sequence[float]) -> float:
    """The middle between the two neighbours farthest apart, where a label hides no point."""
    gaps = [(right - left, (left + right) / 2) for left, right in pairwise(sorted(places))]
    return max(gaps, default=(0.0, _WIDTH / 2))[1]


def _point(axis: Axis, scale: _Scale, point: Point, kind: str = "") -> Markup:
    x, top, bottom = axis.at(point.x), scale.at(point.y.high), scale.at(point.y.low)
    bar = (
        f"M{decimal(x)} {decimal(top)}V{decimal(bottom)}"
        f"M{decimal(x - _CAP)} {decimal(top)}h{decimal(2 * _CAP)}"
        f"M{decimal(x - _CAP)} {decimal(bottom)}h{decimal(2 * _CAP)}"
    )
    title = f"{point.label}: {percent(point.y.value)} ({share_range(point.y)})"
    return tag(
        "g",
        tag("title", title),
        tag("path", d=bar, class_="whisker"),
        tag("circle", cx=x, cy=scale.at(point.y.value), r=4.5, class_=f"dot {kind}".strip()),
    )


def _labels(axis: Axis, scale: _Scale, points: Sequence[Point]) -> Iterator[Markup]:
    """The points' names above their intervals; one that would cover another is left out."""
    last = -math.inf
    for point in sorted(points, key=lambda p: p.x):
        x = axis.at(point.x)
        if x - last >= _LEAST_LABEL_GAP:
            last = x
            y = scale.at(point.y.high) - 6
            where = "end" if x > _WIDTH - _RIGHT - 20 else "middle"
            yield tag("text", point.label, x=x, y=y, class_=f"name {where}")


# ---- Small pictures in tables ----------------------------------------------------------------


def interval_bar(
    interval: Interval,
    span: tuple[float, float],
    description: str,
    *,
    kind: str = "",
    zero: float | None = None,
) -> Markup:
    """An interval as a bar with a dot, as wide as its cell; `zero` draws a line to compare with."""

    def at(value: float) -> str:
        low, high = span
        share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
        return f"{2 + 96 * share:.1f}%"

    return tag(
        "svg",
        tag("title", description),
        None
        if zero is None
        else tag("line", x1=at(zero), x2=at(zero), y1="0", y2="100%", class_="zero"),
        tag(
            "line",
            x1=at(interval.low),
            x2=at(interval.high),
            y1="50%",
            y2="50%",
            class_=f"bar {kind}".strip(),
        ),
        tag("circle", cx=at(interval.value), cy="50%", r=4.5, class_=f"dot {kind}".strip()),
        class_="interval",
        role="img",
        aria_label=description,
    )


@dataclass(frozen=True, slots=True)
class Strip:
    """A passage in the picture of a prompt; `rank` counts from 1."""

    tokens: int
    rank: int
    is_gold: bool
    is_cited: bool


SHADES = 5
"""How many shades tell ranks apart in the picture of a prompt: more could not be told by eye."""


_BAR, _MARK = "5", "13.5"  # y of the middle of a passage, and of the mark below it


def prompt_picture(passages: Sequence[Strip], description: str) -> Markup:
    """A prompt as a bar of its passages in prompt order, as long as their tokens.

    Gold passages stand out; the others are shaded by rank, the best fifth of the prompt strongest,
    so that two orders of the same passages look different. A mark below: the passage was cited.
    """
    total = sum(passage.tokens for passage in passages) or 1
    edges = [0.0, *(1000 * done / total for done in accumulate(p.tokens for p in passages))]
    cells = list(zip(pairwise(edges), passages, _shades(passages), strict=True))
    kinds: dict[str, list[str]] = {}
    marks = []
    for (left, right), passage, shade in cells:
        kind = "gold" if passage.is_gold else f"rank-{shade}"
        kinds.setdefault(kind, []).append(_stretch(left, right, _BAR))
        if passage.is_cited:
            marks.append(_stretch(left, right, _MARK))
    between = "".join(f"M{edge:.0f} 0v10" for edge in edges[1:-1])
    return tag(
        "svg",
        *(tag("path", d="".join(paths), class_=kind) for kind, paths in sorted(kinds.items())),
        tag("path", d=between, class_="between") if between else None,
        tag("path", d="".join(marks), class_="cited") if marks else None,
        viewBox="0 0 1000 16",
        preserveAspectRatio="none",
        class_="prompt",
        role="img",
        aria_label=description,
    )


def _shades(passages: Sequence[Strip]) -> list[int]:
    """The shade of each passage, 1 for the best ranks of the prompt to `SHADES` for the last."""
    by_rank = sorted(range(len(passages)), key=lambda i: passages[i].rank)
    places = {i: place for place, i in enumerate(by_rank)}
    return [1 + places[i] * SHADES // len(passages) for i in range(len(passages))]


def _stretch(left: float, right: float, y: str) -> str:
    """A line as thick as the bar, which takes half the characters of a rectangle."""
    return f"M{left:.0f} {y}h{max(3.0, right - left):.0f}"


def answer_strip(correct: Sequence[bool | None], description: str) -> Markup:
    """A square per condition: filled where the answer was right, hollow where wrong."""
    right = "".join(f"M{12 * i} 1h9v9h-9z" for i, was in enumerate(correct) if was)
    wrong = "".join(
        f"M{12 * i + 0.5:g} 1.5h8v8h-8z" for i, was in enumerate(correct) if was is False
    )
    return joined(
        tag(
            "svg",
            tag("path", d=right, class_="right"),
            tag("path", d=wrong, class_="wrong"),
            viewBox=f"0 0 {max(1, 12 * len(correct))} 11",
            width=max(1, 12 * len(correct)),
            height=11,
            class_="strip",
            role="img",
            aria_label=description,
        )
    )
