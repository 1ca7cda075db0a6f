"""What the head of a table says of its numbers: "in millions"."""

from __future__ import annotations

import re

_BARE_NUMBER = re.compile(r"\A\(?[-−]?[$€£¥]? ?\(?\d[\d.,]*\)?\Z")
_SCALE = re.compile(
    r"\b(?:in (?:[$€£¥] ?)?|[$€£¥] ?|(?:US|U\.S\.) dollars, )(thousand|million|billion)s\b"
    r"|(?<=\()[$€£¥] ?(million|billion|thousand)s\b",
    re.IGNORECASE,
)
_FIGURE = frozenset("0123456789.,()%$€£¥-−—–")
_LONGEST_LABEL = 8
"""Words before the numbers of a row; more make a sentence. Chosen by hand."""
_NEAR = 200
"""Characters within which two heads belong to one table, so that they are those of columns, and it
is not known which counts. Chosen by hand: two or three lines."""
_EXCEPTED = re.compile(r"\bshares?\b|\brates?\b|%|\bpercent", re.IGNORECASE)
_SMALL = re.compile(r"\A\D*\d{1,3}\.\d\d\)?\Z")


def table_scale(page: str, start: int, end: int) -> str:
    """How the number at `start` to `end` of a page's text is to be read, or "".

    Only a number that stands alone in a row of a table has a scale: one in a sentence has its own
    words. So has no amount that the head excepts ("in millions, except per share amounts").

    >>> page = (
    ...     "Revenue\\n(In millions, except per share)\\nGaming $ 3,919 $ 3,610\\nEPS $ 2.99 $ 2.35"
    ... )
    >>> for number in ("3,919", "2.99"):
    ...     table_scale(page, page.index(number), page.index(number) + len(number))
    'in millions'
    ''
    """
    if not _BARE_NUMBER.match(page[start:end].strip()):
        return ""
    row_start = page.rfind("\n", 0, start) + 1
    row_end = page.find("\n", end) if "\n" in page[end:] else len(page)
    row = page[row_start:row_end]
    if not _is_row(row):
        return ""
    heads = list(_SCALE.finditer(page, 0, row_start))
    if not heads:
        return ""
    word = _word(heads[-1])
    if any(_word(h) != word and heads[-1].start() - h.end() < _NEAR for h in heads[:-1]):
        return ""
    excepts = "except" in page[heads[-1].start() : heads[-1].end() + _NEAR].casefold()
    if excepts and (_EXCEPTED.search(row) or _SMALL.match(page[start:end])):
        return ""
    return f"in {word}s"


def _is_row(line: str) -> bool:
    """Whether a line is a label of a few words and then nothing but numbers, dashes and signs.

    >>> _is_row("Mac 7,168 10,435 (31)%"), _is_row("In 2023, we sold 4,500 of them")
    (True, False)
    """
    words = line.split()
    label = next((i for i, word in enumerate(words) if _FIGURE.issuperset(word)), len(words))
    figures = words[label:]
    return label <= _LONGEST_LABEL and bool(figures) and all(map(_FIGURE.issuperset, figures))


def _word(head: re.Match[str]) -> str:
    return str(head[1] or head[2]).lower()
