"""Whether an answer is right, and how far its confidence can be taken at its word.

An answer is right if it holds an accepted form as whole words, without much else beside it: of a
row of numbers the reader must pick one, not copy the row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from benchmarks.dev_set import DevQuestion

EXTRA_WORDS = 6
"""Words that a right answer may have beyond twice those of the accepted form. Chosen by hand."""

BINS = 10
"""Bins of equal width in which the calibration error is measured, as is usual."""

_NUMBER = re.compile(r"\d[\d.,]*")


def is_right(text: str, question: DevQuestion) -> bool:
    """Whether a text answers the question; nothing does if it cannot be answered.

    >>> asked = DevQuestion(id="", half="", kind="", question="How hot?", answers=("232 degrees",))
    >>> [is_right(text, asked) for text in ("At 232 degrees.", "1232 degrees", "232 degrees 419")]
    [True, False, False]
    """
    return any(_is_form(text, form, question) for form in question.answers)


def _is_form(text: str, form: str, question: DevQuestion) -> bool:
    if not holds(text, form) or len(text.split()) > 2 * len(form.split()) + EXTRA_WORDS:
        return False
    allowed = {*_numbers(question.question), *_numbers(" ".join(question.answers))}
    return not _numbers(form) or set(_numbers(text)) <= allowed


def _numbers(text: str) -> list[str]:
    return [number.rstrip(".,") for number in _NUMBER.findall(text)]


def holds(text: str, form: str) -> bool:
    """Whether a text has the words of `form` one after another, not as a part of longer ones.

    Case, line breaks and hyphens that only break lines do not count.

    >>> holds("It costs\\n $7,168 million", "$7,168 million"), holds("57,168 million", "7,168")
    (True, False)
    """
    wanted = r"\s*".join(map(re.escape, flat(form)))
    before = r"(?<![\w.,\-−])" if form[:1].isdigit() else r"(?<!\w)" if form[:1].isalnum() else ""
    after = r"(?![\d]|[.,]\d)" if form[-1:].isdigit() else r"(?!\w)" if form[-1:].isalnum() else ""
    return re.search(before + wanted + after, spaced(text)) is not None


def flat(text: str) -> str:
    """The characters of a text that can be seen, in lower case."""
    return re.sub(r"\s+", "", spaced(text))


def spaced(text: str) -> str:
    """A text in lower case, with straight quotes and single blanks."""
    plain = unicodedata.normalize("NFKC", text).replace("\ufffe", "").replace("\u00ad", "")
    for curly, straight in ("‘'", "’'", '“"', '”"'):
        plain = plain.replace(curly, straight)
    return " ".join(plain.split()).casefold()


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error over `BINS` bins: 0 where confidences are the shares of right.

    >>> round(calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False]), 3)
    0.0
    """
    rows = reliability(confidences, right)
    total = sum(count for *_, count in rows)
    return sum(count * abs(said - found) for said, found, count in rows) / total if total else 0.0


def reliability(
    confidences: Sequence[float], right: Sequence[bool], bins: int = BINS
) -> list[tuple[float, float, int]]:
    """(Mean confidence, share of right answers, how many) of each bin that is not empty."""
    said, found = np.asarray(confidences, float), np.asarray(right, float)
    places = np.minimum((said * bins).astype(int), bins - 1)
    return [
        (float(said[places == i].mean()), float(found[places == i].mean()), int(count))
        for i, count in enumerate(np.bincount(places, minlength=bins) if len(said) else ())
        if count
    ]
