"""Plain text: its lines as they are, in paragraphs, and in pages where it has form feeds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragctx.formats.blocks import Block, Content
from ragctx.formats.encoding import decoded

_PARAGRAPH_END = re.compile(r"\n(?:[^\S\n]*\n)+")
_LINE_END = re.compile(r"\r\n?|[\v\x85\u2028\u2029]")
_INDENT = re.compile(r"(?m)^[ \t]*\t")


def read_plain(data: bytes, name: str) -> Content:
    r"""The paragraphs of a text file.

    Raises:
        DocumentError, MissingExtraError: see `decoded`.

    >>> content = read_plain(b"Tin melts\r\nat 232.\r\n\r\nLead.\fCosts", "a.txt")
    >>> [(block.text, block.opens) for block in content.blocks]
    [('Tin melts\nat 232.', False), ('Lead.', False), ('Costs', True)]
    """
    text, notes = decoded(data, name)
    return Content(blocks=tuple(_blocks(_LINE_END.sub("\n", text))), notes=notes)


def _blocks(text: str) -> Iterator[Block]:
    text = _INDENT.sub(lambda match: match[0].expandtabs(4), text)  # further in, it parts cells
    for number, page in enumerate(text.split("\f")):
        opens = number > 0
        for paragraph in _PARAGRAPH_END.split(page):
            if paragraph.strip():
                yield Block(text=paragraph.strip("\n"), opens=opens)
                opens = False
