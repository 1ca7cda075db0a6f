"""The embedder that an index was made with, found by the id that the index records."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx import embedding
from ragctx.embedding import DEFAULT, bundled_name
from ragctx.errors import StoreError
from ragctx.index.address import PostgresAddress
from ragctx.index.index import Index

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.protocol import Snapshot


def embedder_of(
    index: str | Path | PostgresAddress | Index | Snapshot, spec: str | Path = DEFAULT
) -> Embedder:
    """The embedder called `spec`; by default the one of the default model that made the index.

    An index that was made in 8 bits goes on so. Where there is no
    index yet, or another model made it, this is `load_embedder(spec)`.

    Raises:
        ModelError, MissingExtraError: as for `load_embedder`.
    """
    return embedding.load_embedder(_recorded(index) or spec if spec == DEFAULT else spec)


def _recorded(index: str | Path | PostgresAddress | Index | Snapshot) -> str | None:
    """What `load_embedder` calls the embedder of the default model that made the index."""
    if not isinstance(index, str | os.PathLike | PostgresAddress):
        return bundled_name(index.embedder)
    with suppress(StoreError):
        return bundled_name(Index.open(index).embedder)
    return None
