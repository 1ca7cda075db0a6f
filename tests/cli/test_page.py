"""`ragctx page`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragctx.cli.program import run
from tests.support.command_line import said
from tests.support.paths import SAMPLES

PAPER = SAMPLES / "tidal-energy-paper.pdf"


def words_of(out: str) -> str:
    """What was printed, with single spaces: tables are set in columns."""
    return " ".join(out.split())


def test_a_page_and_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "page", PAPER, "2")
    assert (code, err) == (0, "")
    assert out.startswith("tidal-energy-paper.pdf, page 2")
    assert "Rated power 1.2 MW" in words_of(out) and out.endswith(
        "left out:\n  running line: 212\n"
    )


def test_a_page_by_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "page", PAPER, "212") == said(capsys, "page", PAPER, "2")


def test_a_quote_and_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "quote.png"
    quote = "spring currents of up to 3.4 metres per second"
    code, out, err = said(capsys, "page", PAPER, "1", "--quote", quote, "--png", png)
    assert (code, err) == (0, f"wrote {png}\n")
    assert "the quote is in 2 lines" in out and png.read_bytes().startswith(b"\x89PNG")
    code, out, _ = said(capsys, "page", PAPER, "1", "--quote", quote, "--json")
    assert len(json.loads(out)["quote_boxes"]) == 2


def test_a_quote_that_is_not_there_fails_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "quote.png"
    code, out, err = said(capsys, "page", PAPER, "1", "--quote", "no such thing", "--png", png)
    assert (code, out) == (1, "") and not png.exists()
    assert "does not contain the quote “no such thing”" in err and "ragctx page " in err


def test_a_picture_of_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "page.png"
    assert said(capsys, "page", PAPER, "2", "--png", png) == (0, "", f"wrote {png}\n")
    small = tmp_path / "small.png"
    run(["page", str(PAPER), "2", "--png", str(small), "--dpi", "36"])
    assert 0 < small.stat().st_size < png.stat().st_size


def test_a_name_that_the_index_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", str(PAPER), "--index", str(tmp_path / "idx")]) == 0
    monkeypatch.chdir(tmp_path)
    code, out, _ = said(capsys, "page", PAPER.name, "2", "--index", "idx")
    assert code == 0 and "Rated power 1.2 MW" in words_of(out)
    code, _, err = said(capsys, "page", "other.pdf", "2", "--index", "idx")
    assert code == 2 and "No document of the index matches 'other.pdf'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.pdf", "1"], "there is no file nowhere.pdf, and no index in"),
        ([str(PAPER), "99999"], "has no page 99999; its pages are 1 to"),
        ([str(PAPER), "1", "--dpi", "9000"], "9000"),
    ],
)
def test_misuse_is_told(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, "page", *arguments, "--index", tmp_path / "none")
    assert code == 2 and words in err
