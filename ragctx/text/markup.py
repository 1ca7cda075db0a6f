"""HTML and SVG made safely: any text is escaped unless `tag` made it."""

from __future__ import annotations

from html import escape

from ragctx.text.display import printable


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


def decimal(value: float) -> str:
    """A coordinate with one decimal: a screen shows no more.

    >>> decimal(3.14159), decimal(2.0)
    ('3.1', '2')
    """
    return f"{value:.1f}".removesuffix(".0")


def _child(child: str) -> str:
    return child if isinstance(child, Markup) else escape(printable(child))


def _attribute(value: str | float) -> str:
    return escape(printable(value)) if isinstance(value, str) else decimal(value)
