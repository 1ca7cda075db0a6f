"""How records show themselves: as one line in a terminal, as a small card in a notebook.

What documents and models wrote is shown as text, whatever it holds: markup is escaped, and
characters that steer a terminal or turn the direction of a line are replaced.
"""

from __future__ import annotations

from collections.abc import Iterable

from ragctx.text.display import one_line
from ragctx.text.markup import tag

WIDTH = 60
"""Characters of a text in a line: enough to know it by."""
EXCERPT = 300
"""Characters of a text in a card, some four lines."""
MOST_ITEMS = 8
"""Items that a card shows; of others it tells how many there are."""

# No colours of its own: it is as light or as dark as the notebook.
_STYLE = "border-left: 3px solid; padding: 0 0 0 1em; max-width: 50em"
_QUIET = "opacity: 0.7; font-size: 90%"
_ITEM = "margin: 0.3em 0 0 0"


def line(kind: str, *parts: str) -> str:
    """What `repr` gives: the record's kind, and the parts that are not empty.

    >>> line("Prompt", clipped("Who?"), "", "30 tokens")
    "Prompt('Who?', 30 tokens)"
    """
    return f"{kind}({', '.join(filter(None, parts))})"


def clipped(text: str, width: int = WIDTH) -> str:
    r"""The beginning of a text in quotation marks, on one line, with unsafe characters as codes.

    >>> print(clipped("It was a dark\nand stormy night.", 16))
    'It was a dark a…'
    """
    beginning = " ".join(text[: 4 * width].split())
    cut = len(text) > 4 * width or len(beginning) > width
    return repr(f"{beginning[: width - 1].rstrip()}…" if cut else beginning)


def card(title: str, facts: Iterable[str], items: Iterable[tuple[str, str]] = ()) -> str:
    """What `_repr_html_` gives: a title, facts in one line, and items with a heading and a text.

    >>> print(card("<script>", ["2 pages"]).split(">", 2)[2].split("</")[0])
    &lt;script&gt;
    """
    listed = list(items)
    more = len(listed) - MOST_ITEMS
    return tag(
        "div",
        tag("b", one_line(title, EXCERPT), dir="auto"),
        tag("div", " · ".join(filter(None, map(one_line, facts))), style=_QUIET),
        *(_item(heading, text) for heading, text in listed[:MOST_ITEMS]),
        tag("div", f"… and {more:,} more", style=_QUIET) if more > 0 else None,
        style=_STYLE,
    )


def _item(heading: str, text: str) -> str:
    excerpt = one_line(text[: 4 * EXCERPT], EXCERPT)
    return tag(
        "div",
        tag("small", one_line(heading), dir="auto"),
        tag("div", excerpt, dir="auto") if excerpt else None,
        style=_ITEM,
    )
