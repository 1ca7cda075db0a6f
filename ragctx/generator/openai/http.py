"""A POST to a server that speaks the OpenAI protocol, and its answer, event by event.

Plain `http.client`: it follows no redirect, so the key goes to the named server and nowhere else;
it uses no proxy; and nothing is sent before somebody names a server.

Nothing that comes back is trusted: bytes and time of an answer are bounded, whatever the server
sends and however slowly, and its words are shown on one line, without the key.
"""

from __future__ import annotations

import json
import re
import socket
import time
from codecs import BOM_UTF8
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ragctx.errors import BudgetError, InputError, ModelError, RagctxError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

KEY_VARIABLE = "RAGCTX_API_KEY"
_CONNECT_S = 10.0  # seconds to wait for a connection; chosen by hand
_MAX_BYTES = 16 * 2**20  # of one answer: far more than any text answer needs; chosen by hand
_REPLY_BYTES, _TOKEN_BYTES = 2**18, 2**12  # a reply, and each token as an event of its own; by hand
_TOKEN_S = 2.0  # seconds for each token, beside those for the first byte; chosen by hand
_SHOWN = 300  # characters of a server's own words that are shown; chosen by hand
_CONTEXT = re.compile(r"context.?(length|size|window)|maximum context|too long", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a model. `key` never appears in messages."""

    url: str  # without a slash at its end, e.g. http://127.0.0.1:8000/v1
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 300.0  # without a byte; a long prompt takes its time to read

    def __post_init__(self) -> None:
        if "@" in self.url:
            raise InputError(f"the address holds a password; put the key into {KEY_VARIABLE}")
        if not _is_address(self.url):
            raise InputError(f"{self.url!r} is no address such as http://127.0.0.1:8000/v1")
        if self.key is not None and not re.fullmatch(r"[!-~]+", self.key):
            raise InputError(
                f"{KEY_VARIABLE} is empty or holds what no key holds (blanks, line ends, accents)"
            )

    def post(
        self, path: str, body: dict[str, Any], *, tokens: int
    ) -> Generator[dict[str, Any], None, None]:
        """The events of a streamed answer, or the single object of one that is not streamed.

        Bytes and seconds are bounded by what an answer of `tokens` takes. Close the iterator to
        close the connection. Raises ModelError for whatever goes wrong on the way, and BudgetError
        if the server reports that the prompt is too long for it.
        """
        limits = _Limits(
            min(_MAX_BYTES, _REPLY_BYTES + _TOKEN_BYTES * tokens),
            self.timeout_s,
            self.timeout_s + _TOKEN_S * tokens,
        )
        try:
            with closing(self._connect(limits)) as connection:
                connection.request(
                    "POST",
                    f"{urlsplit(self.url).path}{path}",
                    json.dumps(body).encode(),
                    self._headers(),
                )
                with closing(connection.getresponse()) as response:
                    if response.status != 200:
                        raise self._refusal(response)
                    yield from self._events(response)
        except _EndlessError as error:
            raise ModelError(
                f"{self.url} did not end its answer ({error}); look into the server's own log, or "
                "raise --max-new-tokens, which allows it more"
            ) from None
        except TimeoutError:
            raise ModelError(
                f"{self.url} sent nothing for {self.timeout_s:g} s; ask for less, or wait longer "
                "(timeout_s)"
            ) from None
        except (OSError, HTTPException, ValueError, OverflowError) as error:
            # ValueError and OverflowError: sizes of chunks that are no sizes. Not `from error`,
            # whose words are the server's and would be shown with the trace.
            raise ModelError(
                f"{self.url} broke the connection off ({self.shown(_reason(error))}); ask again"
            ) from None

    def _connect(self, limits: _Limits) -> HTTPConnection:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(str(parts.hostname), parts.port, timeout=_CONNECT_S)
        try:
            connection.connect()
        except OSError as error:
            raise ModelError(
                f"no server answers at {self.url} ({_reason(error)}); start it or check the address"
            ) from error
        connection.sock.settimeout(self.timeout_s)
        connection.response_class = limits.response_class()
        return connection

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        return headers | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    # ---- the answer ------------------------------------------------------------------------------

    def _events(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        lines = _lines(response)
        first = next(lines, b"")
        declared = "text/event-stream" in response.headers.get("Content-Type", "")
        if not (declared or _FIELD.match(first)):
            yield self._parsed(b"\n".join([first, *lines]))
            return
        for data in _stream_data(chain([first], lines)):
            if data.strip() == b"[DONE]":
                yield END
                return
            event = self._parsed(data)
            if event.get("error"):
                raise ModelError(f"{self.url} failed: {self._words(event)}")
            yield event

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise ModelError(
                f"{self.url} sent no JSON object but {self.shown(data)!r}; is it a server with "
                "/chat/completions?"
            )
        return event

    def _refusal(self, response: HTTPResponse) -> RagctxError:
        """The error for a status that is not 200."""
        status, body = response.status, response.read(_REPLY_BYTES)
        try:
            report = json.loads(body)
        except (ValueError, RecursionError):
            report = None
        words = self._words(report) if isinstance(report, dict) else self.shown(body)
        if status in (401, 403):  # not in the server's words: they may quote the key
            asks = "refuses the key" if self.key else "asks for a key"
            return ModelError(f"{self.url} {asks} ({status}); set {KEY_VARIABLE}")
        if status == 429:
            wait = self.shown(response.headers.get("Retry-After", "")) or "a while"
            when = f"in {wait} s" if wait.isdecimal() else f"later ({wait})"
            return ModelError(f"{self.url} takes no more for now (429: {words}); try again {when}")
        if 300 <= status < 400:
            there = self.shown(response.headers.get("Location", ""))
            return ModelError(f"{self.url} has moved to {there!r}; name that one if you trust it")
        if status in (400, 413, 422) and _CONTEXT.search(f"{words} {_code(report)}"):
            return BudgetError(
                f"the prompt is too long for {self.url}: {words!r}; lower --context-window, and "
                "count with the model's own --tokenizer"
            )
        remedy = {
            404: f"; list its models: curl {self.url}/models",
            500: "; see the server's own log",
            503: "; it may still be loading: try again",
        }.get(status, "")
        reason = self.shown(response.reason)
        return ModelError(f"{self.url} answers {status} {reason}: {words!r}{remedy}")

    def _words(self, report: dict[str, Any]) -> str:
        """The message in an error object: OpenAI's, vLLM's, FastAPI's, llama.cpp's."""
        error = report.get("error")
        message = error.get("message") if isinstance(error, dict) else error
        message = message or report.get("message") or report.get("detail") or json.dumps(report)
        return self.shown(str(message))

    def shown(self, words: bytes | str) -> str:
        """A server's words as one short line, without control characters and without the key."""
        text = words if isinstance(words, str) else words.decode("utf-8", "replace")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        for form in _forms(self.key) if self.key else ():
            line = line.replace(form, "***")
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


_FIELD = re.compile(rb"(?:data|event|id|retry)?:")

END: dict[str, Any] = {}
"""What stands for a stream's own word that it ends: compare with `is`."""


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    """Lines without their ends, which may be of any kind, and without a byte order mark."""
    mark = BOM_UTF8
    while read := response.readline():
        yield from read.removeprefix(mark).splitlines()
        mark = b""


def _stream_data(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2): its lines up to an empty one."""
    data: list[bytes] = []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[len(b"data:") :].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _forms(key: str) -> set[str]:
    """The key as it is, and as URLs, JSON and Python write it."""
    return {key, quote(key, safe=""), json.dumps(key)[1:-1], repr(key)[1:-1]}


# ---- Bounds ----------------------------------------------------------------------------------


class _EndlessError(HTTPException):
    """A server's answer, its head included, is over its bounds."""


@dataclass(frozen=True, slots=True)
class _Limits:
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

    def __init__(self, raw: RawIOBase, sock: socket.socket, limits: _Limits, ends: float) -> None:
        self._raw, self._socket, self._limits, self._ends = raw, sock, limits, ends
        self._left = limits.max_bytes

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what has come, or wait for it."""
        remaining = self._ends - time.monotonic()
        if remaining <= 0:
            raise _EndlessError(f"after {self._limits.total_s:g} s")
        if self._left <= 0:
            raise _EndlessError(f"after {self._limits.max_bytes} bytes")
        self._socket.settimeout(min(self._limits.silence_s, remaining))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            if remaining < self._limits.silence_s:
                raise _EndlessError(f"after {self._limits.total_s:g} s") from None
            raise
        self._left -= count or 0
        return count

    def close(self) -> None:
        """Close the socket's side, too."""
        self._raw.close()
        super().close()


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0  # raises ValueError if not a number
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    is_http = parts.scheme in ("http", "https")
    return has_port and is_plain and is_http and bool(parts.hostname) and not parts.query


def _code(report: object) -> str:
    """The code and type of a server's error object; "" if it has none."""
    error = report.get("error") if isinstance(report, dict) else None
    return f"{error.get('code')} {error.get('type')}" if isinstance(error, dict) else ""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
