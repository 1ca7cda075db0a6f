"""The reader's weights on disk: 8-bit integers with one scale per output row, in safetensors.

A weight matrix W becomes round(W / s) with s = max|row| / 127: 23 MB instead of 91. Vectors
(biases, norms) stay in float32.
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


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a float32 scale per row beside them; everything else as it is."""
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            packed[name] = weight.float().contiguous()
            continue
        packed[name], packed[name + SCALE] = rounded(weight)
    return packed


def rounded(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix as int8 (rows, columns), and the float32 scale of each row."""
    scale = matrix.abs().amax(dim=1).clamp(min=1e-12) / 127
    whole = (matrix / scale[:, None]).round().to(torch.int8)
    return whole.contiguous(), scale.float().contiguous()


def dequantise(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 weights that `quantise` packed, to within half a scale step.

    >>> back = dequantise(quantise({"w": torch.tensor([[1.0, -0.5], [0.0, 0.25]])}))["w"]
    >>> float((back - torch.tensor([[1.0, -0.5], [0.0, 0.25]])).abs().max()) < 0.005
    True
    """
    weights = {}
    for name, value in packed.items():
        if name.endswith(SCALE):
            continue
        scale = packed.get(name + SCALE)
        # one pass: as floats first, the matrices would be written twice
        weights[name] = torch.mul(value, scale[:, None]) if scale is not None else value
    return weights


@dataclass(frozen=True, slots=True)
class ReaderFiles:
    """The reader as shipped: its description (`reader.json`) and where its files lie."""

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


def reader_files(folder: Path = FOLDER) -> ReaderFiles:
    """Find the reader in `folder`; ModelError when a file is missing or unreadable."""
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
    """The weights as float32. The file's size and header are checked by safetensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dequantise(load_file(str(files.weights)))
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{files.weights} is damaged ({error}); reinstall it: "
            "pip install --force-reinstall ragctx"
        ) from error
