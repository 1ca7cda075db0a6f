"""The program as a user runs it: a process of its own, real PDFs, pipes and signals."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from ragctx.generator.reader.checkpoint import FOLDER
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.index.repair import verify_index
from tests.support.paths import SAMPLES

RAGCTX = (sys.executable, "-m", "ragctx")
QUESTION = "How often must the filter be cleaned?"
needs_reader = pytest.mark.skipif(
    not (FOLDER / "reader.safetensors").is_file(),
    reason="the bundled reader's weights are not here",
)


def ragctx(*arguments: str, cwd: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*RAGCTX, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        input=stdin,
        env={**os.environ, **env},
    )


def make_pdf(path: Path, *pages: str, password: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(path), encrypt=password)
    for page in pages:
        for number, line in enumerate(page.splitlines()):
            canvas.drawString(72, 720 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three PDFs, one locked and one no PDF at all, and an index of them."""
    place = tmp_path_factory.mktemp("place")
    make_pdf(
        place / "pdfs" / "pump.pdf",
        "The pump has two valves.\nIt weighs 40 kg.",
        "The filter must be cleaned every six months.\nUse warm water.",
    )
    make_pdf(place / "pdfs" / "boat.pdf", "The boat is nine metres long and made of oak.")
    make_pdf(place / "pdfs" / "locked.pdf", "A secret.", password="open")
    (place / "pdfs" / "not.pdf").write_text("This is no PDF, whatever it is called.\n" * 9)
    done = ragctx("ingest", "pdfs", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "ingested.json").write_text(done.stdout)
    return place


def test_every_file_has_its_row(place: Path) -> None:
    view = json.loads((place / "ingested.json").read_text())
    rows = {Path(row["path"]).name: row for row in view["rows"]}
    assert {name: (row["outcome"], row["status"]) for name, row in rows.items()} == {
        "boat.pdf": ("added", "ok"),
        "locked.pdf": ("failed", "encrypted"),
        "not.pdf": ("failed", "corrupt"),
        "pump.pdf": ("added", "ok"),
    }
    assert "--password" in rows["locked.pdf"]["message"]


def test_a_file_without_text_gets_the_cause_that_is_known(place: Path) -> None:
    # Whatever was the matter, the ledger said "no text layer; run OCR on it first".
    make_pdf(place / "blank.pdf", "", "")
    done = ragctx("ingest", "blank.pdf", "--index", "blank", "--json", cwd=place)
    [row] = json.loads(done.stdout)["rows"]
    assert row["message"] == "every page is blank; if it is not, run OCR on it"


def test_a_search_finds_the_page(place: Path) -> None:
    done = ragctx("search", QUESTION, "-k", "1", "--json", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    [hit] = json.loads(done.stdout)["hits"]
    assert hit["document"] == "pump.pdf" and hit["last_page"] == 2


def test_what_is_piped_is_plain_text_in_any_encoding(place: Path) -> None:
    done = ragctx("index", "list", cwd=place, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout and "pump.pdf" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["index", "list"]])
def test_a_closed_pipe_is_no_error(place: Path, arguments: list[str]) -> None:
    # `ragctx … | head -1` once ended in a traceback about flushing standard output, and where rich
    # printed in "unexpected SystemExit: 1".
    process = subprocess.Popen(
        [*RAGCTX, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_nothing_warns_on_the_way_to_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ragctx", "ask", "--help"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(place: Path, tmp_path: Path) -> None:
    for number in range(3):
        make_pdf(tmp_path / "many" / f"{number}.pdf", f"Text number {number}.")
    # The last takes seconds: twelve short ones were once all in before the signal was sent.
    pages = [
        "\n".join(f"In room {page} valve {line} is checked daily." for line in range(40))
        for page in range(250)
    ]
    make_pdf(tmp_path / "many" / "long.pdf", *pages)
    process = subprocess.Popen(
        [*RAGCTX, "ingest", "many"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        # a test run in the background may have been told to ignore it, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not _sources(tmp_path):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 4 files are in indexes/default" in err and "Traceback" not in err
    kept = len(_sources(tmp_path))
    assert 0 < kept < 4
    done = ragctx("ingest", "many", cwd=tmp_path)
    assert f"{4 - kept} added, {kept} completed" in done.stdout


def _sources(folder: Path) -> list[object]:
    from ragctx.errors import StoreError
    from ragctx.index.index import Index

    try:
        return list(Index.open(folder / "indexes" / "default").sources())
    except StoreError:
        return []


@pytest.mark.slow
def test_a_prompt_for_another_model_is_exact(place: Path) -> None:
    done = ragctx("prompt", QUESTION, "--json", "--budget-tokens", "200", cwd=place)
    view = json.loads(done.stdout)
    assert view["token_count"] == len(view["token_ids"]) <= 200
    missing = ragctx("prompt", QUESTION, "--tokenizer", "tiktoken:o200k_base", cwd=place)
    assert missing.returncode in (0, 1)
    assert missing.returncode == 0 or "o200k_base" in missing.stderr


@needs_reader
@pytest.mark.slow
def test_the_bundled_reader_answers_from_named_pdfs(place: Path) -> None:
    for _ in range(2):
        done = ragctx("ask", "-", "pdfs/pump.pdf", "--json", cwd=place, stdin=QUESTION)
        assert done.returncode == 0, done.stderr
        view = json.loads(done.stdout)
        assert "six months" in view["answer"]
        assert view["citations"][0]["status"] == "verified"


@needs_reader
@pytest.mark.slow
def test_the_bundled_reader_answers_a_batch(place: Path) -> None:
    done = ragctx("ask", "--batch", "-", cwd=place, stdin=f"{QUESTION}\n\nWho is the mayor?\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["line"] for row in rows] == [1, 3]
    assert rows[1]["abstained"]


@pytest.mark.slow
def test_a_kill_in_a_long_document_loses_no_vector_that_was_written(tmp_path: Path) -> None:
    ingest = [*RAGCTX, "ingest", str(SAMPLES / "*.pdf"), "--chunk-tokens", "40"]
    folder = tmp_path / "indexes" / "default"
    process = subprocess.Popen(ingest, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not kept_vectors(folder):
        time.sleep(0.05)
    process.kill()
    process.wait(timeout=60)
    kept = kept_vectors(folder)
    assert kept
    assert verify_index(folder) == ()
    done = subprocess.run(ingest, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        stored = dict(database.execute("SELECT row, vector FROM vectors"))
    assert kept.items() <= stored.items()
    assert Index.open(folder).info().unembedded == 0
    assert verify_index(folder) == ()


def kept_vectors(folder: Path) -> dict[int, bytes]:
    """The vectors that wait for the others of their documents, by row."""
    if not (folder / DATABASE).is_file():
        return {}
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        with suppress(sqlite3.OperationalError):  # the tables are being made
            return dict(
                database.execute("SELECT row, vector FROM waiting WHERE vector IS NOT NULL")
            )
    return {}
