"""The commands with `--index postgresql://…`, as a user runs them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import ragctx.embedding
import ragctx.generator.load
import ragctx.ingestion.reading
from ragctx.cli.comparison import typed_command
from ragctx.index.index import Index
from ragctx.index.noted import noted_indexes
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.text_pdfs import TextReader, write

QUESTION = "At what temperature does tin melt?"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pdfs/tin.pdf and pdfs/iron.pdf, which is the working directory."""
    write(tmp_path / "pdfs" / "tin.pdf", "About metals.", "Tin melts at 232 degrees. It is soft.")
    write(tmp_path / "pdfs" / "iron.pdf", "Iron melts at 1538 degrees.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", TextReader())
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    generator = CopyingGenerator("232 degrees")
    monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **_: generator)
    return tmp_path


def done(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command prints; it must end with this code, and without a traceback."""
    ended, out, err = said(capsys, *arguments)
    assert ended == code, err
    assert "Traceback" not in err
    return out + err


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(done(capsys, *arguments, "--json").partition("\nnote")[0])


def test_documents_are_ingested_searched_asked_and_removed(
    work: Path, postgres_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--index", postgres_address)
    assert "2 files: 2 added" in done(capsys, "ingest", "pdfs", *at)
    assert "2 files: 2 unchanged" in done(capsys, "ingest", "pdfs", *at)
    assert "232 degrees" in done(capsys, "search", QUESTION, "-k", "1", *at)
    answer = told(capsys, "ask", QUESTION, *at)
    assert answer["answer"] == "232 degrees"
    assert answer["citations"][0]["document"] == "tin.pdf"
    assert "tin.pdf" in done(capsys, "explain", QUESTION, *at)
    assert "232 degrees" in done(capsys, "prompt", QUESTION, "--budget-tokens", "2000", *at)
    info = told(capsys, "index", "info", postgres_address)
    assert (info["documents"], info["chunks"], info["path"]) == (2, 2, postgres_address)
    assert "2 documents" in done(capsys, "index", "list", *at)
    assert "sound" in done(capsys, "index", "verify", postgres_address)
    done(capsys, "index", "compact", *at)
    (work / "pdfs" / "iron.pdf").unlink()
    assert "1 removed" in done(capsys, "ingest", "pdfs", "--prune", *at)
    assert "removed" in done(capsys, "index", "remove", "tin.pdf", *at)
    assert told(capsys, "index", "info", *at)["documents"] == 0
    assert noted_indexes() == []  # a list of folders, for their vectors


def test_words_come_first_and_vectors_later(
    work: Path, postgres_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--index", postgres_address)
    said_first = done(capsys, "ingest", "pdfs", "--lexical", *at)
    assert "2 chunks without vectors, found by their words" in said_first
    assert told(capsys, "index", "info", *at)["unembedded"] == 2
    assert "232 degrees" in done(capsys, "search", QUESTION, "-k", "1", *at)
    with Index.open(postgres_address).snapshot() as snapshot:
        lacking = snapshot.lacking().chunks
    assert lacking == 1  # what the question needed was embedded, and kept
    assert "2 completed" in done(capsys, "ingest", "pdfs", *at)
    assert told(capsys, "index", "info", *at)["unembedded"] == 0
    assert "sound" in done(capsys, "index", "verify", postgres_address)


def test_the_same_answers_as_from_a_folder(
    work: Path, postgres_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in (postgres_address, "folder"):
        done(capsys, "ingest", "pdfs", "--index", index)
    for retriever in ("hybrid", "dense", "lexical"):
        found = [
            told(capsys, "search", QUESTION, "--retriever", retriever, "--index", index)
            for index in (postgres_address, "folder")
        ]
        assert found[0]["hits"] == found[1]["hits"] != []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("search", "tin"), "There is no index in postgresql"),
        (("ask", "tin"), "There is no index in postgresql"),
        (("index", "info"), "There is no index in postgresql"),
        (("index", "repair"), "which repairs itself"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    work: Path,
    postgres_address: str,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    why: str,
) -> None:
    out = done(capsys, *arguments, "--index", postgres_address, code=1)
    assert why in out and out.count("\n") == 1


def test_an_address_that_is_none_is_wrong_usage(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = done(capsys, "search", "tin", "--index", "postgresql://a:geheim@b/c#Bad", code=2)
    assert "the schema is 'Bad'" in out and "geheim" not in out


@pytest.mark.parametrize("form", ["--index {}", "--index={}"])
def test_a_command_that_is_recorded_has_no_password(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = form.format("postgresql://ann:geheim@db/library#manuals").split()
    monkeypatch.setattr("sys.argv", ["ragctx", "compare", "asked.jsonl", "--seed=1", *typed])
    command = typed_command()
    assert "geheim" not in command
    shown = form.format("postgresql://ann@db/library#manuals").split()
    assert shlex.split(command) == ["ragctx", "compare", "asked.jsonl", "--seed=1", *shown]
