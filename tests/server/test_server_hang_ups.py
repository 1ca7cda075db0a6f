"""Clients that go away: the server goes on, and nothing is done for them any more.

The server is a real one, in a thread; its model writes a word at a time, when it is told to.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from ragctx.records import Generation, Prompt
from ragctx.server.app import create_app
from ragctx.server.service import Service
from tests.support.generators import ScriptedGenerator

pytest.importorskip("uvicorn", reason="needs the extra ragctx[serve]")

from tests.support.server_thread import server_thread

pytestmark = pytest.mark.enable_socket
QUESTION = {"question": "How often must the pump be oiled?"}
JSON = {"Content-Type": "application/json"}
EVENTS = {**JSON, "Accept": "text/event-stream"}
CHAT = {"messages": [{"role": "user", "content": QUESTION["question"]}], "stream": True}


class Talker(ScriptedGenerator):
    """Says "word" without end, until `goes_on` is cleared or whoever listens is gone."""

    def __init__(self) -> None:
        super().__init__("word [1]")
        self.begun = threading.Event()
        self.stopped: list[str] = []
        self.is_endless = True
        self.begins, self.word = 0, "word "

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.begins += 1
        self.begun.set()
        try:
            for _ in range(1000 if self.is_endless else 0):
                time.sleep(0.01)
                if on_text:
                    on_text(self.word)
        except BaseException as error:
            self.stopped.append(type(error).__name__)
            raise
        return super().generate(prompt, on_text=on_text)


@dataclass
class Served:
    """A server and its model."""

    port: int
    talker: Talker
    open: list[socket.socket] = field(default_factory=list)

    def send(self, path: str, body: object, headers: dict[str, str]) -> socket.socket:
        """Send a request, and read nothing yet."""
        data = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(30)
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        self.open.append(client)
        return client

    def get(self, path: str, body: object = None) -> tuple[int, str]:
        """Ask, and read the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, JSON)
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer

    def at_once(self) -> int:
        """Requests that are worked on or wait."""
        found = re.search(r"^ragctx_at_once (\d+)$", self.get("/metrics")[1], re.MULTILINE)
        assert found is not None
        return int(found[1])

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, 30 seconds at most."""
        end = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def served(service: Service) -> Iterator[Served]:
    talker = Talker()
    with server_thread(create_app(replace(service, generator=talker), max_at_once=3)) as port:
        served = Served(port, talker)
        yield served
        talker.is_endless = False
        for client in served.open:
            client.close()


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [("/ask", QUESTION, EVENTS), ("/ask", QUESTION, JSON), ("/v1/chat/completions", CHAT, JSON)],
    ids=["events", "whole", "chat"],
)
def test_a_client_that_hangs_up_ends_its_answer(
    served: Served, path: str, body: object, headers: dict[str, str]
) -> None:
    client = served.send(path, body, headers)
    assert served.talker.begun.wait(30)
    if headers is EVENTS or path.startswith("/v1"):
        while b"word" not in client.recv(4096):
            pass
    assert served.at_once() == 1
    client.close()
    served.wait_for(lambda: served.talker.stopped == ["HungUpError"])
    served.wait_for(lambda: served.at_once() == 0)
    served.talker.is_endless = False
    status, answer = served.get("/ask", QUESTION)
    assert status == 200 and "word" in json.loads(answer)["answer"]


def test_a_client_that_hangs_up_while_it_waits_is_never_answered(served: Served) -> None:
    """Those who were gone each took their turn, a thread and a place until then."""
    first = served.send("/ask", QUESTION, EVENTS)
    assert served.talker.begun.wait(30)
    waiting = [served.send("/ask", QUESTION, headers) for headers in (EVENTS, JSON)]
    served.wait_for(lambda: served.at_once() == 3)
    assert served.get("/ask", QUESTION)[0] == 503
    for client in waiting:
        client.close()
    served.wait_for(lambda: served.at_once() == 1)
    first.close()
    served.wait_for(lambda: served.at_once() == 0)
    assert served.talker.begins == 1


def test_a_client_that_reads_nothing_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragctx.server.events.MAX_UNSENT", 5)
    served.talker.word = "word " * 1_000_000
    served.send("/ask", QUESTION, EVENTS)
    served.wait_for(lambda: served.talker.stopped == ["HungUpError"])


def test_something_is_sent_while_a_client_waits(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is between, such as a proxy, gives up when nothing comes for a minute."""
    monkeypatch.setattr("ragctx.server.events.PING_S", 0.05)
    first = served.send("/ask", QUESTION, EVENTS)
    assert served.talker.begun.wait(30)
    second = served.send("/ask", QUESTION, EVENTS)
    heard = b""
    while b": still here\n\n" not in heard:
        heard += second.recv(4096)
    second.close()
    first.close()


def test_a_server_that_is_ended_ends_its_answers(service: Service) -> None:
    """Ctrl-C waited for the last word of an answer that nobody could get any more."""
    talker = Talker()
    with server_thread(create_app(replace(service, generator=talker))) as port:
        clients = [Served(port, talker).send("/ask", QUESTION, one) for one in (JSON, EVENTS)]
        assert talker.begun.wait(30)
    until = time.monotonic() + 5  # its thread comes to its next word after the server's has ended
    while not talker.stopped and time.monotonic() < until:
        time.sleep(0.01)
    assert talker.stopped == ["HungUpError"]
    for client in clients:
        client.close()
