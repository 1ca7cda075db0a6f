"""Writes a finished comparison as files: a page to read, text to paste, data to compute with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ragctx.evaluation.report.page import html_report
from ragctx.evaluation.report.text import markdown_report, outcomes_csv, summaries_csv
from ragctx.evaluation.results import Result
from ragctx.paths import write_whole
from ragctx.text.display import escape_unsafe


def _json(result: Result) -> str:
    return f"{escape_unsafe(result.to_json())}\n"


FILES: Mapping[str, Callable[[Result], str]] = MappingProxyType(
    {
        "report.html": html_report,
        "report.md": markdown_report,
        "result.json": _json,
        "summaries.csv": summaries_csv,
        "outcomes.csv": outcomes_csv,
    }
)
"""What `write_report` writes, by file name; `Result.from_json` reads result.json again."""


def write_report(result: Result, folder: str | Path) -> tuple[Path, ...]:
    """Write all of `FILES` into a folder and return their paths; files of that name are replaced.

    The folder is made if need be. Each file is written whole or not at all: beside its place, then
    moved. The HTML page needs none of the others.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(write_whole(folder / name, text_of(result)) for name, text_of in FILES.items())
