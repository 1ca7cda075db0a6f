"""Stage 3: question answering, by pointing, on labelled sets. Resumable: run it again.

python -m training.answer
python -m training.answer --start runs/other/answer.safetensors --minutes 80
python -m training.answer --alone 0 --name full    # full attention over passage and question
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ragctx.generator.reader.network import ALONE
from ragctx.tokens.load import load_tokenizer
from training.common import (
    Config,
    bundled_tokenizer,
    configured,
    freeze_embeddings,
    load_network,
    prepare,
    run_folder,
    stage_parser,
)
from training.data import Passage, passages_of, read_rows
from training.loop import Score, Stage, train
from training.network import TorchNetwork
from training.score import score_questions
from training.written import FILES, written_rows


def run(
    config: Config,
    start: Path | None = None,
    minutes: float | None = None,
    alone: int = ALONE,
    name: str = "answer",
) -> None:
    """Run or resume the stage, from `start` or from what stage 2 left."""
    prepare(config)
    folder = run_folder(config)
    network = load_network(start or folder / "pretrain.safetensors", alone)
    freeze_embeddings(network)
    sets = load_sets(config, config.answer["sets"])
    train(
        network,
        Stage(
            name=name,
            folder=folder,
            settings=config.answer,
            sets=sets,
            score=dev_score(config),
            minutes=minutes,
        ),
        config,
    )


def main() -> None:
    """Run or resume the stage as the command line asks."""
    parser = stage_parser(__doc__)
    parser.add_argument("--minutes", type=float, help="by the clock instead of by steps")
    parser.add_argument("--start", type=Path, help="weights to begin from; default: stage 2's")
    parser.add_argument(
        "--alone",
        type=int,
        default=ALONE,
        help="layers before the second pass (default %(default)s)",
    )
    parser.add_argument("--name", default="answer", help="of the run's files (%(default)s)")
    arguments = parser.parse_args()
    run(configured(arguments), arguments.start, arguments.minutes, arguments.alone, arguments.name)


def load_sets(config: Config, names: Iterable[str]) -> dict[str, list[Passage]]:
    """The training part of every question set named."""
    tokenizer, embedder = bundled_tokenizer(), load_tokenizer()
    return {
        name: passages_of(
            written_rows(config.written, name, config.texts, embedder)
            if name in FILES
            else read_rows(config.questions / f"{name}.train.jsonl.gz"),
            name,
            tokenizer,
            config.chunk_tokens,
            config.question_tokens,
            unanswered=name in FILES,
        )
        for name in names
    }


def dev_score(config: Config) -> Score:
    """F1 and exact match on held-out Wikipedia questions, each with its own passage."""
    dev = config.questions / "squadshifts_newwiki.dev.jsonl.gz"

    def score(network: TorchNetwork, limit: int | None) -> dict[str, float]:
        return score_questions(network, dev, limit)

    return score


if __name__ == "__main__":
    main()
