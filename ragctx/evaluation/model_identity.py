"""Which model answered: a hash that changes whenever its answers may change."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ragctx.generator.huggingface.hub import cached_model, is_hub_name
from ragctx.paths import expanded, sha256_of

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator

_PARTS = 6  # of an identity: shorter ones are filled up, as when the first hashes were stored
_HASHED = (".json", ".safetensors", ".py")


def model_hash(spec: str, generator: Generator) -> str:
    """SHA-256 of the weights, tokenizer and configuration that `spec` names, and of the settings.

    "bundled" is identified by the checksums it ships with, a directory by the bytes of its JSON,
    safetensors and Python files, a GGUF file by its own. A server's model is identified by address
    and name only: if the server replaces the model under that name, the hash stays the same.
    """
    identity = generator.identity()
    parts: list[object] = [*identity, *["None"] * (_PARTS - len(identity))]
    directory = cached_model(spec) if is_hub_name(spec) else None
    directory = directory or expanded(spec)
    if spec == "bundled":
        from ragctx.generator.reader.checkpoint import reader_files

        parts.append(reader_files().identity())
    elif directory.is_dir():
        files = sorted(p for p in directory.iterdir() if p.suffix in _HASHED)
        parts += [[path.name, sha256_of(path)] for path in files]
    elif directory.is_file():
        parts.append(sha256_of(directory))
    else:
        parts.append(spec)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
