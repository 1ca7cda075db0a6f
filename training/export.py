"""Stage 5: quantise the weights, fit what depends on them, write the files that ship.

    python -m training.export
    python -m training.export --weights training/runs/answer.safetensors --folder /tmp/reader

The files are written to the run's folder and copied into place when everything is fitted.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.numpy import save_file

from ragctx.embedding import load_embedder
from ragctx.generator.reader.calibration import Evidence
from ragctx.generator.reader.checkpoint import quantise
from ragctx.generator.reader.passes import Prior
from ragctx.generator.reader.reader import load_bundled
from ragctx.paths import sha256_of
from training.calibrate import fit
from training.certainty import fit_to_documents
from training.common import (
    Config,
    bundled_tokenizer,
    configured,
    load_network,
    prepare,
    run_folder,
    stage_parser,
)
from training.graphs import arrays_of

FILES = ("reader.safetensors", "tokenizer.json", "reader.json")
UNFITTED = {
    "threshold": 0.0,
    "prior": asdict(Prior()),
    "calibration": {"weights": [0.0, 1.0, *[0.0] * (len(Evidence._fields) - 1)]},
    "min_similarity": 0.3,  # cosine by all-MiniLM-L6-v2; see LOG.md
}


def make(weights: Path, folder: Path, config: Config) -> None:
    """Write reader.safetensors, tokenizer.json and reader.json with fitted numbers."""
    folder.mkdir(exist_ok=True, parents=True)
    save_file(quantise(arrays_of(load_network(weights))), str(folder / "reader.safetensors"))
    bundled_tokenizer().save(str(folder / "tokenizer.json"), pretty=False)
    digest = sha256_of(folder / "reader.safetensors")
    about: dict[str, object] = {
        "name": f"ragctx-reader-22m@{digest[:8]}",
        "context_window": config.context_window,
        **UNFITTED,
        "weights_sha256": digest,
        "tokenizer_sha256": sha256_of(folder / "tokenizer.json"),
    }
    _write(folder, about)
    per_set = config.export["per_set"]
    reader, embedder = load_bundled(folder), load_embedder()
    about |= fit(reader, config.questions, embedder, per_set)
    _write(folder, {**about, **fit_to_documents(reader, config, embedder)})


def _write(folder: Path, about: dict[str, object]) -> None:
    (folder / "reader.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def run(config: Config, weights: Path | None = None) -> None:
    """Ship `weights`, or those that the configured stage saved."""
    prepare(config)
    stage = run_folder(config) / f"{config.export['stage']}.safetensors"
    folder = run_folder(config) / "reader"
    make(weights or stage, folder, config)
    config.reader.mkdir(exist_ok=True, parents=True)
    for name in FILES:
        shutil.copyfile(folder / name, config.reader / name)


def main() -> None:
    """Ship as the command line asks."""
    parser = stage_parser(__doc__)
    parser.add_argument("--weights", type=Path, help="default: what the configured stage left")
    parser.add_argument("--folder", type=Path, help="instead of the configured one")
    parser.add_argument("--per-set", type=int, help="questions a set, of each parity")
    arguments = parser.parse_args()
    config = configured(arguments)
    per_set = arguments.per_set or config.export["per_set"]
    folder = arguments.folder or config.reader
    run(
        replace(config, reader=folder, export={**config.export, "per_set": per_set}),
        arguments.weights,
    )


if __name__ == "__main__":
    main()
