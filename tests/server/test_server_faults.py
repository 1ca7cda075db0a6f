"""A server that is killed while it takes in a PDF, and uploads of any size and speed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.paths import SAMPLES
from tests.support.served import PUMP
from tests.support.server_process import ServerProcess, server_process

pytest.importorskip("uvicorn", reason="needs the extra ragctx[serve]")

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]
MANUAL = SAMPLES / "field-station-manual.pdf"
BLOCK = b"%PDF-1.7\n" + bytes(2**20)
HEADERS = "PUT /documents/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n\r\n"


def put(server: ServerProcess, name: str, more: str) -> socket.socket:
    """Begin an upload; nothing of its body is sent yet."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(60)
    client.sendall(HEADERS.format(name=name, more=more).encode())
    return client


def is_sound(folder: Path) -> bool:
    """Whether `ragctx index verify` finds nothing."""
    command = [sys.executable, "-m", "ragctx", "index", "verify", "index"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0


def peak_mib(server: ServerProcess) -> int:
    """The most memory that the server has had."""
    status = Path(f"/proc/{server.program.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_a_server_killed_in_an_upload_leaves_all_whole(tmp_path: Path) -> None:
    """Half of a file has come: after a restart it is nowhere, and what was there is as it was."""
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    uploads = tmp_path / "index-uploads"
    content = MANUAL.read_bytes()
    with server_process(tmp_path, "pump.pdf") as server:
        client = put(server, "manual.pdf", f"Content-Length: {len(content)}")
        client.sendall(content[: len(content) // 2])
        while not [one for one in uploads.glob(".*") if one.stat().st_size]:
            time.sleep(0.05)
        server.kill()
        client.close()
    assert not list(uploads.glob("*.pdf")) and list(uploads.glob(".*.part"))
    assert is_sound(tmp_path)
    with server_process(tmp_path) as server:
        assert not list(uploads.iterdir())
        assert server.names() == ["pump.pdf"]
        answer = json.loads(server.get("/ask", {"question": "What colour is the cap?"})[1])
        assert "blue" in answer["answer"]


def test_a_server_killed_while_it_reads_an_upload_reads_it_again(tmp_path: Path) -> None:
    """At whatever moment: the index is sound, and the PDF, which had come whole, is in it."""
    content = MANUAL.read_bytes()
    for i, wait_s in enumerate((0.0, 0.4, 1.5)):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "pump.pdf").write_bytes(PUMP)
        kept = folder / "index-uploads" / "manual.pdf"
        with server_process(folder, "pump.pdf") as server:
            client = put(server, "manual.pdf", f"Content-Length: {len(content)}")
            client.sendall(content)
            while not kept.exists():
                time.sleep(0.005)
            time.sleep(wait_s)
            server.kill()
            client.close()
        assert kept.read_bytes() == content
        assert is_sound(folder)
        with server_process(folder) as server:
            assert server.names() == ["manual.pdf", "pump.pdf"]
        assert is_sound(folder)


def test_two_gigabytes_are_refused_before_they_come(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        client = put(server, "large.pdf", "Content-Length: 2147483648")
        answer = client.recv(4096)
        assert b" 413 " in answer and b"268435456 bytes at most" in answer + client.recv(4096)
        client.close()
        assert server.get("/healthz")[0] == 200
    assert not list(tmp_path.glob("index-uploads/*"))


def test_two_gigabytes_that_nobody_announced_are_cut_off(tmp_path: Path) -> None:
    """In chunks without a total: as soon as they are too many, and none of them is kept."""
    sent = 0
    with server_process(tmp_path) as server:
        before = peak_mib(server)
        client = put(server, "large.pdf", "Transfer-Encoding: chunked")
        try:
            while sent < 2**31:
                client.sendall(f"{len(BLOCK):x}\r\n".encode() + BLOCK + b"\r\n")
                sent += len(BLOCK)
            raise AssertionError("all of it was taken")
        except ConnectionError:
            pass
        client.close()
        assert 2**28 - len(BLOCK) <= sent < 2**29
        assert server.get("/healthz")[0] == 200
        assert 'method="PUT",route="/documents/{document}",status="413"' in str(
            server.get("/metrics")[1]
        )
        assert peak_mib(server) < before + 64
    assert not list(tmp_path.glob("index-uploads/*")) and not list(
        tmp_path.glob("index-uploads/.*")
    )
