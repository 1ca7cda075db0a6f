"""A finished comparison as files: one page to look at, text to paste, data to compute with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ragctx.evaluation.report.page import html_report
from ragctx.evaluation.report.text import markdown_report, outcomes_csv, summaries_csv
from ragctx.evaluation.results import Result
from ragctx.paths import write_whole


def _json(result: Result) -> str:
    return f"{result.to_json()}\n"


FILES: Mapping[str, Callable[[Result], str]] = MappingProxyType(
    {
        "report.html": html_report,
        "report.md": markdown_report,
        "result.json": _json,
        "summaries.csv": summaries_csv,
        "outcomes.csv": outcomes_csv,
    }
)
"""What `write_report` writes; `Result.from_json` reads result.json again."""


def write_report(result: Result, folder: str | Path) -> tuple[Path, ...]:
    """Write all of `FILES` into a folder, which is made if need be; what stands there is replaced.

    Each file is whole or not there: it is written beside its place and moved. The page needs no
    other file.

    Raises:
        OSError: the folder cannot be written to.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return tuple(write_whole(place / name, made(result)) for name, made in FILES.items())
