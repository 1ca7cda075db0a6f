"""Stage 3: question answering, by pointing, on labelled sets. Resumable: run it again.

python -m training.answer
python -m training.answer --start runs/other/answer.safetensors --minutes 80
python -m training.answer --alone 0 --name full    # full attention over passage and question
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch

from ragctx.generator.network import ALONE, ReaderNetwork
from training.common import (
    Config,
    bundled_tokenizer,
    freeze_embeddings,
    load_config,
    load_network,
    run_folder,
    set_threads,
)
from training.data import Passage, load_passages
from training.loop import Score, Stage, train
from training.score import score_questions


def main() -> None:
    """Run or resume the stage."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, help="by the clock instead of by steps")
    arguments.add_argument("--threads", type=int, help="CPU threads instead of the configured ones")
    arguments.add_argument("--start", type=Path, help="weights to begin from; default: stage 2's")
    arguments.add_argument(
        "--alone",
        type=int,
        default=ALONE,
        help="layers before the second look (default %(default)s)",
    )
    arguments.add_argument("--name", default="answer", help="of the run's files (%(default)s)")
    given = arguments.parse_args()
    config = load_config()
    set_threads(given.threads or config.threads)
    torch.manual_seed(config.seed)
    folder = run_folder(config)
    network = load_network(given.start or folder / "pretrain.safetensors", given.alone)
    freeze_embeddings(network)
    sets = load_sets(config, config.answer["sets"])
    train(
        network,
        Stage(given.name, folder, config.answer, sets, dev_score(config), given.minutes),
        config,
    )


def load_sets(config: Config, names: Iterable[str]) -> dict[str, list[Passage]]:
    """The training part of every question set named."""
    tokenizer = bundled_tokenizer()
    return {
        name: load_passages(
            config.questions / f"{name}.train.jsonl.gz",
            tokenizer,
            config.chunk_tokens,
            config.question_tokens,
        )
        for name in names
    }


def dev_score(config: Config) -> Score:
    """F1 and exact match on held-out Wikipedia questions, each with its own passage."""
    dev = config.questions / "squadshifts_newwiki.dev.jsonl.gz"

    def score(network: ReaderNetwork, limit: int | None) -> dict[str, float]:
        return score_questions(network, dev, limit)

    return score


if __name__ == "__main__":
    main()
