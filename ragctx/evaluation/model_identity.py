"""Which model answered: a hash that changes when its answers may."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator

_READ_BYTES = 2**20
_PARTS = 6  # of an identity: shorter ones are filled up, as when the first hashes were stored


def model_hash(spec: str, generator: Generator) -> str:
    """SHA-256 of the weights, tokenizer and configuration that `spec` names, and of thresholds.

    "bundled" is known by the checksums it ships with; a directory by the bytes of its JSON and
    safetensors files; a server's model only by its address and name, so another model behind the
    same name is not noticed.
    """
    identity = generator.identity()
    parts: list[object] = [*identity, *["None"] * (_PARTS - len(identity))]
    directory = Path(spec).expanduser()
    if spec == "bundled":
        from ragctx.generator.reader.checkpoint import reader_files

        parts.append(reader_files().identity())
    elif directory.is_dir():
        files = sorted(p for p in directory.iterdir() if p.suffix in (".json", ".safetensors"))
        parts += [[path.name, _sha256(path)] for path in files]
    else:
        parts.append(spec)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def decoding_of(generator: Generator) -> str:
    """How the generator chooses its tokens, for people: "greedy" unless it says otherwise."""
    decoding = getattr(generator, "decoding", None)
    is_greedy = decoding is None or getattr(decoding, "temperature", None) == 0
    return "greedy" if is_greedy else str(decoding)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
