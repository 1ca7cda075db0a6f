"""A server at standard input and output, as an agent's program starts it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from ragctx.cli.commands import mcp as mcp_command
from ragctx.errors import InputError, RagctxError
from tests.support.agent_program import NOISE
from tests.support.agents import HOSTILE, error_of, texts_of, view_of
from tests.support.paths import ROOT
from tests.support.served import PUMP

OILED = {"question": "How often must the pump be oiled?"}


def program(*arguments: str, folder: Path, cache: Path) -> AbstractAsyncContextManager[Any]:
    """Python, run with these arguments in a folder; the way to it."""
    started = StdioServerParameters(
        command=sys.executable,
        args=list(arguments),
        env={"PYTHONPATH": str(ROOT), "RAGCTX_CACHE_DIR": str(cache)},
        cwd=folder,
    )
    # pytest's own sys.stderr, which the SDK may have met when it was imported, is no file
    assert sys.__stderr__ is not None
    return stdio_client(started, errlog=sys.__stderr__)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_lists_calls_and_reads(tmp_path: Path, mode: str) -> None:
    started = program("-m", "tests.support.agent_program", folder=ROOT, cache=tmp_path)
    async with Client(started, mode=mode) as client:
        assert len((await client.list_tools()).tools) == 5
        assert texts_of(await client.call_tool("ask", OILED))[0].startswith("every two weeks")
        assert "needed: question" in error_of(await client.call_tool("search", {}))
        (resource,) = (await client.list_resources()).resources
        assert len((await client.read_resource(resource.uri)).contents) == 3


def test_standard_output_carries_the_protocol_and_nothing_else() -> None:
    """Nor do lines that are no messages end it."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    messages: list[Any] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        "no message",
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_documents"}},
    ]
    sent = "".join(f"{json.dumps(message)}\n" for message in messages) + "{broken\n"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.agent_program"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(sent)
    process.stdin.flush()
    answers: dict[int, Any] = {}
    while 2 not in answers:  # standard input stays open until the call is answered
        message = json.loads(process.stdout.readline())
        assert message["jsonrpc"] == "2.0"
        answers[message.get("id")] = message
    rest, told = process.communicate(timeout=60)
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert answers[1]["result"]["serverInfo"]["name"] == "ragctx"
    assert "pump.pdf" in answers[2]["result"]["content"][0]["text"]
    assert told.count(NOISE) >= 3 and told.rstrip().endswith("served")
    assert process.returncode == 0


@pytest.mark.slow
async def test_the_program_reads_documents_while_it_answers_and_then_knows_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    (tmp_path / "orders.pdf").write_bytes(HOSTILE)
    started = program(
        *("-m", "ragctx", "mcp", ".", "--index", "index"), folder=tmp_path, cache=tmp_path / "cache"
    )
    async with Client(started) as client:
        answer = view_of(await client.call_tool("ask", OILED))
        assert "every two weeks" in answer["answer"]
        assert answer["citations"][0]["document"] == "pump.pdf"
        left = asyncio.create_task(client.call_tool("ask", OILED))
        await asyncio.sleep(0.05)
        left.cancel()  # in the middle of it, or before, or after: the model stays as it is
        for other in await asyncio.gather(*(client.call_tool("ask", OILED) for _ in range(4))):
            assert view_of(other)["answer"] == answer["answer"]
            assert view_of(other)["confidence"] == answer["confidence"]
        given = {**OILED, "budget_tokens": 200, "tokenizer": "bundled"}
        assert view_of(await client.call_tool("assemble", given))["text_tokens"] <= 200
        refused = view_of(await client.call_tool("ask", {"question": "Who won the cup in 1954?"}))
        assert refused["abstained"] and refused["answer"] == ""


@pytest.mark.slow
async def test_why_nothing_could_be_loaded_is_told_to_the_agent(tmp_path: Path) -> None:
    arguments = ("-m", "ragctx", "mcp", "nowhere.pdf", "--index", "index")
    started = program(*arguments, folder=tmp_path, cache=tmp_path / "cache")
    async with Client(started) as client:
        assert "'nowhere.pdf' does not exist" in error_of(await client.call_tool("search", OILED))


def test_what_cannot_be_ends_the_program_before_an_agent_is_told_that_all_is_well(
    tmp_path: Path,
) -> None:
    for arguments, code, told in (
        (["--index", "none"], 1, "There is no index in none. Make one: ragctx ingest PATH"),
        (["--watch"], 2, "--watch has nothing to watch"),
        (["a.pdf", "--allow-tokenizer", "x=/nowhere"], 2, "there is no /nowhere; give NAME=DIR"),
        (["a.pdf", *("--allow-tokenizer", ".") * 2], 2, "twice; give "),
        (["a.pdf", "--template", "nope"], 2, "There is no template 'nope'"),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "ragctx", "mcp", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert (run.returncode, run.stdout) == (code, "") and told in run.stderr
        assert "Traceback" not in run.stderr


def test_a_call_waits_for_what_is_loaded_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_command, "WAIT_S", 0.01)
    loading: Future[Any] = Future()
    with pytest.raises(RagctxError, match="still being loaded; try again in a minute"):
        mcp_command.loaded(loading)
    loading.set_exception(InputError("'a.pdf' does not exist"))
    with pytest.raises(InputError, match=r"'a\.pdf' does not exist"):
        mcp_command.loaded(loading)


def test_without_the_sdk_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None; from ragctx.cli.program import run; "
        "sys.exit(run(['mcp']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ragctx mcp needs mcp. Install it: pip install 'ragctx[mcp]'" in done.stderr
