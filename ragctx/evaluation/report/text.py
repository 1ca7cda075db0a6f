"""A comparison as Markdown for people and as CSV for programs; document text stays text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from io import StringIO

from ragctx.evaluation.report.wording import (
    READING,
    Label,
    TextTable,
    accuracy_table,
    against_table,
    behaviour_table,
    findings_of,
    grid_words,
    headline,
    labels_of,
    latency_table,
    omnibus_words,
    pairs_table,
    settings_table,
    summaries_of,
    synthetic_words,
)
from ragctx.evaluation.results import (
    AgainstRun,
    GridComparison,
    Omnibus,
    Outcome,
    Result,
    Summary,
)
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.text.display import one_line, printable

Cell = str | int | float | bool | None

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_FORMULA = re.compile(r"\A(?:[\s\ufeff\u200b]*[=+\-@＝＋－＠]|[\t\r\n])")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, "CSV Injection"); spreadsheets
for East Asian languages read full-width signs as the others."""


# ---- Markdown --------------------------------------------------------------------------------


def markdown_report(result: Result) -> str:
    """The comparison in Markdown: the verdict, every table, the settings."""
    labels = labels_of(result)

    def label(condition: str) -> str:
        return labels.get(condition, condition)

    title, verdict = plain_markdown(headline(result)), plain_markdown(result.verdict)
    parts = ["# ragctx compare", f"**{title}**"]
    parts += [plain_markdown(result.recommendation)] if result.recommendation else []
    parts += [verdict]
    synthetic = synthetic_words(result)
    parts += [f"> {plain_markdown(synthetic)}"] if synthetic else []
    parts += [_bullets(result.notes)] if result.notes else []
    parts += _against(result.against) if result.against else []
    parts += [*_positions(result, label), *_placements(result, label), *_budgets(result, label)]
    parts += _grid(result, result.grid, label) if result.grid else []
    parts += ["## Run it again", _code(result.settings.command)] if result.settings.command else []
    parts += [_table(settings_table(result.settings)), "## How to read the numbers"]
    return "\n\n".join(filter(None, (*parts, _bullets(READING)))) + "\n"


def plain_markdown(text: str) -> str:
    r"""Text on one line, escaped so that Markdown shows it as it is.

    >>> plain_markdown("# a|b <script>\n[x](y)")
    '\\# a\\|b \\<script\\> \\[x\\](y)'
    """
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def _positions(result: Result, label: Label) -> Iterator[str]:
    for sweep in result.positions:
        caption = f"Correct by slot of the gold passage, {sweep.passages} passages"
        yield f"## {caption}"
        yield f"**{plain_markdown(sweep.verdict)}**"
        yield _bullets((*_test(sweep.omnibus), *findings_of(sweep, label)))
        yield _table(accuracy_table(caption, sweep.summaries, result.settings))
        yield _table(pairs_table(sweep.pairs, label, "Every pair of slots"))


def _placements(result: Result, label: Label) -> Iterator[str]:
    part = result.strategies
    if part is None:
        return
    yield "## Placements"
    yield f"**{plain_markdown(part.verdict)}**"
    yield _bullets((*_test(part.omnibus), *findings_of(part, label)))
    yield _table(accuracy_table("Placements and controls", part.summaries, result.settings))
    yield _table(pairs_table(part.pairs, label, f"Against {label(part.baseline)}"))
    yield _table(
        pairs_table(part.control_pairs, label, "Controls, on the questions that both were asked")
    )
    yield _table(behaviour_table(part.summaries))


def _budgets(result: Result, label: Label) -> Iterator[str]:
    part = result.budgets
    if part is None:
        return
    yield "## Budgets"
    yield f"**{plain_markdown(part.verdict)}**"
    yield _bullets((*_test(part.omnibus), *findings_of(part, label)))
    yield _table(accuracy_table(f"Placement {part.strategy}", part.summaries, result.settings))
    yield _table(pairs_table(part.pairs, label, "Against the largest budget"))
    yield _table(latency_table(part, label))
    yield _table(behaviour_table(part.summaries))


def _grid(result: Result, part: GridComparison, label: Label) -> Iterator[str]:
    base = part.summaries[0].condition
    yield f"## {plain_markdown(grid_words(part).capitalize())}"
    yield f"**{plain_markdown(part.verdict)}**"
    yield _bullets((*_test(part.omnibus), *findings_of(part, label)))
    yield _table(accuracy_table("Combinations", part.summaries, result.settings))
    yield _table(pairs_table(part.pairs, label, f"Against {label(base)}"))
    yield _table(behaviour_table(part.summaries))


def _against(part: AgainstRun) -> Iterator[str]:
    yield "## Against a saved run"
    yield f"**{plain_markdown(part.verdict)}**"
    yield _bullets(part.settings)
    yield _table(against_table(part))


def _test(omnibus: Omnibus | None) -> tuple[str, ...]:
    return (omnibus_words(omnibus),) if omnibus else ()


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {plain_markdown(line)}" for line in lines)


def _table(table: TextTable) -> str:
    head = _row(table.columns)
    rule = "|" + "|".join(":--" if i == 0 else "--:" for i in range(len(table.columns))) + "|"
    rows = "\n".join(_row(row) for row in table.rows)
    return f"{plain_markdown(table.caption)}:\n\n{head}\n{rule}\n{rows}" if table.rows else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(plain_markdown, cells)) + " |"


def _code(text: str) -> str:
    """A code block; indented, so that no fence in the text can end it."""
    return "\n".join(f"    {line}" for line in printable(text).splitlines())


# ---- CSV -------------------------------------------------------------------------------------


def summaries_csv(result: Result) -> str:
    """A row per condition. Shares are 0 to 1, times seconds; an interval is three columns."""
    return _csv(_summary_names(), (_summary_cells(s) for s in summaries_of(result)))


def outcomes_csv(result: Result) -> str:
    """A row per question and condition."""
    questions = {question.id: question for question in result.questions}
    names = (
        "condition",
        "question_id",
        "question",
        "accepted",
        "answerable",
        "synthetic",
        "answer",
        "abstained",
        "correct",
        "best_subspan_em",
        "exact_match",
        "token_f1",
        "gold_in_prompt",
        "gold_slots",
        "passages",
        "citations",
        "confidence",
        "prompt_tokens",
        "answer_tokens",
        "reused_tokens",
        "latency_s",
        "placement",
        "note",
    )

    def cells(outcome: Outcome) -> tuple[Cell, ...]:
        asked = questions[outcome.question]
        slots = [
            slot
            for slot, passage in enumerate(outcome.order, start=1)
            if asked.passages[passage].is_gold
        ]
        cited = (f"[{c.label}] {c.status}" for c in outcome.citations)
        return (
            outcome.condition,
            asked.id,
            asked.question,
            " | ".join(asked.answers),
            asked.answerable,
            asked.synthetic,
            outcome.answer,
            outcome.abstained,
            outcome.correct,
            outcome.best_subspan_em,
            outcome.exact_match,
            outcome.token_f1,
            outcome.gold_in_prompt,
            " ".join(map(str, slots)),
            len(outcome.order),
            "; ".join(cited),
            outcome.confidence,
            outcome.prompt_tokens,
            outcome.answer_tokens,
            outcome.reused_tokens,
            outcome.latency_s,
            outcome.placement,
            outcome.note,
        )

    return _csv(names, map(cells, result.outcomes))


def _summary_names() -> tuple[str, ...]:
    """The fields of `Summary`; an interval gives three."""
    return tuple(
        name
        for field in fields(Summary)
        for name in (
            (field.name, f"{field.name}_low", f"{field.name}_high")
            if field.type == "Interval"
            else (field.name,)
        )
    )


def _summary_cells(summary: Summary) -> tuple[Cell, ...]:
    values = (getattr(summary, field.name) for field in fields(summary))
    return tuple(
        cell
        for value in values
        for cell in (
            (value.value, value.low, value.high) if isinstance(value, Interval) else (value,)
        )
    )


def _csv(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return stream.getvalue()


def csv_cell(value: Cell) -> Cell:
    """A value that no spreadsheet takes for a formula; numbers stay numbers, None is empty.

    >>> csv_cell("=1+1"), csv_cell("a=1"), csv_cell(-0.5), csv_cell(True), csv_cell(None)
    ("'=1+1", 'a=1', -0.5, 'true', '')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return "" if value is None else value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) else text
