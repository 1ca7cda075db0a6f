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

import torch
from torch import Tensor

from ragctx.errors import ModelError

FOLDER = Path(__file__).parent / "weights"
SCALE = ".scale"
"""Ending of the name under which a matrix's scales are stored."""


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a float32 scale per row beside them; everything else as float32."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            stored[name] = weight.float().contiguous()
            continue
        stored[name], stored[name + SCALE] = rounded(weight)
    return stored


def rounded(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix as int8 (rows, columns), and the float32 scale (rows,) of each row."""
    scale = matrix.abs().amax(dim=1).clamp(min=1e-12) / 127  # clamped: a row may be all zeros
    integers = (matrix / scale[:, None]).round().to(torch.int8)
    return integers.contiguous(), scale.float().contiguous()


def dequantise(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 weights that `quantise` stored, to within half a scale step.

    >>> back = dequantise(quantise({"w": torch.tensor([[1.0, -0.5], [0.0, 0.25]])}))["w"]
    >>> float((back - torch.tensor([[1.0, -0.5], [0.0, 0.25]])).abs().max()) < 0.005
    True
    """
    weights = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        scale = stored.get(name + SCALE)
        # one operation: converting to float first would write every matrix twice
        weights[name] = torch.mul(value, scale[:, None]) if scale is not None else value
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


def load_weights(files: ReaderFiles) -> dict[str, Tensor]:
    """Load the weights as float32. Raises ModelError if safetensors finds the file damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dequantise(load_file(str(files.weights)))
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{files.weights} is damaged ({error}); reinstall it: "
            "pip install --force-reinstall ragctx"
        ) from error
