"""The process that reading processes are forked from; it never opens a file.

It is told "fork" on its channel, with the pipes that the fork reads from and writes to, and answers
with its number; told that number, it kills the fork, waits for it, and answers so.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys

from ragctx.pdf import pdfium_reader as pdfium_reader  # what each fork would import
from ragctx.pdf import worker

_PR_SET_PDEATHSIG = 1  # of prctl(2)


def main() -> None:
    """Serve until the channel is closed."""
    channel = socket.socket(fileno=int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started this
    gc.freeze()
    while True:
        message, pipes, _, _ = socket.recv_fds(channel, 64, 2)
        if not message:
            os._exit(0)
        if message == b"fork":
            own = os.getpid()
            pid = os.fork()
            if not pid:
                _die_with(own)
                channel.close()
                _become_reader(*pipes)
            for pipe in pipes:
                os.close(pipe)
            channel.send(str(pid).encode())
        else:
            pid = int(message)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            channel.send(message)


def _die_with(parent: int) -> None:
    """Have this process killed as soon as its parent ends; also if it has by now."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _become_reader(stdin: int, stdout: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.close(stdin)
    os.close(stdout)
    try:
        worker.main()
    finally:
        os._exit(1)
