"""`ragctx ingest` and `ragctx cache` as a user runs them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ragctx.embedding
import ragctx.generator.load
import ragctx.ingestion.reading
from ragctx.cli import progress
from ragctx.cli.program import run
from ragctx.evaluation import answer_cache
from ragctx.evaluation.answer_cache import AnswerCache
from ragctx.index.cache import IndexCache
from ragctx.index.lock import write_lock
from ragctx.index.noted import noted_indexes
from ragctx.records import Generation
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.text_pdfs import TextReader, write

QUESTION = "At what temperature does tin melt?"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Done]


def generation(text: str) -> Generation:
    return Generation(
        text=text,
        token_ids=(),
        finish_reason="stop",
        prefill_s=0.0,
        decode_s=0.0,
        reused_tokens=0,
    )


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in a folder with pdfs/tin.pdf and pdfs/iron.pdf."""
    write(tmp_path / "pdfs" / "tin.pdf", "About metals.", "Tin melts at 232 degrees. It is soft.")
    write(tmp_path / "pdfs" / "iron.pdf", "Iron melts at 1538 degrees.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", TextReader())
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    generator = CopyingGenerator("232 degrees")
    monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **_: generator)

    def call(*arguments: str, stdin: io.StringIO | None = None) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", stdin)
        code = run(arguments)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


# --- ingest


def test_settings_are_shown_kept_and_changed_by_the_command_that_the_error_names(cli: Cli) -> None:
    assert cli("ingest", "pdfs", "--chunk-tokens", "40").code == 0
    info = cli("index", "info", "--json").json
    assert (info["reader"], info["chunk_tokens"], info["overlap_tokens"]) == ("auto", 40, 0)
    assert "chunk tokens    40\n" in cli("index", "info").out
    refused = cli("ingest", "pdfs", "--chunk-tokens", "60")
    assert (refused.code, refused.out) == (2, "")
    [line] = refused.err.splitlines()
    command = shlex.split(line.partition("again: ragctx ")[2])
    assert command[-1] == "--rebuild"
    assert "2 replaced" in cli(*command).out
    assert "2 unchanged" in cli("ingest", "pdfs").out
    assert cli("index", "info", "--json").json["chunk_tokens"] == 60


def test_an_empty_index_knows_no_settings(cli: Cli) -> None:
    write(Path("bad.pdf"), "!corrupt")
    cli("ingest", "bad.pdf", "--index", "x")
    assert cli("index", "info", "x", "--json").json["documents"] == 0


def test_what_is_gone_is_told_with_the_command_that_removes_it(cli: Cli) -> None:
    cli("ingest", "pdfs")
    Path("pdfs/tin.pdf").unlink()
    done = cli("ingest", "pdfs")
    assert done.code == 0
    assert done.out.startswith("2 files: 1 unchanged, 1 vanished; ")
    [line] = done.err.splitlines()
    told = "1 file of the index is no longer on disk (pdfs/tin.pdf); to remove it: ragctx "
    assert line.startswith(told)
    assert json.loads(cli("ingest", "pdfs", "--json").out)["rows"][1]["outcome"] == "vanished"
    done = cli(*shlex.split(line.removeprefix(told)))
    assert (done.code, done.err) == (0, "")
    assert "1 unchanged, 1 removed" in done.out and "pdfs/tin.pdf" in done.out
    assert cli("ingest", "pdfs").err == ""


def test_a_folder_that_is_gone_as_a_whole_is_an_error_with_the_command(cli: Cli) -> None:
    cli("ingest", "pdfs")
    shutil.rmtree("pdfs")
    done = cli("ingest", "pdfs")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    before, _, command = done.err.strip().partition("; to remove 2 files from the index: ragctx ")
    assert "'pdfs' does not exist" in before
    assert "2 removed" in cli(*shlex.split(command)).out
    assert "to remove" not in cli("ingest", "pdfs").err


def test_many_that_are_gone_are_one_line_still(cli: Cli) -> None:
    for number in range(6):
        write(Path(f"pdfs/{number}.pdf"), f"Number {number}.")
    cli("ingest", "pdfs")
    shutil.rmtree("pdfs")
    write(Path("pdfs/new one.pdf"), "New.")
    done = cli("ingest", "pdfs/*.pdf")
    assert done.err.count("\n") == 1
    assert "8 files of the index are no longer on disk" in done.err and "and 5 more" in done.err
    assert "'pdfs/*.pdf'" in done.err


def test_a_moved_file_is_one_document(cli: Cli) -> None:
    cli("ingest", "pdfs")
    Path("pdfs").rename("papers")
    assert cli("ingest", "papers").out.startswith("2 files: 2 moved; ")
    assert len(cli("index", "list", "--json").json["sources"]) == 2


@pytest.mark.parametrize(
    "command", [["ingest", "pdfs"], ["search", "q"], ["index", "list"], ["ask", "q"], ["prompt"]]
)
def test_a_second_index_is_wrong_usage(command: list[str], cli: Cli) -> None:
    # The first was ignored without a word: documents went where nobody looked for them.
    done = cli(*command, "--index", "a", "--index", "b")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --index is given 2 times; name one.")
    assert not Path("a").exists() and not Path("b").exists()


def test_an_index_named_by_argument_and_by_option_is_wrong_usage(cli: Cli) -> None:
    done = cli("index", "list", "a", "--index", "b")
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_a_single_file_that_fails_is_one_line(cli: Cli) -> None:
    write(Path("notes.pdf"), "!corrupt")
    done = cli("ingest", "notes.pdf")
    assert (done.code, done.out) == (1, "")
    assert done.err == "failed: notes.pdf: notes.pdf is corrupt; do something\n"


def test_ingesting_waits_for_another_writer(cli: Cli) -> None:
    # It failed at once: two `ragctx ingest` in a script could not stand side by side.
    cli("ingest", "pdfs")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with write_lock(Path("indexes/default")):
            held.set()
            over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.5, over.set).start()
    done = cli("ingest", "pdfs")
    holder.join()
    assert done.code == 0 and "2 unchanged" in done.out
    assert done.err == "waiting for another process that writes to this index (600 s at most)\n"


# --- progress


class Bars:
    """Stands in for rich's bars: what they would show."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []

    def add_task(self, description: str, **fields: Any) -> int:
        self.tasks.append({"description": description, **fields})
        return len(self.tasks) - 1

    def update(self, task: int, **fields: Any) -> None:
        self.tasks[task].update(fields)

    reset = update


def test_one_bar_of_reading_and_one_of_embedding_and_both_only_go_forward() -> None:
    bars = Bars()
    told = progress._IngestBars(bars).callbacks()  # type: ignore[arg-type]
    shares: dict[int, list[float]] = {0: [], 1: []}

    def look() -> None:
        for task, seen in shares.items():
            if bars.tasks[task]["total"]:
                seen.append(bars.tasks[task]["completed"] / bars.tasks[task]["total"])

    told.on_sizes([100, 300])
    for path in ("a.pdf", "b.pdf"):  # both are read at once
        told.on_file(path)
    for page in (1, 2):
        for path in ("a.pdf", "b.pdf"):
            told.on_page(path, page, 2)
            look()
    told.on_read("a.pdf")
    look()
    told.on_embedded(0, 10)
    told.on_read("b.pdf")
    for done in (10, 40):
        told.on_embedded(done, 40)
        look()
    assert shares[0] == sorted(shares[0]) and shares[1] == sorted(shares[1])
    assert (shares[0][0], shares[0][1], shares[0][-1]) == (0.125, 0.5, 1)
    assert (shares[1][0], shares[1][-1]) == (0.25, 1)
    assert bars.tasks[0]["unit"].startswith("2/2 files, 4 pages, ")
    assert bars.tasks[1]["unit"].startswith("40/40 chunks, ")


def test_the_time_left_for_embedding_counts_what_is_not_read_yet() -> None:
    bars = Bars()
    told = progress._IngestBars(bars).callbacks()  # type: ignore[arg-type]
    told.on_sizes([100, 300])
    told.on_file("a.pdf")
    told.on_read("a.pdf")
    told.on_embedded(5, 10)  # of a quarter of the bytes
    assert (bars.tasks[1]["completed"], bars.tasks[1]["total"]) == (5, 40)
    assert bars.tasks[1]["unit"].startswith("5/10 chunks, ")


def test_files_of_no_bytes_and_unknown_ones_do_no_harm() -> None:
    bars = Bars()
    told = progress._IngestBars(bars).callbacks()  # type: ignore[arg-type]
    told.on_sizes([0])
    for path in ("a.pdf", "b.pdf"):
        told.on_file(path)
        told.on_read(path)
    assert bars.tasks[0]["completed"] == 0


def test_no_terminal_no_bars(cli: Cli) -> None:
    assert cli("ingest", "pdfs").err == ""


# --- cache


def test_kept_answers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "MAX_BYTES", 2**17)
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    for batch in range(30):
        kept = {f"{batch:02}{n:02}": generation("x" * 300) for n in range(20)}
        cache.keep({hashlib.sha256(key.encode()).hexdigest(): kept[key] for key in kept})
    assert 100 < cache.count() < 300
    assert cache.path.stat().st_size < 2**17 + 2**16
    assert cache.clear() > 50
    assert (cache.count(), cache.path.stat().st_size < 2**14) == (0, True)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_answers_are_for_this_user_alone(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    before = os.umask(umask)
    try:
        AnswerCache().keep({"key": generation("232")})
        AnswerCache().path.chmod(0o644)  # as an earlier ragctx made it
        AnswerCache()
    finally:
        os.umask(before)
    assert oct((tmp_path / "cache").stat().st_mode & 0o777) == "0o700"
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "cache").iterdir()}
    assert modes == {0o600}


def answered(cli: Cli) -> None:
    assert cli("ask", QUESTION, "pdfs/tin.pdf").code in (0, 3)


def test_the_cache_is_shown(cli: Cli) -> None:
    assert cli("cache", "info").code == 0
    answered(cli)
    done = cli("cache", "info")
    assert (done.code, done.err) == (0, "")
    assert "pdfs/tin.pdf" in done.out and "2.0 GiB" in done.out
    view = cli("cache", "info", "--json").json
    assert view["path"] == str(Path("cache").absolute())
    assert [part["name"] for part in view["parts"]] == ["indexes", "answers", "profiles"]
    [index] = view["indexes"]
    assert index["documents"] == [str(Path("pdfs/tin.pdf").absolute())]
    assert index["bytes"] == view["parts"][0]["bytes"] > 0
    assert view["parts"][0]["max_bytes"] == 2 * 2**30


def test_the_cache_is_cleared_and_nothing_else(cli: Cli) -> None:
    answered(cli)
    cli("ingest", "pdfs")
    Path("cache/notes.txt").write_text("mine")
    Path("cache/profiles").mkdir()
    Path("cache/profiles/abc.json").write_text("{}")
    AnswerCache().keep({"key": generation("232")})
    done = cli("cache", "clear", "--yes")
    assert (done.code, done.out) == (0, "removed 1 index, 1 answer\n")
    assert Path("cache/notes.txt").exists() and Path("cache/profiles/abc.json").exists()
    assert AnswerCache().count() == 0
    assert len(cli("index", "list", "--json").json["sources"]) == 2
    assert cli("cache", "clear", "--yes", "--json").json == {
        "indexes": 0,
        "answers": 0,
        "indexes_in_use": 0,
    }
    answered(cli)


def test_clearing_asks_first(cli: Cli) -> None:
    answered(cli)
    done = cli("cache", "clear", stdin=io.StringIO("y\n"))
    assert done.code == 2 and "--yes" in done.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert cli("cache", "clear", stdin=Terminal("n\n")).code == 130
    assert len(IndexCache().entries()) == 1
    done = cli("cache", "clear", stdin=Terminal("y\n"))
    assert (done.code, done.out) == (0, "removed 1 index, 0 answers\n")
    assert "Remove 1 index (" in done.err


def test_what_is_in_use_survives_and_is_told(cli: Cli) -> None:
    answered(cli)
    [entry] = IndexCache().entries()
    lease = IndexCache().lease(entry.folder.name)
    done = cli("cache", "clear", "--yes")
    assert (done.code, done.out) == (0, "removed 0 indexes, 0 answers\n")
    assert done.err == "1 index in use or not removable: kept\n"
    assert lease.folder.is_dir()


def test_a_bound_that_is_none_is_wrong_usage(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_BYTES", "much")
    done = cli("ask", QUESTION, "pdfs/tin.pdf")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "RAGCTX_CACHE_BYTES is 'much'" in done.err


def test_asking_after_ingesting_embeds_the_question_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("ingest", "pdfs")
    asked: list[str] = []

    class Counting(HashEmbedder):
        def encode(self, texts: Any, **settings: Any) -> Any:
            asked.extend(texts)
            return super().encode(texts, **settings)

    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: Counting())
    answered(cli)
    assert asked == [QUESTION]
    cli("cache", "clear", "--yes")
    asked.clear()
    cli("ask", QUESTION, "pdfs/tin.pdf", "pdfs/iron.pdf")
    assert asked == [QUESTION]


def test_vectors_come_from_an_index_elsewhere_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("ingest", "pdfs", "--index", "elsewhere/mine")
    assert noted_indexes() == [Path("elsewhere/mine").absolute()]
    assert oct(Path("cache/ingested.json").stat().st_mode & 0o777) == "0o600"
    asked: list[str] = []

    class Counting(HashEmbedder):
        def encode(self, texts: Any, **settings: Any) -> Any:
            asked.extend(texts)
            return super().encode(texts, **settings)

    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: Counting())
    answered(cli)
    assert asked == [QUESTION]
    cli("cache", "clear", "--yes")
    assert noted_indexes() == []


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[" * 5000, '["a\\u0000b"]', '["none"]'])
def test_a_list_of_indexes_that_is_none_does_no_harm(content: str, cli: Cli) -> None:
    Path("cache").mkdir()
    Path("cache/ingested.json").write_text(content)
    assert cli("ingest", "pdfs").code == 0
    assert noted_indexes()[0] == Path("indexes/default").absolute()
    answered(cli)
