"""Evaluation: question sets, comparisons of placements and budgets, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.evaluation.answering import Answerer as Answerer
    from ragctx.evaluation.candidates import source_of as source_of
    from ragctx.evaluation.compare import Comparison as Comparison
    from ragctx.evaluation.conditions import Plan as Plan
    from ragctx.evaluation.datasets import read_questions as read_questions
    from ragctx.evaluation.results import Result as Result
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Answerer": "ragctx.evaluation.answering",
            "Comparison": "ragctx.evaluation.compare",
            "Plan": "ragctx.evaluation.conditions",
            "Result": "ragctx.evaluation.results",
            "read_questions": "ragctx.evaluation.datasets",
            "source_of": "ragctx.evaluation.candidates",
        },
        moved={
            "significance": "ragctx.evaluation.statistics.significance",
            "intervals": "ragctx.evaluation.statistics.intervals",
            "power": "ragctx.evaluation.statistics.power",
        },
    )
