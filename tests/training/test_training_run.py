"""Training as it is run: stages in their order, stopped and gone on with, on any device."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ragctx.generator.reader.reader import load_bundled
from training import export
from training.__main__ import Step, run_all
from training.batches import make_batch
from training.calibrate import SETS as FITTED_SETS
from training.common import HERE, Config, Log, load_config, save_network
from training.convert import fresh_network
from training.data import Passage, Question
from training.forward import losses
from training.loop import Stage, train
from training.measure import SETS
from training.network import TorchNetwork
from training.transformer import Shape

TINY = Shape(layers=3, width=32, heads=4, feed_forward=48, vocabulary=120)
SETTINGS: dict[str, Any] = {
    **load_config().answer,
    "sets": {"made": 1.0},
    "steps": 12,
    "context_tokens_per_step": 40,
    "warmup_steps": 3,
    "writing_from": 0.5,
    "evaluate_every": 8,
    "checkpoint_every": 5,
}


def network(alone: int = 1) -> TorchNetwork:
    torch.manual_seed(0)
    return TorchNetwork(TINY, alone)


def passages(count: int) -> list[Passage]:
    rng, made = random.Random(5), []
    for _ in range(count):
        ids = [rng.randint(1, 99) for _ in range(rng.randint(4, 12))]
        asked = Question(tuple(rng.randint(1, 99) for _ in range(3)), ((1, 2),))
        made.append(Passage("made", ids, [asked]))
    return made


def trained(folder: Path, score: Any) -> dict[str, torch.Tensor]:
    config = replace(load_config(), threads=1, device="cpu")
    train(
        network(),
        Stage(
            name="run", folder=folder, settings=SETTINGS, sets={"made": passages(40)}, score=score
        ),
        config,
    )
    return load_file(str(folder / "run.safetensors"))


def test_a_run_that_was_stopped_ends_where_one_that_was_not_ends(tmp_path: Path) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    stopped.mkdir()
    whole.mkdir()

    def stop(*_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(stopped, stop)  # at step 8, three steps behind its checkpoint
    assert (stopped / "run.pt").exists() and not (stopped / "run.safetensors").exists()
    scored: list[int] = []

    def score(*_: object) -> dict[str, float]:
        scored.append(len(scored))
        return {"f1": 0.0}

    resumed, straight = trained(stopped, score), trained(whole, score)
    assert scored == [0, 1, 2, 3]  # at step 8 and at the end, in both
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    assert not (stopped / "run.pt").exists()

    def steps(path: Path) -> list[int]:
        return [json.loads(row)["step"] for row in (path / "run.jsonl").read_text().splitlines()]

    assert steps(stopped) == steps(whole) == [8, 12]


def test_a_log_forgets_what_a_resumed_run_repeats(tmp_path: Path) -> None:
    first = Log(tmp_path / "log.jsonl")
    for step in (5, 10, 15):
        first.write(step=step, loss=1.0)
    Log(first.path, upto=10).write(step=15, loss=2.0)
    rows = [json.loads(row) for row in first.path.read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(5, 1), (10, 1), (15, 2)]
    Log(first.path)
    assert first.path.read_text() == ""


@pytest.mark.parametrize("distractors", [0, 2])
def test_a_step_of_training_stays_on_its_batchs_device(distractors: int) -> None:
    """On a GPU: nothing may be made on the default device, which here cannot be computed with."""
    made, rng = network(), random.Random(2)
    teacher = network(alone=0).eval().requires_grad_(False)
    step = [(passage, passage.questions) for passage in passages(5)]
    batch = make_batch(
        step,
        rng,
        max_distractors=distractors,
        null_share=0.3,
        context_window=300,
        answer_tokens=4,
    )
    with torch.device("meta"):
        parts = losses(made, batch.to(torch.device("cpu")), writing=True, teacher=teacher)
    assert {part.device.type for part in vars(parts).values()} == {"cpu"}
    assert all(torch.isfinite(part) for part in vars(parts).values())


def test_stages_run_in_order_and_only_those_that_are_not_done(tmp_path: Path) -> None:
    ran: list[str] = []
    clock = iter(range(1, 100))

    def step(name: str) -> Step:
        def run(_: Config) -> None:
            ran.append(name)
            (tmp_path / name).write_text(name)
            now = next(clock)
            os.utime(tmp_path / name, (now, now))

        return Step(name, tmp_path / name, run)

    steps = [step(name) for name in ("convert", "answer", "export", "measure")]
    run_all(load_config(), steps)
    assert ran == ["convert", "answer", "export", "measure"]
    run_all(load_config(), steps)
    assert len(ran) == 4
    os.utime(tmp_path / "answer", (50, 50))  # made again: what follows from it is old
    clock = iter(range(51, 100))
    run_all(load_config(), steps)
    assert ran[4:] == ["export", "measure"]
    (tmp_path / "answer").unlink()
    run_all(load_config(), steps)
    assert ran[6:] == ["answer", "export", "measure"]


def test_an_export_that_fails_leaves_the_reader_that_ships_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in export.FILES:
        (shipped / name).write_text("as it was")
    save_network(fresh_network(), tmp_path / "distil.safetensors")
    config = replace(load_config(), runs=tmp_path, reader=shipped, pdfs=tmp_path)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "fit", fail)
    with pytest.raises(KeyboardInterrupt):
        export.run(config)
    assert {(shipped / name).read_text() for name in export.FILES} == {"as it was"}
    monkeypatch.setattr(export, "fit", lambda *_: {"threshold": 0.25})
    export.run(config)
    assert load_bundled(shipped).threshold == 0.25


def test_a_configuration_says_only_what_differs_from_the_one_it_is_based_on() -> None:
    whole, small = load_config(), load_config(HERE / "small.toml")
    assert small.runs != whole.runs and small.logs != whole.logs and small.reader != whole.reader
    assert small.answer["steps"] < whole.answer["steps"]
    assert small.answer["sets"] == whole.answer["sets"] and small.seed == whole.seed


METALS = ("Tin", "Lead", "Zinc", "Iron", "Silver", "Nickel", "Copper", "Cobalt", "Radium", "Gold")
PLACES = ("Cornwall", "Saxony", "Bohemia", "Andalusia", "Tuscany", "Norway", "Anatolia", "Peru")


def write_data(folder: Path) -> None:
    """Question sets of every name that training wants, and a text with recurring spans."""
    rows = []
    for metal in METALS:
        for place in PLACES:
            degrees = 100 + 13 * len(rows)
            context = (
                f"{metal} from {place} melts at {degrees} degrees. Few people knew it then. "
                f"Traders of {place} carried {metal} to the coast for {len(rows) + 3} years."
            )
            question = f"At how many degrees does {metal} from {place} melt?"
            answers = [str(degrees)]
            rows.append(
                {"id": len(rows), "question": question, "context": context, "answers": answers}
            )
    config = load_config()
    names = {*SETS, *FITTED_SETS, *config.answer["sets"], *config.pretrain["question_sets"]}
    for name in sorted(names):
        for part, its in (("train", rows[:40]), ("dev", rows[40:])):
            with gzip.open(folder / f"{name}.{part}.jsonl.gz", "wt", encoding="utf-8") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in its)
    with gzip.open(folder / "metals.txt.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(f"{rows[i]['context']} {rows[i + 1]['context']}\n" * 4 for i in range(20))


SMALL = """
based_on = "{base}"
threads = 1
device = "cpu"
questions = "{folder}"
texts = "{folder}"
pdfs = "{folder}"
runs = "{folder}/runs"
logs = "{folder}/logs"
reader = "{folder}/reader"
convert = {{ steps = 6, tokens_per_step = 640, checkpoint_every = 2 }}
[pretrain]
steps = 2
sets = {{ metals = 1.0 }}
evaluate_every = 100
[answer]
steps = 4
evaluate_every = 100
checkpoint_every = 2
[distil]
steps = 2
[export]
per_set = 6
[measure]
whole = []
sets = 3
positions = 3
refusal = 6
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_command_runs_every_stage_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    write_data(tmp_path)
    written = SMALL.format(base=HERE / "small.toml", folder=tmp_path)
    (tmp_path / "made.toml").write_text(written, "utf-8")
    command = [sys.executable, "-m", "training", "--config", str(tmp_path / "made.toml")]
    runs, logs, reader = (tmp_path / name for name in ("runs", "logs", "reader"))
    run = subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.DEVNULL)
    while run.poll() is None and not (runs / "convert.pt").exists():
        time.sleep(0.05)
    run.kill()
    run.wait()
    assert (runs / "convert.pt").exists() and not (runs / "converted.safetensors").exists()

    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    stages = ("converted", "pretrain", "answer", "teacher", "distil")
    made = {stage: runs / f"{stage}.safetensors" for stage in stages}
    assert all(path.exists() for path in made.values()) and not list(runs.glob("*.pt"))
    for part in ("sets", "positions", "refusal"):
        measured = json.loads((logs / f"measured-{part}.json").read_text("utf-8"))
        assert measured["model"] == load_bundled(reader).name
    assert (logs / "curves.png").stat().st_size > 10_000
    assert len((logs / "distil.jsonl").read_text("utf-8").splitlines()) == 1

    before = {path: path.stat().st_mtime_ns for path in (*made.values(), reader / "reader.json")}
    again = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
    assert again.stderr.count(": done, ") == 9 and ": now, " not in again.stderr
    assert before == {path: path.stat().st_mtime_ns for path in before}
