"""The rooms where answers are made. Importing this package loads no model library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import ModelError

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator


def load_generator(spec: str = "bundled") -> Generator:
    """Load a generator: "bundled" for the reader that ships with ragctx, else a model directory.

    A directory is read as a local Hugging Face causal language model; its options (precision,
    sampling, context window) are those of `ragctx.generator.huggingface.load_huggingface`.

    Raises `ModelError` if there is no such model or its files are damaged, `MissingExtraError`
    if a directory is given and transformers is not installed.
    """
    if spec == "bundled":
        from ragctx.generator.reader import load_bundled

        return load_bundled()
    directory = Path(spec).expanduser()
    if not directory.is_dir():
        raise ModelError(
            f'no model {spec!r}: use "bundled", or the directory of a Hugging Face model '
            "(config.json, *.safetensors, tokenizer.json)"
        )
    from ragctx.generator.huggingface import load_huggingface

    return load_huggingface(directory)
