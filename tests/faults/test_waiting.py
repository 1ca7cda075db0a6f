"""Several processes that need the same cached index at once: one makes it, the others wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ragctx.cli import session
from ragctx.cli.session import when_unlocked
from ragctx.errors import IndexLockedError
from ragctx.index.index import Index
from ragctx.index.lock import write_lock
from tests.support.fakes import HashEmbedder
from tests.support.paths import SAMPLES

ASK = """
import sys, time
from pathlib import Path
from ragctx.cli.session import Sources, open_index
from tests.support.fakes import HashEmbedder

start, pdf = float(sys.argv[1]), sys.argv[2]
time.sleep(max(0.0, start - time.time()))
sources = Sources(pdfs=(pdf,), index_path=Path("none"), embedder_spec="", password=None)
print(open_index(sources, HashEmbedder()).info().chunks)
"""


def test_four_that_ask_the_same_pdf_at_once_all_have_it(tmp_path: Path) -> None:
    # Three of four `ragctx ask QUESTION a.pdf` with a new cache exited with 1: "being written".
    pdf = min(SAMPLES.glob("*.pdf"))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(time.time() + 3), str(pdf)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAGCTX_CACHE_DIR": str(tmp_path)},
        )
        for _ in range(4)
    ]
    ends = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 4, ends
    assert len({out for out, _ in ends}) == 1
    assert {err for _, err in ends} <= {
        "",
        "waiting for another process that reads the same files (600 s at most)\n",
    }


def test_who_waits_says_so_once_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = Index.open_or_create(tmp_path, embedder=HashEmbedder())
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with write_lock(tmp_path):
            held.set()
            over.wait(10)

    def work() -> int:
        with index.writer() as writer:
            return len(writer.sources())

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.5, over.set).start()
    assert when_unlocked(work) == 0
    holder.join()
    assert capsys.readouterr().err.count("waiting for another process") == 1


def test_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "WAIT_S", 0.3)
    index = Index.open_or_create(tmp_path, embedder=HashEmbedder())

    def work() -> None:
        with index.writer():
            pass

    with write_lock(tmp_path), pytest.raises(IndexLockedError, match="is being written by process"):
        when_unlocked(work)
    assert "0.3 s at most" in capsys.readouterr().err
