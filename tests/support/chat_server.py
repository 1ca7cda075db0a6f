"""A chat server of the tests' own: it says what it is told, and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer: its body, or a connection that breaks off instead."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False


@dataclass
class Script:
    """What the server answers, and the requests it got."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    pause: threading.Event | None = None  # what to wait for before answering
    before: list[Reply] = field(default_factory=list)  # what comes first, each once
    pages: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    """What other paths answer to a body, which is None for a GET; as JSON."""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""


def event(text: str | None = None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
ANSWER = event("At 232 ") + event("degrees [1].") + event(finish="stop") + DONE


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_GET(self) -> None:
        self._answer_page(None)

    def do_POST(self) -> None:
        script = self.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.partition("?")[0].endswith("/chat/completions"):
            self._answer_page(body)
            return
        script.requests.append((self.path, dict(self.headers), body))
        if script.pause:
            script.pause.wait(10)
        reply = Reply(script.body, script.status, script.headers)
        self._send(script.before.pop(0) if script.before else reply)

    def _answer_page(self, body: Any) -> None:
        page = self.script.pages.get(self.path)
        if page is None:
            self._send(Reply(b"not found", 404))
        else:
            self._send(Reply(json.dumps(page(body)).encode()))

    def _send(self, reply: Reply) -> None:
        if reply.breaks:
            self.connection.close()
            return
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:
            pass  # the other side hung up, as it may

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[Script]:
    """A server on this machine's loopback that says what its script tells."""
    told = Script(ANSWER)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Told", (Handler,), {"script": told}), bind_and_activate=True
    )
    told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """The address of a server that speaks no HTTP: it sends `reply` and hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread.join()
