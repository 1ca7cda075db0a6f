"""The marks of list items in an answer ("1.", "(b)", "iv)"): they number it, and state nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

_Place: TypeAlias = tuple[str, int]
"""A list's style, such as "(1)" or "a.", and which of its items this is."""

_NUMBER = r"\d{1,3}(?:\.\d{1,3}){0,3}"
_ROMAN_NUMERAL = r"[ivx]{1,5}|[IVX]{1,5}"
_MARKER = re.compile(
    r"(?:\A|(?<=\n)|(?<=[.!?:;\])】。][ \n]))"  # where a line or a sentence begins
    r"[ \t\u00a0]{0,20}(?:[-–—*•>#]{1,6}[ \t]{1,3})?[*_]{0,3}"  # in Markdown: indented, bold
    rf"(?P<open>[(（]?)(?P<name>{_NUMBER}|{_ROMAN_NUMERAL}|[a-zA-Z])(?:"
    r"(?P<close>[.)）．])[*_]{0,3}(?=\s)|(?P<comma>、))"
)
_ROMAN = {"i": 1, "v": 5, "x": 10}


def without_list_markers(answer: str) -> str:
    r"""The answer with spaces for the marks of its list items, so that offsets stay the same.

    One mark alone may be part of what is said ("3. Mai", "A. Smith"): two that follow each other in
    the same style make a list.

    >>> without_list_markers("1. Tin melts.\n2. Lead does.")
    '   Tin melts.\n   Lead does.'
    >>> without_list_markers("3. Mai 2021")
    '3. Mai 2021'
    """
    found = [(match.span(), set(_places(match))) for match in _MARKER.finditer(answer)]
    known = {place for _, places in found for place in places}
    pieces, at = [], 0
    for (start, end), places in found:
        if any((style, item + step) in known for style, item in places for step in (-1, 1)):
            pieces += [answer[at:start], " " * (end - start)]
            at = end
    return "".join(pieces) + answer[at:]


def _places(match: re.Match[str]) -> Iterator[_Place]:
    """What the mark may be: "i" is a letter or a numeral."""
    name, close = match["name"], match["close"] or match["comma"]
    if name[0].isdigit():
        above, _, last = name.rpartition(".")
        yield f"{match['open']}{above}1{close}", int(last)
        return
    case = "a" if name.islower() else "A"
    if len(name) == 1:
        yield f"{match['open']}{case}{close}", ord(name)
    if set(name.lower()) <= set(_ROMAN):
        yield f"{match['open']}{case}i{close}", _roman(name.lower())


def _roman(numeral: str) -> int:
    """The value of a numeral of i, v and x.

    >>> _roman("iv"), _roman("viii"), _roman("xix")
    (4, 8, 19)
    """
    values = [_ROMAN[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(-one if one < next_ else one for one, next_ in zip(values, following, strict=True))
