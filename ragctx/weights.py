"""Weights read in place: the arrays of a safetensors file, mapped into memory.

The safetensors library copies every array, also those of which a run reads a few rows, such as the
embeddings of all tokens. Mapped, these cost nothing until they are read.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import ModelError

_KINDS = {
    "F32": np.float32,
    "F16": np.float16,
    "I8": np.int8,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "I64": np.int64,
}
_LENGTH_BYTES = 8


@contextmanager
def read_weights(path: Path, sha256: str, remedy: str) -> Iterator[dict[str, NDArray[Any]]]:
    """The arrays of a safetensors file whose SHA-256 is known, by name; none can be written.

    The file is hashed by a thread of its own during the block, and known to be the right one only
    after it: give nothing out before. `remedy` tells in errors how to get the right file.

    Raises:
        ModelError: the file cannot be read, or is another one.
    """
    try:
        with path.open("rb") as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise ModelError(f"{path} cannot be read ({error}). {remedy}") from error
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(hashlib.sha256, content)
        try:
            yield mapped_arrays(content)
        finally:  # if the file is a wrong one, this tells more than what went wrong in the block
            digest = hashing.result().hexdigest()
            if digest != sha256:
                raise ModelError(
                    f"{path} is not the model it should be: SHA-256 {digest}, expected {sha256}. "
                    f"{remedy}"
                )


def mapped_arrays(content: mmap.mmap | bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file's content, not copied.

    The format: the length of a JSON header in 8 bytes, the header, and the arrays one after
    another. Raises ValueError or KeyError for anything else.

    >>> from safetensors.numpy import save
    >>> mapped_arrays(save({"a": np.arange(3, dtype=np.int64)}))
    {'a': array([0, 1, 2])}
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    header = json.loads(content[_LENGTH_BYTES:start])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        kind = np.dtype(_KINDS[entry["dtype"]])
        count = (end - first) // kind.itemsize
        flat = np.frombuffer(content, dtype=kind, count=count, offset=start + first)
        arrays[name] = flat.reshape(entry["shape"])
    return arrays
