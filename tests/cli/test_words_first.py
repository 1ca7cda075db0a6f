"""Laws of the commands over documents that have no vectors yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.cli import session
from tests.cli.test_cli import QUESTION, Cli, answers, cli, reader
from tests.support.generators import CopyingGenerator
from tests.support.text_pdfs import write

__all__ = ["answers", "cli", "reader"]


@pytest.fixture(autouse=True)
def none_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "AT_ONCE", 0)


def test_ingest_by_words_alone_then_by_meaning(cli: Cli) -> None:
    done = cli("ingest", "pdfs", "--lexical")
    assert (done.code, "2 added" in done.out) == (0, True)
    (line,) = done.err.splitlines()
    assert line.startswith("2 chunks without vectors, found by their words; to embed them: ")
    assert line.endswith("ragctx ingest pdfs --index indexes/default")
    assert cli("index", "info", "--json").json["unembedded"] == 2
    checked = cli("index", "verify")
    assert (checked.code, checked.out) == (0, "sound\n")
    assert checked.err.startswith("2 chunks without vectors yet")
    assert cli("index", "verify", "--json").json["unembedded"] == 2
    found = cli("search", "melts", "--retriever", "lexical")
    assert "tin.pdf" in found.out and "2 passages without vectors yet" in found.err
    completed = cli("ingest", "pdfs")
    assert "2 completed" in completed.out and completed.err == ""
    assert cli("index", "info", "--json").json["unembedded"] == 0
    assert cli("search", "melts").err == ""


def test_ingest_tells_programs_what_is_left(cli: Cli) -> None:
    assert cli("ingest", "pdfs", "--lexical", "--json").json["unembedded"] == 2
    assert cli("ingest", "pdfs", "--json").json["unembedded"] == 0


def test_the_command_that_is_named_embeds_the_rest(cli: Cli) -> None:
    cli("ingest", "pdfs", "--lexical", "--index", "indexes/work")
    told = cli("search", "melts", "--index", "indexes/work").err
    (line,) = told.splitlines()
    command = line.rpartition("for all of them: ragctx ")[2].split()
    assert cli(*command).code == 0
    assert cli("search", "melts", "--index", "indexes/work").err == ""


def test_a_question_to_a_pdf_that_was_not_read_before(
    cli: Cli, answers: object, tmp_path: Path
) -> None:
    answers(CopyingGenerator())  # type: ignore[operator]
    write(tmp_path / "pdfs" / "tin.pdf", *["Tin melts at 232 degrees. " * 40] * 9)
    first = cli("ask", QUESTION, "pdfs/tin.pdf")
    (line,) = first.err.splitlines()
    assert "passages without vectors yet" in line and line.endswith("ragctx ingest pdfs/tin.pdf")
    assert "tin.pdf" in first.out
    assert cli("ingest", "pdfs/tin.pdf").code == 0
    again = cli("ask", QUESTION, "pdfs/tin.pdf")
    assert again.err == ""  # its vectors were taken from the index


def test_a_batch_of_questions_waits_for_the_vectors(cli: Cli, answers: object) -> None:
    answers(CopyingGenerator())  # type: ignore[operator]
    done = cli("ask", "--batch", "-", "pdfs/tin.pdf", stdin=f"{QUESTION}\n")
    assert "without vectors" not in done.err
