"""A POST to a server that speaks the OpenAI protocol, and its answer, event by event.

Plain `http.client`: it follows no redirect, so the key goes to the named server and nowhere else;
it uses no proxy; and nothing is sent before somebody names a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from ragctx.errors import BudgetError, InputError, ModelError, RagctxError

KEY_VARIABLE = "RAGCTX_API_KEY"
_CONNECT_S = 10.0  # seconds to wait for a connection; chosen by hand
_MAX_BYTES = 16 * 2**20  # of one answer: far more than any text answer needs; chosen by hand
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

    def post(self, path: str, body: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The events of a streamed answer, or the single object of one that is not streamed.

        Close the iterator to close the connection. Raises ModelError for whatever goes wrong on the
        way, and BudgetError if the server reports that the prompt is too long for it.
        """
        try:
            with closing(self._connect()) as connection:
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
        except TimeoutError as error:
            raise ModelError(
                f"{self.url} sent nothing for {self.timeout_s:g} s; ask for less, or wait longer "
                "(timeout_s)"
            ) from error
        except (OSError, HTTPException) as error:
            raise ModelError(
                f"{self.url} broke the connection off ({self.shown(_reason(error))}); ask again"
            ) from error

    def _connect(self) -> HTTPConnection:
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
        return connection

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        return headers | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    # ---- the answer ------------------------------------------------------------------------------

    def _events(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        if "text/event-stream" not in response.headers.get("Content-Type", ""):
            yield self._parsed(response.read(_MAX_BYTES))
            return
        for data in _stream_data(response):
            if data == b"[DONE]":
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
        status, body = response.status, response.read(_MAX_BYTES)
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
        return ModelError(f"{self.url} answers {status} {response.reason}: {words!r}{remedy}")

    def _words(self, report: dict[str, Any]) -> str:
        """The message in an error object: OpenAI's, vLLM's, FastAPI's, llama.cpp's."""
        error = report.get("error")
        message = error.get("message") if isinstance(error, dict) else error
        message = message or report.get("message") or report.get("detail") or json.dumps(report)
        return self.shown(str(message))

    def shown(self, words: bytes | str) -> str:
        """A server's words as one short line, without control characters and without the key."""
        text = words if isinstance(words, str) else words.decode("utf-8", "replace")
        text = text.replace(self.key, "***") if self.key else text
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _stream_data(response: HTTPResponse) -> Iterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2): its lines up to an empty one."""
    data: list[bytes] = []
    remaining = _MAX_BYTES
    while line := response.readline(remaining + 1):
        remaining -= len(line)
        if remaining < 0:
            raise HTTPException(f"more than {_MAX_BYTES} bytes")
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[len(b"data:") :].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


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
