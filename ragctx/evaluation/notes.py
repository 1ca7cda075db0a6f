"""What a reader of a comparison's numbers must know beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ragctx.evaluation.candidates import FilePassages, Source
from ragctx.evaluation.conditions import Plan
from ragctx.evaluation.datasets import QuestionSet
from ragctx.evaluation.results import StrategyComparison


@dataclass(frozen=True, kw_only=True)
class Noted:
    """The facts of a run that notes are about."""

    questions: QuestionSet
    source: Source
    plan: Plan
    seed: int
    fallbacks: tuple[tuple[str, str], ...]  # (condition, ConditionPrompt.fallback), a question each
    empty_sweeps: tuple[int, ...]  # numbers of passages about which no question could be asked
    strategies: StrategyComparison | None
    times: bool  # whether times of budgets are compared
    are_times_cold: bool  # whether they were measured with nothing read before
    workers: int


def notes_of(run: Noted) -> tuple[str, ...]:
    """The notes, fallbacks first."""
    return (
        *_fallbacks(run),
        *_unasked(run),
        *_left_out(run),
        *_controls(run),
        *_times(run),
        *_origins(run),
    )


def _fallbacks(run: Noted) -> Iterator[str]:
    for (condition, fallback), count in Counter(run.fallbacks).items():
        yield f"{condition}: {fallback} ({count} of its questions)"


def _unasked(run: Noted) -> Iterator[str]:
    for n in run.empty_sweeps:
        yield (
            f"no question has a gold passage and {n - 1} distractors that fit the window together: "
            f"nothing was asked about {n} passages"
        )


def _left_out(run: Noted) -> Iterator[str]:
    """Which questions of the file, and which passages of its questions, had no part."""
    asked, total = len(run.questions.questions), run.questions.total
    if asked < total:
        yield (f"{asked:,} of the file's {total:,} questions were asked, drawn by seed {run.seed}")
    k, plan = run.plan.k, run.plan
    cut = [n for n in (len(q.passages) for q in run.questions.questions) if n > k]
    if cut and isinstance(run.source, FilePassages) and (plan.placements or plan.budgets):
        yield (
            f"{len(cut):,} of {asked:,} questions come with more than {k} passages (up to "
            f"{max(cut):,}): only the {k} best of each were used; -k {max(cut)} uses all that fit"
        )


def _controls(run: Noted) -> Iterator[str]:
    """Which controls could not be asked about every question that the placements were."""
    if run.strategies is None:
        return
    asked = max(summary.n for summary in run.strategies.summaries)
    for control in run.strategies.controls:
        if control.n < asked:
            yield (
                f"{control.label} was asked about {control.n:,} of {asked:,} questions, since the "
                "others have no gold passage that fits: its difference is over those "
                f"{control.n:,}, and its share of right answers is not to be set beside the others'"
            )


def _times(run: Noted) -> Iterator[str]:
    if not run.plan.budgets:
        return
    if not run.times:
        yield "times of budgets are not compared: a median of fewer than 6 has no interval"
    elif run.are_times_cold:
        yield "times of budgets are those of a first question, nothing read before"
    elif run.workers > 1:
        yield f"times of budgets were measured with {run.workers} prompts asked at once"


def _origins(run: Noted) -> Iterator[str]:
    if "document_order" in run.plan.strategies and not run.source.knows_order:
        yield "document_order is best_first here: passages of a file have no order"
    if any(question.synthetic for question in run.questions.questions):
        yield "questions marked synthetic were made from the documents, not by people"
