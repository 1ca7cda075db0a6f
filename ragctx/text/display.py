r"""Text of documents and models made safe to show: on a terminal, in a report, in JSON.

What a PDF holds could otherwise rewrite what is shown: escape sequences command a terminal, marks
of direction reorder a line, separators and lone surrogates break it.
"""

from __future__ import annotations

import re

_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls (C0, DEL, C1) except tab and newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks, overrides and isolates of direction
    r"\ud800-\udfff\ufffe\uffff"  # lone surrogates and noncharacters: not text, cannot be encoded
)
_SEPARATORS = r"\u2028\u2029"  # of lines and paragraphs: whitespace that few programs expect
_TO_REPLACE = re.compile(f"[{_UNSAFE}]")
_TO_BREAK_AT = re.compile(f"[{_SEPARATORS}]")
_TO_ESCAPE = re.compile(f"[{_UNSAFE}{_SEPARATORS}]")


def printable(text: str) -> str:
    r"""`text` of the same length, with U+FFFD for each unsafe character.

    Tabs and newlines stay; Unicode's line and paragraph separators become newlines.

    >>> printable("\x1b[31mred\nli\u202ene\u2028end")
    '\ufffd[31mred\nli\ufffdne\nend'
    """
    return _TO_BREAK_AT.sub("\n", _TO_REPLACE.sub("\N{REPLACEMENT CHARACTER}", text))


def one_line(text: str, width: int = 0) -> str:
    r"""`text` on one line, unsafe characters as codes, cut to `width` characters (0: not cut).

    A code shows which character a name or a message holds; U+FFFD would hide it.

    >>> one_line("a  b\nc"), one_line("to be or not", 8)
    ('a b c', 'to be o…')
    >>> print(one_line("\x1b[2Jpump\u202efdp.exe"))
    \u001b[2Jpump\u202efdp.exe
    """
    line = escape_unsafe(" ".join(text.split()))
    return line if not width or len(line) <= width else line[: width - 1].rstrip() + "…"


def escape_unsafe(text: str) -> str:
    r"""`text` with \uXXXX, as JSON writes it, for each unsafe character: nothing is lost.

    >>> print(escape_unsafe("\x9b31m"))
    \u009b31m
    """
    return _TO_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
