"""Answer metrics as in SQuAD (Rajpurkar et al. 2016) and Lost in the Middle (Liu et al. 2023)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """The text in lower case, without punctuation, articles and extra space.

    >>> normalize_answer("The  Meissner effect.")
    'meissner effect'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the normalised prediction equals any normalised answer, else 0.0."""
    predicted = normalize_answer(prediction)
    return float(any(predicted == normalize_answer(answer) for answer in answers))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """The best harmonic mean of token precision and recall against any answer.

    >>> round(token_f1("the red fox", ["fox"]), 3)
    0.667
    """
    return max((_f1(prediction, answer) for answer in answers), default=0.0)


def best_subspan_em(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the normalised prediction contains any normalised answer (Liu et al. 2023), else 0."""
    predicted = normalize_answer(prediction)
    return float(any(normalize_answer(answer) in predicted for answer in answers))


def _f1(prediction: str, answer: str) -> float:
    predicted, wanted = normalize_answer(prediction).split(), normalize_answer(answer).split()
    if not predicted or not wanted:
        return float(predicted == wanted)
    common = sum((Counter(predicted) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(wanted)
    return 2 * precision * recall / (precision + recall)
