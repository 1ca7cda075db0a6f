"""Every Python that a test starts reads this first and can then reach no network.

An audit hook, because it cannot be taken back and needs no import: what a subprocess imports stays
what the tests say it is.
"""

from __future__ import annotations

import sys


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        raise OSError(f"tests are offline: {event} of {arguments[0]!r}")
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple):  # a Unix socket's address is a path
            raise OSError(f"tests are offline: {event} to {address!r}")


sys.addaudithook(_refuse)
