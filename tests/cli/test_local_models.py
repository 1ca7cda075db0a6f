"""A local Hugging Face model as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

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
