"""A finished comparison as tables for a terminal; a narrow one shows fewer columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragctx.cli.output import console, table
from ragctx.evaluation.numbers import UNKNOWN, bare_percent, terse_range
from ragctx.text.display import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from ragctx.evaluation.results import PairTest, Result, Summary


class Column(NamedTuple):
    """A column of conditions' summaries."""

    header: str
    cell: Callable[[Summary], str]
    least_width: int = 0  # characters: a narrower terminal goes without the column


def print_result(result: Result) -> None:
    """Print every part as a table, then the notes, and the verdict last."""
    screen = console()
    if result.strategies:
        part = result.strategies
        screen.print(_summaries("strategy", part.summaries, part.pairs, screen.width))
        if part.recall_at_k:
            shares = ", ".join(f"@{k} {share:.3f}" for k, share in part.recall_at_k)
            screen.print(f"An answer is among the first k candidates: {shares}\n")
    for sweep in result.positions:
        screen.print(_summaries("gold passage in", sweep.summaries, (), screen.width))
    if result.budgets:
        budgets = result.budgets
        priced = any(summary.mean_cost is not None for summary in budgets.summaries)
        more = (_LATENCY, _COST) if priced else (_LATENCY,)
        screen.print(_summaries("budget", budgets.summaries, budgets.pairs, screen.width, *more))
    for note in result.notes:
        screen.print(f"Note: {one_line(note)}", style="dim", soft_wrap=True)
    screen.print(one_line(result.verdict), style="bold", soft_wrap=True)


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else bare_percent(share)


_COLUMNS = (
    Column("n", lambda summary: str(summary.n)),
    Column("right %", lambda summary: _percent(summary.correct.value)),
    Column("95 %", lambda summary: terse_range(summary.correct)),
    Column("EM %", lambda summary: _percent(summary.exact_match.value), 110),
    Column("F1 %", lambda summary: _percent(summary.token_f1.value), 105),
    Column("refused %", lambda summary: _percent(summary.abstention_rate), 105),
    Column("cited %", lambda summary: _percent(summary.citation_correct), 110),
    Column("tokens", lambda summary: f"{summary.mean_prompt_tokens:,.0f}"),
)
_LATENCY = Column("ms", lambda summary: f"{summary.mean_latency_s * 1e3:,.0f}", 90)
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


def _difference(pair: PairTest | None) -> tuple[str, str]:
    """The difference in points with its interval, and the p-value after Holm's correction."""
    if pair is None:
        return "", ""
    points = f"{100 * pair.difference.value:+.1f} ({terse_range(pair.difference)})"
    return points, f"{pair.p_adjusted:.2g}"
