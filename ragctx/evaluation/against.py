"""A run beside a saved one, as a gate: is any condition worse on the same questions?

A condition is *worse* if it answers fewer of the same questions right than in the saved run, by a
difference that McNemar's exact test tells from chance (Holm's correction over all conditions, 5 %)
and that is larger than a margin. Controls take no part: without the passages, or with the right one
alone, there is nothing of the pipeline to guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from ragctx.errors import InputError
from ragctx.evaluation.conditions import Condition
from ragctx.evaluation.datasets import LabelledQuestion
from ragctx.evaluation.numbers import bare_percent, plain_p, plain_points
from ragctx.evaluation.pairs import Paired, pair_tests, power_of
from ragctx.evaluation.results import (
    AgainstRun,
    ConditionChange,
    Power,
    QuestionRecord,
    Result,
    Settings,
    Summary,
)
from ragctx.text.display import one_line

_NAMED = 3  # conditions or questions named in one sentence; chosen by hand
_VALUE = 60  # characters shown of a setting
_UNLIKE = frozenset(("command", "questions_sha256", "questions_file", "seed", "resamples"))
"""Settings that may differ without a change in what was asked."""


def read_result(path: Path) -> Result:
    """The result in a file that `ragctx compare` wrote: result.json, or what --json printed.

    Raises InputError for a file that is missing or no such result.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the saved run {str(path)!r} cannot be read ({error}); write one: ragctx compare "
            "QUESTIONS -o FOLDER, and name FOLDER/result.json"
        ) from None
    try:
        return Result.from_json(text)
    except InputError as error:
        raise InputError(f"the saved run {str(path)!r} cannot be used: {error}") from None


def require_comparable(
    saved: Result, questions: Sequence[LabelledQuestion], conditions: Iterable[Condition]
) -> None:
    """Check that a run of these questions under these conditions can be paired with a saved one.

    Raises InputError with what differs.
    """
    known = {record.id: _asked(record) for record in saved.questions}
    planned = {question.id: _asked(question) for question in questions}
    others = sorted(known.keys() ^ planned.keys())
    changed = sorted(id for id in known.keys() & planned.keys() if known[id] != planned[id])
    if others:
        raise InputError(
            f"the saved run asked {len(known):,} questions and this one {len(planned):,}, of which "
            f"{len(known.keys() & planned.keys()):,} are the same (not {_some(others)}); give the "
            "same file, -n and --seed, or save a run of this one"
        )
    if changed:
        raise InputError(
            f"{len(changed):,} questions have another text or other answers than in the saved run "
            f"({_some(changed)}); save a run of the file as it is now"
        )
    saved_names = set(_summaries(saved))
    names = {condition.name for condition in conditions}
    if saved_names != names:
        more, fewer = sorted(names - saved_names), sorted(saved_names - names)
        said = [f"the saved run did not ask {_some(more)}"] if more else []
        said += [f"this one does not ask {_some(fewer)}"] if fewer else []
        raise InputError(
            f"the runs have other conditions: {', '.join(said)}; give the options of the saved "
            f"run's command: {saved.settings.command or 'unknown'}"
        )


def against(result: Result, saved: Result, *, path: str, margin: float) -> AgainstRun:
    """A finished run beside a saved one that `require_comparable` let pass.

    `path` names the saved run; `margin` is a share: 0.02 lets drops up to 2 points pass.
    """
    now, before = _summaries(result), _summaries(saved)
    names = [name for name in now if name in before]
    right_now, right_before = _right(result), _right(saved)
    paired = []
    for name in names:
        ids = [id for id in right_now[name] if id in right_before[name]]
        paired.append(
            Paired(
                first=name,
                second=name,
                first_right=np.array([right_now[name][id] for id in ids], dtype=bool),
                second_right=np.array([right_before[name][id] for id in ids], dtype=bool),
            )
        )
    settings = result.settings
    tests = pair_tests(
        paired,
        seed=settings.seed,
        resamples=settings.resamples,
        confidence=settings.confidence,
    )
    conditions = tuple(
        ConditionChange(
            label=now[name].label,
            now=now[name].correct,
            before=before[name].correct,
            test=test,
            is_worse=test.significant and test.difference.value < -margin,
        )
        for name, test in zip(names, tests, strict=True)
    )
    power = power_of(tests)
    return AgainstRun(
        path=path,
        margin=margin,
        settings=_changes(settings, saved.settings),
        conditions=conditions,
        power=power,
        verdict=_verdict(conditions, power, margin, path),
    )


def _verdict(
    conditions: Sequence[ConditionChange], power: Power | None, margin: float, path: str
) -> str:
    worse = sorted(
        (one for one in conditions if one.is_worse), key=lambda one: one.test.difference.value
    )
    beyond = f" by more than {plain_points(margin)}" if margin else ""
    if worse:
        named = "; ".join(
            f"{one.label} {bare_percent(one.before.value)} -> {bare_percent(one.now.value)} %, "
            f"p = {plain_p(one.test.p_adjusted)}"
            for one in worse[:_NAMED]
        )
        more = f"; {len(worse) - _NAMED} more" if len(worse) > _NAMED else ""
        return (
            f"Worse than {path}{beyond}: {len(worse)} of {len(conditions)} conditions "
            f"({named}{more})."
        )
    if power is None:
        return f"No condition was asked in both runs: nothing to compare with {path}."
    if all(one.test.only_first == one.test.only_second == 0 for one in conditions):
        return f"Not worse than {path}: every question is as right or as wrong as it was there."
    if power.detectable_difference is None:
        unseen = f"{power.n:,} questions are too few to tell any drop"
    else:
        least = plain_points(power.detectable_difference)
        unseen = f"{power.n:,} questions are too few to tell a drop below {least}"
    return f"Not measurably worse than {path}{beyond}: {unseen} (80 % power)."


def _summaries(result: Result) -> dict[str, Summary]:
    """The summaries of all conditions but the controls, by name."""
    strategies = result.strategies
    controls = strategies.controls if strategies else ()
    found = [
        *(s for s in (strategies.summaries if strategies else ()) if s not in controls),
        *(summary for sweep in result.positions for summary in sweep.summaries),
        *(result.budgets.summaries if result.budgets else ()),
        *(result.grid.summaries if result.grid else ()),
    ]
    return {summary.condition: summary for summary in found}


def _right(result: Result) -> Mapping[str, dict[str, bool]]:
    """By condition and question: was the answer right?"""
    right: dict[str, dict[str, bool]] = {}
    for row in result.outcomes:
        right.setdefault(row.condition, {})[row.question] = row.correct
    return right


def _asked(question: LabelledQuestion | QuestionRecord) -> tuple[str, tuple[str, ...], bool]:
    return question.question, question.answers, question.answerable


def _changes(now: Settings, before: Settings) -> tuple[str, ...]:
    """The settings that differ, in words."""
    pairs = ((f.name, getattr(now, f.name), getattr(before, f.name)) for f in fields(Settings))
    return tuple(
        f"{name.replace('_', ' ')}: {_brief(one)}, was {_brief(other)}"
        for name, one, other in pairs
        if one != other and name not in _UNLIKE
    )


def _brief(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return one_line(text, _VALUE) or "none"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
