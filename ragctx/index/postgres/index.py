"""An index in a PostgreSQL database, in a schema of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import InputError, StoreError
from ragctx.index.address import PostgresAddress, as_place
from ragctx.index.database import require_same_embedder
from ragctx.index.postgres import schema
from ragctx.index.postgres.connection import Idle, connected
from ragctx.index.postgres.schema import Meta, read_meta
from ragctx.index.postgres.snapshot import PostgresSnapshot
from ragctx.index.postgres.writer import PostgresWriter
from ragctx.index.protocol import AnyIndex

if TYPE_CHECKING:
    from ragctx.embedding import Embedder


class PostgresIndex(AnyIndex):
    """An index in a PostgreSQL database; any number of processes may read and write it at once."""

    def __init__(self, address: PostgresAddress, meta: Meta, idle: Idle) -> None:
        self._address = address
        self._idle = idle
        self.embedder = meta.embedder
        self.dim = meta.dim
        self.lease: object = None

    @property
    def path(self) -> PostgresAddress:
        return self._address

    def __reduce__(self) -> tuple[Callable[[PostgresAddress], PostgresIndex], tuple[object]]:
        """A copy, in another process too, connects by itself."""
        return PostgresIndex.open, (self._address,)

    # ---- Opening -----------------------------------------------------------------------------

    @classmethod
    def open(
        cls, path: str | Path | PostgresAddress, *, embedder: Embedder | None = None
    ) -> PostgresIndex:
        """The index in the database that an address names; see `Index.open`."""
        address = _address(path)
        if embedder is not None:
            _require_embedder(embedder)
        idle = Idle()
        with connected(address, idle) as connection:
            meta = read_meta(connection, address)
            schema.require_vector(connection, address)
        if embedder is not None:
            require_same_embedder(address, (meta.embedder, meta.dim), (embedder.id, embedder.dim))
        return cls(address, meta, idle)

    @classmethod
    def create(cls, path: str | Path | PostgresAddress, *, embedder: Embedder) -> PostgresIndex:
        """A new index in a database; see `Index.create`."""
        address = _address(path)
        if schema.holds_index(address):
            raise StoreError(
                f"There is an index in {address} already. Use Index.open_or_create, or another "
                "schema: postgresql://…#manuals"
            )
        return cls.open_or_create(address, embedder=embedder)

    @classmethod
    def open_or_create(
        cls, path: str | Path | PostgresAddress, *, embedder: Embedder
    ) -> PostgresIndex:
        """The index in a database, created if there is none; see `Index.open_or_create`."""
        address = _address(path)
        _require_embedder(embedder)
        if not schema.holds_index(address):
            schema.create(address, embedder.id, embedder.dim)
        return cls.open(address, embedder=embedder)

    # ---- Reading and writing -----------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        with connected(self._address, self._idle) as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            meta = read_meta(connection, self._address)
            self._require_same(meta)
            yield PostgresSnapshot(address=self._address, meta=meta, connection=connection)

    @contextmanager
    def writer(self) -> Iterator[PostgresWriter]:
        with connected(self._address, self._idle) as connection:
            self._require_same(read_meta(connection, self._address))
            yield PostgresWriter(connection, self._address, self.dim)

    def compact(self) -> None:
        """Let PostgreSQL clear away what was deleted, and count what there is (VACUUM)."""
        with self.writer() as writer:
            writer.compact()

    def _require_same(self, meta: Meta) -> None:
        """Raise IndexMismatchError if the schema holds another index by now."""
        require_same_embedder(self._address, (meta.embedder, meta.dim), (self.embedder, self.dim))


def _address(path: object) -> PostgresAddress:
    place = as_place(path)
    if not isinstance(place, PostgresAddress):
        raise InputError(f"{place} is a folder; open it with Index.open({str(place)!r})")
    return place


def _require_embedder(embedder: object) -> None:
    from ragctx.embedding import require_embedder

    require_embedder(embedder)
