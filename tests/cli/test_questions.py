"""Laws of `ragctx questions`: rows on standard output, words on standard error, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragctx.cli.program import run
from ragctx.evaluation.questions.drafts import DRAFTS
from ragctx.evaluation.questions.kinds import KINDS
from tests.support.index_samples import index_with

PAGE = (
    "The filter of the pump must be cleaned every 40 hours. The pump holds 12 litres of oil when "
    "cold. The housing of the pump was designed by Amelie Roth in 1931."
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an index in the default place."""
    monkeypatch.chdir(tmp_path)
    index_with("indexes/default", {"pump": [PAGE, "Nothing else is told on this page."]})
    return tmp_path


def test_every_kind_that_can_be_asked_for_can_be_made() -> None:
    assert tuple(DRAFTS) == KINDS


def test_rows_go_to_standard_output_and_the_warning_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["questions", "make", "-n", "2"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 2
    assert all(row["synthetic"] for row in rows)
    assert "2 synthetic questions" in err
    assert "do not measure" in err


def test_made_questions_pass_the_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["questions", "make", "-o", "q.jsonl", "--distractors", "1"]) == 0
    assert "written to q.jsonl" in capsys.readouterr().err
    assert run(["questions", "check", "q.jsonl", "--index", "indexes/default"]) == 0
    assert "sound" in capsys.readouterr().out


def test_an_index_without_sentences_makes_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index_with("empty", {})
    assert run(["questions", "make", "--index", "empty", "-o", "q.jsonl"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert not (folder / "q.jsonl").exists()


def test_a_check_says_line_and_fault_and_ends_with_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": "\x1b[31m", "question": "Is it tin?", "answers": ["tin"], "context": "It is tin."}
    (folder / "q.jsonl").write_text(f"{{\n{json.dumps(row)}\n")
    assert run(["questions", "check", "q.jsonl"]) == 1
    out = capsys.readouterr().out
    assert "malformed" in out
    assert "answer in question" in out
    assert "\x1b" not in out


def test_a_check_as_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "q.jsonl").write_text("{\n")
    assert run(["questions", "check", "q.jsonl", "--json"]) == 1
    checked = json.loads(capsys.readouterr().out)
    assert (checked["rows"], checked["sound"], checked["counts"]) == (0, False, {"malformed": 1})
    [problem] = checked["problems"]
    assert (problem["line"], problem["kind"]) == (1, "malformed")


def test_an_empty_file_is_no_sound_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "q.jsonl").write_text("\n")
    assert run(["questions", "check", "q.jsonl"]) == 1
    assert "no row" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["make", "-n", "0"],
        ["make", "--kind", "riddle"],
        ["make", "--unanswerable", "2"],
        ["check"],
        ["check", "missing.jsonl"],
    ],
)
def test_what_cannot_be_is_misuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["questions", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_missing_index_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["questions", "make", "--index", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
