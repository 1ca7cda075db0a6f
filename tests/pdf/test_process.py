"""Laws of the watch: a reading process may do what it likes, the parent ends in time and keeps all.

The process is a few lines of Python in place of the real one, which misbehave in one way each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.pdf.process import Limits, Request, read
from ragctx.pdf.read import read_pdf
from ragctx.pdf.readers import WORKER, StartedReaders
from ragctx.pdf.reading import Reading

SAY = """
import json, os, sys, time
request = json.loads(sys.stdin.readline())
def say(**message): print(json.dumps(message), flush=True)
def page(n): say(kind="page", page=n, text=f"text {n}", reader="stand-in", pictures=False, label="",
                 filled_in=[], glyphs_only=False, doubtful=False, cut=False, lost=0, hidden=[],
                 fields=[])
def opened(n): say(kind="started"); say(kind="open", pages=n, attachments=0, xfa=False)
def pages(n, at=lambda i: None):
    opened(n)
    for i in range(request["first"], n):
        say(kind="begin", page=i); at(i); page(i)
    end()
def end(): say(kind="end", warnings=[])
"""


def reading_by(
    script: str, *, page_timeout_s: float = 60.0, file_timeout_s: float = 300.0
) -> tuple[Reading, float]:
    """What comes of a worker that runs `script`, and the seconds it took."""
    limits = Limits(page_timeout_s=page_timeout_s, file_timeout_s=file_timeout_s)
    began = time.monotonic()
    request = Request(
        path=Path("any.pdf"),
        password=None,
        reader="pdfium",
        limits=limits,
        deadline=began + file_timeout_s,
        readers=StartedReaders((sys.executable, "-S", "-c", SAY + script)),
    )
    return read(request), time.monotonic() - began


def test_a_page_that_never_ends_costs_that_page_only() -> None:
    reading, _ = reading_by("pages(5, lambda i: i == 2 and time.sleep(900))", page_timeout_s=5)
    assert sorted(reading.pages) == [0, 1, 3, 4] and reading.lost == {2: "timeout"}


def test_pages_that_kill_their_reader_cost_those_pages_only() -> None:
    reading, _ = reading_by("pages(5, lambda i: i in (0, 3) and os._exit(9))")
    assert sorted(reading.pages) == [1, 2, 4]
    assert reading.lost == {0: "corrupt", 3: "corrupt"}


def test_a_file_whose_every_page_kills_ends() -> None:
    reading, _ = reading_by("pages(10**6, lambda i: os._exit(9))")
    assert not reading.pages and len(reading.lost) == Limits().max_pages
    assert set(reading.lost.values()) == {"corrupt"}  # also of those that were given up


def test_a_process_that_hangs_at_opening_is_late() -> None:
    reading, took = reading_by("time.sleep(900)", page_timeout_s=2, file_timeout_s=2)
    assert reading.opening is None and reading.failure and reading.failure.status == "timeout"
    assert took < 60


def test_a_file_ends_at_its_limit_and_keeps_the_pages_read_before() -> None:
    reading, took = reading_by("pages(9999, lambda i: time.sleep(0.2))", file_timeout_s=4)
    assert 0 < len(reading.pages) < 9999 and "timeout" in reading.lost.values()
    assert took < 60


@pytest.mark.parametrize(
    "words",
    [
        "print('Traceback (most recent call last):', flush=True)",
        "print('[]', flush=True); print('7', flush=True); print('null', flush=True)",
        "print('{}', flush=True); print('{\"kind\": []}', flush=True)",
        "say(kind='page', page=0); say(kind='open'); say(kind='begin')",
        "sys.stdout.buffer.write(b'\\xff\\xfe{\\n'); sys.stdout.flush()",
        "say(kind='open', pages='many')",
        "say(kind='open', pages=-3)",
        "pass",
    ],
)
def test_a_process_that_talks_nonsense_is_a_corrupt_file(words: str) -> None:
    reading, took = reading_by(words)
    assert reading.count == 0 and not reading.pages
    assert reading.failure is not None and reading.failure.status == "corrupt"
    assert took < 50  # found out at once, not waited for


@pytest.mark.parametrize(
    "flood",
    [
        "opened(9)\nwhile True: say(kind='begin', page=0)",
        "opened(9)\nwhile True: page(0)",
        "while True: say(kind='started')",
        "while True: sys.stdout.write('x' * 65536)",
    ],
)
def test_a_flood_ends_at_the_files_limit(flood: str) -> None:
    reading, took = reading_by(flood, page_timeout_s=3, file_timeout_s=3)
    assert took < 60
    assert len(reading.pages) <= 1


def test_pages_that_the_file_does_not_have_are_not_believed() -> None:
    reading, _ = reading_by("opened(2); page(0); page(5); page(-1); page(10**9); end()")
    assert set(reading.pages) | set(reading.lost) <= {0, 1}


def test_the_password_is_never_in_a_command_line() -> None:
    limits = Limits()
    request = Request(
        path=Path("a.pdf"),
        password="sesame",
        reader="pdfium",
        limits=limits,
        deadline=time.monotonic() + 60,
    )
    assert not any("sesame" in word for word in WORKER)
    command = (sys.executable, "-S", "-c", SAY + "opened(len(sys.argv)); end()")
    shown = replace(request, readers=StartedReaders(command))
    assert read(shown).count == 1  # no arguments but the script


def test_the_process_never_imports_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "pypdfium2", "ragctx", "resource"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    limits = Limits(page_timeout_s=100)
    read(
        Request(
            path=tmp_path / "none.pdf",
            password=None,
            reader="pdfium",
            limits=limits,
            deadline=time.monotonic() + 200,
        )
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="looks at processes as POSIX does")
def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        f"worker = subprocess.Popen({list(WORKER)!r}, stdin=subprocess.PIPE)\n"
        'worker.stdin.write(b\'{"path": "/dev/stdin", "password": null, "reader": "pypdf",\''
        "b'\"memory_bytes\": 4000000000}')\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(900)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if not _runs(pid):
            return
        time.sleep(0.1)
    raise AssertionError("the reading process outlived its parent")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_memory_is_limited(tmp_path: Path) -> None:
    from ragctx.errors import PdfError

    path = tmp_path / "small.pdf"
    path.write_bytes(b"%PDF-1.4\n" + bytes(100))
    with pytest.raises(PdfError) as caught:
        read_pdf(path, limits=Limits(memory_bytes=40_000_000, page_timeout_s=60))
    assert caught.value.status in ("corrupt", "too_large")
