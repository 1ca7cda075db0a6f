"""What items of lists are numbered with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

MAX_NUMBER = 9999
"""Larger numbers are written in digits, whatever their list asks for."""
_ROMAN = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        "m cm d cd c xc l xl x ix v iv i".split(),
        strict=True,
    )
)


def letters(number: int) -> str:
    """The number as a letter, from 1; after z come aa and bb, as word processors have it.

    >>> letters(1), letters(28)
    ('a', 'bb')
    """
    times, letter = divmod(number - 1, 26)
    return chr(ord("a") + letter) * (times + 1)


def roman(number: int) -> str:
    """The number in Roman numerals, from 1.

    >>> roman(4), roman(1999)
    ('iv', 'mcmxcix')
    """
    written = ""
    for value, sign in _ROMAN:
        times, number = divmod(number, value)
        written += sign * times
    return written


NUMERALS: Mapping[str, Callable[[int], str]] = {
    "a": letters,
    "A": lambda number: letters(number).upper(),
    "i": roman,
    "I": lambda number: roman(number).upper(),
}
"""By the names that HTML gives them; all others are digits."""


def numeral(number: int, kind: str) -> str:
    """A number as an item of a list shows it.

    >>> numeral(3, "A"), numeral(3, "1"), numeral(0, "i")
    ('C', '3', '0')
    """
    known = NUMERALS.get(kind)
    return known(number) if known and 0 < number <= MAX_NUMBER else str(number)
