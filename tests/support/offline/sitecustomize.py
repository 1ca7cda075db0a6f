"""Every Python that a test starts reads this first and can then reach no network.

With RAGCTX_TESTS_LOOPBACK set, it can reach this machine, and no other.

An audit hook, because it cannot be taken back and needs no import: what a subprocess imports stays
what the tests say it is.
"""

from __future__ import annotations

import os
import sys

_OWN = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        raise OSError(f"tests are offline: {event} of {arguments[0]!r}")
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple):  # a Unix socket's address is a path
            raise OSError(f"tests are offline: {event} to {address!r}")


def _refuse_others(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        if arguments[1][0] not in _OWN:
            _refuse(event, arguments)
    elif event.startswith("socket.get") and arguments and arguments[0] not in _OWN:
        _refuse(event, arguments)


sys.addaudithook(_refuse_others if os.environ.get("RAGCTX_TESTS_LOOPBACK") else _refuse)
