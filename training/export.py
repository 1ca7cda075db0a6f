"""Stage 5: quantise, fit what depends on the weights, write the files that ship.

python -m training.export
python -m training.export --weights training/runs/answer.safetensors --folder /tmp/reader
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from ragctx.embedding import load_embedder
from ragctx.generator.calibration import Evidence
from ragctx.generator.looking import Prior
from ragctx.generator.reader import load_bundled
from ragctx.generator.weights import FOLDER, quantise, sha256
from training.calibrate import fit
from training.common import load_config, load_network, minilm_weights, run_folder

UNFITTED = {
    "threshold": 0.0,
    "prior": asdict(Prior()),
    "calibration": {"weights": [0.0, 1.0, *[0.0] * (len(Evidence._fields) - 1)]},
    "min_similarity": 0.3,  # cosine by all-MiniLM-L6-v2; see LOG.md
}


def ship(weights: Path, folder: Path, per_set: int) -> None:
    """Write reader.safetensors, tokenizer.json and reader.json; then fit what can be fitted."""
    folder.mkdir(exist_ok=True, parents=True)
    save_file(quantise(load_network(weights).state_dict()), str(folder / "reader.safetensors"))
    if not (folder / "tokenizer.json").exists():
        shutil.copy(minilm_weights().parent / "tokenizer.json", folder / "tokenizer.json")
    digest = sha256(folder / "reader.safetensors")
    about = {
        "name": f"ragctx-reader-22m@{digest[:8]}",
        "context_window": load_config().context_window,
        **UNFITTED,
        "weights_sha256": digest,
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
    }
    _write(folder, about)
    fitted = fit(load_bundled(folder), load_config().questions, load_embedder(), per_set)
    _write(folder, {**about, **fitted})


def _write(folder: Path, about: dict[str, object]) -> None:
    (folder / "reader.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def main() -> None:
    """Ship the trained network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights", type=Path, default=run_folder(load_config()) / "answer.safetensors"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--per-set", type=int, default=120, help="questions a set, of each parity")
    given = parser.parse_args()
    ship(given.weights, given.folder, given.per_set)


if __name__ == "__main__":
    main()
