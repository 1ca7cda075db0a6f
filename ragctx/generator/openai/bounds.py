"""Bounds on what a server may send: bytes and seconds of a whole answer, its head included.

Clients in common use bound the time between two bytes and nothing else: a header that comes letter
by letter, "100 Continue" without end or comments that keep the line alive hold them for as long as
the server likes.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class EndlessError(HTTPException):
    """A server's answer, its head included, is over its bounds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take."""

    max_bytes: int
    silence_s: float  # seconds without a byte
    total_s: float  # seconds from connecting to the last byte

    def response_class(self) -> type[HTTPResponse]:
        """A response whose every byte is counted: those of its head and of chunk sizes as well.

        http.client itself would read any number of "100 Continue", and a line that comes byte by
        byte for as long as it comes.
        """
        ends = time.monotonic() + self.total_s

        class BoundedResponse(HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
                super().__init__(sock, *args, **options)
                stream: Any = self.fp
                self.fp = BufferedReader(_Bounded(stream.detach(), sock, _limits, ends))

        _limits = self
        return BoundedResponse


class _Bounded(RawIOBase):
    """A socket's bytes until they are too many or take too long."""

    def __init__(self, raw: RawIOBase, sock: socket.socket, limits: Limits, ends: float) -> None:
        self._raw, self._socket, self._limits, self._ends = raw, sock, limits, ends
        self._left = limits.max_bytes

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what has come, or wait for it."""
        remaining = self._ends - time.monotonic()
        if remaining <= 0:
            raise EndlessError(f"after {self._limits.total_s:g} s")
        if self._left <= 0:
            raise EndlessError(f"after {self._limits.max_bytes} bytes")
        self._socket.settimeout(min(self._limits.silence_s, remaining))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            if remaining < self._limits.silence_s:
                raise EndlessError(f"after {self._limits.total_s:g} s") from None
            raise
        self._left -= count or 0
        return count

    def close(self) -> None:
        """Close the socket's side, too."""
        self._raw.close()
        super().close()
