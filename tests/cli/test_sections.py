"""Sections of passages as a user meets them: from a PDF's headings to what `search` shows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import ragctx.embedding
from ragctx.index.database import DATABASE
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import as_version
from tests.support.pdf_files import lines, write

PROSE = (
    "It is a soft metal and melts at a low heat, so that",
    "people make cans and solder of it.",
)


@pytest.fixture
def metals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PDF of two pages with a title, two headings and a table, where commands run."""
    first = b"\n".join(
        (
            lines("Metals of the World", y=740, size=24),
            lines("Tin", y=690, size=14),
            lines(*PROSE, y=660),
        )
    )
    rows = [("Metal", "Melts", "Costs"), ("Lead", "327", "20"), ("Zinc", "419", "31")]
    cells = [
        lines(cell, x=72 + 90 * k, y=600 - 14 * i)
        for i, row in enumerate(rows)
        for k, cell in enumerate(row)
    ]
    second = b"\n".join((lines("Lead", y=690, size=14), lines(*PROSE, y=660), *cells))
    write(tmp_path / "metals.pdf", [first, second])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    return tmp_path


def test_search_shows_the_section_of_each_passage(
    metals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "ingest", "metals.pdf", "--index", "i", "--chunk-tokens", "40")[0] == 0
    search = ("search", "What does zinc cost?", "--index", "i", "--retriever", "lexical")
    hit = json.loads(said(capsys, *search, "--json")[1])["hits"][0]
    assert hit["title"] == "Metals of the World" and hit["section"] == ["Lead"]
    assert "Zinc\t419\t31" in hit["text"]
    assert "   Lead\n" in said(capsys, *search)[1]
    assert json.loads(said(capsys, "index", "info", "i", "--json")[1])["headers"] is True


def test_an_index_of_before_sections_is_told_of_once_a_run_and_rebuilt(
    metals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "ingest", "metals.pdf", "--index", "i")
    as_version(metals / "i", 1)
    with closing(sqlite3.connect(metals / "i" / DATABASE)) as connection, connection:
        for table, column in (("documents", "recipe"), ("meta", "value")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, 'headers=yes ', '')"
            )
        connection.execute("UPDATE chunks SET spaced = NULL")
        connection.execute("UPDATE documents SET checksum = 'of chunks without sections'")
    code, _, told = said(capsys, "ingest", "metals.pdf", "--index", "i")
    command = "ragctx ingest metals.pdf --index i --rebuild"
    assert code == 0 and told.count(command) == 1 and "sections" in told
    code, out, told = said(capsys, *command.split()[1:])
    assert (code, told) == (0, "") and "1 replaced" in out
    hits = json.loads(said(capsys, "search", "lead", "--index", "i", "--json")[1])["hits"]
    assert all(hit["title"] == "Metals of the World" for hit in hits)


def test_an_index_without_headers_says_nothing_of_them(
    metals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = said(capsys, "ingest", "metals.pdf", "--index", "i", "--no-headers")
    assert (code, told) == (0, "")
    hits = json.loads(said(capsys, "search", "lead", "--index", "i", "--json")[1])["hits"]
    assert hits and all(hit["title"] == "" and hit["section"] == [] for hit in hits)
    assert said(capsys, "ingest", "metals.pdf", "--index", "i")[2] == ""
