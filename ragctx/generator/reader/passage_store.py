"""Cached passages on disk, so that another process need not read the same passage again.

Each passage is a file, named by what it depends on: the model and the tokens.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import fields
from pathlib import Path

import numpy as np

from ragctx.generator.cache_stats import StoreStats
from ragctx.generator.kept_files import KeptFiles
from ragctx.generator.reader.passages import CachedPassage, Tokens

SUFFIX = ".segment"
"""Ending of the files' names, as in the first release: folders kept since then stay valid."""


class PassageStore:
    """Cached passages of one model in `folder`, never more than `max_bytes` on disk.

    `model` names the weights and the precision that passages are kept in. Bounded, shared and
    checked as `ragctx.generator.kept_files` says.

    Raises InputError for a negative bound, ModelError if the folder cannot be created.
    """

    def __init__(self, folder: Path, max_bytes: int, *, model: str) -> None:
        self.files = KeptFiles(folder, max_bytes, suffix=SUFFIX)
        self.model = model

    def find(self, tokens: Tokens) -> CachedPassage | None:
        """The passage of these tokens; None if not held, or if damaged, which deletes the file."""
        return self.files.find(self._name(tokens), lambda body: _deserialise(body, len(tokens)))

    def keep(self, tokens: Tokens, passage: CachedPassage) -> None:
        """Write a passage unless it is larger than the bound; a full disk is not an error."""
        self.files.keep(self._name(tokens), _serialise(passage))

    @property
    def stats(self) -> StoreStats:
        """Counters since the store was opened; files and bytes as they are on disk now."""
        return self.files.stats

    def _name(self, tokens: Tokens) -> str:
        digest = hashlib.blake2b(self.model.encode() + b"\0", digest_size=20)
        digest.update(struct.pack(f"<{len(tokens)}q", *tokens))
        return digest.hexdigest()


def _serialise(passage: CachedPassage) -> bytes:
    from safetensors.numpy import save

    arrays = {field.name: getattr(passage, field.name) for field in fields(passage)}
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _deserialise(body: bytes, tokens: int) -> CachedPassage | None:
    """The passage, or None if its parts are not there or do not fit together."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        passage = CachedPassage(**load(body))
    except (SafetensorError, TypeError, KeyError, ValueError):
        return None
    if any(getattr(passage, field.name).dtype != np.float16 for field in fields(passage)):
        return None
    caches, states = (passage.keys, passage.values), (passage.early, passage.states)
    fits = all(t.ndim == 4 and t.shape[2] == tokens for t in caches)
    fits = fits and all(t.ndim == 2 and t.shape[0] == tokens for t in states)
    return passage if fits else None
