"""Texts in the one form in which they are compared, with the way back to where things stand.

"ﬁne" with a ligature and without is one word to a person, and "㎏" is "kg" (Unicode's NFKC). But a
raised digit after a number is a mark, or an exponent, and never one of its digits: "320¹ euros" are
not 3201. It is set off, as is a fraction ("5½" is not 51/2).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from ragctx.text.composition import composed

_AFTER_A_DIGIT = re.compile(
    r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u2189])"
)


def plain(text: str) -> str:
    """The text in one form, case kept.

    >>> plain("ﬁne １２ ㎏"), plain("320¹ m²"), plain("5½")
    ('fine 12 kg', '320 1 m2', '5 1⁄2')
    """
    return text if text.isascii() else composed(_AFTER_A_DIGIT.sub(" ", text), "NFKC")


def folded(text: str) -> str:
    """The text in one form and one case.

    >>> folded("Straße １２"), folded("TIN")
    ('strasse 12', 'tin')
    """
    return plain(text).casefold()


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text as `plain` gives it; `starts` and `ends` say where each character comes from.

    Both are empty where no place differs.
    """

    text: str
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """What `text[start:end]` is in the text that it was made of; start is below end.

        >>> text = "5 ㎏ of ﬂour"
        >>> made = plain_text(text)
        >>> made.text, text[slice(*made.origin(2, 4))]
        ('5 kg of flour', '㎏')
        """
        return (self.starts[start], self.ends[end - 1]) if self.starts else (start, end)


def plain_text(text: str) -> PlainText:
    """The text in one form, with the places of its characters."""
    if not any(_changes(character) for character in set(text)):
        return PlainText(text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    bounds = [i for i, character in enumerate(text) if not i or not _composes(character)]
    for at, end in pairwise([*bounds, len(text)]):
        piece = composed(text[at:end], "NFKC")
        if at and _AFTER_A_DIGIT.match(text, at):
            piece = f" {piece}"
        pieces.append(piece)
        starts += [at] * len(piece)
        ends += [end] * len(piece)
    return PlainText("".join(pieces), tuple(starts), tuple(ends))


def _changes(character: str) -> bool:
    return character > "\x7f" and (
        _composes(character) or unicodedata.normalize("NFKC", character) != character
    )


def _composes(character: str) -> bool:
    """Whether a character may become one with the one before it."""
    return (
        unicodedata.category(character)[0] == "M"
        or "\u1160" <= character <= "\u11ff"  # vowels and last consonants of Hangul
        or character in "\uff9e\uff9f"  # the marks of kana at half width
    )
