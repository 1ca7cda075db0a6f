"""A question file, and a model whose accuracy is planted, for tests of whole commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ragctx.generator.load
from tests.support.simulated import PositionalGenerator, edges_read_best, questions, rows_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [json.dumps(row) for row in rows_of(questions(30, 6))]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PositionalGenerator:
    """Every model is a generator that reads the edges best; its answers are kept in tmp_path."""
    generator = PositionalGenerator(edges_read_best)
    monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **how: generator)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    return generator
