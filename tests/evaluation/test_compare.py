"""Laws of a comparison: what is planted is found, what is not is not, and a run can be resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ragctx.embedding
import ragctx.generator.load
from ragctx.assembly import Assembly
from ragctx.errors import InputError
from ragctx.evaluation.answer_cache import AnswerCache
from ragctx.evaluation.answering import Answerer, generate_all
from ragctx.evaluation.candidates import FilePassages, source_of
from ragctx.evaluation.compare import COLD_QUESTIONS, Comparison, Options, sample_questions
from ragctx.evaluation.conditions import Plan
from ragctx.evaluation.datasets import QuestionSet, parse_own, read_questions
from ragctx.evaluation.prompts import PromptMaker
from ragctx.evaluation.report.wording import headline
from ragctx.evaluation.results import Omnibus, Outcome, Result
from ragctx.evaluation.summaries import Prices
from ragctx.evaluation.verdicts import strategy_verdict
from ragctx.generator.reader.reader import load_bundled
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit, Placement
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with
from tests.support.paths import ROOT
from tests.support.simulated import PositionalGenerator, edges_read_best, level, questions

SAMPLES = ROOT / "examples" / "samples" / "src"
STRATEGIES = ("best_first", "best_last", "edges", "middle", "random")


def comparison(
    generator: Any, plan: Plan, *, n: int = 60, passages: int = 9, cache: Path | None = None
) -> Comparison:
    asked = questions(n, passages)
    answers = None if cache is None else AnswerCache(cache)
    return Comparison(
        questions=asked,
        source=source_of(asked, passages),
        answerer=Answerer(generator=generator, model_hash="hash", cache=answers),
        plan=plan,
        assembly=Assembly(max_new_tokens=16),
        options=Options(resamples=300),
    )


def without_times(result: Result) -> Result:
    outcomes = tuple(replace(row, latency_s=0.0) for row in result.outcomes)
    return replace(result, outcomes=outcomes, strategies=None, positions=(), budgets=None)


# ---- what is planted


def test_a_planted_position_effect_is_found_and_told_in_points() -> None:
    plan = Plan(position_passages=(9,), slots=5)
    result = comparison(PositionalGenerator(edges_read_best), plan, n=150).run()
    [sweep] = result.positions
    assert sweep.omnibus is not None
    assert sweep.omnibus.p_value < 0.001
    assert sweep.spread is not None
    assert sweep.spread.p_value < 0.01
    assert sweep.spread.low > 0
    assert sweep.spread.worst == "position/9/4"
    accuracies = [summary.correct.value for summary in sweep.summaries]
    planted = [edges_read_best(slot / 8) for slot in sweep.slots]
    assert accuracies == pytest.approx(planted, abs=0.12)
    assert "it matters where the gold one stands" in sweep.verdict
    assert "worst in slot 4" in sweep.verdict


@pytest.mark.parametrize("accuracy", [0.3, 0.7])
def test_a_planted_null_is_not_found_and_what_would_have_been_is_said(accuracy: float) -> None:
    plan = Plan(strategies=STRATEGIES, controls=False, k=9, position_passages=(9,))
    result = comparison(PositionalGenerator(lambda share: accuracy), plan, n=200).run()
    assert result.strategies is not None
    assert not any(pair.significant for pair in result.strategies.pairs)
    assert result.verdict.lower().count("no measurable difference") == 2
    assert result.verdict.count("would have been seen with 80 % power") == 2


def test_a_run_that_could_not_see_a_large_difference_says_that_it_cannot_tell() -> None:
    # 20 questions were reported as "No measurable difference", with the 52 points that could have
    # hidden in them at the end of the sentence.
    plan = Plan(
        strategies=STRATEGIES, controls=False, k=9, position_passages=(9,), budgets=(60, 80)
    )
    result = comparison(PositionalGenerator(lambda share: 0.5), plan, n=15).run()
    assert result.strategies and result.strategies.power and result.budgets
    assert "no measurable difference" not in result.verdict.lower()
    assert result.strategies.verdict.startswith(
        "15 questions are too few to tell 7 placements apart: a difference below "
    )
    assert result.positions[0].verdict.startswith("With 9 passages, 15 questions are too few to")
    assert "would not be seen" in headline(result)
    assert headline(result).startswith("15 questions are too few to tell: a difference below ")


def test_a_lone_share_carries_its_n() -> None:
    plan = Plan(strategies=("edges",), controls=False, k=9)
    result = comparison(PositionalGenerator(level), plan, n=12).run()
    assert "% of 12 questions right" in result.verdict


def test_a_strategy_that_loses_is_named() -> None:
    """Gold has rank 1 here: `middle` puts it where this generator reads worst."""
    plan = Plan(strategies=("best_first", "middle", "best_last"), controls=False, k=9)
    result = comparison(PositionalGenerator(edges_read_best), plan, n=200).run()
    assert result.strategies is not None
    losing = {pair.first for pair in result.strategies.pairs if pair.significant}
    assert losing == {"strategy/middle"}
    assert "middle is worse than best_first by" in result.verdict


def test_no_difference_is_claimed_where_only_a_pair_rejects() -> None:
    """Holm's correction and the omnibus test both guard a claim."""
    omnibus = Omnibus(
        statistic=3.0,
        degrees_of_freedom=2,
        p_value=0.2,
        n=50,
        conditions=("strategy/a", "strategy/b", "strategy/c"),
    )
    assert strategy_verdict(omnibus, (), None, {}, {}, n=50).startswith("No measurable difference")


def test_random_orders_and_controls_stand_beside_the_placements() -> None:
    result = comparison(PositionalGenerator(level), Plan(strategies=STRATEGIES, k=9)).run()
    assert result.strategies is not None
    summaries = {summary.label: summary for summary in result.strategies.summaries}
    assert set(summaries) == {
        "best_first",
        "best_last",
        "edges",
        "middle",
        "random#0",
        "random#1",
        "random#2",
        "closed book",
        "gold only",
    }
    assert summaries["closed book"].correct.value == 0.0
    assert summaries["closed book"].abstention_precision == 1.0
    assert result.strategies.omnibus is not None
    assert len(result.strategies.omnibus.conditions) == 7
    assert [summary.label for summary in result.strategies.controls] == ["closed book", "gold only"]


def test_a_control_is_compared_on_the_questions_that_both_were_asked() -> None:
    # Gold alone was once asked of 50 of 60 questions, and its share stood beside those of all 60 as
    # if they were of the same questions.
    made = comparison(PositionalGenerator(level), Plan(strategies=("edges", "best_first"), k=9))
    asked = made.questions.questions
    hopeless = tuple(replace(q, answerable=False, answers=()) for q in asked[:10])
    result = replace(
        made, questions=replace(made.questions, questions=(*hopeless, *asked[10:]))
    ).run()
    assert result.strategies is not None
    [closed, alone] = result.strategies.control_pairs
    assert (closed.first, closed.n) == ("control/closed_book", 60)
    assert (alone.first, alone.n) == ("control/gold_only", 50)
    assert alone.second == "strategy/best_first" == result.strategies.baseline
    ids = {q.id for q in asked[10:]}
    outcomes = [row for row in result.outcomes if row.question in ids]
    right = {
        name: sum(row.correct for row in outcomes if row.condition == name)
        for name in (alone.first, alone.second)
    }
    expected = (right[alone.first] - right[alone.second]) / 50
    assert alone.difference.value == pytest.approx(expected)
    assert any("gold only was asked about 50 of 60 questions" in note for note in result.notes)


def test_the_controls_beside_a_sweep_are_over_its_questions() -> None:
    made = comparison(
        PositionalGenerator(level), Plan(strategies=("edges",), k=9, position_passages=(5,)), n=20
    )
    asked = made.questions.questions
    some = tuple(replace(q, answerable=False, answers=()) for q in asked[:5])
    result = replace(
        made,
        questions=replace(made.questions, questions=(*some, *asked[5:])),
        options=replace(made.options, baseline="edges"),
    ).run()
    [sweep] = result.positions
    assert {summary.n for summary in (*sweep.summaries, *sweep.controls)} == {15}
    assert len(sweep.controls) == 2


def test_times_are_paired_medians_or_are_not_told() -> None:
    plan = Plan(budgets=(40, 80), k=9)
    result = comparison(PositionalGenerator(level), plan, n=8).run()
    assert result.budgets is not None
    small, large = result.budgets.latencies
    assert (small.n, large.n, large.difference) == (8, 8, None)
    assert small.difference is not None
    assert small.difference.low <= small.difference.value <= small.difference.high
    few = comparison(PositionalGenerator(level), plan, n=5).run()
    assert few.budgets is not None
    assert few.budgets.latencies == ()
    assert any("times of budgets are not compared" in note for note in few.notes)


def test_a_reader_that_remembers_prompts_is_timed_on_the_same_questions_afresh() -> None:
    generator = PositionalGenerator(level)
    generator.caches_prompts = True
    forgotten: list[None] = []
    generator.forget = lambda: forgotten.append(None)  # type: ignore[method-assign]
    result = comparison(generator, Plan(budgets=(40, 80), k=9), n=20).run()
    assert result.budgets is not None
    assert [row.n for row in result.budgets.latencies] == [COLD_QUESTIONS] * 2
    assert len(forgotten) == 2 * COLD_QUESTIONS
    assert any("nothing read before" in note for note in result.notes)


def test_a_budget_too_small_for_gold_loses_and_the_smallest_that_suffices_is_named() -> None:
    generator = PositionalGenerator(lambda share: 0.9)
    plan = Plan(budgets=(12, 40, 60, 80), k=9)
    result = comparison(generator, plan, n=100).run()
    assert result.budgets is not None
    shares = [summary.correct.value for summary in result.budgets.summaries]
    assert shares[0] == 0.0
    assert min(shares[1:]) > 0.8
    assert result.budgets.verdict.startswith("40 tokens are not measurably worse than 80")
    tokens = [summary.mean_prompt_tokens for summary in result.budgets.summaries]
    assert tokens == sorted(tokens)


def test_costs_are_tokens_times_prices() -> None:
    made = comparison(
        PositionalGenerator(level), Plan(strategies=("edges",), controls=False, k=9), n=5
    )
    made = replace(made, options=replace(made.options, prices=Prices(2.0, 10.0)))
    result = made.run()
    assert result.strategies is not None
    [summary] = result.strategies.summaries
    expected = (2 * summary.mean_prompt_tokens + 10 * summary.mean_answer_tokens) / 1e6
    assert summary.mean_cost == pytest.approx(expected)


# ---- runs


def everything() -> Plan:
    return Plan(strategies=STRATEGIES, k=9, position_passages=(5, 9), slots=3, budgets=(40, 80))


def test_two_runs_give_the_same_numbers_and_json_gives_them_back() -> None:
    first, second = (
        comparison(PositionalGenerator(edges_read_best), everything(), n=20).run() for _ in "ab"
    )
    assert first == second
    assert Result.from_json(first.to_json()) == first


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite3"
    cold, warm = PositionalGenerator(level), PositionalGenerator(level)
    first = comparison(cold, everything(), n=10, cache=cache).run()
    second = comparison(warm, everything(), n=10, cache=cache).run()
    assert cold.asked > 100
    assert warm.asked == 0
    assert first == second


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    def stop(what: str, done: float, total: int) -> None:
        if (what, done) == ("asking", 6):
            raise KeyboardInterrupt

    cache, plan = tmp_path / "answers.sqlite3", Plan(strategies=STRATEGIES, k=9)
    whole, half, rest = (PositionalGenerator(level) for _ in range(3))
    expected = comparison(whole, plan, n=10).run()
    with pytest.raises(KeyboardInterrupt):
        comparison(half, plan, n=10, cache=cache).run(stop)
    assert comparison(rest, plan, n=10, cache=cache).run() == expected
    assert half.asked + rest.asked == whole.asked


def test_equal_prompts_are_asked_once() -> None:
    """best_first and document_order are one order for passages of a file."""
    generator = PositionalGenerator(level)
    plan = Plan(strategies=("best_first", "document_order"), controls=False, k=9)
    comparison(generator, plan, n=10).run()
    assert generator.asked == 10


def test_workers_give_the_same_answers() -> None:
    made = comparison(PositionalGenerator(edges_read_best), everything(), n=8)
    many = replace(made, answerer=replace(made.answerer, workers=4))
    result = many.run()
    assert without_times(replace(result, notes=())) == without_times(made.run())
    assert result.notes == ("times of budgets were measured with 4 prompts asked at once",)


def test_every_phase_tells_how_far_it_is() -> None:
    seen: list[tuple[str, float, int]] = []
    plan = Plan(strategies=("edges", "middle"), k=9, position_passages=(5,))
    comparison(PositionalGenerator(level), plan, n=4).run(
        lambda what, done, total: seen.append((what, done, total))
    )
    phases = list(dict.fromkeys(what for what, _, _ in seen))
    assert phases == ["finding passages", "asking", "testing"]
    asked = [done for what, done, _ in seen if what == "asking"]
    assert asked == sorted(asked)
    assert asked[0] == 0
    assert asked[-1] == 4
    assert len(asked) > 12  # within a question too: one of them may take minutes
    assert seen[-1] == ("testing", 4, 4)


def test_a_plan_without_anything_is_refused() -> None:
    with pytest.raises(InputError, match="--strategies"):
        comparison(PositionalGenerator(level), Plan()).run()


def test_questions_are_drawn_by_their_ids() -> None:
    everyone = questions(50, 2)
    some = sample_questions(everyone, 10, seed=0)
    backwards = replace(everyone, questions=everyone.questions[::-1])
    assert len(some.questions) == 10
    assert set(sample_questions(backwards, 10, seed=0).questions) == set(some.questions)
    assert set(sample_questions(everyone, 10, seed=1).questions) != set(some.questions)
    assert sample_questions(everyone, None, seed=0) == everyone


def test_what_of_a_file_had_no_part_is_told() -> None:
    # A file of 140 key-value pairs a question was compared with the 20 best of each, and -n 10 took
    # 10 questions of 50: neither was told.
    everyone = replace(questions(6, 5), total=6)
    made = comparison(PositionalGenerator(level), Plan(strategies=("edges", "middle"), k=3))
    asked = replace(made, questions=sample_questions(everyone, 4, seed=0))
    notes = asked.run().notes
    assert "4 of the file's 6 questions were asked, drawn by seed 0" in notes
    assert any("4 of 4 questions come with more than 3 passages (up to 5)" in n for n in notes)
    whole = replace(made, questions=everyone, plan=replace(made.plan, k=5))
    assert not [note for note in whole.run().notes if "of" in note]


# ---- reading together


def test_prompts_read_together_are_answered_as_if_read_alone() -> None:
    """Orders, numbers and budgets of the same passages, by the reader that ships with ragctx.

    Bit for bit: rounding at the second look once raised the order of additions to other answers.
    """
    text = (SAMPLES / "tidal-energy-paper.md").read_text("utf-8")
    paragraphs = [part for part in text.split("\n\n") if 150 < len(part) < 400][:5]
    assert len(paragraphs) == 5
    ctxs = [{"text": part, "isgold": i == 0} for i, part in enumerate(paragraphs)]
    row = {"question": "What do turbines do?", "answers": ["zzz"], "ctxs": ctxs}
    question = parse_own(row)
    source = FilePassages(QuestionSet(path="", sha256="", layout="", questions=(question,)))
    reader, alone = load_bundled(), load_bundled()
    reader.threshold = alone.threshold = 0.0
    plan = Plan(
        strategies=("best_first", "edges", "random"),
        k=5,
        position_passages=(4,),
        budgets=(128, 256),
    )
    asked = PromptMaker(reader, Assembly(max_new_tokens=32), source.document).all_of(
        source.candidates(question), plan
    )
    prompts = [one.prompt for one in asked]
    found = generate_all(reader, prompts)
    for one, prompt in zip(found, prompts, strict=True):
        expected = alone.generate(prompt)
        assert (one.text, one.token_ids) == (expected.text, expected.token_ids)
        assert one.spans == expected.spans
        assert one.confidence == expected.confidence
    assert sum(one.reused_tokens for one in found) > 0
    assert any(one.spans for one in found)


def test_a_passage_that_stands_twice_is_read_alone() -> None:
    """Read together, one passage has one place in a prompt."""
    hit = Hit.from_text(1, 1.0, "Tin melts at 232 degrees.")
    template = load_template("reader")
    reader = load_bundled()
    twice = build_prompt(
        template,
        "When does tin melt?",
        Placement("twice", (hit, replace(hit, rank=2))),
        reader.tokenizer,
        context_window=64,
        max_new_tokens=8,
    )
    [found] = generate_all(reader, [twice])
    assert found.token_ids == reader.generate(twice).token_ids


# ---- the command


def test_the_command_prints_tables_the_verdict_and_what_to_do_last(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(
        capsys, "compare", file, "--positions", "6", "--budgets", "40,80", "--resamples", "200"
    )
    assert (code, err) == (0, "")
    for words in ("best_first", "random#2", "gold only", "slot 5 of 6", "80 tokens"):
        assert words in out
    verdict, recommendation = out.splitlines()[-2:]
    assert "Cochran's Q: p = " in verdict
    assert recommendation.startswith("For positional and these 30 questions: ")


def test_json_is_the_whole_result(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(
        capsys,
        "compare",
        file,
        "--strategies",
        "edges,best_first",
        "-n",
        "7",
        "--json",
        "--no-cache",
        "--price-prompt",
        "1.5",
    )
    result = Result.from_json(out)
    assert code == 0
    assert result.settings.questions == 7
    assert result.settings.price_prompt == 1.5
    assert {row.condition for row in result.outcomes} == {
        "strategy/edges",
        "strategy/best_first",
        "control/closed_book",
        "control/gold_only",
    }
    assert isinstance(result.outcomes[0], Outcome)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--strategies", "edges,bset"), "no placement is called 'bset'"),
        (("--strategies", "edges,middle"), "--baseline"),
        (("--strategies", "none"), "nothing is to be compared"),
        (("--budgets", "many"), "--budgets is 'many'"),
        (("--positions", "0"), "--positions is '0'"),
        (("--positions", "1"), "2 or more passages"),
        (("--workers", "4"), "for models on servers"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    file: Path,
    planted: PositionalGenerator,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    code, out, err = said(capsys, "compare", file, *arguments)
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert message in line


def test_an_index_is_asked_with_what_a_search_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The synthetic questions' labels count: their excluded chunk is never in a prompt."""
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    generator = PositionalGenerator(level)
    monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **how: generator)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    pages = [f"Place {i} has the number number{i}." for i in range(6)]
    index_with(tmp_path / "index", {"places": pages})
    rows = [
        {
            "question": f"Which number has place {i}?",
            "answers": [f"number{i}"],
            "document": "places.pdf",
            "page": i + 1,
        }
        for i in range(6)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    code, out, err = said(
        capsys,
        "compare",
        path,
        "--index",
        tmp_path / "index",
        "-k",
        "4",
        "--positions",
        "3",
        "--json",
        "--resamples",
        "100",
    )
    assert (code, err) == (0, "")
    result = Result.from_json(out)
    assert result.settings.source == str(tmp_path / "index")
    assert result.strategies is not None
    assert dict(result.strategies.recall_at_k)[3] > 0
    assert any(passage.is_gold for record in result.questions for passage in record.passages)
    for record in result.questions:
        for passage in record.passages:
            assert passage.is_gold == (record.answers[0] in passage.text)


def test_ctrl_c_says_how_to_go_on(
    file: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(share: float) -> float:
        raise KeyboardInterrupt

    planted.accuracy = interrupted
    code, _, err = said(capsys, "compare", file)
    assert code == 130
    assert "run the same command to go on" in err


def test_the_report_is_written_where_it_was_asked_for(
    file: Path, tmp_path: Path, planted: PositionalGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    code, _, err = said(capsys, "compare", file, "-n", "5", "--resamples", "100", "-o", folder)
    assert (code, err.startswith("written to ")) == (0, True), err
    stored = Result.from_json((folder / "result.json").read_text("utf-8"))
    assert stored.settings.questions == 5


# ---- benchmarks


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_the_benchmark_finds_identical_answers_and_says_how_much_faster(file: Path) -> None:
    done = program(
        "benchmarks.compare",
        "--file",
        file,
        "--questions",
        4,
        "--without",
        2,
        "--passages",
        5,
        "--strategies",
        4,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["questions"], found["prompts"]) == (4, 16)
    assert "identical answers on 2 questions" in done.stdout
    assert found["ratio"] > 0


@pytest.mark.slow
def test_the_tiny_llama_is_made_and_can_be_asked(tmp_path: Path) -> None:
    program("benchmarks.tiny_llama", "--out", tmp_path, "--steps", 5)
    generator = ragctx.generator.load.load_generator(str(tmp_path))
    asked = read_questions(tmp_path / "probes.jsonl")
    source = source_of(asked, 20)
    maker = PromptMaker(
        generator,
        Assembly(max_new_tokens=1, template=str(tmp_path / "pairs.prompt")),
        source.document,
    )
    prompts = maker.positions(source.candidates(asked.questions[0]), 20, 5)
    assert [one.prompt.token_count for one in prompts] == [61] * 5
    answers = generate_all(generator, [one.prompt for one in prompts])
    assert all(len(answer.token_ids) <= 1 for answer in answers)
