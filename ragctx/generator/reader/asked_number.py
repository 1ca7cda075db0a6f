"""Questions that want a number, and texts that tell one."""

from __future__ import annotations

import re

_LEAD_IN = r"(?:(?:about|after|at|before|by|for|from|in|of|on|over|since|to|up|with|within)\s+)*"
_ASKS = re.compile(
    rf"{_LEAD_IN}(?:how\s+(?:many|much|old|far|high|tall|deep|wide|large|big|heavy|fast|hot)"
    r"|(?:what|which)\s+(?:percentage|percent|share|proportion|fraction|year))\b",
    re.IGNORECASE,
)
_WORDS = frozenset(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred hundreds thousand thousands million millions billion billions dozen dozens half halved
    third thirds quarter quarters fifth tenth once twice double doubled none no nothing free all
    """.split()
)
_LETTERS = re.compile(r"[a-z]+")


def asks_number(question: str) -> bool:
    """Whether a question begins by asking for a number.

    The answers of 98 in 100 such questions tell one (training/LOG.md). "How often" and "how long"
    are not among them: "weekly" and "until May" answer these.

    >>> asks_number("By how much did sales fall?"), asks_number("In which year was it?")
    (True, True)
    >>> asks_number("Which setting says how many?"), asks_number("How long may it stay?")
    (False, False)
    """
    return _ASKS.match(question.strip()) is not None


def tells_number(text: str) -> bool:
    """Whether a text has a digit or a word for a number.

    >>> [tells_number(text) for text in ("41,717", "about Two thirds", "net sales")]
    [True, True, False]
    """
    return any(c.isdecimal() for c in text) or not _WORDS.isdisjoint(_LETTERS.findall(text.lower()))
