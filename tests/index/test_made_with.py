"""An index goes on with the embedder that made it; vectors of two are never compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.cli.program import run as run_command
from ragctx.embedding import BUNDLED, load_embedder
from ragctx.errors import IndexMismatchError
from ragctx.index.index import Index
from ragctx.index.made_with import embedder_of
from tests.support.fakes import HashEmbedder
from tests.support.paths import SAMPLES

QUESTION = "For how many years should the station's battery last?"


@pytest.mark.parametrize("name", BUNDLED)
def test_by_default_the_embedder_is_the_one_that_the_index_records(
    tmp_path: Path, name: str
) -> None:
    index = Index.create(tmp_path / "index", embedder=load_embedder(name))
    assert embedder_of(index).id == embedder_of(str(index.path)).id == BUNDLED[name]
    with index.snapshot() as snapshot:
        assert embedder_of(snapshot).id == BUNDLED[name]


def test_without_an_index_or_with_another_models_the_default_is_that_of_new_indexes(
    tmp_path: Path,
) -> None:
    other = Index.create(tmp_path / "other", embedder=HashEmbedder())
    default = load_embedder().id
    assert embedder_of(tmp_path / "none").id == embedder_of(other).id == default
    assert not (tmp_path / "none").exists()


def test_the_embedder_that_is_named_is_taken_and_refused_where_another_made_the_index(
    tmp_path: Path,
) -> None:
    index = Index.create(tmp_path / "index", embedder=load_embedder("int8"))
    named = embedder_of(index, "float32")
    assert named.id == BUNDLED["float32"]
    with pytest.raises(IndexMismatchError, match=r"--embedder int8, or load_embedder"):
        Index.open(index.path, embedder=named)


def test_commands_go_on_with_the_embedder_of_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        code = run_command([*words, "--index", str(tmp_path / "index")])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    first, second = sorted(str(path) for path in SAMPLES.glob("*.pdf"))[:2]
    run("ingest", first, "--embedder", "int8")
    run("ingest", second)
    assert Index.open(tmp_path / "index").embedder == BUNDLED["int8"]
    assert "1." in run("search", QUESTION, "--retriever", "dense")
    assert run("prompt", QUESTION) and run("explain", QUESTION)
