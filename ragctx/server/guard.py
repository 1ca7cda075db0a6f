"""Who may ask, and how much: in front of everything else.

A server on loopback is open to every program of this computer, and a browser is one that runs the
code of strangers. So the `Host` must be this server's own (a name of somebody else's that points
here is DNS rebinding), nobody else's page may send anything (`Origin`), and where the server can be
reached from other computers, a token is demanded.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 2**20
"""Of a request that is not an upload."""
MAX_UPLOAD_BYTES = 2**28
"""Of one PDF."""
COOKIE = "ragctx_token"
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_OWN = frozenset(("same-origin", "none"))  # its own pages, and what a person typed
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_OPEN = frozenset(("/healthz",))  # told to anybody who can reach the server
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether an address is only reached from this computer.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host in _LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What is checked: `token` is demanded unless it is ""; `hosts` are further names of it.

    Without a token, only this computer's own names are its names; with one, any address in numbers
    is, too. (A page of somebody else's that points its own name here sends that name.)
    """

    token: str = ""
    hosts: frozenset[str] = frozenset()
    max_body_bytes: int = MAX_BODY_BYTES
    max_upload_bytes: int = MAX_UPLOAD_BYTES

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, if a request is not let in."""
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        host = _host_of(headers.get("host", ""))
        if not (host in _LOOPBACK | self.hosts or (self.token and _is_address(host))):
            name = host[:80]
            return 421, f"this server is not called {name!r}; start it with --allow-host {name}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
            return 403, "pages of other servers may not ask"
        if headers.get("sec-fetch-site", "none") not in _OWN and (
            method not in _SAFE or headers.get("sec-fetch-mode") != "navigate"
        ):  # a link to here may be followed
            return 403, "pages of other servers may not ask"
        if self.token and path not in _OPEN and not self._knows(headers, scope):
            return 401, "send the token that the server printed: Authorization: Bearer …"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind != "application/json":
            return 415, "send JSON: Content-Type: application/json"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.most(method):
            return 413, f"the body may have {self.most(method)} bytes at most"
        return None

    def most(self, method: str) -> int:
        """How many bytes a request may have."""
        return self.max_upload_bytes if method == "PUT" else self.max_body_bytes

    def _knows(self, headers: Headers, scope: Scope) -> bool:
        kind, _, sent = headers.get("authorization", "").partition(" ")
        tokens = [sent.strip()] if kind.lower() == "bearer" else []
        if scope["path"] == "/":  # the address that the server printed
            tokens += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["method"] in _SAFE or headers.get("origin") is not None:
            tokens.append(HTTPConnection(scope).cookies.get(COOKIE, ""))
        return any(hmac.compare_digest(one.encode(), self.token.encode()) for one in tokens)


class Guarded:
    """An application behind a guard; what it sends tells browsers to run nothing of others."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._guard.refusal(scope)
        if refusal is not None:
            status, reason = refusal
            await error_response(status, reason)(scope, receive, sending)
            return
        await self._app(scope, _limited(receive, self._guard.most(scope["method"])), sending)


class TooLargeError(Exception):
    """A body goes on beyond what it may have."""


def _limited(receive: Receive, most: int) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLargeError(f"the body may have {most} bytes at most")
        return message

    return receiving


def error_response(status: int, message: str, kind: str = "") -> JSONResponse:
    """An error, in the form that OpenAI's clients know as well."""
    body = {"error": {"message": message, "type": kind or _KINDS.get(status, "error")}}
    return JSONResponse(body, status, _FURTHER.get(status))


_FURTHER = {
    413: {"connection": "close"},  # or else the rest of the body would be read, and thrown away
    503: {"retry-after": "1"},
}


_KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_of(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
