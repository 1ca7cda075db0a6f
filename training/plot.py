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


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def smooth(values: list[float], span: int = 8) -> list[float]:
    """Running mean over the last `span` values."""
    return [
        sum(values[max(0, i - span) : i + 1]) / (i + 1 - max(0, i - span))
        for i in range(len(values))
    ]


def main() -> None:
    """Keep the run's logs beside the code and draw them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    LOGS.mkdir(exist_ok=True)
    for name in ("convert.jsonl", "answer.jsonl"):
        shutil.copy(run_folder(load_config()) / name, LOGS / name)
    converted, answered = rows(LOGS / "convert.jsonl"), rows(LOGS / "answer.jsonl")
    losses = [row for row in answered if "start" in row]
    scores = [row for row in answered if "f1" in row]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    axes[0].plot([r["tokens"] for r in converted], [r["cosine"] for r in converted])
    axes[0].set(title="RoPE conversion: cosine to the teacher", xlabel="tokens", ylim=(0.5, 1))
    minutes = [row["seconds"] / 60 for row in losses]
    for part in ("start", "end"):
        axes[1].plot(minutes, smooth([row[part] for row in losses]), label=part)
    axes[1].set(title="Question answering: loss", xlabel="minutes")
    axes[1].legend()
    axes[2].plot([r["seconds"] / 60 for r in scores], [r["f1"] for r in scores], "o-", label="F1")
    axes[2].plot([r["seconds"] / 60 for r in scores], [r["em"] for r in scores], "o-", label="EM")
    axes[2].set(title="squadshifts_newwiki.dev, gold passage", xlabel="minutes", ylim=(0, None))
    axes[2].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.savefig(LOGS / "curves.png", dpi=110)


if __name__ == "__main__":
    main()
