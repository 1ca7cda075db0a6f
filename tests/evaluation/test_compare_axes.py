"""Options that are repeated are axes: every combination is asked, in one table, paired."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import ragctx.embedding
import ragctx.reranking
from ragctx.evaluation.results import GridComparison, Result
from ragctx.records import Hit
from ragctx.reranking import Reranker
from tests.support import pdf_files
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.simulated import PositionalGenerator, level


def grid_of(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[Result, GridComparison]:
    code, out, err = said(
        capsys, "compare", *arguments, "--strategies", "none", "--resamples", "100", "--json"
    )
    assert (code, err) == (0, ""), err
    result = Result.from_json(out)
    assert result.grid is not None
    return result, result.grid


def test_every_combination_is_asked_of_the_same_questions(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ("-k", "3", "-k", "6", "--placement", "edges", "--placement", "middle")
    result, grid = grid_of(capsys, file, *several)
    assert [(axis.name, axis.values) for axis in grid.axes] == [
        ("k", ("3", "6")),
        ("placement", ("edges", "middle")),
    ]
    assert grid.cells == (("3", "edges"), ("3", "middle"), ("6", "edges"), ("6", "middle"))
    assert [summary.n for summary in grid.summaries] == [30] * 4
    base = grid.summaries[0].condition
    assert base == "grid/k=3/placement=edges"
    assert [pair.second for pair in grid.pairs] == [base] * 3
    assert all(pair.n == 30 for pair in grid.pairs)
    asked = {row.question for row in result.outcomes if row.condition == base}
    passages = {len(row.order) for row in result.outcomes if "k=3/" in row.condition}
    assert (len(asked), passages) == (30, {3})


def test_a_budget_is_an_axis_too_and_one_value_is_none(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    _, grid = grid_of(capsys, file, "--budget-tokens", "30", "--budget-tokens", "60")
    small, large = grid.summaries
    assert small.mean_prompt_tokens <= 30 < large.mean_prompt_tokens <= 60
    code, out, _ = said(capsys, "compare", file, "-k", "3", "--strategies", "edges,best_first")
    assert code == 0
    assert "k " not in out.splitlines()[1]


def test_the_table_has_a_column_for_each_axis(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ("-k", "3", "-k", "6", "--placement", "edges", "--placement", "middle")
    code, out, err = said(capsys, "compare", file, *several, "--strategies", "none")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:4] == ["k", "placement", "n", "right"]
    assert "combinations" in out


@pytest.mark.parametrize(
    "more", [("--retriever", "dense"), ("--chunk-tokens", "64"), ("--rerank", "x")]
)
def test_passages_of_a_file_cannot_be_searched_or_cut_in_another_way(
    file: Path,
    planted: PositionalGenerator,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, str],
) -> None:
    code, out, err = said(capsys, "compare", file, "--retriever", "hybrid", *more)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "--index" in err and more[0] in err


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A PDF about places, three on each page, and questions about them."""
    told = [f"Place {i} has the number number{i}. It lies by the river." for i in range(12)]
    pages = [pdf_files.lines(*told[i : i + 3]) for i in range(0, 12, 3)]
    pdf = pdf_files.write(tmp_path / "places.pdf", pages)
    rows = [
        {"question": f"Which number has place {i}?", "answers": [f"number{i}"]} for i in range(12)
    ]
    path = tmp_path / "places.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path, pdf


@pytest.mark.parametrize("kind", ["pdfs", "index"])
def test_retriever_and_chunk_size_are_axes_of_pdfs_and_of_an_index(
    kind: str,
    places: tuple[Path, Path],
    planted: PositionalGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    planted.accuracy = level
    path, pdf = places
    where: tuple[object, ...] = (pdf,)
    if kind == "index":
        where = ("--index", tmp_path / "index")
        assert said(capsys, "ingest", pdf, *where)[0] == 0
    axes = ("--retriever", "lexical", "--retriever", "dense", "-k", "4")
    sizes = ("--chunk-tokens", "16", "--chunk-tokens", "64")
    result, grid = grid_of(capsys, path, *where, *axes, *sizes)
    assert [axis.name for axis in grid.axes] == ["chunk tokens", "retriever"]
    assert len(grid.cells) == 4
    tokens = [summary.mean_prompt_tokens for summary in grid.summaries]
    assert max(tokens[:2]) < min(tokens[2:]), "smaller chunks make shorter prompts"
    found = {summary.label: summary.gold_in_prompt for summary in grid.summaries}
    assert found["chunk tokens 16, retriever lexical"] == 1.0
    assert result.settings.documents == (str(pdf),)


def test_a_reranker_is_an_axis_and_is_loaded_once(
    places: tuple[Path, Path],
    planted: PositionalGenerator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that knows the answers brings the gold passage into every prompt of one passage."""
    loaded: list[str] = []

    def oracle(question: str, hits: Sequence[Hit]) -> list[float]:
        number = "number" + question.rstrip("?").split()[-1]
        return [float(f"{number}." in hit.chunk.text) for hit in hits]

    def load(spec: str) -> Reranker:
        loaded.append(spec)
        return oracle

    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    monkeypatch.setattr(ragctx.reranking, "load_reranker", load)
    planted.accuracy = level
    path, pdf = places
    sizes = ("--chunk-tokens", "16", "-k", "1", "--retriever", "lexical", "--retriever", "dense")
    result, grid = grid_of(capsys, path, pdf, *sizes, "--rerank", "none", "--rerank", "x/oracle")
    assert [axis.name for axis in grid.axes] == ["retriever", "rerank"]
    assert loaded == ["x/oracle"]
    found = {summary.label: summary.gold_in_prompt for summary in grid.summaries}
    assert found["retriever dense, rerank x/oracle"] == 1.0
    assert found["retriever dense, rerank none"] < 1.0
    assert result.settings.retriever == "lexical", "the first values"
    only, _ = grid_of(capsys, path, pdf, *sizes, "--rerank", "x/oracle")
    assert only.settings.retriever == "lexical, reranked by a function"


def test_a_reranker_that_is_not_there_is_told_before_anything_is_asked(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    path, pdf = places
    code, _, err = said(capsys, "compare", path, pdf, "--rerank", tmp_path / "none")
    assert code == 1 and "There is no reranker" in err and "Traceback" not in err


def test_pdfs_and_an_index_together_are_misused(
    places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, pdf = places
    code, _, err = said(capsys, "compare", path, pdf, "--index", "somewhere")
    assert code == 2
    assert "name files or --index, not both" in err


def test_exclusions_of_another_chunk_size_are_told(
    places: tuple[Path, Path],
    planted: PositionalGenerator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    path, pdf = places
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[0]["excluded"] = ["a chunk of an index"]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    asked = ("compare", path, pdf, "--strategies", "edges,best_first", "--resamples", "100")
    code, _, err = said(capsys, *asked, "--chunk-tokens", "32")
    assert (code, len(err.splitlines())) == (0, 1)
    assert "exclusions of 1 question name chunks of another size" in err
    code, _, err = said(capsys, *asked, "--chunk-tokens", "180")  # the size of a default index
    assert (code, err) == (0, "")
