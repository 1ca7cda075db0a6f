"""The reader's files: weights as 8-bit integers in safetensors, and its description as JSON.

A weight matrix W becomes round(W / s) with s = max|row| / 127 for each output row: 23 MB instead of
91. Vectors (biases, norms) stay in float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import ModelError
from ragctx.generator.reader.network import SCALE, TOKENS, Architecture, ReaderGraphs, ReaderNetwork
from ragctx.quantised import rounded
from ragctx.runtime import REINSTALL, Weights, load_graph
from ragctx.weights import read_weights

FOLDER = Path(__file__).parent / "weights"

Floats = NDArray[np.float32]
Bytes = NDArray[np.int8]


def quantise(weights: Mapping[str, Floats]) -> dict[str, Floats | Bytes]:
    """Matrices as int8 with a float32 scale per row beside them; everything else as it is."""
    stored: dict[str, Floats | Bytes] = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            stored[name] = weight
            continue
        stored[name], stored[name + SCALE] = rounded(weight)
    return stored


def dequantise(stored: Weights, *, but: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The float32 weights that `quantise` stored, to within half a scale step.

    Those named in `but` stay as they are stored, with their scales.

    >>> back = dequantise(quantise({"w": np.array([[1.0, -0.5], [0.0, 0.25]], np.float32)}))["w"]
    >>> float(abs(back - np.array([[1.0, -0.5], [0.0, 0.25]])).max()) < 0.005
    True
    """
    kept = {*but, *(name + SCALE for name in but)}
    weights = {}
    for name, value in stored.items():
        scale = stored.get(name + SCALE)
        if name in kept:
            weights[name] = value
        elif not name.endswith(SCALE):
            weights[name] = value if scale is None else value * scale[:, None]
    return weights


@dataclass(frozen=True, slots=True)
class ReaderFiles:
    """A reader's folder and what its `reader.json` holds."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / "reader.safetensors"

    @property
    def tokenizer(self) -> Path:
        """The WordPiece vocabulary and rules."""
        return self.folder / "tokenizer.json"

    def identity(self) -> dict[str, Any]:
        """What answers depend on, as it is hashed: `about` under the names of the first release.

        The key "proximity" was called "nearness" when the first hashes were stored; with another
        name the profiles and answers stored under them would not be found.
        """
        prior = dict(self.about["prior"])
        prior["nearness"] = prior.pop("proximity")
        return {**self.about, "prior": prior}


def reader_files(folder: Path = FOLDER) -> ReaderFiles:
    """Find the reader in `folder`. Raises ModelError if a file is missing or unreadable."""
    try:
        about = json.loads((folder / "reader.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the bundled reader is not in {folder} ({error}); reinstall it: "
            "pip install --force-reinstall ragctx"
        ) from error
    files = ReaderFiles(folder, about)
    for path in (files.weights, files.tokenizer):
        if not path.is_file():
            raise ModelError(
                f"{path} is missing; reinstall it: pip install --force-reinstall ragctx"
            )
    return files


def load_network(files: ReaderFiles) -> ReaderNetwork:
    """The network with the shipped weights.

    Raises ModelError if weights or graphs are missing, damaged or of another version.
    """
    expected = str(files.about["weights_sha256"])
    with read_weights(files.weights, expected, f"{REINSTALL[0].upper()}{REINSTALL[1:]}") as stored:
        weights = dequantise(stored, but=(TOKENS,))
        graphs = ReaderGraphs(
            **{name: load_graph(f"reader_{name}", weights) for name in ReaderGraphs._fields}
        )
        return ReaderNetwork(graphs, weights, Architecture())
