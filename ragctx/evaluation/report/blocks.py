"""The blocks of which a report's page is built."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.evaluation.report.markup import Markup, tag
from ragctx.evaluation.report.wording import TextTable, omnibus_words
from ragctx.evaluation.results import Omnibus


def section(anchor: str, title: str, *children: Markup | None) -> Markup:
    """A part of the page that can be linked to."""
    return tag("section", tag("h2", title, id=anchor), *children)


def findings(lines: Sequence[str]) -> Markup | None:
    """Sentences, one under the other."""
    return tag("ul", *(tag("li", line) for line in lines), class_="soft") if lines else None


def numbers(test: Omnibus | None, *tables: TextTable) -> Markup:
    """What the pictures before it show, as tables; closed."""
    said = tag("p", omnibus_words(test), class_="soft") if test else None
    shown = [table_block(table) for table in tables if table.rows]
    return tag("details", tag("summary", "All numbers"), said, *shown)


def table_block(table: TextTable, kind: str = "") -> Markup:
    """A table that scrolls on its own where the screen is too narrow."""

    def cell(name: str, value: str, place: int) -> Markup:
        number = "number" if place and not kind else None
        return tag("td", value, class_=number) if place else tag("th", value, scope="row")

    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_="number" if i and not kind else None)
            for i, name in enumerate(table.columns)
        ),
    )
    rows = [
        tag("tr", *(cell(table.columns[i], value, i) for i, value in enumerate(row)))
        for row in table.rows
    ]
    made = tag(
        "table",
        tag("caption", table.caption),
        tag("thead", head),
        tag("tbody", *rows),
        class_=kind or None,
    )
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=table.caption)
