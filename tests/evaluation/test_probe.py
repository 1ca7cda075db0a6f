"""Laws of position profiles: measured, stored by the model's hash, used only where they count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import ragctx.generator.load
from ragctx.assembly import Assembly
from ragctx.cli.model_options import Model, with_profile
from ragctx.cli.program import run
from ragctx.errors import InputError
from ragctx.evaluation.datasets import QuestionSet
from ragctx.evaluation.model_identity import model_hash
from ragctx.evaluation.probes import synthetic_probes
from ragctx.evaluation.profiles import StoredProfile, find_profile, load_profile, save_profile
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.evaluation.text_match import holds_any
from ragctx.placement.strategies import place
from ragctx.records import Hit
from tests.support.simulated import PositionalGenerator, edges_read_best, level, questions, rows_of


def profile(significant: bool = True) -> StoredProfile:
    accuracy = tuple(Interval(value, value, value) for value in (0.5, 0.6, 0.9))
    return StoredProfile(
        format=1,
        ragctx_version="0",
        model="m",
        model_hash="abc",
        source="q",
        passages=3,
        slots=(0, 1, 2),
        accuracy=accuracy,
        n=100,
        window_fill=0.5,
        p_value=0.01,
        significant=significant,
        seed=0,
        verdict=".",
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "q.jsonl"
    lines = [json.dumps(row) for row in rows_of(questions(120, 9))]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def use(monkeypatch: pytest.MonkeyPatch, generator: PositionalGenerator, cache: Path) -> None:
    monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **how: generator)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(cache))


# ---- probes


def test_each_probe_has_one_passage_that_holds_its_answer() -> None:
    probes = synthetic_probes(40, 20, seed=3).questions
    assert len(probes) == 40
    for question in probes:
        holding = [p for p in question.passages if holds_any(p.text, question.answers)]
        assert [p for p in question.passages if p.is_gold] == holding
        assert len(holding) == 1


def test_probes_are_the_same_for_a_seed_and_others_for_another() -> None:
    assert synthetic_probes(5, 4) == synthetic_probes(5, 4)
    assert synthetic_probes(5, 4).sha256 != synthetic_probes(5, 4, seed=1).sha256
    assert isinstance(synthetic_probes(1, 200), QuestionSet)


# ---- profiles


def test_a_profile_is_found_by_its_models_hash_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path))
    path = save_profile(profile())
    assert load_profile(path) == profile()
    assert find_profile("abc") == profile()
    assert find_profile("abd") is None


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}'])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InputError):
        load_profile(tmp_path / "p.json")
    with pytest.raises(InputError, match="ragctx probe"):
        load_profile(tmp_path / "missing.json")


def test_calibrated_puts_the_best_where_the_profile_is_highest() -> None:
    hits = [Hit.from_text(rank, 1 / rank, "text", f"d{rank}") for rank in (1, 2, 3)]
    placed = place(hits, "calibrated", profile=profile().for_placement())
    assert [hit.rank for hit in placed.hits] == [3, 2, 1]
    fallen_back = place(hits, "calibrated", profile=profile(significant=False).for_placement())
    assert (fallen_back.strategy, "not significant" in fallen_back.note) == ("edges", True)


def test_another_threshold_is_another_model() -> None:
    one, other = PositionalGenerator(level), PositionalGenerator(level, name="other")
    strict = PositionalGenerator(level)
    strict.threshold = 0.5
    assert len({model_hash("http://x/v1#m", g) for g in (one, other, strict)}) == 3


def test_a_directory_is_known_by_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    generator = PositionalGenerator(level)
    before = model_hash(str(tmp_path), generator)
    assert model_hash(str(tmp_path), generator) == before
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert model_hash(str(tmp_path), generator) != before


# ---- the command


def test_a_model_with_a_curve_gets_a_profile_that_compare_then_uses(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, PositionalGenerator(edges_read_best), tmp_path / "cache")
    asked = ["--questions", str(file), "--passages", "9", "-n", "120"]
    assert run(["probe", *asked]) == 0
    out, err = capsys.readouterr()
    assert "it matters where the gold one stands" in out
    assert err.startswith("profile written to ")
    assert run(["compare", str(file), "--resamples", "100", "-n", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["profile"].startswith("measured with ")
    placements = {row["placement"] for row in found["outcomes"]}
    assert "calibrated" in placements


def test_a_model_without_one_is_placed_by_edges_and_it_is_said(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, PositionalGenerator(level), tmp_path / "cache")
    out = tmp_path / "p.json"
    asked = ["--questions", str(file), "--passages", "9", "-n", "60", "--out", str(out), "--json"]
    assert run(["probe", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["significant"]
    assert found["n"] == 60
    named = ["--strategies", "calibrated,edges", "--baseline", "edges", "--profile", str(out)]
    assert run(["compare", str(file), *named, "-n", "5", "--resamples", "100"]) == 0
    assert "edges instead of calibrated" in capsys.readouterr().out


def test_questions_that_cannot_be_asked_in_every_slot_give_no_profile(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, PositionalGenerator(level), tmp_path / "cache")
    assert run(["probe", "--questions", str(file), "--passages", "10"]) == 2
    assert "fewer --passages" in capsys.readouterr().err


def test_asking_takes_the_models_own_profile_and_says_so_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path))
    generator, model = PositionalGenerator(level), Model("http://x/v1#m", None)
    wanted = Assembly(placement="calibrated")
    assert with_profile(Assembly(), model, generator) == Assembly()
    assert with_profile(wanted, model, generator).profile is None
    assert "measure one: ragctx probe --model http://x/v1#m" in capsys.readouterr().err
    own = replace(profile(), model_hash=model_hash(model.spec, generator))
    save_profile(own)
    assert with_profile(wanted, model, generator).profile == own.for_placement()
    assert capsys.readouterr().err == ""
    save_profile(replace(own, significant=False))
    with_profile(wanted, model, generator)
    assert "do not differ measurably" in capsys.readouterr().err
