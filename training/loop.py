"""The training loop that span pre-training and question answering share. Resumable.

Each step encodes its passages once and lets all their questions read them: some steps alone, some
beside up to all the other passages of the step, at random places, with some questions whose passage
is missing. What a stage saves is the moving average of its weights.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.batches import Visit, batches, make_batch
from training.common import (
    Config,
    Log,
    autocast,
    load_checkpoint,
    prepare,
    save_checkpoint,
    save_network,
    set_dropout,
)
from training.data import Passage, visits
from training.forward import Batch, Losses, losses
from training.network import TorchNetwork

Settings = Mapping[str, Any]
Sets = Mapping[str, list[Passage]]
Score = Callable[[TorchNetwork, int | None], dict[str, float]]
"""(network, questions or None for all) -> what goes into the log."""


def optimizer_for(network: TorchNetwork, settings: Settings) -> torch.optim.AdamW:
    """AdamW; the new layer and the heads learn faster than the layers that were trained before."""
    body = [p for n, p in network.named_parameters() if _is_body(n) and p.requires_grad]
    heads = [p for n, p in network.named_parameters() if not _is_body(n) and p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": body, "lr": settings["learning_rate"]},
            {"params": heads, "lr": settings["head_learning_rate"]},
        ],
        weight_decay=settings["weight_decay"],
        betas=(0.9, 0.98),
        fused=True,
    )


def _is_body(name: str) -> bool:
    return name.startswith(("layers.", "embeddings."))


@dataclass(kw_only=True)
class Run:
    """A run's progress: everything that a resumed one needs beside weights and optimizer."""

    step: int = 0
    spent_s: float = 0.0
    round: int = 0
    done: int = 0  # steps of that round that are over
    asked: int = 0  # questions so far

    def progress(self, steps: int, minutes: float | None) -> float:
        """Share of the run that is over, by steps or by the clock."""
        share = self.spent_s / (60 * minutes) if minutes else self.step / steps
        return min(1.0, share)


def learning_rate_factor(step: int, warmup_steps: int, progress: float) -> float:
    """Linear warm-up in steps, then linear decay over the run."""
    return min(1.0, (step + 1) / warmup_steps) * max(0.0, 1.0 - progress)


def train_step(
    network: TorchNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    settings: Settings,
    factor: float,
    writing: bool,
    teacher: TorchNetwork | None = None,
) -> Losses:
    """Make one step of the optimizer at the configured learning rates times `factor`."""
    rates = (settings["learning_rate"], settings["head_learning_rate"])
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    with autocast(batch.passages.device):
        parts = losses(network, batch, writing, teacher)
    total = parts.start + parts.second_start + parts.end
    total = total + settings["writing_weight"] * parts.writing
    total = total + settings["imitation_weight"] * parts.imitation
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
    optimizer.step()
    return parts


class Average:
    """Exponential moving average of the weights that are trained (Polyak and Juditsky 1992)."""

    def __init__(self, network: TorchNetwork, decay: float) -> None:
        self.decay = decay
        self.trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.weights = {name: p.detach().clone() for name, p in self.trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights as they are; faster in the first steps."""
        share = 1 - min(self.decay, (step + 1) / (step + 10))
        for name, parameter in self.trained.items():
            self.weights[name].lerp_(parameter, share)

    def network(self, network: TorchNetwork) -> TorchNetwork:
        """A network with the averaged weights, on the CPU."""
        averaged = TorchNetwork(network.shape, network.alone)
        averaged.load_state_dict({**network.state_dict(), **self.weights})
        return averaged


def rounds(
    sets: Sets, settings: Settings, seed: int, run: Run
) -> Iterator[tuple[list[Visit], random.Random]]:
    """The run's remaining steps, without end, each with its own random source."""
    while True:
        rng = random.Random(seed * 1000 + run.round)
        round_ = visits(
            sets, settings["sets"], settings["questions_per_context"], settings["near_share"], rng
        )
        tokens, questions = settings["context_tokens_per_step"], settings["questions_per_step"]
        steps = list(batches(round_, tokens, questions))
        rng.shuffle(steps)
        for i in range(run.done, len(steps)):
            run.done = i + 1
            yield steps[i], random.Random(f"{seed}:{run.round}:{i}")
        run.round, run.done = run.round + 1, 0


def next_batch(
    step: list[Visit], rng: random.Random, settings: Settings, context_window: int, writing: bool
) -> Batch:
    """Make a batch whose questions read their passage alone or beside others of the step."""
    alone = rng.random() < settings["alone_share"]
    return make_batch(
        step,
        rng,
        max_distractors=0 if alone else settings["max_distractors"],
        null_share=settings["null_share"],
        context_window=context_window,
        answer_tokens=settings["answer_tokens"] if writing else 0,
        question_dropout=settings["question_dropout"],
        sentence_dropout=settings["sentence_dropout"],
    )


class Means:
    """Running means of a step's losses between two rows of the log."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, **values: Tensor) -> None:
        """Count a step's losses."""
        for name, value in values.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = total + value.item(), count + 1

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage's name (of its files in `folder`), settings and data; `minutes` overrides steps.

    The second pass of a `teacher` is imitated, weighted by `imitation_weight` of the settings.
    """

    name: str
    folder: Path
    settings: Settings
    sets: Sets
    score: Score
    minutes: float | None = None
    teacher: TorchNetwork | None = None


@dataclass(kw_only=True)
class State:
    """What a run changes, and the file that keeps it until the run is over."""

    network: TorchNetwork
    optimizer: torch.optim.AdamW
    average: Average
    run: Run
    path: Path

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
            "run": vars(self.run),
        }
        save_checkpoint(self.path, state)

    def resume(self, device: torch.device) -> None:
        """Go on from the checkpoint, if there is one."""
        if saved := load_checkpoint(self.path, device):
            self.network.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.average.weights = saved["average"]
            self.run = Run(**saved["run"])


def train(network: TorchNetwork, stage: Stage, config: Config) -> None:
    """Train until the steps or the minutes are over; leave NAME.safetensors and NAME.jsonl.

    A run that was stopped goes on from NAME.pt, which is deleted when the run is over.
    """
    device = prepare(config)
    network = network.to(device)
    if stage.teacher is not None:
        stage.teacher.to(device)
    set_dropout(network, stage.settings["dropout"])
    optimizer = optimizer_for(network, stage.settings)
    average = Average(network, stage.settings["average"])
    state = State(
        network=network,
        optimizer=optimizer,
        average=average,
        run=Run(),
        path=stage.folder / f"{stage.name}.pt",
    )
    state.resume(device)
    log = Log(stage.folder / f"{stage.name}.jsonl", state.run.step)
    _steps(state, stage, config, log)
    averaged = average.network(network)
    save_network(averaged, stage.folder / f"{stage.name}.safetensors")
    log.write(step=state.run.step, seconds=state.run.spent_s, **stage.score(averaged, None))
    state.path.unlink(missing_ok=True)


def _steps(state: State, stage: Stage, config: Config, log: Log) -> None:
    settings, run, means = stage.settings, state.run, Means()
    device, began = state.network.vocabulary_bias.device, time.perf_counter() - run.spent_s
    for step, rng in rounds(stage.sets, settings, config.seed, run):
        progress = run.progress(settings["steps"], stage.minutes)
        if progress >= 1.0:
            break
        writing = progress >= settings["writing_from"]
        batch = next_batch(step, rng, settings, config.context_window, writing).to(device)
        torch.manual_seed(rng.getrandbits(63))  # dropout's: a resumed run draws the same
        factor = learning_rate_factor(run.step, settings["warmup_steps"], progress)
        parts = train_step(
            network=state.network,
            optimizer=state.optimizer,
            batch=batch,
            settings=settings,
            factor=factor,
            writing=writing,
            teacher=stage.teacher,
        )
        state.average.update(run.step)
        run.step, run.asked = run.step + 1, run.asked + len(batch.group)
        run.spent_s = time.perf_counter() - began
        kind = "alone" if batch.slots.shape[1] == 1 else "beside"
        # "again": the second pass, as in the logs that are kept
        means.add(**{f"{kind}_start": parts.start, f"{kind}_start_again": parts.second_start})
        means.add(end=parts.end, writing=parts.writing, imitation=parts.imitation)
        where = {"step": run.step, "seconds": run.spent_s, "questions": run.asked}
        if run.step % 50 == 0:
            log.write(**where, progress=progress, **means.take())
        if run.step % settings["checkpoint_every"] == 0:
            state.save()
        if run.step % settings["evaluate_every"] == 0:
            averaged = state.average.network(state.network)
            log.write(**where, **stage.score(averaged, settings["evaluate_questions"]))
