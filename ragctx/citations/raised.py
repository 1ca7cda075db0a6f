"""Tell raised numbers that are powers from those that are labels: "20 m²" and "x²" from "3.72 K²".

What a number is raised behind tells most: nobody squares a year or a word, and a length is squared
far more often than it is followed by a label. Where that leaves both, it is a label only at the end
of a clause, where people put them. A raised 1 is no power unless ten is raised to it.
"""

from __future__ import annotations

import re
from itertools import takewhile

_ENDS = re.compile(r"\s{0,3}(?:[.,;:!?)\]\"”’»]|\Z|\n)")
_GOES_ON = re.compile(r"[\w⁺⁻⁄/^]")  # a power of more than digits, an ion's charge
_BEHIND_WORDS = re.compile(r"(?:[.,;:!?)\]\"”’»]|[^\W\d_]{4})\Z")
_FUNCTIONS = frozenset(("sin", "cos", "tan", "cot", "sec", "exp", "log"))
_SQUARED = re.compile(r"(?:[kcdmµμnp]?m|ft|in|yd|mi|px)\Z")  # lengths
_UNIT_OF_A_NUMBER = re.compile(r"\d[\s\u00a0]{0,3}[°µμ]?\Z")
_DIGITS = re.compile(r"\d(?:[\d.,]{0,20}\d)?\Z")
_SMALL_OR_TEN = re.compile(r"\d{1,2}|10+|1(?:[.,]?000)+")
_VOWEL = re.compile(r"[aeiouyäöüáéíóúàèìòùåæø]", re.IGNORECASE)
_JOINED = re.compile(r"[/·⋅*×^√⁻⁺]\Z")  # "m/s", "kg·K": the unit of a power


def is_power(before: str, raised: str, after: str) -> bool:
    """Whether a raised number cannot be taken for a label, by the text on both sides of it.

    `raised` has plain digits, or several numbers ("1,2", "1-3"), which are no power.

    >>> [is_power(before, "2", ".") for before in ("3.72 K", "20 m", "E = mc", "in 2019", "10")]
    [False, True, True, False, True]
    """
    if not raised.isdecimal():
        return False
    if _BEHIND_WORDS.search(before):
        return False
    if _GOES_ON.match(after) or before.endswith(("⁻", "⁺")):
        return True
    digits = _DIGITS.search(before)
    if digits is not None:
        is_ten = re.fullmatch("10+", digits.group()) is not None
        is_small = _SMALL_OR_TEN.fullmatch(digits.group()) is not None
        return is_ten if raised == "1" else is_small or not _ENDS.match(after)
    return raised != "1" and not (_ENDS.match(after) and _may_end_a_clause(before))


def _may_end_a_clause(before: str) -> bool:
    """Whether a label may stand behind a text that ends with no number, as behind "3.72 K"."""
    letters = "".join(takewhile(str.isalpha, reversed(before)))[::-1]
    ahead = before[: len(before) - len(letters)]
    if not letters:
        return before.endswith(("%", "‰", "°", "€", "$", "£"))
    if _SQUARED.fullmatch(letters) or letters.lower() in _FUNCTIONS or _JOINED.search(ahead):
        return False
    return bool(_UNIT_OF_A_NUMBER.search(ahead)) or (
        len(letters) > 1 and bool(_VOWEL.search(letters)) and not ahead.endswith("=")
    )
