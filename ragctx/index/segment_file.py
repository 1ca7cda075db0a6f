"""Files of arrays, written in one pass and read by memory map: the format of safetensors.

A file is written whole or not at all, block by block, so that one of some gigabytes takes little
memory. Its SHA-256 is known when it is written; who reads it tells how much of it to check.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.paths import open_regular, replacing, sha256_of_stream
from ragctx.weights import mapped_arrays

ALIGNMENT_BYTES = 64
"""Arrays begin at multiples of this, as those of a cache line do."""
_KINDS = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64"} | {
    np.dtype(np.uint16): "U16",
    np.dtype(np.uint32): "U32",
}
_MOST_HEADER_BYTES = 2**20


class SegmentError(Exception):
    """A segment's file is absent or damaged; the database still has what is in it."""

    def __init__(self, fact: str, *, name: str) -> None:
        super().__init__(f"{name}: {fact}")
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An array that is still to be written: its blocks, one after another, make its rows."""

    kind: type[np.generic]
    shape: tuple[int, ...]
    blocks: Iterable[NDArray[Any]]

    @property
    def size_bytes(self) -> int:
        """How many bytes it takes."""
        return prod(self.shape) * np.dtype(self.kind).itemsize

    @classmethod
    def of(cls, array: NDArray[Any]) -> Planned:
        """One that is there already."""
        return cls(kind=array.dtype.type, shape=array.shape, blocks=(array,))


def write_arrays(path: Path, arrays: Mapping[str, Planned], about: Mapping[str, str]) -> str:
    """Write a file of arrays, whole or not at all; returns its SHA-256.

    Args:
        path: where; what is there is replaced.
        arrays: by name, in the order in which they are written.
        about: words about the file, for its header.

    Raises:
        OSError: it cannot be written; there is no file then.
        ValueError: the blocks of an array are not of its shape.
    """
    digest = hashlib.sha256()
    with replacing(path) as unfinished, unfinished.open("wb") as stream:
        for data in _parts(arrays, about):
            digest.update(data)
            stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(path.parent)
    return digest.hexdigest()


def _parts(
    arrays: Mapping[str, Planned], about: Mapping[str, str]
) -> Iterator[bytes | memoryview[Any]]:
    """The file's bytes: the length of the header, the header, and every array after it."""
    header: dict[str, Any] = {"__metadata__": dict(about)}
    at = 0
    for name, planned in arrays.items():
        end = at + planned.size_bytes
        kind = _KINDS[np.dtype(planned.kind)]
        header[name] = {"dtype": kind, "shape": planned.shape, "data_offsets": (at, end)}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT_BYTES)
    yield len(text).to_bytes(8, "little")
    yield text
    for name, planned in arrays.items():
        written = 0
        for block in planned.blocks:
            plain = np.ascontiguousarray(block, dtype=np.dtype(planned.kind).newbyteorder("<"))
            written += plain.nbytes
            if plain.nbytes:
                yield plain.reshape(-1).view(np.uint8).data
        if written != planned.size_bytes:
            raise ValueError(f"{name} has {written} bytes, not {planned.size_bytes}")


def _sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlast a power cut, where the system can be asked to."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """What a file of arrays holds, mapped into memory: nothing is read before it is used."""

    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, object]


def read_arrays(path: Path, *, sha256: str, size_bytes: int | None = None) -> ArrayFile:
    """The arrays of a file that `write_arrays` wrote; they cannot be written to.

    Args:
        path: a regular file; links are not followed.
        sha256: what `write_arrays` returned; "" if the file is not to be checked, which reads all
            of it.
        size_bytes: how long it has to be, if that is known.

    Raises:
        SegmentError: it is absent, damaged, or no such file.
    """
    try:
        if sys.byteorder != "little":
            raise ValueError("its numbers are little-endian, and this processor's are not")
        with open(open_regular(path), "rb") as stream:
            # Read, not mapped: what is mapped and read would count as memory of this process.
            if sha256 and sha256_of_stream(stream) != sha256:
                raise ValueError("its SHA-256 is wrong")
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if size_bytes is not None and len(content) != size_bytes:
            raise ValueError(f"it has {len(content)} bytes, not {size_bytes}")
        arrays = mapped_arrays(content)
        return ArrayFile(arrays=arrays, about=_about(content))
    except _UNREADABLE as error:
        raise SegmentError(str(error), name=path.name) from error


_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
)
"""What reading a damaged or forged file raises; a RecursionError is a RuntimeError."""


def _about(content: mmap.mmap) -> Mapping[str, object]:
    length = min(int.from_bytes(content[:8], "little"), _MOST_HEADER_BYTES)
    about = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    if not isinstance(about, dict):
        raise ValueError("its header is wrong")
    return about
