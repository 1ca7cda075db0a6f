"""Laws of ingesting on Ray: the same index, whoever dies; every error says what to do."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import ragctx.ingestion.reading
from ragctx import __version__
from ragctx.errors import ClusterError, InputError, MissingExtraError, PdfError, StoreError
from ragctx.index.index import Index
from ragctx.index.repair import verify_index
from ragctx.ingestion.on_ray.cluster import connected, require_address
from ragctx.ingestion.on_ray.remote import ReadOrder, RemoteEmbedder, read_file
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.reading import FileFound, FileReader
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from tests.index.test_waiting_vectors import tables
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.paths import ROOT
from tests.support.pdf_files import document, lines
from tests.support.ray_runs import (
    FragileEmbedder,
    cluster_environment,
    end,
    environment,
    head,
    needs_ray,
    processes_of,
    run_ragctx,
    wait_for,
)
from tests.support.text_pdfs import TextReader, write

slow = pytest.mark.slow
long = pytest.mark.timeout(600)
PLACES = ("pdfs", "index", "marks")


# --- without Ray


@pytest.mark.parametrize(
    "address", ["local", "auto", "head:6379", "127.0.0.1:1", "[::1]:6379", "ray://head:10001"]
)
def test_addresses(address: str) -> None:
    assert require_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "manuals/", "a.pdf", "head", "head:", "head:0", "head:65536", "http://head:6379", "a b:1"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="valid: auto"):
        require_address(address)


def test_a_path_after_ray_is_not_taken_for_an_address(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "ingest", "--ray", samples, "--index", tmp_path / "index")
    assert (code, out) == (2, "")
    assert "put --ray at the end" in err
    assert not (tmp_path / "index").exists()


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ragctx\[ray\]'"), connected():
        pass


def test_what_ray_is_told_by_the_environment_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # as a user may have it
    before = dict(os.environ)
    with pytest.raises(MissingExtraError), connected():
        pass
    assert dict(os.environ) == before


def test_the_error_of_a_pdf_crosses_processes() -> None:
    again = pickle.loads(pickle.dumps(PdfError("a.pdf is damaged", status="corrupt")))
    assert (type(again), str(again), again.status) == (PdfError, "a.pdf is damaged", "corrupt")


@pytest.mark.parametrize("text", ["Tin melts.\fLead melts.", "!corrupt", ""])
def test_reading_there_is_reading_here(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", TextReader())
    path, embedder = write(tmp_path / "a file.pdf", text), HashEmbedder()
    settings = IngestSettings(chunk_tokens=16)
    recipe = settings.recipe(embedder)
    reader = FileReader(
        tokenizer=embedder.tokenizer,
        settings=settings,
        recipe=recipe,
        ocr=None,
        progress=Progress(),
        made={},
        ids={},
    )
    here = reader.read(FileFound(path=path, document_id="d1", is_new=True))
    order = ReadOrder(
        path=str(path), document_id="d1", settings=settings, recipe=recipe, version=__version__
    )
    content = np.frombuffer(path.read_bytes(), np.uint8)
    path.unlink()  # the machine that reads need not have it
    there = read_file(order, content, embedder.tokenizer)
    assert (there.path, there.document_id) == (here.path, here.document_id)
    assert (there.document, there.chunks) == (here.document, here.chunks)
    assert str(there.error) == str(here.error)


def test_another_version_or_embedder_there_is_refused() -> None:
    with pytest.raises(ClusterError, match=rf"has ragctx {__version__}, and this is ragctx 9\.9"):
        RemoteEmbedder(HashEmbedder, "hash@1", "9.9").prepare()
    with pytest.raises(ClusterError, match="is hash@2, and here it is hash@1"):
        RemoteEmbedder(partial(HashEmbedder, id="hash@2"), "hash@1", __version__).prepare()


# --- with a Ray that each test starts


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    made = environment()
    yield made
    left = processes_of(made)
    end(made)
    assert not left, "a run left processes behind"


@pytest.fixture
def cluster_env() -> Iterator[dict[str, str]]:
    made = cluster_environment()
    yield made
    end(made)


@needs_ray
@slow
@long
def test_the_index_is_the_same_and_the_hostile_have_their_rows(
    samples: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    pdfs = tmp_path / "pdfs"
    pdfs.mkdir()
    for path in samples.glob("*.pdf"):
        (pdfs / path.name).write_bytes(path.read_bytes())
    whole = (pdfs / "city-library-report.pdf").read_bytes()
    (pdfs / "again.pdf").write_bytes(whole)
    (pdfs / "cut short.pdf").write_bytes(whole[: len(whole) // 3])
    (pdfs / "empty.pdf").write_bytes(b"")
    (pdfs / "no pdf.pdf").write_bytes(b"PK\x03\x04" * 100)
    loop = b"<</Type/Pages/Kids[2 0 R]/Count 99>>"
    (pdfs / "loop.pdf").write_bytes(document([]).replace(b"<</Type/Pages/Kids[]/Count 0>>", loop))
    here = run_ragctx("ingest", pdfs, "--index", tmp_path / "here", "--json", env=env)
    there = run_ragctx("ingest", pdfs, "--index", tmp_path / "there", "--json", "--ray", env=env)
    assert (there.returncode, there.stderr) == (here.returncode, here.stderr)
    assert without_seconds(there.stdout) == without_seconds(here.stdout)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert verify_index(tmp_path / "there") == ()


def without_seconds(text: str) -> object:
    found = json.loads(text)
    found.pop("index")
    return json.loads(
        json.dumps(found),
        object_hook=lambda item: {
            name: value
            for name, value in item.items()
            if name != "seconds" and not name.endswith(("_s", "_per_second"))
        },
    )


@needs_ray
@slow
@long
def test_who_is_killed_costs_a_retry_and_what_kills_each_time_a_row(
    tmp_path: Path, env: dict[str, str]
) -> None:
    marks, pdfs = tmp_path / "marks", tmp_path / "pdfs"
    marks.mkdir()
    pdfs.mkdir()
    words = {"b": "Readeronce", "c": "Readerbane", "d": "Embedderonce"}
    for name in "abcdef":
        page = lines(f"{words.get(name, 'Tin')} melts in file {name}.", "Lead is heavy.")
        (pdfs / f"{name}.pdf").write_bytes(document([page] * 3))
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_runs", pdfs, tmp_path / "index", marks],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for name in ("reader", "embedder"):
            assert wait_for((marks / name).exists), f"no {name} was at work"
            os.kill(int((marks / name).read_text()), signal.SIGKILL)
        out, err = run.communicate(timeout=300)
    finally:
        run.kill()
    assert err == ""
    rows = [line.split(maxsplit=4) for line in out.splitlines()]
    assert [row[:3] for row in rows] == [
        [f"{name}.pdf", *(("failed", "corrupt") if name == "c" else ("added", "ok"))]
        for name in "abcdef"
    ], out
    assert "ended the process that reads it 3 times" in rows[2][4]
    (pdfs / "c.pdf").unlink()  # which would kill this process
    ingest(pdfs, tmp_path / "here", FragileEmbedder(marks))
    assert tables(tmp_path / "index") == tables(tmp_path / "here")
    assert verify_index(tmp_path / "index") == ()


@needs_ray
@slow
@long
def test_chunks_that_kill_every_embedder_end_the_run_and_what_is_stored_stays(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "pdfs").mkdir()
    for name, word in (("a", "Tin"), ("b", "Embedderbane")):
        page = lines(f"{word} melts in file {name}.", "Lead is heavy.")
        (tmp_path / "pdfs" / f"{name}.pdf").write_bytes(document([page]))
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.ray_runs",
            *map(tmp_path.joinpath, ("pdfs", "index", "marks")),
        ],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout.startswith("ClusterError embedding, 3 times, failed"), (
        run.stdout,
        run.stderr,
    )
    assert "run the same command again" in run.stdout
    info = Index.open(tmp_path / "index").info()
    assert (info.documents, info.unembedded) == (2, info.chunks)


@needs_ray
@slow
@long
def test_ctrl_c_leaves_what_was_done_and_no_process(tmp_path: Path, env: dict[str, str]) -> None:
    pdfs, index = tmp_path / "pdfs", tmp_path / "index"
    pdfs.mkdir()
    for i in range(40):
        page = lines(*(f"Sentence {k} of file {i} is about tin and lead." for k in range(40)))
        (pdfs / f"{i:02}.pdf").write_bytes(document([page] * 4))
    command = [sys.executable, "-m", "ragctx", "ingest", pdfs, "--index", index, "--ray"]
    run = subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert wait_for(lambda: documents_in(index) > 3), "nothing was stored"
        assert len(processes_of(env)) > 3, "Ray is not seen"
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130, err
    assert "of 40 files are in" in err and "Traceback" not in err
    assert wait_for(lambda: not processes_of(env), 30), "Ray was left running"
    assert verify_index(index) == ()
    done = Index.open(index).info().documents
    assert 0 < done < 40
    again = run_ragctx("ingest", pdfs, "--index", index, "--json", env=env)
    assert again.returncode == 0
    assert Index.open(index).info().documents == 40


@needs_ray
@slow
@long
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:9", "nothing answers at 127.0.0.1:9"),
        ("ray://127.0.0.1:9", "nothing answers at 127.0.0.1:9"),
    ],
)
def test_a_ray_that_is_not_there_is_told_with_the_remedy(
    samples: Path, tmp_path: Path, env: dict[str, str], address: str, message: str
) -> None:
    index = tmp_path / "index"
    done = run_ragctx("ingest", samples, "--index", index, "--ray", address, env=env)
    assert done.returncode == 1
    assert message in done.stderr and "ray start --head" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not index.exists()


def documents_in(index: Path) -> int:
    with suppress(StoreError):  # it is not there yet
        return Index.open(index).info().documents
    return 0


@needs_ray
@slow
@long
def test_a_ray_can_be_started_again_in_one_process_and_leaves_no_trace(
    tmp_path: Path, env: dict[str, str]
) -> None:
    program = """
import os, ray  # imported before, as a program that uses it otherwise does
from ragctx.ingestion.on_ray.cluster import connected
before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
for _ in range(2):
    with connected() as here:
        assert here.get(here.remote(lambda: 3).remote()) == 3
    assert not ray.is_initialized()
assert before == {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
"""
    # Imported before it is told otherwise, Ray calls this machine by its address in the network.
    home = {**env, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=home, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir()), "Ray left something in the user's home"


@needs_ray
@slow
@long
def test_a_cluster_is_joined_from_within_and_from_outside(
    samples: Path, tmp_path: Path, cluster_env: dict[str, str]
) -> None:
    run_ragctx("ingest", samples, "--index", tmp_path / "here", env=cluster_env)
    with head(cluster_env) as addresses:
        for i, address in enumerate(addresses):
            index = tmp_path / f"there{i}"
            done = run_ragctx(
                "ingest", samples, "--index", index, "--ray", address, env=cluster_env
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert tables(index) == tables(tmp_path / "here")
        other = {**cluster_env, "RAY_AUTH_TOKEN": "0" * 64}
        done = run_ragctx("ingest", samples, "--index", index, "--ray", addresses[0], env=other)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "wants another token" in done.stderr


@needs_ray
@slow
@long
def test_machines_without_ragctx_are_told_with_the_remedy(
    samples: Path, tmp_path: Path, cluster_env: dict[str, str]
) -> None:
    hidden = tmp_path / "hidden" / "ragctx" / "__init__.py"
    hidden.parent.mkdir(parents=True)
    hidden.write_text("raise ModuleNotFoundError(\"No module named 'ragctx'\", name='ragctx')")
    paths = os.pathsep.join((str(tmp_path / "hidden"), cluster_env["PYTHONPATH"]))
    with head({**cluster_env, "PYTHONPATH": paths}) as addresses:
        for address in addresses:
            index = tmp_path / "index"
            done = run_ragctx(
                "ingest", samples, "--index", index, "--ray", address, env=cluster_env
            )
            assert done.returncode == 1
            assert "No module named 'ragctx'" in done.stderr
            assert f"pip install 'ragctx[ray]=={__version__}'" in done.stderr
            assert not index.exists()
