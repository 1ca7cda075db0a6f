"""Answer metrics as in SQuAD (Rajpurkar et al. 2016) and Lost in the Middle (Liu et al. 2023)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from ragctx.text.folding import folded

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """The text in lower case, without punctuation, articles and extra space.

    Letters count as one however they are stored: accents, ligatures, full width.

    >>> normalize_answer("The  Meissner effect.")
    'meissner effect'
    """
    plain = folded(text).translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the normalised prediction equals any normalised answer, else 0.0.

    Texts of which normalising leaves nothing, such as "&&" or the grade "A", are compared as they
    are, and a blank text equals none.

    >>> exact_match("||", ["&&"]), exact_match("&&", ["&&"])
    (0.0, 1.0)
    """
    predicted = _comparable(prediction)
    return float(any(predicted == _comparable(answer) for answer in answers if predicted))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """The best harmonic mean of token precision and recall against any answer.

    >>> round(token_f1("the red fox", ["fox"]), 3)
    0.667
    """
    return max((_f1(prediction, answer) for answer in answers), default=0.0)


def best_subspan_em(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the normalised prediction contains any normalised answer (Liu et al. 2023), else 0.

    An answer of which normalising leaves nothing is looked for as it is, between other words.

    >>> best_subspan_em("a grade", ["A"]), best_subspan_em("banana", ["A"])
    (1.0, 0.0)
    """
    predicted = normalize_answer(prediction)
    return float(any(_is_within(answer, prediction, predicted) for answer in answers))


def _is_within(answer: str, prediction: str, predicted: str) -> bool:
    if wanted := normalize_answer(answer):
        return wanted in predicted
    bare = re.escape(_comparable(answer))
    return bool(bare) and bool(re.search(rf"(?<!\w){bare}(?!\w)", _spaced(prediction)))


def _comparable(text: str) -> str:
    """The normalised text or, where nothing is left of it, the text in lower case."""
    return normalize_answer(text) or _spaced(text)


def _spaced(text: str) -> str:
    return " ".join(folded(text).split())


def _f1(prediction: str, answer: str) -> float:
    predicted, wanted = _comparable(prediction).split(), _comparable(answer).split()
    common = sum((Counter(predicted) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(wanted)
    return 2 * precision * recall / (precision + recall)
