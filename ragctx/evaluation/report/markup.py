"""HTML and SVG made safely: any text is escaped unless `tag` made it."""

from __future__ import annotations

import re
from html import escape

_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters, overrides of the writing direction, and what is not a character."""


class Markup(str):
    """Markup made by `tag`. Any other `str` is text."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element. Children that are not `Markup` are escaped; None is left out.

    In attribute names `_` stands for `-`; a final `_` avoids a keyword of Python, as in `class_`.

    >>> tag("p", "1 < 2 ", tag("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2 <b>yes</b></p>'
    >>> tag("td", title='"><script>')
    '<td title="&quot;&gt;&lt;script&gt;"></td>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{named}>{joined(*children)}</{name}>")


def joined(*children: str | None) -> Markup:
    """Children one after another, without an element around them."""
    return Markup("".join(_child(child) for child in children if child is not None))


def clean(text: str) -> str:
    r"""Text with U+FFFD in place of characters that could change how other text is shown.

    >>> clean("a\x1b[31m\u202eb")
    'a\ufffd[31m\ufffdb'
    """
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, characters: int) -> str:
    """Text on one line, cut to at most `characters`.

    >>> shortened("to be\\n or not", 8)
    'to be o…'
    """
    line = " ".join(clean(text).split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def decimal(value: float) -> str:
    """A coordinate with one decimal: a screen shows no more.

    >>> decimal(3.14159), decimal(2.0)
    ('3.1', '2')
    """
    return f"{value:.1f}".removesuffix(".0")


def _child(child: str) -> str:
    return child if isinstance(child, Markup) else escape(clean(child))


def _attribute(value: str | float) -> str:
    return escape(clean(value)) if isinstance(value, str) else decimal(value)
