"""Forked readers read as started ones do, and leave nothing behind, whoever dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ragctx.pdf import readers
from ragctx.pdf.process import Limits, Request
from ragctx.pdf.read import read_pdf
from ragctx.pdf.readers import ForkedReaders, ReaderProcess, StartedReaders
from tests.support.pdf_files import lines, write

pytestmark = pytest.mark.skipif(not readers.FORKS, reason="readers are forked on Linux only")


def endless(folder: Path) -> bytes:
    """What a reader begins and never ends: nobody writes to the file it is to open."""
    path = folder / "endless.pdf"
    os.mkfifo(path)
    until = time.monotonic() + 600
    request = Request(
        path=path, password=None, reader="pypdf", limits=Limits(memory_bytes=2**32), deadline=until
    )
    return request.from_page(0).encode() + b"\n"


def pdf(folder: Path, name: str, *texts: str) -> Path:
    return write(folder / name, [lines(text) for text in texts])


def test_forked_readers_read_what_started_ones_read(tmp_path: Path) -> None:
    paths = [pdf(tmp_path, f"{i}.pdf", f"Page one of {i}", "Page two") for i in range(3)]
    with ForkedReaders() as forked:
        documents = [read_pdf(path, readers=forked) for path in paths]
    assert documents == [read_pdf(path, readers=StartedReaders()) for path in paths]
    assert documents == [read_pdf(path) for path in paths]


def test_several_threads_share_forked_readers(tmp_path: Path) -> None:
    paths = [pdf(tmp_path, f"{i}.pdf", f"Number {i}") for i in range(8)]
    texts: dict[Path, str] = {}
    with ForkedReaders() as forked:

        def work(path: Path) -> None:
            texts[path] = read_pdf(path, readers=forked).text

        threads = [threading.Thread(target=work, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [texts[path] for path in paths] == [f"Number {i}" for i in range(8)]


def test_each_file_is_read_by_a_process_of_its_own() -> None:
    with ForkedReaders() as forked:
        first, second = forked.start(), forked.start()
        assert _number(first) != _number(second)
        first.end()
        assert not _runs(_number(first)) and _runs(_number(second))
        second.end()
        second.end()  # once more does no harm
        _close(first, second)


def test_memory_is_limited_for_each_fork(tmp_path: Path) -> None:
    with ForkedReaders() as forked:
        limited, other = forked.start(), forked.start()
        limited.stdin.write(endless(tmp_path))
        limited.stdin.flush()
        assert _ends(lambda: str(2**32) in _limits(limited))
        assert str(2**32) not in _limits(other)
        for reader in (limited, other):
            reader.end()
        _close(limited, other)


def test_forks_end_with_the_block(tmp_path: Path) -> None:
    with ForkedReaders() as forked:
        reader = forked.start()
        reader.stdin.write(endless(tmp_path))
        reader.stdin.flush()
        assert _runs(_number(reader))
    assert _ends(lambda: not _runs(_number(reader)))
    reader.end()
    _close(reader)


def test_where_the_process_to_fork_from_was_killed_readers_are_started(tmp_path: Path) -> None:
    """As a system does that is short of memory."""
    path = pdf(tmp_path, "a.pdf", "Words")
    with ForkedReaders() as forked:
        read_pdf(path, readers=forked)
        assert forked._ready is not None
        os.kill(forked._ready._process.pid, signal.SIGKILL)
        assert [read_pdf(path, readers=forked).text for _ in range(2)] == ["Words", "Words"]


def test_readers_die_with_the_program(tmp_path: Path) -> None:
    script = (
        "from ragctx.pdf.readers import ForkedReaders\n"
        "import time\n"
        "forked = ForkedReaders()\n"
        "reader = forked.start()\n"
        f"reader.stdin.write({endless(tmp_path)!r})\n"
        "reader.stdin.flush()\n"
        "print(reader._pid, forked._ready._process.pid, flush=True)\n"
        "time.sleep(900)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert program.stdout is not None
    pids = list(map(int, program.stdout.readline().split()))
    assert all(map(_runs, pids))
    program.kill()
    program.wait()
    program.stdout.close()
    assert _ends(lambda: not any(map(_runs, pids)))


def _close(*ended: ReaderProcess) -> None:
    for reader in ended:
        reader.stdin.close()
        reader.stdout.close()


def _limits(reader: ReaderProcess) -> str:
    return Path(f"/proc/{_number(reader)}/limits").read_text()


def _number(reader: ReaderProcess) -> int:
    return int(getattr(reader, "_pid"))  # noqa: B009


def _ends(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes so in the next minute."""
    until = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
