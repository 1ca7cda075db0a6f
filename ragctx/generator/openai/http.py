"""Requests to a server that speaks the OpenAI protocol, and its answers, event by event.

Plain `http.client`: it follows no redirect, so the key goes to the named server and nowhere else,
and nothing is sent before somebody names a server. (`openai` and `httpx` were tried against servers
that misbehave: neither can bound the time of an answer, only that between two bytes, nor its size.)

Nothing that comes back is trusted: bytes and time of an answer are bounded, whatever the server
sends and however slowly, and its words are shown on one line, without the key. What may pass by
itself (a server that is busy or restarts) is tried again, but never once text has come.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import chain, count
from typing import Any
from urllib.parse import quote, urlsplit

from ragctx.errors import BudgetError, InputError, ModelError, RagctxError
from ragctx.generator.openai.bounds import EndlessError, Limits
from ragctx.generator.openai.events import failure, read_event
from ragctx.generator.openai.route import route_to
from ragctx.generator.openai.settings import (
    PassingError,
    RefusedError,
    ServerSettings,
    UnreachableError,
    retry_after_s,
)
from ragctx.generator.openai.stream import FIELD, lines_of, stream_data

KEY_VARIABLE = "RAGCTX_API_KEY"
_CONNECT_S = 10.0  # seconds to wait for a connection; chosen by hand
_MAX_BYTES = 16 * 2**20  # of one answer: far more than any text answer needs; chosen by hand
_REPLY_BYTES, _TOKEN_BYTES = 2**18, 2**12  # a reply, and each token as an event of its own; by hand
_TOKEN_S = 2.0  # seconds for each token, beside those for the first byte; chosen by hand
_SHOWN = 300  # characters of a server's own words that are shown; chosen by hand
_ABOUT_BYTES, _ABOUT_S = 2**22, 10.0  # of what a server tells about itself; chosen by hand
_PASSING = (408, 409, 425, 429)
_CONTEXT = re.compile(
    r"context.?(length|size|window)|maximum context|too long|maximum number of tokens",
    re.IGNORECASE,
)


END: dict[str, Any] = {}
"""What stands for a stream's own word that it ends: compare with `is`."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a model. `key` never appears in messages."""

    url: str  # without a slash at its end, e.g. http://127.0.0.1:8000/v1
    key: str | None = field(default=None, repr=False)
    settings: ServerSettings = field(default_factory=ServerSettings)
    query: str = field(default="", repr=False)  # of every request, as api-version=2024-10-21

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
        close the connection. Raises ModelError for whatever goes wrong on the way, RefusedError for
        a request that the server does not take, and BudgetError if it reports that the prompt is
        too long for it.
        """
        began, has_said = time.monotonic(), False
        for tries in count(1):
            try:
                for event in self._posted(path, body, tokens):
                    has_said = has_said or _says_anything(event)
                    yield event
                return
            except (PassingError, UnreachableError) as error:
                if isinstance(error, UnreachableError):
                    if tries == 1:
                        raise
                    error = PassingError(error)  # it was there, and may be starting again
                wait_s = self.settings.wait_s(tries, error.asked_wait_s)
                left_s = self.settings.limit_s - (time.monotonic() - began)
                if has_said or wait_s is None or wait_s >= left_s:
                    raise error.lasting from None
                time.sleep(wait_s)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the server answers to a short question about itself; None if it does not.

        `path` is that of the server, not of the protocol. Without a `body` the question is a GET.
        Raises ModelError if there is no server.
        """
        most_s = min(_ABOUT_S, self.settings.limit_s)
        limits = Limits(_ABOUT_BYTES, most_s, most_s)
        data = None if body is None else json.dumps(body).encode()
        with closing(self._connect(limits)) as connection:
            try:
                connection.request(
                    "GET" if data is None else "POST", self._target(path), data, self._headers()
                )
                with closing(connection.getresponse()) as response:
                    answer = response.read(_ABOUT_BYTES)
                    return json.loads(answer) if response.status == 200 else None
            except (OSError, HTTPException, ValueError, OverflowError, RecursionError):
                return None

    @property
    def root(self) -> str:
        """The path of the server itself, before that of the protocol (/v1)."""
        return urlsplit(self.url).path.removesuffix("/v1")

    def _posted(
        self, path: str, body: dict[str, Any], tokens: int
    ) -> Generator[dict[str, Any], None, None]:
        timeout_s = self.settings.timeout_s
        limits = Limits(
            min(_MAX_BYTES, _REPLY_BYTES + _TOKEN_BYTES * tokens),
            timeout_s,
            min(self.settings.limit_s, timeout_s + _TOKEN_S * tokens),
        )
        try:
            with closing(self._connect(limits)) as connection:
                connection.request(
                    "POST",
                    self._target(f"{urlsplit(self.url).path}{path}"),
                    json.dumps({**body, **self.settings.body}).encode(),
                    self._headers(),
                )
                with closing(connection.getresponse()) as response:
                    if response.status != 200:
                        raise self._refusal(response)
                    yield from self._events(response)
        except EndlessError as error:
            is_limited = limits.total_s == self.settings.limit_s
            more = "--server-option limit_s" if is_limited else "--max-new-tokens"
            raise ModelError(
                f"{self.url} did not end its answer ({error}); look into the server's own log, or "
                f"raise {more}, which allows it more"
            ) from None
        except TimeoutError:
            raise ModelError(
                f"{self.url} sent nothing for {timeout_s:g} s; ask for less, or wait longer "
                f"(--server-option timeout_s={2 * timeout_s:g})"
            ) from None
        except (OSError, HTTPException, ValueError, OverflowError) as error:
            # ValueError and OverflowError: sizes of chunks that are no sizes. Not `from error`,
            # whose words are the server's and would be shown with the trace.
            raise PassingError(
                ModelError(
                    f"{self.url} broke the connection off ({self.shown(_reason(error))}); ask again"
                )
            ) from None

    def _connect(self, limits: Limits) -> HTTPConnection:
        route = route_to(self.url)
        kind = HTTPSConnection if route.is_secure else HTTPConnection
        connection = kind(route.host, route.port, timeout=_CONNECT_S)
        if route.tunnel:
            connection.set_tunnel(*route.tunnel, headers=route.proxy_headers)
        try:
            connection.connect()
        except OSError as error:
            through = f" through the proxy {route.host}" if route.is_proxy else ""
            raise UnreachableError(
                f"no server answers at {self.url}{through} ({_reason(error)}); start it or check "
                "the address"
            ) from error
        connection.sock.settimeout(limits.silence_s)
        connection.response_class = limits.response_class()
        return connection

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
            if str(urlsplit(self.url).hostname).endswith(".azure.com"):
                headers["api-key"] = self.key
        route = route_to(self.url)
        return (
            headers
            | (route.proxy_headers if route.is_proxy and not route.tunnel else {})
            | {**self.settings.headers}
        )

    def _target(self, path: str) -> str:
        """What is asked for: a path, or, of a proxy that opens no tunnel, the whole address."""
        route, parts = route_to(self.url), urlsplit(self.url)
        where = f"{parts.scheme}://{parts.netloc}" if route.is_proxy and not route.tunnel else ""
        return f"{where}{path or '/'}{'?' if self.query else ''}{self.query}"

    # ---- the answer ------------------------------------------------------------------------------

    def _events(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        packed = response.headers.get("Content-Encoding", "identity")
        if packed.lower() != "identity":
            raise ModelError(
                f"{self.url} sends its answer packed ({self.shown(packed)}), which was not asked "
                "for; look at the proxy before it"
            )
        lines = lines_of(response.readline)
        first = next(lines, b"")
        declared = "text/event-stream" in response.headers.get("Content-Type", "")
        is_stream = FIELD.match(first) or (declared and first[:1] not in (b"{", b"<"))
        if not is_stream:
            whole = self._parsed(b"\n".join([first, *lines]))
            if "choices" not in whole and not failure(whole):
                raise self._no_completion(whole)
            yield self._sound(whole)
            return
        for data in stream_data(chain([first], lines)):
            if data.strip() == b"[DONE]":
                yield END
                return
            if data.strip():  # some keep the line alive with empty ones
                yield self._sound(self._parsed(data))

    def _sound(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event, unless it says that the server failed."""
        if why := failure(event):
            report = why if isinstance(why, dict) else {"error": why}
            error = ModelError(f"{self.url} failed: {self._words(report)}; see its own log")
            raise PassingError(error) if _may_pass(_status(report)) else error
        return event

    def _no_completion(self, event: dict[str, Any]) -> ModelError:
        return ModelError(
            f"{self.url} sent what is no chat completion: {self.shown(repr(event))}; is it the "
            "address of an OpenAI protocol (…/v1)?"
        )

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

    def _refusal(self, response: HTTPResponse) -> Exception:
        """The error for a status that is not 200."""
        error = self._lasting_refusal(response)
        if _may_pass(response.status):
            return PassingError(error, retry_after_s(response.headers.get("Retry-After", "")))
        return error

    def _lasting_refusal(self, response: HTTPResponse) -> RagctxError:
        status, body = response.status, response.read(_REPLY_BYTES)
        try:
            report = json.loads(body)
        except (ValueError, RecursionError):
            report = None
        if isinstance(report, list) and report:  # as Gemini sends it
            report = report[0]
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
            **dict.fromkeys((500, 502, 504), "; see the server's own log"),
            503: "; it may still be loading: try again",
        }.get(status, "")
        reason = self.shown(response.reason)
        return RefusedError(
            f"{self.url} answers {status} {reason}: {words!r}{remedy}",
            words=f"{_parameter(report)} {words}" if status in (400, 422) else "",
        )

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


def _forms(key: str) -> set[str]:
    """The key as it is, and as URLs, JSON and Python write it."""
    return {key, quote(key, safe=""), json.dumps(key)[1:-1], repr(key)[1:-1]}


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0  # raises ValueError if not a number
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    is_http = parts.scheme in ("http", "https")
    return has_port and is_plain and is_http and bool(parts.hostname) and not parts.query


def _may_pass(status: int) -> bool:
    return status in _PASSING or status >= 500


def _status(report: dict[str, Any]) -> int:
    """The status in an error that came after a status of 200; 0 where it has none."""
    error = report.get("error")
    code = (error if isinstance(error, dict) else report).get("code")
    return code if isinstance(code, int) else 0


def _code(report: object) -> str:
    """The code and type of a server's error object; "" if it has none."""
    error = report.get("error") if isinstance(report, dict) else None
    return f"{error.get('code')} {error.get('type')}" if isinstance(error, dict) else ""


def _parameter(report: object) -> str:
    """The name of the parameter that a server's error object is about; "" if it names none."""
    error = report.get("error") if isinstance(report, dict) else None
    return str(error.get("param") or "") if isinstance(error, dict) else ""


def _says_anything(event: dict[str, Any]) -> bool:
    try:
        said = read_event(event)
    except ValueError:
        return True
    return event is not END and bool(said.text or said.thought or said.refusal or said.calls_tool)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
