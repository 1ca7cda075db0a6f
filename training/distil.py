"""Stage 4: the reader imitates itself with full attention. Resumable: run it again.

The teacher is the same network, but its second look begins at the first layer: full attention over
passage and question. It goes on from stage 3's weights for some steps; then the student does, and
its second look is drawn towards the teacher's (Hinton et al. 2015, arXiv 1503.02531). What the
teacher's score has over the student's is what reading passages alone costs.

    python -m training.distil
    python -m training.distil --start runs/other/answer.safetensors --minutes 30
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ragctx.generator.network import ReaderNetwork
from training.answer import dev_score, load_sets
from training.common import freeze_embeddings, load_config, load_network, run_folder, set_threads
from training.loop import Stage, train


def main() -> None:
    """Run or resume teacher and student."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("--minutes", type=float, help="for each, instead of by steps")
    arguments.add_argument("--threads", type=int, help="CPU threads instead of the configured ones")
    arguments.add_argument("--start", type=Path, help="weights to begin from; default: stage 3's")
    given = arguments.parse_args()
    config = load_config()
    set_threads(given.threads or config.threads)
    folder, score = run_folder(config), dev_score(config)
    sets = load_sets(config, config.answer["sets"])
    settings = {**config.answer, **config.distil}

    def run(name: str, network: ReaderNetwork, teacher: ReaderNetwork | None) -> None:
        torch.manual_seed(config.seed)
        freeze_embeddings(network)
        train(network, Stage(name, folder, settings, sets, score, given.minutes, teacher), config)

    start = given.start or folder / "answer.safetensors"
    run("teacher", load_network(start, alone=0), None)
    teacher = load_network(folder / "teacher.safetensors", alone=0).eval().requires_grad_(False)
    run("distil", load_network(start), teacher)


if __name__ == "__main__":
    main()
