"""The blocks of which a report's page is built."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.evaluation.report.wording import TextTable, omnibus_words
from ragctx.evaluation.results import Omnibus
from ragctx.text.markup import Markup, tag


def section(anchor: str, title: str, *children: Markup | None) -> Markup:
    """A part of the page that can be linked to."""
    return tag("section", tag("h2", title, id=anchor), *children)


def findings(lines: Sequence[str]) -> Markup | None:
    """Sentences as a list; None without any."""
    return tag("ul", *(tag("li", line) for line in lines), class_="soft") if lines else None


def numbers(test: Omnibus | None, *tables: TextTable) -> Markup:
    """The test and the tables behind the pictures, folded up until they are opened."""
    sentence = tag("p", omnibus_words(test), class_="soft") if test else None
    blocks = [table_block(table) for table in tables if table.rows]
    return tag("details", tag("summary", "All numbers"), sentence, *blocks)


def table_block(table: TextTable, kind: str = "") -> Markup:
    """A table that scrolls on its own where the screen is too narrow."""
    number = None if kind else "number"  # a table of settings has words in every column
    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_=number if i else None)
            for i, name in enumerate(table.columns)
        ),
    )
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(tag("td", value, class_=number) for value in values),
        )
        for name, *values in table.rows
    ]
    block = tag(
        "table",
        tag("caption", table.caption),
        tag("thead", head),
        tag("tbody", *rows),
        class_=kind or None,
    )
    return tag("div", block, class_="scroll", tabindex="0", role="region", aria_label=table.caption)
