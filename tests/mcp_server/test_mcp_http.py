"""A server over HTTP on 127.0.0.1, by itself and beside the page; strangers are kept out."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp

from ragctx.cli.listening import Address
from ragctx.mcp_server.handlers import create_server
from ragctx.mcp_server.tools import Toolbox
from ragctx.mcp_server.transports import create_mcp_app
from ragctx.server.app import create_app
from ragctx.server.guard import MAX_BODY_BYTES, Guard
from ragctx.server.metrics import Metrics
from ragctx.server.service import Service
from tests.support.agents import error_of, texts_of
from tests.support.paths import ROOT
from tests.support.served import PUMP

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

OILED = {"question": "How often must the pump be oiled?"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of an application that is served by a thread."""
    taken = Address(host="127.0.0.1", port=0, hosts=()).listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken.taken]})
    thread.start()
    try:
        yield taken.url
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def served(toolbox: Toolbox) -> Iterator[str]:
    with listening(create_mcp_app(create_server(toolbox))) as url:
        yield url


def status_of(url: str, data: bytes | None, **headers: str) -> int:
    request = urllib.request.Request(url, data, HEADERS | headers)
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            assert "error" in json.loads(error.read())
            return error.code


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_calls_and_reads(served: str, mode: str) -> None:
    async with Client(f"{served}/mcp", mode=mode) as client:
        assert len((await client.list_tools()).tools) == 5
        results = await asyncio.gather(*(client.call_tool("ask", OILED) for _ in range(8)))
        assert all(texts_of(one)[0].startswith("every two weeks") for one in results)
        assert "needed: question" in error_of(await client.call_tool("search", {}))
        resources = (await client.list_resources()).resources
        assert (await client.read_resource(resources[0].uri)).contents


async def test_many_clients_are_served(served: str) -> None:
    async def one(number: int) -> str:
        async with Client(f"{served}/mcp", mode="legacy" if number % 2 else "auto") as client:
            return texts_of(await client.call_tool("ask", OILED))[0]

    answers = await asyncio.gather(*map(one, range(6)))
    assert len(set(answers)) == 1 and answers[0].startswith("every two weeks")


async def test_agents_are_served_beside_the_page(toolbox: Toolbox, service: Service) -> None:
    app = create_mcp_app(create_server(toolbox), beside=create_app(service))
    with listening(app) as url:
        async with Client(f"{url}/mcp") as client:
            assert not (await client.call_tool("search", OILED)).is_error
        assert await asyncio.to_thread(status_of, f"{url}/healthz", None) == 200
        asked = json.dumps(OILED).encode()
        assert await asyncio.to_thread(status_of, f"{url}/search", asked) == 200


async def test_calls_are_counted_beside_requests(service: Service) -> None:
    """By tool and outcome, and answers with those of everybody else."""
    metrics = Metrics()
    toolbox = Toolbox(get_service=lambda: service, metrics=metrics)
    app = create_mcp_app(create_server(toolbox), beside=create_app(service, metrics=metrics))
    with listening(app) as url:
        async with Client(f"{url}/mcp") as client:
            for _ in range(2):
                await client.call_tool("ask", OILED)
            await client.call_tool("search", {})
        asked = json.dumps(OILED).encode()
        await asyncio.to_thread(status_of, f"{url}/ask", asked, accept="application/json")
        told = await asyncio.to_thread(urllib.request.urlopen, f"{url}/metrics")
        with told:
            lines = told.read().decode().splitlines()
    assert 'ragctx_mcp_calls_total{outcome="ok",tool="ask"} 2' in lines
    assert 'ragctx_mcp_calls_total{outcome="error",tool="search"} 1' in lines
    answered = [line for line in lines if line.startswith("ragctx_answers_total")]
    assert sum(int(line.split()[-1]) for line in answered) == 3


async def test_a_call_that_was_left_and_one_too_many_are_counted(service: Service) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def get_service() -> Service:
        began.set()
        goes_on.wait(20)
        return service

    toolbox = Toolbox(get_service=get_service)
    async with Client(create_server(toolbox, max_at_once=1)) as client:
        first = asyncio.create_task(client.call_tool("search", OILED))
        await asyncio.to_thread(began.wait, 20)
        assert "too many calls" in error_of(await client.call_tool("search", OILED))
        first.cancel()
        await asyncio.wait([first])
        counted = 'ragctx_mcp_calls_total{outcome="left",tool="search"} 1'
        for _ in range(200):
            if counted in toolbox.metrics.text({}):
                break
            await asyncio.sleep(0.05)
        goes_on.set()
    assert counted in toolbox.metrics.text({})
    assert 'ragctx_mcp_calls_total{outcome="busy",tool="search"} 1' in toolbox.metrics.text({})


def test_strangers_are_kept_out(served: str) -> None:
    asked = json.dumps(LIST).encode()
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
    ):
        assert status_of(f"{served}/mcp", asked, **headers) == status
        assert status_of(f"{served}/mcp", asked, **headers, **{"mcp-session-id": "x"}) == status


def test_too_large_a_body_is_refused(served: str) -> None:
    """Sent no further than to where it is refused: who sends on may find the connection closed."""
    told = {"content-length": f"{MAX_BODY_BYTES + 1}"}
    chunk = b"%x\r\n%b\r\n" % (2**16, b" " * 2**16)
    chunks = chunk * (MAX_BODY_BYTES // 2**16) + b"1\r\n \r\n"
    for headers, body in ((told, b""), ({"transfer-encoding": "chunked"}, chunks)):
        connection = http.client.HTTPConnection(served.removeprefix("http://"), timeout=60)
        with closing(connection):
            connection.putrequest("POST", "/mcp")
            for name, value in (HEADERS | headers).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            assert connection.getresponse().status == 413


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[str]:
    """The address that a program of ragctx tells; it must end in order."""
    program = subprocess.Popen(
        [sys.executable, "-m", "ragctx", *arguments, "--index", "index", "--port", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # without what keeps tests offline
    )
    try:
        assert program.stderr is not None
        line = next((line for line in program.stderr if "http://" in line), "")
        yield re.findall(r"http://[\d.]+:\d+", line)[0]
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("command", [("mcp", ".", "--http"), ("serve", ".")])
async def test_the_programs_serve_agents(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    with started(tmp_path, *command) as url:
        async with Client(f"{url}/mcp") as client:
            answer = texts_of(await client.call_tool("ask", OILED))
        assert "every two weeks" in answer[0] and "pump.pdf, page 1" in answer[2]


async def test_a_token_is_demanded_of_everybody(toolbox: Toolbox) -> None:
    guard = Guard(token="secret")
    with listening(create_mcp_app(create_server(toolbox), guard)) as url:
        asked = json.dumps(LIST).encode()
        for headers in ({}, {"authorization": "Bearer other"}, {"cookie": "ragctx_token=secret"}):
            assert await asyncio.to_thread(status_of, f"{url}/mcp", asked, **headers) == 401
        token: dict[str, Any] = {"headers": {"authorization": "Bearer secret"}}
        async with httpx2.AsyncClient(**token) as http:
            async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
                assert not (await client.call_tool("search", OILED)).is_error
