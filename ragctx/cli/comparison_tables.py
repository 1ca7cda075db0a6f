"""A finished comparison as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragctx.cli.output import console, table
from ragctx.views import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from ragctx.evaluation.results import Interval, PairTest, Result, Summary

_COLUMNS = (
    "n",
    "right %",
    "95 % interval",
    "EM",
    "F1",
    "refused %",
    "cited right %",
    "tokens",
    "ms",
)


def print_result(result: Result) -> None:
    """Every part as a table, what was tested below it, and the verdict last."""
    screen = console()
    if result.strategies:
        part = result.strategies
        screen.print(_summaries("strategy", part.summaries, part.pairs))
        if part.recall_at_k:
            shares = ", ".join(f"@{k} {share:.3f}" for k, share in part.recall_at_k)
            screen.print(f"A passage with the answer among the first k candidates: {shares}\n")
    for sweep in result.positions:
        screen.print(_summaries(f"gold among {sweep.passages}", sweep.summaries, ()))
    if result.budgets:
        screen.print(_summaries("budget", result.budgets.summaries, result.budgets.pairs))
    for note in result.notes:
        screen.print(f"Note: {one_line(note)}", style="dim", soft_wrap=True)
    screen.print(one_line(result.verdict), style="bold", soft_wrap=True)


def _summaries(first: str, summaries: Sequence[Summary], pairs: Sequence[PairTest]) -> Table:
    """One row a condition; with `pairs`, how each differs from the one it is tested against."""
    columns = (first, *_COLUMNS, *(("against", "p") if pairs else ()))
    made = table(*columns, numbers=columns[1:])
    tests = {pair.first: pair for pair in pairs}
    for summary in summaries:
        pair = tests.get(summary.condition)
        tested = (_difference(pair), f"{pair.p_adjusted:.2g}") if pair else ("", "")
        made.add_row(
            one_line(summary.label), *_cells(summary), *(tested if pairs else ()),
            style="bold" if pair and pair.significant else "",
        )  # fmt: skip
    return made


def _cells(summary: Summary) -> tuple[str, ...]:
    return (
        str(summary.n),
        _percent(summary.correct.value),
        _range(summary.correct),
        _percent(summary.exact_match.value),
        _percent(summary.token_f1.value),
        _percent(summary.abstention_rate),
        "–" if summary.citation_correct is None else _percent(summary.citation_correct),
        f"{summary.mean_prompt_tokens:,.0f}",
        f"{summary.mean_latency_s * 1e3:,.0f}",
    )


def _difference(pair: PairTest) -> str:
    return f"{100 * pair.difference.value:+.1f} ({_range(pair.difference)})"


def _range(interval: Interval) -> str:
    return f"{100 * interval.low:.1f}…{100 * interval.high:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
