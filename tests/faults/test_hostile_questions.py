"""Questions, numbers and question files from anybody: one line of error at worst, and bounded."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ragctx.cli.batch import parse_line
from ragctx.cli.program import run
from ragctx.errors import InputError
from ragctx.evaluation import datasets
from ragctx.evaluation.datasets import read_questions
from ragctx.index.filters import Filter
from ragctx.retrieval import RETRIEVERS, Retrieval, retrieve
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with

HUGE = (2**63 - 1, 2**63, 10**30, 10**5000)


@pytest.mark.parametrize("retriever", RETRIEVERS)
@pytest.mark.parametrize("number", HUGE, ids=["2**63 - 1", "2**63", "10**30", "10**5000"])
def test_a_number_that_sqlite_cannot_take_is_as_good_as_any_large_one(
    number: int, retriever: str, tmp_path: Path
) -> None:
    # OverflowError: Python int too large to convert to SQLite INTEGER.
    index = index_with(tmp_path, {"a": ["Cats purr."], "b": ["Dogs purr."]})

    def found(k: int, *pages: int | None) -> int:
        how = Retrieval(k=k, retriever=RETRIEVERS[retriever], filter=Filter((), *pages))
        return len(retrieve("purr", index, HashEmbedder(), how))

    assert (found(number), found(9, 1, number), found(9, number)) == (2, 2, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "1" * 5000],
        ["--pages", "1" * 5000],
        ["--pages", f"1-{'9' * 5000}"],
        ["-k", "1e999"],
        ["--pages", "1e9"],
    ],
    ids=range(5),
)
def test_a_number_without_end_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["search", "tin", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "row",
    [
        {"context": 7},
        {"context": ["a"]},
        {"context": "Tin.", "title": {"a": 1}},
        {"context": "Tin.", "title": 7},
        {"document": ["a.pdf"], "page": 1},
        {"document": "a.pdf", "page": 2**63},
        {"document": "a.pdf", "pages": [1, -1]},
        {"ctxs": [{"text": "Tin.", "title": 7}]},
        {"ctxs": [{"text": "Tin.", "title": "a", "score": float("nan")}]},
        {"ctxs": 7},
        {"answers": {"a": 1}, "context": "Tin.", "pages": "no"},
    ],
    ids=range(11),
)
def test_what_is_no_text_or_number_is_one_line(row: dict[str, Any], tmp_path: Path) -> None:
    # A title of another kind came through, and the report was what failed.
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"question": "What melts?", "answers": ["tin"], **row}))
    with pytest.raises(InputError, match=r"line 1 of .*questions\.jsonl") as caught:
        read_questions(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "extra", ['"pages": [1e999, 1]', '"ctxs": [{"text": "Tin.", "score": 1e999}]', '"page": 1e999']
)
def test_numbers_beyond_floats_are_one_line(extra: str, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "What?", "document": "a", ' + extra + "}")
    with pytest.raises(InputError, match="line 1 of"):
        read_questions(file)


def test_a_path_with_nul_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_questions("a\0b")


def test_squad_s_texts_are_texts(tmp_path: Path) -> None:
    file = tmp_path / "squad.json"
    paragraph = {"context": 7, "qas": [{"question": "What?", "answers": []}]}
    file.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    with pytest.raises(InputError, match='"context"'):
        read_questions(file)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    # 4 MB became 8 GB in memory.
    file = tmp_path / "questions.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=9) as stream:
        for _ in range(64):
            stream.write(b" " * 2**20)
    assert file.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 16777216 bytes"):
            read_questions(file)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_a_file_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_MAX_BYTES", 10_000)
    with pytest.raises(InputError, match="more than 10000 bytes"):
        read_questions("/dev/zero")


def test_rows_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_MAX_QUESTIONS", 10)
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "What?"}\n' * 11)
    with pytest.raises(InputError, match="more than 10 questions"):
        read_questions(file)


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_batch_line_with_a_number_beyond_floats_is_that_line_s_error(number: str) -> None:
    # It was read as infinity, which no JSON can hold: the whole batch ended there.
    with pytest.raises(InputError, match="line 3 cannot be read"):
        parse_line(3, b'{"question": "What?", "id": ' + number.encode() + b"}")
