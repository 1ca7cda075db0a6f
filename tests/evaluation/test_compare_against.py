"""A run beside a saved one: worse only where the tests say so, and CI can tell by the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.errors import InputError
from ragctx.evaluation.against import against, require_comparable
from ragctx.evaluation.conditions import Condition
from ragctx.evaluation.results import Outcome, Result
from tests.support.command_line import said
from tests.support.comparison_results import Fabrication
from tests.support.simulated import PositionalGenerator, level, questions

NAMES = ("best_first", "edges")


def run_of(*, wrong: int, n: int = 200, name: str = "strategy/edges") -> Result:
    """A run of `n` questions, all right, but under one condition `wrong` of them."""
    made = Fabrication(n, 3).result(names=NAMES, sweeps=(), budgets=(), gridded=False)
    seen: dict[str, int] = {}

    def graded(row: Outcome) -> Outcome:
        seen[row.condition] = seen.get(row.condition, 0) + 1
        return replace(row, correct=row.condition != name or seen[row.condition] > wrong)

    return replace(made, outcomes=tuple(map(graded, made.outcomes)))


def test_the_same_run_twice_is_not_worse() -> None:
    beside = against(run_of(wrong=3), run_of(wrong=3), path="run.json", margin=0.0)
    assert not beside.is_worse
    assert beside.verdict.startswith("Not worse than run.json: every question is as right or")
    assert [one.test.difference.value for one in beside.conditions] == [0.0, 0.0]


def test_a_small_drop_passes_and_the_limit_is_told() -> None:
    beside = against(run_of(wrong=3), run_of(wrong=0), path="run.json", margin=0.0)
    assert not beside.is_worse
    assert beside.verdict.startswith("Not measurably worse than run.json: 200 questions are too ")


def test_a_drop_is_found_and_named_with_its_condition() -> None:
    beside = against(run_of(wrong=20), run_of(wrong=0), path="run.json", margin=0.0)
    assert [one.label for one in beside.conditions if one.is_worse] == ["edges"]
    assert beside.verdict.startswith("Worse than run.json: 1 of 2 conditions (edges ")


def test_a_gain_is_not_worse() -> None:
    assert not against(run_of(wrong=0), run_of(wrong=20), path="run.json", margin=0.0).is_worse


@pytest.mark.parametrize(("margin", "worse"), [(0.0, True), (0.09, True), (0.1, False)])
def test_a_drop_up_to_the_margin_passes(margin: float, worse: bool) -> None:
    beside = against(run_of(wrong=20), run_of(wrong=0), path="run.json", margin=margin)
    assert beside.is_worse is worse


def test_few_questions_show_no_drop_and_say_so() -> None:
    beside = against(run_of(wrong=2, n=12), run_of(wrong=0, n=12), path="run.json", margin=0.0)
    assert not beside.is_worse
    assert "12 questions are too few to tell a" in beside.verdict


def test_controls_take_no_part() -> None:
    worse = run_of(wrong=40, name="control/gold_only")
    beside = against(worse, run_of(wrong=0), path="run.json", margin=0.0)
    assert [one.label for one in beside.conditions] == ["best_first", "edges"]
    assert not beside.is_worse


def test_settings_that_changed_are_named() -> None:
    saved = run_of(wrong=0)
    now = replace(saved, settings=replace(saved.settings, model="other", seed=9, command="x"))
    assert against(now, saved, path="run.json", margin=0.0).settings == (
        "model: other, was reader",
    )


def test_runs_of_other_questions_or_conditions_are_refused() -> None:
    saved = replace(run_of(wrong=0), questions=())
    edges = [Condition.of_placement("edges"), Condition.of_placement("best_first")]
    with pytest.raises(InputError, match="the saved run asked 0 questions and this one 3"):
        require_comparable(saved, questions(3, 2).questions, edges)
    with pytest.raises(InputError, match="this one does not ask strategy/best_first"):
        require_comparable(saved, (), edges[:1])
    with pytest.raises(InputError, match="the saved run did not ask strategy/middle"):
        require_comparable(saved, (), [*edges, Condition.of_placement("middle")])
    require_comparable(saved, (), edges)


# ---- the command


def compared(capsys: pytest.CaptureFixture[str], file: Path, *more: object) -> tuple[int, str, str]:
    return said(
        capsys, "compare", file, "--strategies", "edges,best_first", "--resamples", "100", *more
    )


@pytest.fixture
def saved(
    file: Path, tmp_path: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> Path:
    planted.accuracy = lambda share: 1.0
    code, _, _ = compared(capsys, file, "-o", tmp_path / "run", "--no-cache")
    assert code == 0
    return tmp_path / "run" / "result.json"


def test_the_gate_passes_an_equal_run_and_stops_a_worse_one(
    file: Path, saved: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = ("--against", saved, "--fail-if", "worse", "--no-cache")
    code, out, err = compared(capsys, file, *gate)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("Not worse than ")
    planted.accuracy = lambda share: 0.2
    code, out, err = compared(capsys, file, *gate)
    assert code == 1
    assert err.startswith("failed: Worse than ")
    assert len(err.splitlines()) == 1
    code, out, err = compared(capsys, file, *gate, "--margin", "99")
    assert (code, err) == (0, "")
    code, out, err = compared(capsys, file, *gate[:2], "--no-cache")
    assert (code, err) == (0, ""), "without --fail-if a worse run is told, and no failure"
    assert "Worse than " in out


def test_json_and_the_report_hold_the_comparison(
    file: Path,
    saved: Path,
    planted: PositionalGenerator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted.accuracy = lambda share: 0.2
    folder = tmp_path / "now"
    gate = ("--against", saved, "--fail-if", "worse", "--no-cache", "--json", "-o", folder)
    code, out, _ = compared(capsys, file, *gate)
    assert code == 1
    result = Result.from_json(out)
    assert result.against is not None and result.against.is_worse
    for name in ("report.html", "report.md"):
        assert "Worse than" in (folder / name).read_text("utf-8")
    assert Result.from_json((folder / "result.json").read_text("utf-8")) == result


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-n", "5"), "the saved run asked 30 questions and this one 5"),
        (("--budgets", "40,80"), "the saved run did not ask budget/40, budget/80"),
        (("--margin", "200"), "200"),
    ],
)
def test_what_cannot_be_compared_ends_before_anything_is_asked(
    file: Path,
    saved: Path,
    planted: PositionalGenerator,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    message: str,
) -> None:
    planted.asked = 0
    code, out, err = compared(capsys, file, "--against", saved, *more)
    assert (code, out, planted.asked) == (2, "", 0)
    [line] = err.splitlines()
    assert message in line


def test_another_text_of_a_question_is_another_question(
    file: Path, saved: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    rows[3]["answers"] = ["another"]
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    code, _, err = compared(capsys, file, "--against", saved)
    assert code == 2
    assert "1 questions have another text or other answers than in the saved run (q3)" in err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\ud800"])
def test_a_file_that_is_no_run_is_one_line_of_error(
    text: str,
    file: Path,
    tmp_path: Path,
    planted: PositionalGenerator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(text.encode("utf-16", "surrogatepass"))
    for path in (bad, tmp_path / "none.json"):
        code, out, err = compared(capsys, file, "--against", path)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
    bad.write_bytes(text.encode("utf-8", "surrogatepass"))
    code, out, err = compared(capsys, file, "--against", bad)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "the saved run" in err


def test_a_gate_without_a_saved_run_is_misused(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.accuracy = level
    code, _, err = compared(capsys, file, "--fail-if", "worse")
    assert code == 2
    assert "--against RUN.json" in err


def test_one_condition_is_enough_for_a_gate(
    file: Path, planted: PositionalGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.accuracy = level
    one = ("compare", file, "--strategies", "edges", "--resamples", "100")
    assert said(capsys, *one, "-o", tmp_path / "run")[0] == 0
    gate = ("--against", tmp_path / "run" / "result.json", "--fail-if", "worse")
    code, out, err = said(capsys, *one, *gate)
    assert (code, err) == (0, "")
    assert "Only edges was asked" in out
    assert out.splitlines()[-1].startswith("Not worse than ")


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_a_saved_number_that_is_none_is_named(
    number: str,
    file: Path,
    saved: Path,
    planted: PositionalGenerator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # It would have been printed, and then failed to be written: exit code 1, as if worse.
    text = saved.read_text("utf-8")
    saved.write_text(text.replace('"confidence": 0.95', f'"confidence": {number}', 1), "utf-8")
    code, out, err = compared(capsys, file, "--against", saved)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "Result.settings.confidence" in err
