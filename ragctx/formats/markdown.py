"""Markdown: what its HTML shows, and the facts at its head.

CommonMark with tables, footnotes and what is struck out. HTML within it counts as in a page: what
nobody sees there is left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from markdown_it import MarkdownIt
from mdit_py_plugins.footnote import footnote_plugin

from ragctx.formats.blocks import Block, Content
from ragctx.formats.encoding import decoded
from ragctx.formats.html import content_of_html

_FRONT_MATTER = re.compile(
    r"\A(?P<fence>---|\+\+\+)[ \t]*\n(?P<facts>[\w-]+[ \t]*[:=].*?)\n(?P=fence)[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
MAX_NESTING = 100
"""Lists and quotations within each other; markdown-it leaves out what is deeper. Chosen by hand."""
_TOO_DEEP = f"lists or quotations within each other, {MAX_NESTING} deep; text may be missing"
_TITLE = re.compile(r"(?m)^title[ \t]*[:=][ \t]*(.+?)[ \t]*$")


def read_markdown(data: bytes, name: str) -> Content:
    r"""The blocks of a Markdown file.

    Raises:
        DocumentError, MissingExtraError: see `decoded`.

    >>> content = read_markdown(b"---\ntitle: Pump\n---\n# Use\n- on\n- off\n", "a.md")
    >>> content.title, [block.text for block in content.blocks]
    ('Pump', ['title: Pump', 'Use', '- on', '- off'])
    """
    text, notes = decoded(data, name)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = _FRONT_MATTER.match(text)
    rendered, is_whole = _rendered(text[head.end() :] if head else text)
    content = content_of_html(rendered, notes if is_whole else (*notes, _TOO_DEEP))
    content = replace(content, is_whole=content.is_whole and is_whole)
    if head is None:
        return content
    facts = Block(text=head["facts"].expandtabs(4))
    title = _TITLE.search(facts.text)
    return replace(
        content,
        blocks=(facts, *content.blocks),
        title=title[1].strip("\"'") if title else "",
    )


def _rendered(text: str) -> tuple[str, bool]:
    """The HTML of a Markdown text, and whether it is known to be all of it."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING})
    parser = parser.enable(["table", "strikethrough"]).use(footnote_plugin)
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    deepest = max((token.level for token in tokens), default=0)
    return str(parser.renderer.render(tokens, parser.options, env)), deepest < MAX_NESTING - 2
