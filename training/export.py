"""Stage 5: quantise, fit the threshold of refusal, write the files that ship.

python -m training.export
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ragctx.generator.reader import BundledReader, load_bundled
from ragctx.generator.weights import FOLDER, quantise, sha256
from training.common import load_config, load_network, minilm_weights, run_folder
from training.evaluate import rows_of, score

REFUSAL_SETS = ("squadshifts_newwiki", "openstax_term", "covidqa_para", "policyqa")
"""Dev sets whose even rows fit the threshold; the odd rows report it."""


REFUSED_SHARE = 0.1
"""Share of the questions answered rightly that may be refused for the sake of the others."""


def best_threshold(right: Sequence[tuple[float, float]]) -> float:
    """The confidence that all but `REFUSED_SHARE` of the right answers reach.

    `right` holds (confidence, F1) of questions whose passage is there; an answer is right from an
    F1 of one half on. A reader that can hardly tell gains nothing by refusing more: it would refuse
    what it knows.

    >>> best_threshold([(0.9, 1.0), (0.8, 1.0), (0.1, 0.0)])
    0.8
    """
    confidences = sorted(confidence for confidence, f1 in right if f1 >= 0.5)
    return confidences[int(len(confidences) * REFUSED_SHARE)] if confidences else 0.5


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
        "min_similarity": 0.3,  # cosine by all-MiniLM-L6-v2; see LOG.md
        "weights_sha256": digest,
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
    }
    _write(folder, about)
    _write(folder, {**about, **fit(folder)})


def fit(folder: Path = FOLDER, per_set: int = 30) -> dict[str, Any]:
    """The threshold fitted on even rows, and what it gives on odd rows."""
    reader = load_bundled(folder)
    threshold = best_threshold(with_and_without(reader, 0, per_set)[0])
    right, wrong = with_and_without(reader, 1, per_set)
    return {
        "threshold": round(threshold, 4),
        "refusal_held_out": refusal_scores([c for c, _ in right], wrong, threshold),
    }


def with_and_without(
    reader: BundledReader, odd: int, per_set: int
) -> tuple[list[tuple[float, float]], list[float]]:
    """(confidence, F1) of questions beside four distractors; confidence of others among five."""
    right: list[tuple[float, float]] = []
    wrong: list[float] = []
    for name in REFUSAL_SETS:
        path = load_config().questions / f"{name}.dev.jsonl.gz"
        rows = rows_of(path, 2 * per_set)[odd::2]
        right += [(r.confidence, r.f1) for r in score(reader, rows, distractors=4)]
        wrong += [r.confidence for r in score(reader, rows, distractors=5, with_gold=False)]
    return right, wrong


def refusal_scores(
    answerable: Sequence[float], unanswerable: Sequence[float], threshold: float
) -> dict[str, float]:
    """How well low confidence tells that the answer is not there; `n` counts both kinds.

    >>> refusal_scores([0.9, 0.8, 0.2], [0.1, 0.3, 0.85], 0.5)
    {'precision': 0.667, 'recall': 0.667, 'auroc': 0.667, 'n': 6}
    """
    refused = sum(c < threshold for c in unanswerable)
    wrongly = sum(c < threshold for c in answerable)
    pairs = [(a > u) + 0.5 * (a == u) for a in answerable for u in unanswerable]
    return {
        "precision": round(refused / max(1, refused + wrongly), 3),
        "recall": round(refused / max(1, len(unanswerable)), 3),
        "auroc": round(sum(pairs) / max(1, len(pairs)), 3),
        "n": len(answerable) + len(unanswerable),
    }


def _write(folder: Path, about: dict[str, object]) -> None:
    (folder / "reader.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def main() -> None:
    """Ship the trained network."""
    ship(run_folder(load_config()) / "answer.safetensors")


if __name__ == "__main__":
    main()
