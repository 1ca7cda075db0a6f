"""Connections to the database of an index, and what the server's errors mean.

A connection serves one task at a time, and no thread or process but the one that has it. `Idle`
keeps it for the next task, for opening one takes longer than a search. What is changed is changed
in transactions: one that breaks has changed nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

import numpy as np

from ragctx.errors import (
    IndexDamagedError,
    IndexLockedError,
    IndexMissingError,
    InputError,
    RagctxError,
    StoreError,
    require_extra,
)
from ragctx.text.display import one_line

with require_extra("an index in PostgreSQL", "psycopg", "'ragctx[postgres]'"):
    import psycopg
    from psycopg import errors as errors
    from psycopg import pq
    from psycopg.adapt import Dumper
    from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.address import PostgresAddress

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

_CONNECT_TIMEOUT_S = 10
"""How long to wait for a server that does not answer, unless the address says. Chosen by hand."""
_MOST_IDLE = 4
"""Connections that an index keeps for the next task. Chosen by hand."""
_TRIES = 5
"""How often a transaction is begun that another one got into the way of. Chosen by hand."""
_FACT = 300  # characters of what the server says, which may quote whole passages; chosen by hand


class _VectorDumper(Dumper):
    """float32 (dim,) as pgvector's type `vector` in binary; statements say `%s::vector`."""

    format = pq.Format.BINARY

    def dump(self, obj: Vectors) -> bytes:
        return struct.pack("!HH", len(obj), 0) + np.ascontiguousarray(obj, ">f4").tobytes()


def vector_of(sent: bytes) -> Vectors:
    """float32 (dim,), from what PostgreSQL's `vector_send` gives."""
    return np.frombuffer(sent, ">f4", offset=4).astype(np.float32)


class Idle:
    """Open connections that no task uses, to be closed when nobody holds this any more."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, Connection]] = []  # each with its process
        finalize(self, _close, self._kept)

    def take(self) -> Connection | None:
        """One that this process has opened, if there is any."""
        while self._kept:
            with suppress(IndexError):  # another thread was faster
                process, connection = self._kept.pop()
                if process == os.getpid():
                    return connection
        return None

    def put(self, connection: Connection) -> None:
        """Keep it, unless it is broken, in a transaction, or one too many."""
        is_sound = connection.info.transaction_status is pq.TransactionStatus.IDLE
        if is_sound and len(self._kept) < _MOST_IDLE:
            self._kept.append((os.getpid(), connection))
        else:
            connection.close()


def _close(kept: list[tuple[int, Connection]]) -> None:
    """Close those of this process: a fork's child has the same sockets as its parent."""
    while kept:
        process, connection = kept.pop()
        if process == os.getpid():
            connection.close()


@contextmanager
def connected(address: PostgresAddress, idle: Idle | None = None) -> Iterator[Connection]:
    """A connection on which every statement is a transaction of its own.

    It is taken from `idle`, and put there afterwards, if that is given. Names are looked up in the
    address's schema, and in that of pgvector.

    Raises:
        IndexMissingError: there is no such database.
        StoreError: the server cannot be reached, or refuses; or an error in the block, as
            `explained` tells.
    """
    idle = idle or Idle()
    with explained(address):
        connection = _kept(address, idle) or _opened(address)
        try:
            yield connection
        finally:
            idle.put(connection)


def _kept(address: PostgresAddress, idle: Idle) -> Connection | None:
    """One of `idle` that still answers."""
    while (connection := idle.take()) is not None:
        try:
            connection.execute(_SETTINGS, {"schema": address.schema})
            return connection
        except psycopg.OperationalError:  # the server has ended it meanwhile
            connection.close()
    return None


_SETTINGS = """SELECT
    set_config('search_path', format('%%I, %%I', %(schema)s::text, coalesce((
        SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
        WHERE extname = 'vector'), 'public')), false),
    set_config('jit', 'off', false), set_config('work_mem', '64MB', false)"""
# To compile a search takes longer than to run it, and words that many passages hold need memory.


def _opened(address: PostgresAddress) -> Connection:
    try:
        given = conninfo_to_dict(address.conninfo)
    except psycopg.Error:  # its message may quote the password
        raise InputError(
            f"the address {address} is none that PostgreSQL knows; write special characters of "
            "names and passwords as %XX"
        ) from None
    named: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "ragctx"}
    try:
        connection: Connection = psycopg.connect(
            address.conninfo,
            autocommit=True,
            prepare_threshold=None,
            client_encoding="UTF8",
            **{name: value for name, value in named.items() if name not in given},
        )
    except psycopg.Error as error:
        fact = address.without_secrets(one_line(str(error), _FACT))
        raise _unconnected(address, fact) from error
    connection.adapters.register_dumper(np.ndarray, _VectorDumper)
    try:
        connection.execute(_SETTINGS, {"schema": address.schema})
    except BaseException:
        connection.close()
        raise
    return connection


def in_transaction(connection: Connection, work: Callable[[], T]) -> T:
    """What `work` returns; everything that it changes is committed, or nothing.

    It is done again when another transaction got into its way.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            with connection.transaction():
                return work()
        except (errors.DeadlockDetected, errors.SerializationFailure):
            if not tries_left:
                raise
    raise AssertionError("unreachable")


# ---- What errors mean ------------------------------------------------------------------------


@contextmanager
def explained(address: PostgresAddress) -> Iterator[None]:
    """Turn PostgreSQL's errors in the block into errors that tell what to do."""
    try:
        yield
    except psycopg.Error as error:
        raise _meaning(address, error) from error


def _meaning(address: PostgresAddress, error: psycopg.Error) -> RagctxError:
    fact = address.without_secrets(one_line(str(error), _FACT))
    if isinstance(error, errors.IntegrityError | errors.DataError):
        return InputError(f"{address} cannot hold that ({fact})")
    for kind, make in _MEANINGS.items():
        if isinstance(error, kind):
            return make(address, fact)
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return _broken(address, fact)
    return StoreError(f"The index {address} cannot be used ({fact}).")


def _unconnected(address: PostgresAddress, fact: str) -> RagctxError:
    """What it means that there is no connection; PostgreSQL's codes for it do not get here."""
    if "password authentication failed" in fact or "no password supplied" in fact:
        return StoreError(
            f"The server refused the user of {address} ({fact}). Give the password in PGPASSWORD "
            "or ~/.pgpass."
        )
    if 'database "' in fact and "does not exist" in fact:
        return IndexMissingError(
            f"There is no database for {address} ({fact}). Make it: createdb NAME, and then the "
            f"index: ragctx ingest PATH --index {quote(str(address))}"
        )
    if 'role "' in fact or "no pg_hba.conf entry" in fact or "authentication failed" in fact:
        return StoreError(
            f"The server refused {address} ({fact}). Check the user, and what pg_hba.conf allows."
        )
    if "too many clients" in fact or "remaining connection slots" in fact:
        return _locked(address, fact)
    return StoreError(
        f"The server of {address} cannot be reached ({fact}). Check that it runs, its host and its "
        "port."
    )


def _broken(address: PostgresAddress, fact: str) -> RagctxError:
    return StoreError(
        f"The connection to {address} broke ({fact}). What was being written is not in the index, "
        "everything before is; when the server answers again, run the same command again."
    )


def _locked(address: PostgresAddress, fact: str) -> RagctxError:
    return IndexLockedError(f"{address} is busy ({fact}). Try again.")


def _cancelled(address: PostgresAddress, fact: str) -> RagctxError:
    return StoreError(
        f"The server of {address} ended a statement ({fact}). Nothing of it was done. Give it more "
        "time: SET statement_timeout for this user"
    )


def _not_allowed(address: PostgresAddress, fact: str) -> RagctxError:
    return StoreError(
        f"The user of {address} may not do that ({fact}). Name another user, or let the owner: "
        f"GRANT ALL ON SCHEMA {address.schema} TO …; GRANT ALL ON ALL TABLES IN SCHEMA "
        f"{address.schema} TO …"
    )


def _full(address: PostgresAddress, fact: str) -> RagctxError:
    return StoreError(
        f"The server of {address} has no room left ({fact}). What was being written is not in the "
        "index, everything before is. Make room, and run the same command again."
    )


def _only_read(address: PostgresAddress, fact: str) -> RagctxError:
    return StoreError(
        f"{address} can only be read ({fact}). Name the server that takes changes, not its copy."
    )


def damaged(address: PostgresAddress, fact: str) -> IndexDamagedError:
    """The error for tables that are not as ragctx made them, with what can be done."""
    return IndexDamagedError(
        f"The index {address} is damaged ({one_line(fact, _FACT)}). Restore the schema "
        f"{address.schema} from a backup (pg_dump, pg_restore), or drop it and ingest again: "
        f"ragctx ingest PATH --index {quote(str(address))}"
    )


_MEANINGS: dict[type[psycopg.Error], Callable[[PostgresAddress, str], RagctxError]] = {
    errors.InsufficientPrivilege: _not_allowed,
    errors.DeadlockDetected: _locked,
    errors.SerializationFailure: _locked,
    errors.LockNotAvailable: _locked,
    errors.QueryCanceled: _cancelled,
    errors.DiskFull: _full,
    errors.OutOfMemory: _full,
    errors.ReadOnlySqlTransaction: _only_read,
    errors.AdminShutdown: _broken,
    errors.CrashShutdown: _broken,
    errors.ConnectionException: _broken,
    errors.IdleInTransactionSessionTimeout: _broken,
    errors.UndefinedTable: damaged,
    errors.UndefinedColumn: damaged,
    errors.UndefinedObject: damaged,
    errors.UndefinedFunction: damaged,
    errors.DatatypeMismatch: damaged,
    errors.DataCorrupted: damaged,
    errors.IndexCorrupted: damaged,
}
