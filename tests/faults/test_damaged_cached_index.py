"""A cached index of PDFs that is damaged while it is in use: made again, whenever that is met."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ragctx.assembly import Assembly
from ragctx.cli.session import Session, Sources, open_index
from ragctx.errors import IndexDamagedError
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.retrieval import Retrieval
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.index_samples import index_with
from tests.support.paths import SAMPLES

QUESTION = "What is the battery for?"


def session_of(sources: Sources, index: Index) -> Session:
    return Session(
        index=index,
        embedder=HashEmbedder(),
        generator=CopyingGenerator("battery"),
        retrieval=Retrieval(k=3),
        assembly=Assembly(),
        load_s=0.0,
        sources=sources,
    )


def zero_root(folder: Path, table: str) -> None:
    """Damage the first page of a b-tree, and that page only."""
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = database.execute("PRAGMA page_size").fetchone()[0]
        [root] = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    with (folder / DATABASE).open("r+b") as stream:
        stream.seek((root - 1) * size)
        stream.write(bytes(size))


@pytest.mark.parametrize(
    ("table", "is_met"),
    [
        ("chunks", True),
        ("documents", True),
        ("pages", True),
        ("meta", True),
        ("vectors", False),  # they are read from their own file
        ("sources", True),
    ],
)
def test_it_is_made_again_in_mid_session(
    table: str,
    is_met: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Damage was met only at opening: of 16 damaged b-trees 12 gave an error at the question.
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path))
    pdf = str(min(SAMPLES.glob("*.pdf")))
    sources = Sources(pdfs=(pdf,), index_path=tmp_path, embedder_spec="", password=None)
    session = session_of(sources, open_index(sources, HashEmbedder()))
    pieces: list[str] = []
    before = session.ask(QUESTION)
    session.index = Index.open(session.index.path)  # nothing of it is in memory
    zero_root(session.index.path, table)
    assert session.ask(QUESTION, pieces.append).text == before.text == "".join(pieces)
    assert session.ask(QUESTION).prompt.token_ids == before.prompt.token_ids
    assert capsys.readouterr().err.count("reading them again") == is_met


def test_an_index_that_was_named_is_left_as_it_is(tmp_path: Path) -> None:
    index = index_with(tmp_path / "index", {"a": ["The battery lasts."]})
    sources = Sources(pdfs=(), index_path=index.path, embedder_spec="", password=None)
    fresh = Index.open(index.path)
    zero_root(index.path, "chunks")
    with pytest.raises(IndexDamagedError, match="repair"):
        session_of(sources, fresh).ask(QUESTION)
    assert (index.path / DATABASE).exists()
