"""A finished comparison as tables for a terminal; a narrow one shows fewer columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragctx.cli.output import console, table
from ragctx.evaluation.numbers import (
    UNKNOWN,
    bare_percent,
    terse_range,
    time_difference_range,
    time_range,
)
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from ragctx.evaluation.results import (
        AgainstRun,
        BudgetSweep,
        GridComparison,
        PairTest,
        Result,
        Summary,
    )


class Column(NamedTuple):
    """A column of conditions' summaries."""

    header: str
    cell: Callable[[Summary], str]
    least_width: int = 0  # characters: a narrower terminal goes without the column


def print_result(result: Result) -> None:
    """Print every part as a table, then the notes, the verdict, and what to do."""
    screen = console()
    for block in _tables(result, screen.width):
        screen.print(block)
    for note in result.notes:
        screen.print(f"Note: {one_line(note)}", style="dim", soft_wrap=True)
    screen.print(one_line(result.verdict), soft_wrap=True)
    if result.recommendation:
        screen.print(one_line(result.recommendation), style="bold", soft_wrap=True)
    if result.against:
        for change in result.against.settings:
            screen.print(f"Changed: {one_line(change)}", style="dim", soft_wrap=True)
        style = "bold red" if result.against.is_worse else "bold"
        screen.print(one_line(result.against.verdict), style=style, soft_wrap=True)


def _tables(result: Result, width: int) -> Iterator[Table | str]:
    """The parts of a result, for a terminal of `width` characters."""
    if result.strategies:
        part = result.strategies
        yield _summaries("strategy", part.summaries, (*part.pairs, *part.control_pairs), width)
        if part.recall_at_k:
            shares = ", ".join(f"@{k} {share:.3f}" for k, share in part.recall_at_k)
            yield f"An answer is among the first k candidates: {shares}\n"
    for sweep in result.positions:
        yield _summaries("gold passage in", sweep.summaries, (), width)
    if result.budgets:
        budgets = result.budgets
        priced = any(summary.mean_cost is not None for summary in budgets.summaries)
        more = (_COST,) if priced else ()
        yield _summaries("budget", budgets.summaries, budgets.pairs, width, *more)
        if budgets.latencies:
            yield _latencies(budgets)
    if result.grid:
        yield _cells(result.grid, width)
    if result.against:
        yield _changes(result.against)


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else bare_percent(share)


_COLUMNS = (
    Column("n", lambda summary: str(summary.n)),
    Column("right %", lambda summary: _percent(summary.correct.value)),
    Column("95 %", lambda summary: terse_range(summary.correct), 72),
    Column("EM %", lambda summary: _percent(summary.exact_match.value), 110),
    Column("F1 %", lambda summary: _percent(summary.token_f1.value), 105),
    Column("refused %", lambda summary: _percent(summary.abstention_rate), 105),
    Column("cited %", lambda summary: _percent(summary.citation_correct), 110),
    Column("tokens", lambda summary: f"{summary.mean_prompt_tokens:,.0f}"),
)
_COST = Column("cost", lambda summary: f"{summary.mean_cost or 0.0:.3g}")


def _summaries(
    first: str, summaries: Sequence[Summary], pairs: Sequence[PairTest], width: int, *more: Column
) -> Table:
    """One row per condition; with `pairs`, how each differs from the one it is tested against.

    `width` is the terminal's in characters; `more` are columns beyond the usual ones.
    """
    columns = [column for column in (*_COLUMNS, *more) if column.least_width <= width]
    tests = {pair.first: pair for pair in pairs}
    tested = ("difference", "p") if pairs else ()
    headers = (first, *(column.header for column in columns), *tested)
    rows = table(*headers, numbers=headers[1:])
    rows.columns[0].no_wrap = True
    for summary in summaries:
        pair = tests.get(summary.condition)
        cells = [column.cell(summary) for column in columns]
        style = "bold" if pair and pair.significant else ""
        rows.add_row(
            one_line(summary.label), *cells, *(_difference(pair) if pairs else ()), style=style
        )
    return rows


_GAP = 3  # characters between two columns


def _cells(grid: GridComparison, width: int) -> Table:
    """One row per combination of a grid: the axes first, as columns of their own."""
    axes = tuple(axis.name for axis in grid.axes)
    left = width - sum(len(name) + _GAP for name in axes[1:])
    columns = [column for column in _COLUMNS if column.least_width <= left]
    tests = {pair.first: pair for pair in grid.pairs}
    numbers = (*(column.header for column in columns), "difference", "p")
    rows = table(*axes, *numbers, numbers=numbers)
    for values, summary in zip(grid.cells, grid.summaries, strict=True):
        pair = tests.get(summary.condition)
        cells = [column.cell(summary) for column in columns]
        style = "bold" if pair and pair.significant else ""
        rows.add_row(*map(one_line, values), *cells, *_difference(pair), style=style)
    return rows


def _latencies(budgets: BudgetSweep) -> Table:
    """The time of a question by budget: medians with intervals, paired with the largest budget."""
    headers = ("budget", "n", "time (median)", "vs largest")
    rows = table(*headers, numbers=headers[1:])
    labels = {summary.condition: summary.label for summary in budgets.summaries}
    for row in budgets.latencies:
        rows.add_row(
            labels[row.condition],
            str(row.n),
            time_range(row.seconds),
            time_difference_range(row.difference) if row.difference else "",
        )
    return rows


def _changes(part: AgainstRun) -> Table:
    """One row per condition: right before and now, and the paired difference."""
    headers = ("against the saved run", "n", "before %", "now %", "difference", "p")
    rows = table(*headers, numbers=headers[1:])
    for one in part.conditions:
        rows.add_row(
            one_line(one.label),
            str(one.test.n),
            bare_percent(one.before.value),
            bare_percent(one.now.value),
            *_difference(one.test),
            style="bold red" if one.is_worse else "",
        )
    return rows


def _difference(pair: PairTest | None) -> tuple[str, str]:
    """The difference in points with its interval, and the p-value after Holm's correction."""
    if pair is None:
        return "", ""
    points = f"{100 * pair.difference.value:+.1f} ({terse_range(pair.difference)})"
    return points, f"{pair.p_adjusted:.2g}"
