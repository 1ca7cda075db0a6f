"""Stage 4: the reader imitates itself with full attention. Resumable: run it again.

The teacher is the same network, but its second pass begins at the first layer: full attention over
passage and question. It goes on from stage 3's weights for some steps; then the student does, and
its second pass is drawn towards the teacher's (Hinton et al. 2015, arXiv 1503.02531). The teacher's
score minus the student's is what it costs to encode passages alone.

    python -m training.distil
    python -m training.distil --start runs/other/answer.safetensors --minutes 30
"""

from __future__ import annotations

from pathlib import Path

from training.answer import dev_score, load_sets
from training.common import (
    Config,
    configured,
    freeze_embeddings,
    is_made,
    load_network,
    prepare,
    run_folder,
    stage_parser,
)
from training.loop import Stage, train


def run(config: Config, start: Path | None = None, minutes: float | None = None) -> None:
    """Run or resume teacher and student, each for `minutes`, from `start` or stage 3's weights.

    A teacher that is newer than these weights is kept.
    """
    folder, score = run_folder(config), dev_score(config)
    start = start or folder / "answer.safetensors"
    taught = folder / "teacher.safetensors"
    sets = load_sets(config, config.answer["sets"])
    settings = {**config.answer, **config.distil}
    prepare(config)
    if not is_made(taught, start):
        network = load_network(start, alone=0)
        freeze_embeddings(network)
        train(
            network,
            Stage(
                name="teacher",
                folder=folder,
                settings=settings,
                sets=sets,
                score=score,
                minutes=minutes,
            ),
            config,
        )
    prepare(config)
    network, teacher = load_network(start), load_network(taught, alone=0)
    freeze_embeddings(network)
    teacher.eval().requires_grad_(False)
    train(
        network,
        Stage(
            name="distil",
            folder=folder,
            settings=settings,
            sets=sets,
            score=score,
            minutes=minutes,
            teacher=teacher,
        ),
        config,
    )


def main() -> None:
    """Run or resume the stage as the command line asks."""
    parser = stage_parser(__doc__)
    parser.add_argument("--minutes", type=float, help="for each, instead of by steps")
    parser.add_argument("--start", type=Path, help="weights to begin from; default: stage 3's")
    arguments = parser.parse_args()
    run(configured(arguments), arguments.start, arguments.minutes)


if __name__ == "__main__":
    main()
