"""What the command line writes: JSON, tables, and the prompt as a bar."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.explanation.bar import stretches, widths
from ragctx.explanation.view import entry_words
from ragctx.text.display import escape_unsafe, one_line
from ragctx.views import is_plain, number, place_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ragctx.attribution import Attribution
    from ragctx.explanation.fates import Fate
    from ragctx.ingest_ledger import IngestRow
    from ragctx.records import Answer, LedgerRow, Prompt

_PIPED_WIDTH = 10_000
"""Characters: a pipe has no width, and a path in it must not be broken. Wider than any path."""


def json_text(value: object) -> str:
    r"""One line of JSON that any terminal, pipe and parser can take.

    >>> json_text({"answer": "é", "quote": "\x9b"})
    '{"answer": "é", "quote": "\\u009b"}'
    """
    return escape_unsafe(json.dumps(value, ensure_ascii=False, allow_nan=False))


def write_json(value: object) -> None:
    """Write the result to standard output, as one JSON object on a line of its own."""
    text = json_text(value)
    if "utf" not in (sys.stdout.encoding or "").lower():
        text = json.dumps(json.loads(text))  # ASCII, for a terminal without Unicode
    print(text, flush=True)


def console(*, stderr: bool = False) -> Console:
    """A console that colours only a terminal, and never breaks lines for a pipe.

    Strings that it prints, in tables too, pass `escape_unsafe`: only rich's own styles command the
    terminal.
    """
    from rich.console import Console

    class SafeConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(escape_unsafe(text), **options)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich's own would end in SystemExit(1), as a failure

    screen = SafeConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not screen.is_terminal:
        screen.width = _PIPED_WIDTH
    return screen


def shown_path(path: str) -> str:
    """A path to show: relative to the working directory if it is inside."""
    with suppress(ValueError, OSError):
        return one_line(str(Path(path).relative_to(Path.cwd())))
    return one_line(path)


def table(*headers: str, numbers: Iterable[str] = ()) -> Table:
    """An empty table; the columns in `numbers` are aligned to the right and never broken."""
    from rich import box
    from rich.table import Table

    right = set(numbers)
    empty = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    for header in headers:
        wide = header not in right
        empty.add_column(header, justify="left" if wide else "right", no_wrap=not wide)
        empty.columns[-1].overflow = "fold"
    return empty


def ingest_table(rows: Iterable[IngestRow]) -> Table:
    """The files that are not in the index, or not whole."""
    grid = table("file", "status", "pages", "chunks", "what", numbers=("pages", "chunks"))
    for row in rows:
        if is_plain(row):
            continue
        status = "removed" if row.outcome == "removed" else row.status
        grid.add_row(
            shown_path(row.path),
            status,
            str(row.pages),
            str(row.chunks),
            one_line(row.message),
            style="red" if row.outcome == "failed" else "",
        )
    return grid


def ledger_table(ledger: Iterable[LedgerRow]) -> Table:
    """What became of every candidate of a prompt."""
    grid = table(
        "rank",
        "score",
        "tokens",
        "outcome",
        "document",
        "characters",
        "reason",
        numbers=("rank", "score", "tokens"),
    )
    for row in ledger:
        grid.add_row(
            str(row.rank),
            _score(row.score),
            str(row.tokens),
            row.outcome,
            one_line(row.document),
            f"{row.start}-{row.end}",
            one_line(row.reason),
            style="" if row.outcome == "selected" else "dim",
        )
    return grid


_LEAST_SHOWN = math.log(0.001)


def attribution_table(attributions: Iterable[Attribution], answer: Answer) -> Table:
    """How probable the answer is with each passage left out.

    A long answer has no probability that could be read: there logarithms are shown.
    """
    rows = list(attributions)
    in_logs = all(row.log_probability < _LEAST_SHOWN > row.without for row in rows)
    values = ("log p with", "without", "lost") if in_logs else ("with", "without", "lost")
    grid = table("source", "document", *values, "", numbers=("source", *values))
    cited = {citation.label for citation in answer.citations}
    for row, segment in zip(rows, answer.prompt.passages, strict=True):
        with_all, without = row.log_probability, row.without
        lost = with_all - without if in_logs else row.probability_lost
        if not in_logs:
            with_all, without = math.exp(with_all), math.exp(without)
        shown = (f"{with_all:.3f}", f"{without:.3f}", f"{lost:+.3f}")
        grid.add_row(
            f"[{row.label}]",
            one_line(segment.hit.document if segment.hit else ""),
            *shown,
            "no other passage says it" if math.isinf(row.without) else "",
            style="" if row.label in cited else "dim",
        )
    return grid


def _score(score: float | None) -> str:
    return "" if number(score) is None else f"{score:.4f}"


def fates_table(fates: Iterable[Fate], score_name: str = "score") -> Table:
    """What became of every candidate, its label in the prompt, and what would let it in."""
    grid = table(
        "rank",
        score_name,
        "tokens",
        "outcome",
        "in prompt",
        "where",
        "why",
        numbers=("rank", score_name, "tokens"),
    )
    for fate in fates:
        row, where = fate.row, place_words(fate.hit)
        grid.add_row(
            str(row.rank),
            _score(row.score),
            str(row.tokens),
            row.outcome,
            f"[{fate.label}]" if fate.label else "",
            "\n".join((where, *map(one_line, row.section[-1:]))),
            one_line("; ".join(filter(None, (row.reason, entry_words(fate))))),
            style="" if row.outcome in ("selected", "trimmed") else "dim",
        )
    return grid


_BAR_STYLES = {"instruction": "on grey30", "question": "black on yellow", "answer": "on grey30"}
_BAR_NAMES = {"instruction": "text", "question": "question", "answer": "answer"}


def explanation_bar(prompt: Prompt, width: int) -> Text:
    """The prompt's parts side by side in `width` characters, each as long as its tokens.

    The better a passage's rank, the brighter it is.
    """
    from rich.text import Text

    parts = stretches(prompt)
    cells = widths([part.tokens for part in parts], width - len(parts) - 1)
    bar = Text("|", no_wrap=True, overflow="crop")
    for part, length in zip(parts, cells, strict=True):
        name = part.label or _BAR_NAMES[part.kind]
        name = name if len(name) <= length else ""
        shade = f"on rgb(0,{round(60 + 60 * part.strength)},{round(90 + 120 * part.strength)})"
        style = f"white {shade}" if part.kind == "passage" else _BAR_STYLES[part.kind]
        bar.append(name.center(length, _BAR_FILL[part.kind]), style).append("|")
    return bar


_BAR_FILL = {"instruction": "-", "passage": " ", "question": "?", "answer": " "}


def failure_lines(rows: Iterable[IngestRow]) -> list[str]:
    """One line for each file that is not in the index."""
    failed = (row for row in rows if row.outcome == "failed")
    return [f"failed: {shown_path(row.path)}: {one_line(row.message)}" for row in failed]
