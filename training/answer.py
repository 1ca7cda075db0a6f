"""Stage 3: question answering, by pointing. Resumable: run it again after an interruption.

Each step encodes its passages once and lets all their questions read them. First every question
reads its own passage alone; later up to `max_distractors` others stand beside it, at random
places, and some questions find their passage missing.

    python -m training.answer
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from torch import nn

from ragctx.generator.network import ReaderNetwork
from training.batches import Visit, batches, make_batch
from training.common import (
    Config,
    Log,
    bundled_tokenizer,
    freeze_embeddings,
    load_config,
    load_network,
    run_folder,
    save_network,
    set_threads,
)
from training.data import load_passages, visits
from training.forward import Batch, Losses, losses
from training.score import score_questions


def optimizer_for(network: ReaderNetwork, config: Config) -> torch.optim.AdamW:
    """AdamW; the new heads learn faster than the layers."""
    body = [p for n, p in network.named_parameters() if _is_body(n) and p.requires_grad]
    heads = [p for n, p in network.named_parameters() if not _is_body(n) and p.requires_grad]
    settings = config.answer
    return torch.optim.AdamW(
        [
            {"params": body, "lr": settings["learning_rate"]},
            {"params": heads, "lr": settings["head_learning_rate"]},
        ],
        weight_decay=settings["weight_decay"],
        betas=(0.9, 0.98),
    )


def _is_body(name: str) -> bool:
    return name.startswith(("layers.", "embeddings."))


class Clock:
    """Wall-clock progress of a run that may have been interrupted: 0 at its start, 1 at its end."""

    def __init__(self, minutes: float, spent_s: float) -> None:
        self.total_s, self.spent_before, self.began = minutes * 60, spent_s, time.perf_counter()

    @property
    def spent_s(self) -> float:
        """Seconds of training so far, over all resumptions."""
        return self.spent_before + time.perf_counter() - self.began

    @property
    def progress(self) -> float:
        """Share of the run that is over."""
        return min(1.0, self.spent_s / self.total_s)


def learning_rate_factor(step: int, warmup_steps: int, progress: float) -> float:
    """Linear warm-up in steps, then linear decay in time."""
    return min(1.0, (step + 1) / warmup_steps) * max(0.0, 1.0 - progress)


def train_step(
    network: ReaderNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: Config,
    factor: float,
    writing: bool,
) -> Losses:
    """One step of the optimizer; the rates are the configured ones times `factor`."""
    settings = config.answer
    rates = (settings["learning_rate"], settings["head_learning_rate"])
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    with torch.autocast("cpu", torch.bfloat16):
        parts = losses(network, batch, writing)
    total = parts.start + parts.end + settings["writing_weight"] * parts.writing
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
    optimizer.step()
    return parts


def distractor_settings(config: Config, progress: float) -> tuple[int, float]:
    """How many distractors at most, and the share of null questions, at this point of the run."""
    settings = config.answer
    begin = settings["distractors_from"]
    if progress < begin:
        return 0, 0.0
    grown = min(1.0, (progress - begin) / 0.2)
    return max(1, round(grown * settings["max_distractors"])), settings["null_share"]


def main() -> None:
    """Run or resume the stage."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, help="wall clock instead of the configured one")
    given = arguments.parse_args()
    config = load_config()
    minutes = given.minutes or config.answer["minutes"]
    set_threads(config.threads)
    torch.manual_seed(config.seed)
    folder = run_folder(config)
    log, checkpoint = Log(folder / "answer.jsonl"), folder / "answer.pt"
    network = load_network(folder / "converted.safetensors")
    freeze_embeddings(network)
    optimizer = optimizer_for(network, config)
    step, spent, round_number = _resume(checkpoint, network, optimizer)
    clock = Clock(minutes, spent)
    tokenizer = bundled_tokenizer()
    weights: dict[str, float] = config.answer["sets"]
    sets = {
        name: load_passages(
            config.questions / f"{name}.train.jsonl.gz",
            tokenizer,
            config.chunk_tokens,
            config.question_tokens,
        )
        for name in weights
    }
    dev = config.questions / "squadshifts_newwiki.dev.jsonl.gz"
    asked = 0
    while clock.progress < 1.0:
        rng = random.Random(config.seed * 1000 + round_number)
        round_number += 1
        round_ = visits(sets, weights, config.answer["questions_per_context"], rng)
        for chosen in _steps(round_, config, rng):
            if clock.progress >= 1.0:
                break
            distractors, null_share = distractor_settings(config, clock.progress)
            writing = clock.progress >= config.answer["writing_from"]
            batch = make_batch(
                chosen,
                rng,
                max_distractors=distractors,
                null_share=null_share,
                context_window=config.context_window,
                answer_tokens=config.answer_tokens if writing else 0,
            )
            factor = learning_rate_factor(step, config.answer["warmup_steps"], clock.progress)
            parts = train_step(network, optimizer, batch, config, factor, writing)
            asked += len(batch.tokens)
            step += 1
            if step % 25 == 0:
                log.write(
                    step=step,
                    seconds=clock.spent_s,
                    questions=asked,
                    distractors=distractors,
                    start=parts.start.item(),
                    end=parts.end.item(),
                    writing=parts.writing.item(),
                )
            if step % config.answer["checkpoint_every"] == 0:
                _save(checkpoint, network, optimizer, step, clock.spent_s, round_number)
                save_network(network, folder / "answer.safetensors")
            if step % config.answer["evaluate_every"] == 0:
                scores = score_questions(network, dev, config.answer["evaluate_questions"])
                log.write(step=step, seconds=clock.spent_s, **scores)
    save_network(network, folder / "answer.safetensors")
    log.write(step=step, seconds=clock.spent_s, **score_questions(network, dev, None))


def _steps(round_: list[Visit], config: Config, rng: random.Random) -> list[list[Visit]]:
    settings = config.answer
    steps = list(
        batches(round_, settings["context_tokens_per_step"], settings["questions_per_step"])
    )
    rng.shuffle(steps)
    return steps


def _save(
    path: Path,
    network: ReaderNetwork,
    optimizer: torch.optim.Optimizer,
    step: int,
    spent_s: float,
    round_number: int,
) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "spent_s": spent_s,
            "round": round_number,
        },
        part,
    )
    part.replace(path)


def _resume(
    path: Path, network: ReaderNetwork, optimizer: torch.optim.Optimizer
) -> tuple[int, float, int]:
    if not path.exists():
        return 0, 0.0, 0
    saved = torch.load(path, weights_only=True)
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"], saved["spent_s"], saved["round"]


if __name__ == "__main__":
    main()
