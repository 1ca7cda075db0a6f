"""Run every stage that is not done yet, one after another: `make train`.

    python -m training
    python -m training --config training/small.toml    # a trial: half an hour, a bad reader

A stage is done when the file it writes is newer than that of the stage before it. One that was
stopped goes on from its checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from training import answer, convert, distil, export, measure, plot, pretrain
from training.common import Config, configured, is_made, run_folder, stage_parser


class Step(NamedTuple):
    """A stage: its name, the file it writes, and its function."""

    name: str
    leaves: Path
    run: Callable[[Config], object]


def steps(config: Config) -> list[Step]:
    """All stages, in their order."""
    folder, logs = run_folder(config), config.logs
    return [
        Step("convert", folder / "converted.safetensors", convert.run),
        Step("pretrain", folder / "pretrain.safetensors", pretrain.run),
        Step("answer", folder / "answer.safetensors", answer.run),
        Step("distil", folder / "distil.safetensors", distil.run),
        Step("export", config.reader / "reader.json", export.run),
        *(
            Step(f"measure {part}", logs / f"measured-{part}.json", partial(measure.run, part))
            for part in measure.PARTS
        ),
        Step("plot", logs / "curves.png", plot.run),
    ]


def run_all(config: Config, steps: Sequence[Step]) -> None:
    """Run those that are not done."""
    sources: tuple[Path, ...] = ()
    for step in steps:
        done = is_made(step.leaves, *sources)
        sys.stderr.write(f"{step.name}: {'done' if done else 'now'}, {step.leaves}\n")
        if not done:
            step.run(config)
        sources = (step.leaves,)


def main() -> None:
    """Run as the command line asks."""
    config = configured(stage_parser(__doc__).parse_args())
    run_all(config, steps(config))


if __name__ == "__main__":
    main()
