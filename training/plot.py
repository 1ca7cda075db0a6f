"""Draw a run's curves from its logs: training/logs/*.jsonl -> training/logs/curves.png.

python -m training.plot
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from training.common import HERE, load_config, run_folder

LOGS = HERE / "logs"
STAGES = tuple(f"{stage}.jsonl" for stage in ("convert", "pretrain", "answer", "teacher", "distil"))


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; none where the stage has not run."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def keep_logs() -> None:
    """Copy the logs of the run beside the code."""
    LOGS.mkdir(exist_ok=True)
    for name in STAGES:
        source = run_folder(load_config()) / name
        if source.exists():
            shutil.copy(source, LOGS / name)


def draw_conversion(axis: Any) -> None:
    """Cosine to the teacher's last layer."""
    converted = rows(LOGS / "convert.jsonl")
    axis.plot([r["tokens"] for r in converted], [r["cosine"] for r in converted])
    axis.set(title="RoPE conversion: cosine to the teacher", xlabel="tokens", ylim=(0.5, 1))


def draw_losses(axis: Any) -> None:
    """Losses of question answering, by what stood beside the passage."""
    answered = [row for row in rows(LOGS / "answer.jsonl") if "end" in row]
    named = {
        "alone_start_again": "start, passage alone",
        "beside_start_again": "start, beside others or missing",
        "end": "end",
    }
    for part, label in named.items():
        shown = [row for row in answered if part in row]
        axis.plot([r["questions"] / 1000 for r in shown], [r[part] for r in shown], label=label)
    axis.set(title="Question answering: loss at the second look", xlabel="thousand questions")
    axis.legend()


def draw_scores(axis: Any) -> None:
    """F1 on held-out questions, of this run and of those it went on from."""
    before = 0
    runs = {
        "answer-first": "first run",
        "answer-second": "second",
        "answer-third": "third",
        "answer-fourth": "fourth",
        "answer": "fifth",
    }
    for i, (name, label) in enumerate(runs.items()):
        found = rows(LOGS / f"{name}.jsonl")
        scored = [row for row in found if "f1" in row]
        minutes = [before + row["seconds"] / 60 for row in scored]
        axis.plot(minutes, [row["f1"] for row in scored], "o-", color=f"C{i}", label=label)
        axis.plot(minutes, [row["em"] for row in scored], "o--", color=f"C{i}")
        before += max((row["seconds"] / 60 for row in found if "seconds" in row), default=0)
    title = "squadshifts_newwiki.dev: F1, EM (dashed)"
    axis.set(title=title, xlabel="minutes", ylim=(0, None))
    axis.legend(loc="lower right", ncols=2)


def main() -> None:
    """Keep the run's logs beside the code and draw them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    keep_logs()
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for axis, draw in zip(axes, (draw_conversion, draw_losses, draw_scores), strict=True):
        draw(axis)
        axis.grid(alpha=0.3)
    figure.savefig(LOGS / "curves.png", dpi=110)


if __name__ == "__main__":
    main()
