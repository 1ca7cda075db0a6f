"""Where reading processes come from: each is started, or forked from one that is ready to read.

A process that reads takes a tenth of a second to start and to import what it needs, as long as some
ten pages take to read. Where the system can fork (only Linux does so safely with every library that
pdfium may use), that is done once, by a process that never opens a file: each reader is a copy of
it, a file's own as before.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

START_S = 60.0
"""Seconds a reading process may take to start: a busy machine is not a bad file."""
FORKS = sys.platform == "linux"
_KEEP_SMALL_PIECES = "glibc.malloc.tcache_count=20000"
"""What Linux's C library is told: to keep small pieces of memory at hand that pdfium gives back and
asks for again, thousands a page. (Other systems take no notice.)"""
_START = (
    "import gc, sys; gc.disable(); sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from ragctx.pdf.{} import main; main()"
)
"""Unlike `-m`, this never imports from the working directory, where anybody may put files.

(Garbage is not collected until the libraries are imported, see `worker.main`: of what they make
nothing is, and looking for it takes a tenth of the time.)
"""


def _command(module: str) -> tuple[str, ...]:
    return (sys.executable, "-c", _START.format(module), str(Path(__file__).parents[2]))


WORKER = _command("worker")


class ReaderProcess(Protocol):
    """A process that waits for a request on its standard input."""

    @property
    def stdin(self) -> IO[bytes]:
        """Its standard input, from this side."""
        ...

    @property
    def stdout(self) -> IO[bytes]:
        """Its standard output, from this side."""
        ...

    def end(self) -> None:
        """Kill it if it has not ended, and wait until it has."""
        ...


class Readers(Protocol):
    """Where reading processes come from."""

    def start(self) -> ReaderProcess:
        """A process that waits for a request.

        Raises:
            OSError: the system starts no more processes.
        """
        ...


@dataclass(frozen=True, slots=True)
class StartedReaders:
    """Starts each process by a command."""

    command: Sequence[str] = WORKER

    def start(self) -> ReaderProcess:
        """A process of its own."""
        return _Started(self.command)


class ForkedReaders:
    """Forks reading processes from one that has imported what they need; for many files.

    The first fork starts that process. It ends, and its forks with it, with the `with` block, with
    `close`, or with this program. Several threads may ask for forks.

    >>> with ForkedReaders() as readers:  # doctest: +SKIP
    ...     documents = [read_pdf(path, readers=readers) for path in paths]
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._ready: _Ready | None = None
        self._forks = FORKS

    def __enter__(self) -> ForkedReaders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that others are forked from, and these with it.

        Readers that are asked for afterwards are started.
        """
        with self._turn:
            self._forks = False
            if self._ready is not None:
                self._ready.close()
            self._ready = None

    def start(self) -> ReaderProcess:
        """A process that is ready to read; started afresh where none can be forked."""
        try:
            with self._turn:
                if self._forks:
                    self._ready = self._ready or _Ready()
                    return self._ready.fork()
        except OSError:  # it was killed, say, where memory was short
            self.close()
        return StartedReaders().start()


class _Started:
    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class _Ready:
    """The process that others are forked from, see `ragctx.pdf.forking`."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                (*_command("forking"), str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
            )
        self._channel.settimeout(START_S)
        self._turn = threading.Lock()

    def fork(self) -> ReaderProcess:
        their_input, our_input = os.pipe()
        our_output, their_output = os.pipe()
        ours = os.fdopen(our_input, "wb"), os.fdopen(our_output, "rb")
        try:
            with self._turn:
                socket.send_fds(self._channel, [b"fork"], [their_input, their_output])
                pid = int(self._answer())
        except OSError:
            for pipe in ours:
                pipe.close()
            raise
        finally:
            os.close(their_input)
            os.close(their_output)
        return _Forked(pid, *ours, self)

    def end(self, pid: int) -> None:
        """Have a fork killed; its number stays its own until then, as its parent waits for it."""
        try:
            with self._turn:
                self._channel.send(str(pid).encode())
                self._answer()
        except OSError:  # closed: without its parent it has ended, or will when its input is closed
            pass

    def close(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _answer(self) -> bytes:
        if answer := self._channel.recv(64):
            return answer
        raise ConnectionResetError("the process that reading processes are forked from has ended")


class _Forked:
    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes], parent: _Ready) -> None:
        self.stdin, self.stdout = stdin, stdout
        self._pid, self._parent = pid, parent
        self._has_ended = False

    def end(self) -> None:
        if not self._has_ended:  # its number may be another's by now
            self._parent.end(self._pid)
        self._has_ended = True


def _environment() -> dict[str, str]:
    return {"GLIBC_TUNABLES": _KEEP_SMALL_PIECES, **os.environ}
