"""A local Hugging Face model as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragctx.cli.program import run

pytest.importorskip("transformers", reason="the hf extra is not installed")
from tests.cli.test_reader_answers import index  # noqa: F401 - a fixture
from tests.generator.test_huggingface import make_directory


def test_what_a_local_model_read_serves_the_next_process(
    index: Path,  # noqa: F811 - the fixture
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = make_directory(tmp_path / "model", "llama", context_window=4096)
    arguments = ["--index", str(index), "--model", str(model), "--kv-cache", str(tmp_path / "kv")]

    def asked(question: str) -> dict[str, dict[str, int]]:
        run(["ask", question, *arguments, "--max-new-tokens", "4", "--json"])
        found: dict[str, dict[str, int]] = json.loads(capsys.readouterr().out)
        return found

    first, again, other = map(asked, ("How long?", "How long?", "How much?"))
    prompt_tokens = first["usage"]["prompt_tokens"]
    assert first["usage"]["reused_tokens"] == 0 and first["kv_cache"]["disk"]["held"] > 0
    assert prompt_tokens - 64 <= again["usage"]["reused_tokens"] < prompt_tokens
    assert again["answer"] == first["answer"]
    assert other["usage"]["reused_tokens"] > 0, "they begin with the same instructions"


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that knows words, so that it can be held to the passages'."""
    folder = tmp_path_factory.mktemp("chatty")
    make_directory(folder, "llama", context_window=8192)
    return folder


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """An answer; 3 is the exit code of one without a word, as a random model may write."""
    assert run(["ask", "How often must the filter be cleaned?", *arguments, "--json"]) in (0, 3)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_grounded_answer_cites_what_it_says(
    index: Path,  # noqa: F811
    chatty: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--index", str(index), "--model", str(chatty), "--max-new-tokens", "200"]
    noise = json_of(capsys, *arguments)["answer"]  # left to itself
    found = json_of(capsys, *arguments, "--grounded", "--attribute", "-k", "2")
    assert found["citations"] and found["citations"][0]["status"] != "unknown_label"
    assert "\ufffd" in noise and "\ufffd" not in found["answer"]
    assert [row["label"] for row in found["attribution"]] == ["1", "2"]
    assert all(row["log_probability"] < 0 for row in found["attribution"])


def test_reused_passages_are_told_to_be_approximate(
    index: Path,  # noqa: F811
    chatty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--index", str(index), "--model", str(chatty), "--max-new-tokens", "4"]
    arguments += ["--kv-cache", str(tmp_path / "kv"), "--reuse-passages"]
    json_of(capsys, *arguments)
    found = json_of(capsys, *arguments, "--placement", "best_last")
    assert found["approximate"] and found["usage"]["reused_tokens"] > 200
    run(["ask", "How often?", *arguments])
    assert "approximate: the model read each passage on its own" in capsys.readouterr().err


def test_preferring_what_is_cached_tells_what_it_saved(
    index: Path,  # noqa: F811
    chatty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--index", str(index), "--model", str(chatty), "--max-new-tokens", "4"]
    arguments += ["--kv-cache", str(tmp_path / "kv")]
    assert json_of(capsys, *arguments)["usage"]["cached_tokens"] is None
    json_of(capsys, *arguments, "--placement", "edges_end")  # the order the other way round
    usage = json_of(capsys, *arguments, "--prefer-cached", "--placement", "middle")["usage"]
    assert usage["cached_tokens"] == usage["reused_tokens"] > 0
    assert 0 <= usage["order_saved_tokens"] <= usage["cached_tokens"]


def test_what_reusing_passages_costs_is_measured_by_compare(
    index: Path,  # noqa: F811
    chatty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    questions = tmp_path / "questions.jsonl"
    asked = [{"question": "How often is the filter cleaned?", "answers": ["every two weeks"]}]
    questions.write_text("".join(json.dumps(question) + "\n" for question in asked))
    arguments = ["compare", str(questions), "--index", str(index), "--model", str(chatty)]
    arguments += ["--strategies", "edges", "--no-controls", "--max-new-tokens", "4"]
    assert run([*arguments, "-o", str(tmp_path / "exact")]) == 0
    saved = str(tmp_path / "exact" / "result.json")
    apart = [*arguments, "--reuse-passages", "-o", str(tmp_path / "apart"), "--against", saved]
    assert run(apart) == 0
    result = json.loads((tmp_path / "apart" / "result.json").read_text())
    assert result["settings"]["decoding"] == "greedy, approximate"
    capsys.readouterr()


def test_sampling_as_the_makers_do_from_the_command_line(
    index: Path,  # noqa: F811
    chatty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--index", str(index), "--model", str(chatty), "--max-new-tokens", "12"]
    greedy = json_of(capsys, *arguments)["answer"]
    (chatty / "generation_config.json").write_text('{"do_sample": true, "temperature": 3.0}')
    drawn = json_of(capsys, *arguments, "--sample")["answer"]
    assert drawn != greedy
    assert json_of(capsys, *arguments, "--sample", "--temperature", "0")["answer"] == greedy


def test_a_long_answer_is_attributed_in_logarithms(
    index: Path,  # noqa: F811
    chatty: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--index", str(index), "--model", str(chatty), "--max-new-tokens", "60"]
    assert run(["ask", "How often?", *arguments, "--grounded", "--attribute", "-k", "2"]) == 0
    [head] = [line for line in capsys.readouterr().out.splitlines() if "without" in line]
    assert "log p with" in head
