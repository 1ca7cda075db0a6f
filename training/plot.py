"""Keep a run's logs and draw the curves of all that are kept: curves.png among the logs.

python -m training.plot
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from training.common import Config, configured, run_folder, stage_parser

STAGES = tuple(f"{stage}.jsonl" for stage in ("convert", "pretrain", "answer", "teacher", "distil"))

RUNS = {
    "answer-first": "first run",
    "answer-second": "second",
    "answer-third": "third",
    "answer-fourth": "fourth",
    "answer-fifth": "fifth",
    "answer-eighth": "eighth",
    "answer": "this run",
    "distil": "its student",
}
"""Runs that each went on from the one before, and their labels."""

NOT_SHIPPED = {
    "answer-fourth-hot": "after the third: high rate",
    "answer-fourth-same": "after the third: same questions",
    "full-attention": "after the fourth: full attention",
    "pretrain-first": "after the fourth: recurring spans",
    "answer-renamed": "after the fifth: other names",
    "answer-matched": "after the sixth: told the proximity*",
    "answer-clozes": "after the sixth: clozes*",
    "teacher-sixth": "after the sixth: full attention",
    "distil-sixth": "after the sixth: its student",
    "answer-seventh": "after the sixth: with imitations",
    "answer-ninth": "after the eighth: more of the like",
}
"""Runs whose weights were not taken; * scored with term proximity, which the other curves lack."""


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; none where the stage has not run."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def keep_logs(config: Config) -> None:
    """Copy the run's logs to those that are kept."""
    config.logs.mkdir(parents=True, exist_ok=True)
    for name in STAGES:
        source = run_folder(config) / name
        if source.exists():
            shutil.copy(source, config.logs / name)


def draw_conversion(axis: Any, logs: Path) -> None:
    """Cosine to the teacher's last layer."""
    converted = rows(logs / "convert.jsonl")
    axis.plot([r["tokens"] for r in converted], [r["cosine"] for r in converted])
    axis.set(title="RoPE conversion: cosine to the teacher", xlabel="tokens", ylim=(0.5, 1))


def draw_losses(axis: Any, logs: Path) -> None:
    """Losses of question answering, for passages alone and beside others."""
    logged = [found for name in RUNS if (found := rows(logs / f"{name}.jsonl"))]
    answered = [row for row in (logged[-1] if logged else []) if "end" in row]
    named = {
        "alone_start_again": "start, passage alone",
        "beside_start_again": "start, beside others or missing",
        "end": "end",
    }
    for part, label in named.items():
        shown = [row for row in answered if part in row]
        axis.plot([r["questions"] / 1000 for r in shown], [r[part] for r in shown], label=label)
    axis.set(title="Question answering: loss of the second pass", xlabel="thousand questions")
    axis.legend()


def draw_scores(axis: Any, logs: Path) -> None:
    """F1 and exact match on held-out questions, of this run and of those it went on from."""
    before = 0.0
    for i, (name, label) in enumerate(RUNS.items()):
        logged = rows(logs / f"{name}.jsonl")
        scored = [row for row in logged if "f1" in row]
        if not scored:
            continue
        minutes = [before + row["seconds"] / 60 for row in scored]
        axis.plot(minutes, [row["f1"] for row in scored], "o-", color=f"C{i}", label=label)
        axis.plot(minutes, [row["em"] for row in scored], "o--", color=f"C{i}")
        before += logged[-1]["seconds"] / 60
    title = "squadshifts_newwiki.dev: F1, EM (dashed)"
    axis.set(title=title, xlabel="minutes", ylim=(0, None))
    if axis.has_data():
        axis.legend(loc="lower right", ncols=2)


def draw_not_shipped(axis: Any, logs: Path) -> None:
    """F1 on held-out questions of the runs whose weights were not taken."""
    for i, (name, label) in enumerate(NOT_SHIPPED.items()):
        scored = [row for row in rows(logs / f"{name}.jsonl") if "f1" in row]
        if scored:
            minutes = [row["seconds"] / 60 for row in scored]
            axis.plot(minutes, [row["f1"] for row in scored], "o-", color=f"C{i}", label=label)
    title = "Not shipped: F1 (160 rows, 791 at the end; * with term proximity)"
    axis.set(title=title, xlabel="minutes of the run")
    if axis.has_data():
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), fontsize="small", ncols=2)


def run(config: Config) -> None:
    """Keep the run's logs and draw all that are kept."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    keep_logs(config)
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    draws = (draw_conversion, draw_losses, draw_scores, draw_not_shipped)
    for axis, draw in zip(axes.flat, draws, strict=True):
        draw(axis, config.logs)
        axis.grid(alpha=0.3)
    figure.savefig(config.logs / "curves.png", dpi=110)


def main() -> None:
    """Draw as the command line says."""
    run(configured(stage_parser(__doc__).parse_args()))


if __name__ == "__main__":
    main()
