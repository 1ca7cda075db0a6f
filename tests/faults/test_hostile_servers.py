"""A server that means harm: its words give nothing away, and its answers end."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain, repeat

import pytest

from ragctx.assembly import Assembly, assemble
from ragctx.errors import ModelError
from ragctx.generator.openai.model import load_openai_api
from ragctx.records import Generation, Hit
from tests.support.fakes import WordTokenizer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "sk-very-secret-1234567890"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@contextmanager
def server(parts: Iterable[bytes], wait_s: float = 0.0) -> Iterator[str]:
    """The address of a server that sends these parts, one every `wait_s`, until it is hung up on.

    It is over, its thread too, with the block.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.settimeout(20)
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(wait_s)
                # Closed with a part of the request unread, the connection would be reset, and with
                # it what the client has not taken yet.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread.join(20)
        assert not thread.is_alive()


def asked(url: str, *, tokens: int = 8, timeout_s: float = 10.0) -> Generation:
    generator = load_openai_api(
        f"{url}#tiny",
        tokenizer=WordTokenizer(),
        context_window=4096,
        api_key=KEY,
        timeout_s=timeout_s,
        server_options={"retries": 0},
    )
    prompt = assemble(
        "When does tin melt?",
        [Hit.from_text(1, 1.0, "Tin melts at 232 degrees.")],
        generator.tokenizer,
        context_window=generator.context_window,
        assembly=Assembly(max_new_tokens=tokens),
    )
    return generator.generate(prompt)


def failure(parts: Iterable[bytes], wait_s: float = 0.0, **options: float) -> str:
    """The error's message, and whatever else of it a traceback shows."""
    with server(parts, wait_s) as url, pytest.raises(ModelError) as caught:
        asked(url, **options)  # type: ignore[arg-type]
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "reply",
    [
        f"HTTP/1.1 500 \x1b]0;{KEY}\x07\r\n\r\n",
        f"HTTP/1.1 500 no\r\n\r\n\x1b[31m{KEY[:9]}\x00{KEY[9:]}",
        f"HTTP/1.1 {KEY}\r\n\r\n",
        f"{KEY}\r\n\r\n",
        f"HTTP/1.1 302 Found\r\nLocation: http://evil/?key={KEY}\x1b[2J\r\n\r\n",
        f"HTTP/1.1 429 Slow\r\nRetry-After: \x1b[2J{KEY}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n",
        f"HTTP/1.1 200 OK\r\n\r\n{KEY}\x1b[2J",
        f'HTTP/1.1 200 OK\r\n\r\n{{"choices": [{{"delta": {{"content": "{KEY}"}}}}]}}',
    ],
    ids=range(9),
)
def test_no_word_of_a_server_shows_the_key_or_commands_a_terminal(reply: str) -> None:
    # The reason phrase was shown as it came, and the text of an answer that broke off with the key.
    shown = failure([reply.encode()])
    assert KEY not in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


@pytest.mark.parametrize("size", [b"no size", b"-5", b"-1", b"f" * 40, b"f" * 15, b"", b"0x10"])
@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
def test_a_chunk_s_size_that_is_none_is_the_server_s_error(size: bytes, kind: bytes) -> None:
    # ValueError and OverflowError came out.
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind + b"\r\n\r\n"
    assert "ModelError" in failure([head + size + b"\r\ndata: 7\r\n"])


@pytest.mark.parametrize(
    ("parts", "wait_s"),
    [
        (repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.05),
        (chain([b"HTTP/1.1 200 OK\r\nX: "], repeat(b"x")), 0.05),
        (chain([STREAM, b"\r\n"], repeat(b"x")), 0.05),
        (chain([STREAM, b"\r\n"], repeat(b": still here\n\n")), 0.05),
        (chain([STREAM, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\nx\r\n")), 0.05),
        (chain([b"HTTP/1.1 500 No\r\n\r\n"], repeat(b"x")), 0.05),
    ],
    ids=["1xx", "head", "line", "comments", "chunks", "refusal"],
)
def test_an_answer_that_drips_for_ever_ends(
    parts: Iterable[bytes], wait_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each byte came in time, so that no timeout was ever met.
    monkeypatch.setattr("ragctx.generator.openai.http._TOKEN_S", 0.05)
    began = time.monotonic()
    assert "did not end its answer (after 0.6 s)" in failure(parts, wait_s, tokens=8, timeout_s=0.2)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "parts",
    [
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        chain([STREAM, b"\r\n"], repeat(b": still here\n\n" * 1000)),
        chain([STREAM, b"\r\ndata:"], repeat(b"x" * 10_000)),
        chain([STREAM, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\nx\r\n" * 1000)),
    ],
    ids=["1xx", "comments", "line", "chunks"],
)
def test_a_flood_ends(parts: Iterable[bytes]) -> None:
    assert "did not end its answer (after 294912 bytes)" in failure(parts, tokens=8)


@pytest.mark.parametrize("words", [1, 30, 3000])
def test_no_more_is_taken_than_what_was_asked_for(words: int) -> None:
    # 600,000 tokens were taken where 256 had been asked for, and all of them were then cited.
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": "tin " * words}}]}).encode()
    with server(chain([STREAM, b"\r\n"], repeat(event + b"\n\n"))) as url:
        generation = asked(url, tokens=8)
    assert generation.finish_reason == "length"
    assert 8 <= len(generation.token_ids) <= 5 * 8
    assert generation.text.startswith("tin tin")


def test_a_word_without_end_is_cut() -> None:
    text = json.dumps({"choices": [{"delta": {"content": "x" * 200_000}}]})
    with server([STREAM + b"\r\ndata: " + text.encode() + b"\n\n"]) as url:
        assert len(asked(url, tokens=8).text) <= 256 * 5 * 8
