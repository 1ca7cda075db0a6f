"""The embedder that an index was made with, found by the id that the index records."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx import embedding
from ragctx.embedding import DEFAULT, bundled_name
from ragctx.errors import StoreError
from ragctx.index.database import read_meta, reading
from ragctx.index.index import Index
from ragctx.index.snapshot import Snapshot

if TYPE_CHECKING:
    from ragctx.embedding import Embedder


def embedder_of(index: str | Path | Index | Snapshot, spec: str | Path = DEFAULT) -> Embedder:
    """The embedder called `spec`; by default the one of the default model that made the index.

    An index that was made in 8 bits goes on so. Where there is no
    index yet, or another model made it, this is `load_embedder(spec)`.

    Raises:
        ModelError, MissingExtraError: as for `load_embedder`.
    """
    return embedding.load_embedder(_recorded(index) or spec if spec == DEFAULT else spec)


def _recorded(index: str | Path | Index | Snapshot) -> str | None:
    """What `load_embedder` calls the embedder of the default model that made the index."""
    if isinstance(index, Index | Snapshot):
        return bundled_name(index.embedder)
    with suppress(StoreError), reading(Path(index)) as connection:
        return bundled_name(read_meta(connection, Path(index)).embedder)
    return None
