"""Letters and their accents as one character, in bounded time.

Unicode's composition (NFC) sorts the accents of a letter, which Python does in quadratic time: a
line of a million accents takes hours. No script has as many of them, so the others are left out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

MAX_MARKS = 32
"""Accents in a row that are kept. Chosen by hand, above any script."""
_UNLETTERED = re.compile(rf"[^\w\s]{{{MAX_MARKS},}}")


def composed(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """The text in a composed normal form, without accents beyond `MAX_MARKS` in a row.

    >>> composed("cafe\\u0301"), len(composed("e" + "\\u0315" * 10**6))
    ('café', 33)
    """
    if text.isascii():
        return text
    return unicodedata.normalize(form, _UNLETTERED.sub(_few_marks, text))


def _few_marks(match: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in match[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)
