"""The index: in one folder on disk, or in a PostgreSQL database.

    index = Index.open_or_create("indexes/default", embedder=embedder)
    with index.writer() as writer:
        writer.put(path, document, chunks, vectors, recipe="…")   # one transaction
    index.document(document_id)                 # readers never wait
    with index.snapshot() as snapshot:          # several reads of one and the same state
        snapshot.hits(snapshot.nearest(vector, k=5, filter=Filter()))

`ragctx.index.protocol` tells what every index can do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ragctx.errors import InputError
from ragctx.index.address import PostgresAddress, as_place
from ragctx.index.folder import FolderIndex
from ragctx.index.protocol import AnyIndex, SearchableIndex

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.postgres.index import PostgresIndex


@runtime_checkable
class Index(AnyIndex, Protocol):
    """An index of documents: `Index.open`, `Index.create` or `Index.open_or_create` one.

    A path is that of a folder. "postgresql://user@host/database" is a PostgreSQL database, which
    many processes on many machines can read and write at once; it needs the extra ragctx[postgres].
    """

    def __new__(cls, *arguments: object, **named: object) -> Index:
        """Raise InputError: what comes to mind first is not how one is opened."""
        path = next(iter((*arguments, *named.values())), "indexes/default")
        shown = str(path) if isinstance(path, os.PathLike) else path
        raise InputError(f"open an index with Index.open({shown!r})")

    @classmethod
    def open(cls, path: str | Path | PostgresAddress, *, embedder: Embedder | None = None) -> Index:
        """The index in a folder or a database.

        Raises:
            IndexMissingError: there is none.
            IndexMismatchError: it was made by another embedder, dimension or format version.
            IndexDamagedError: its database cannot be read.
            StoreError: the server cannot be reached, or refuses.
            MissingExtraError: `path` is a database, and ragctx[postgres] is not installed.
        """
        return _kind(path).open(path, embedder=embedder)

    @classmethod
    def create(cls, path: str | Path | PostgresAddress, *, embedder: Embedder) -> Index:
        """A new index; the folder, or the schema, is created if need be.

        Raises:
            StoreError: there is an index already, or nothing can be written there.
        """
        return _kind(path).create(path, embedder=embedder)

    @classmethod
    def open_or_create(cls, path: str | Path | PostgresAddress, *, embedder: Embedder) -> Index:
        """The index in `path`, created if there is none. Raises what `open` and `create` raise."""
        return _kind(path).open_or_create(path, embedder=embedder)


def _kind(path: object) -> type[FolderIndex] | type[PostgresIndex]:
    if isinstance(as_place(path), PostgresAddress):
        from ragctx.index.postgres.index import PostgresIndex

        return PostgresIndex
    return FolderIndex


def as_index(
    index: str | Path | PostgresAddress | SearchableIndex, embedder: Embedder
) -> SearchableIndex:
    """`index`, opened if it is a path or an address; the embedder is checked too.

    Raises:
        InputError: it is no index and no path, or `embedder` is none.
        IndexMissingError, IndexMismatchError, IndexDamagedError: as for `Index.open`.
    """
    from ragctx.embedding import require_embedder

    require_embedder(embedder)
    if isinstance(index, str | os.PathLike | PostgresAddress):
        return Index.open(index, embedder=embedder)
    if not callable(getattr(index, "snapshot", None)):
        raise InputError(f"an index is a text, a Path or an Index, not a {type(index).__name__}")
    return index
