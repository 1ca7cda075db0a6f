"""Laws of the suite: nothing a test does, or starts, reaches the network or the user's cache."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError


def test_sockets_are_blocked() -> None:
    with pytest.warns(UserWarning), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.socket().connect(('127.0.0.1', 9))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
    ],
)
def test_sockets_are_blocked_in_what_a_test_starts(attempt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import socket; {attempt}"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "tests are offline" in done.stderr


def test_caches_are_not_the_users() -> None:
    home = Path("~").expanduser() / ".cache"
    for name in ("RAGCTX_CACHE_DIR", "XDG_CACHE_HOME"):
        assert not Path(os.environ[name]).is_relative_to(home)
