"""Stage 5: quantise, fit the threshold of refusal, write the files that ship.

python -m training.export
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file

from ragctx.generator.reader import load_bundled
from ragctx.generator.weights import FOLDER, quantise, sha256
from training.common import load_config, load_network, minilm_weights, run_folder
from training.evaluate import rows_of, score

BETA_SETS = ("squadshifts_newwiki", "openstax_term", "covidqa_para", "policyqa")
"""Dev sets whose even rows fit the threshold; the odd rows report it."""


def best_threshold(right: list[tuple[float, float]], wrong: list[float]) -> float:
    """The confidence that divides best: answered and right, or refused and rightly so.

    `right` holds (confidence, F1) of questions with their passage, `wrong` the confidence of
    questions without it. Maximises the mean of F1 over the first and refusals over the second.
    """
    candidates = sorted({c for c, _ in right} | set(wrong))

    def value(threshold: float) -> float:
        answered = sum(f1 for c, f1 in right if c >= threshold) / max(1, len(right))
        refused = sum(c < threshold for c in wrong) / max(1, len(wrong))
        return answered + refused

    return max(candidates, key=value) if candidates else 0.5


def ship(weights: Path, folder: Path = FOLDER) -> None:
    """Write reader.safetensors, tokenizer.json and reader.json; then fit the threshold."""
    folder.mkdir(exist_ok=True)
    save_file(quantise(load_network(weights).state_dict()), str(folder / "reader.safetensors"))
    if not (folder / "tokenizer.json").exists():
        shutil.copy(minilm_weights().parent / "tokenizer.json", folder / "tokenizer.json")
    digest = sha256(folder / "reader.safetensors")
    about = {
        "name": f"ragctx-reader-22m@{digest[:8]}",
        "context_window": load_config().context_window,
        "threshold": 0.0,
        "rank_prior": 1.0,
        "weights_sha256": digest,
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
    }
    _write(folder, about)
    _write(folder, {**about, **fit(folder)})


def fit(folder: Path = FOLDER, per_set: int = 120) -> dict[str, float]:
    """The threshold fitted on even rows, and what it gives on odd rows."""
    reader, config = load_bundled(folder), load_config()
    right: list[tuple[float, float]] = []
    wrong: list[float] = []
    for name in BETA_SETS:
        rows = rows_of(config.questions / f"{name}.dev.jsonl.gz", 2 * per_set)[::2]
        right += [(r.confidence, r.f1) for r in score(reader, rows, distractors=4)]
        wrong += [r.confidence for r in score(reader, rows, distractors=5, with_gold=False)]
    return {"threshold": round(best_threshold(right, wrong), 4)}


def _write(folder: Path, about: dict[str, object]) -> None:
    (folder / "reader.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def main() -> None:
    """Ship the trained network."""
    ship(run_folder(load_config()) / "answer.safetensors")


if __name__ == "__main__":
    main()
