"""Names and texts of an index from somebody else, on a terminal: shown, never obeyed."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ragctx.cli.commands import ask, search
from ragctx.cli.exit_codes import exit_code_of
from ragctx.cli.output import console, json_text, table
from ragctx.cli.program import run
from ragctx.errors import RagctxError
from ragctx.evaluation.report.text import csv_cell
from ragctx.evaluation.report.write import write_report
from ragctx.index.database import DATABASE
from ragctx.index.filters import matching_ids
from ragctx.records import Hit
from tests.support.comparison_results import Fabrication
from tests.support.index_samples import index_with, put

ESCAPE = "\x1b]0;owned\x07\x9b2J\u202efdp"
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index whose every name is hostile."""
    index_with(tmp_path / "index", {f"d{ESCAPE}": ["Tin melts at 232 degrees."]})
    with closing(sqlite3.connect(tmp_path / "index" / DATABASE)) as database, database:
        database.execute("UPDATE documents SET status = ?, title = ?", (ESCAPE, ESCAPE))
        database.execute(
            "UPDATE meta SET value = ? WHERE key IN ('embedder', 'ragctx_version')", (ESCAPE,)
        )
    return tmp_path / "index"


@pytest.mark.parametrize(
    "command",
    [
        "index list --index INDEX",
        "index list --json --index INDEX",
        "index info --index INDEX",
        "index info --json --index INDEX",
        "index verify --index INDEX",
        "index remove nothing --index INDEX",
        "search tin --index INDEX",
        "index NAME",
        "index info NAME",
    ],
)
def test_no_name_of_an_index_commands_the_terminal(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # `index list` showed the status, "Nearest of 1" the name, and the error about another embedder
    # its id as they were: \x1b]0; sets a window's title, \u202e turns a name around.
    places = {"INDEX": str(folder), "NAME": f"no{ESCAPE}"}
    run([places.get(word, word) for word in command.split()])
    shown = "".join(capsys.readouterr())
    assert shown and not COMMANDS.search(shown)


def test_what_a_name_holds_can_be_seen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "list", "--index", str(folder)]) == 0
    assert r"\u001b]0;owned\u0007\u009b2J\u202efdp" in capsys.readouterr().out


@pytest.mark.parametrize("full", [False, True])
def test_what_a_passage_or_an_answer_holds_can_be_seen(
    full: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Names showed codes, and passages, answers and prompts U+FFFD, which hides what it was.
    index = index_with(tmp_path / "index", {"d": [f"Tin{ESCAPE} melts."]})
    [chunk] = index.chunks("d")
    search._print([Hit(rank=1, score=1.0, chunk=chunk, document="d", path="d")], "score", full=full)
    ask._write(chunk.text)
    shown = capsys.readouterr().out
    assert shown.count(r"Tin\u001b]0;owned\u0007\u009b2J\u202efdp melts.") == 2
    assert not COMMANDS.search(shown)


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_commands_nothing(
    debug: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_DEBUG", "1" * debug)
    for error in (RagctxError(ESCAPE), OSError(2, ESCAPE, ESCAPE), KeyError(ESCAPE)):
        exit_code_of(error)
        assert not COMMANDS.search(capsys.readouterr().err)


def test_whatever_is_printed_as_a_string_is_filtered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = table("what")
    grid.add_row(ESCAPE)
    console().print(ESCAPE, grid)
    assert not COMMANDS.search(capsys.readouterr().out)


PROMPT = """
import sys
from types import SimpleNamespace
from ragctx.cli.commands.prompt import _write
_write(SimpleNamespace(text=chr(27) + "[2Jtin" + chr(0x202E)), None, as_json=False)
"""


def test_a_prompt_is_bytes_to_a_pipe_and_codes_to_a_terminal() -> None:
    # The prompt was written as it is: a page of a PDF could clear the screen of whoever looked.
    piped = subprocess.run([sys.executable, "-c", PROMPT], capture_output=True, check=True)
    assert piped.stdout.decode() == "\x1b[2Jtin\u202e"
    terminal, end = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", PROMPT],
        stdout=end,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    os.close(end)
    with closing(io.FileIO(terminal)) as screen:
        assert screen.read(100) == rb"\u001b[2Jtin\u202e" + b"\r\n"


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
@pytest.mark.parametrize("before", ["", " ", "\u3000", "\xa0", "\ufeff", "\n"])
def test_no_sign_that_begins_a_formula_begins_a_cell(sign: str, before: str) -> None:
    # Full-width signs begin a formula, too, in a spreadsheet for Japanese or Chinese.
    assert str(csv_cell(f"{before}{sign}1")).startswith("'")


def test_json_escapes_what_turns_a_line_around(tmp_path: Path) -> None:
    result = Fabrication(questions=2).result(verdict=ESCAPE)
    write_report(result, tmp_path)
    for text in ((tmp_path / "result.json").read_text("utf-8"), json_text({"verdict": ESCAPE})):
        assert not COMMANDS.search(text)
        assert json.loads(text)["verdict"] == ESCAPE


def test_a_file_named_like_a_pattern_stands_for_itself_alone(tmp_path: Path) -> None:
    # `index remove '*.pdf'`, of a file that has this name, removed every document.
    names = ("*.pdf", "[1].pdf", "1.pdf", "a.pdf")
    index = index_with(tmp_path / "index", {})
    with index.writer() as writer:
        for i, name in enumerate(names):
            put(writer, f"id{i}", f"text {i}", path=f"/papers/{name}")
    sources = index.sources()
    assert matching_ids(["*.pdf"], sources) == {"id0"}
    assert matching_ids(["[1].pdf"], sources, by_part=False) == {"id1"}
    assert matching_ids(["papers/[1].pdf"], sources) == {"id1"}
    assert matching_ids(["[a1].pdf"], sources) == {"id2", "id3"}
    assert len(matching_ids(["papers/*"], sources)) == 4
