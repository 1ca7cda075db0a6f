"""A comparison as one HTML page that needs nothing else: no script, and nothing to be loaded.

The page's `Content-Security-Policy` forbids everything but its own style, so that even text that
slipped through the escaping could not run or load anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from ragctx.evaluation.report.blocks import section, table_block
from ragctx.evaluation.report.questions import question_part
from ragctx.evaluation.report.sections import (
    against_section,
    budgets_section,
    grid_section,
    placements_section,
    positions_section,
)
from ragctx.evaluation.report.svg import SHADES
from ragctx.evaluation.report.wording import (
    READING,
    Label,
    confidence_words,
    headline,
    labels_of,
    settings_table,
    synthetic_words,
)
from ragctx.evaluation.results import Result
from ragctx.text.markup import Markup, tag

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_report(result: Result) -> str:
    """The comparison as an HTML page."""
    labels = labels_of(result)

    def label(condition: str) -> str:
        return labels.get(condition, condition)

    parts = [part for part in _parts(result, label) if part]
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", "ragctx compare: ", result.settings.model),
        tag("style", _style()),
    )
    body = tag("body", tag("main", _header(result), *parts))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _style() -> Markup:
    return Markup(
        files("ragctx.evaluation.report").joinpath("report.css").read_text(encoding="utf-8")
    )


def _parts(result: Result, label: Label) -> Iterator[Markup]:
    if result.against:
        yield against_section(result.against)
    if result.positions:
        yield positions_section(result, label)
    if result.strategies:
        yield placements_section(result, result.strategies, label)
    if result.budgets:
        yield budgets_section(result, result.budgets, label)
    if result.grid:
        yield grid_section(result, result.grid, label)
    yield _questions(result, label)
    yield _again(result)


# ---- Head ------------------------------------------------------------------------------------


def _header(result: Result) -> Markup:
    settings = result.settings
    facts = (
        (f"{settings.questions:,}", "questions"),
        (settings.model, "answered"),
        (f"{settings.context_window:,}", "tokens in the window"),
        (confidence_words(settings), "intervals"),
        (settings.ragctx_version, "ragctx"),
    )
    notice = synthetic_words(result)
    return tag(
        "header",
        tag("p", "ragctx compare", class_="kicker"),
        tag("h1", headline(result)),
        tag(
            "ul", *(tag("li", tag("b", value), " ", what) for value, what in facts), class_="facts"
        ),
        tag("p", result.recommendation, class_="recommendation") if result.recommendation else None,
        tag("p", result.verdict, class_="lead"),
        tag("p", notice, class_="notice") if notice else None,
        tag("ul", *(tag("li", note) for note in result.notes), class_="soft")
        if result.notes
        else None,
        _contents(result),
    )


def _contents(result: Result) -> Markup:
    sections = (
        ("against", "Saved run", result.against is not None),
        ("positions", "Positions", bool(result.positions)),
        ("strategies", "Placements", result.strategies is not None),
        ("budgets", "Budgets", result.budgets is not None),
        ("grid", "Combinations", result.grid is not None),
        ("questions", "Questions", True),
        ("settings", "Settings", True),
    )
    links = (tag("a", name, href=f"#{anchor}") for anchor, name, is_there in sections if is_there)
    return tag("nav", *links, aria_label="Contents")


# ---- Questions and settings ------------------------------------------------------------------


def _questions(result: Result, label: Label) -> Markup:
    keys = (
        ("gold", "passage that holds the answer"),
        ("rank-1", "other passages of the best ranks"),
        (f"rank-{SHADES}", "of the last ranks"),
        ("cited", "cited"),
    )
    legend = [tag("li", tag("span", class_=f"key {kind}"), words) for kind, words in keys]
    return section(
        "questions",
        "Question by question",
        tag(
            "p",
            "Open a question to see each prompt as a bar of its passages, in prompt order and "
            "as long as their tokens, the stronger the better their rank. The squares are the "
            "conditions in the order of the table: filled where the answer was right.",
            class_="soft",
        ),
        tag("ul", *legend, class_="legend soft"),
        question_part(result, label),
    )


def _again(result: Result) -> Markup:
    command = result.settings.command
    return section(
        "settings",
        "Run it again",
        tag("pre", tag("code", command)) if command else None,
        tag("p", "The same command, questions and model give the same numbers; times differ."),
        table_block(settings_table(result.settings), kind="settings"),
        tag("h3", "How to read the numbers"),
        tag("ul", *(tag("li", line) for line in READING)),
    )
