"""The bundled reader from the command line: what each passage was worth, what was read before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragctx.cli.program import run
from tests.support.paths import SAMPLES

QUESTION = "For how many years should the station's battery last?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader") / "index"
    assert run(["ingest", str(SAMPLES / "field-station-manual.pdf"), "--index", str(folder)]) == 0
    return folder


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert run(["ask", QUESTION, *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_attribution_names_the_passage_that_made_the_answer(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, "--index", str(index), "--attribute", "--json")
    (citation,) = found["citations"]
    lost = {row["label"]: row["probability_lost"] for row in found["attribution"]}
    assert max(lost, key=lambda label: lost[label]) == citation["label"]
    assert run(["ask", QUESTION, "--index", str(index), "--attribute"]) == 0
    out = capsys.readouterr().out
    assert "without" in out and f"[{citation['label']}]" in out


def test_an_abstention_has_nothing_to_attribute(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # It ended in "unexpected ValueError: zip() argument 2 is longer than argument 1".
    question = "Who was the first king of Denmark?"
    capsys.readouterr()
    assert run(["ask", question, "--index", str(index), "--attribute", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["abstained"] and found["attribution"] == []


def test_the_bundled_reader_says_that_it_reads_english_and_shows_what_was_found(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "Combien d'années la batterie doit-elle durer dans la station ?"
    capsys.readouterr()
    assert run(["ask", question, "--index", str(index), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["refusal"]["reason"] == "language" and "French" in found["refusal"]["message"]
    assert found["nearest"][0]["document"] == "field-station-manual.pdf"


def test_what_was_read_serves_the_next_process_and_is_read_anew_when_damaged(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "kv"
    arguments = ("--index", str(index), "--kv-cache", str(cache), "--json")
    first, again = asked(capsys, *arguments), asked(capsys, *arguments)
    held = first["kv_cache"]["memory"]["held"]
    assert first["usage"]["reused_tokens"] == 0 and first["kv_cache"]["disk"]["misses"] == held
    assert again["usage"]["reused_tokens"] > 0 and again["kv_cache"]["disk"]["hits"] == held
    assert again["kv_cache"]["disk"]["held_bytes"] == sum(p.stat().st_size for p in cache.iterdir())
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    mended = asked(capsys, *arguments)
    assert mended["kv_cache"]["disk"]["damaged"] == held
    for key in ("answer", "confidence", "citations"):
        assert first[key] == again[key] == mended[key]


def test_a_server_keeps_its_own_cache(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ask", QUESTION, "--index", str(index), "--model", "http://127.0.0.1:9/v1#m"]
    assert run([*arguments, "--kv-cache", str(tmp_path / "kv")]) != 0
    assert "leave --kv-cache out" in capsys.readouterr().err
