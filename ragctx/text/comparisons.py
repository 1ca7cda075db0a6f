"""Questions that ask to hold documents side by side, told by their words (English)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ragctx.text.words import STOP_WORDS, words_of

_KIND = "(?:document|pdf|report|paper|contract|manual|invoice|filing)"
_SEVERAL = "(?:these|those|both|all|two|three|four|five)"
_ABOUT_DOCUMENTS = re.compile(
    rf"\b(?:which|what) (?:one )?(?:of )?(?:{_SEVERAL} )*{_KIND}s?\b"
    rf"|\b(?:each|{_SEVERAL}) (?:of )?(?:{_SEVERAL} )?{_KIND}s?\b"
)
_DEGREE = (
    "(?:higher|highest|lower|lowest|larger|largest|smaller|smallest|bigger|biggest|longer|longest|"
    "shorter|shortest|earlier|earliest|later|latest|more|most|less|least|fewer|fewest|greater|"
    "greatest)"
)
_COMPARES = re.compile(
    r"\b(?:compared?|comparing|comparison|contrast|differs?|differences?|different|versus|vs|both|"
    rf"than|{_DEGREE})\b"
)
_HAS_MOST = re.compile(
    r"(?i)^(?:which|what) .*?\b(?:has|have|had|reports?|reported|shows?|gives?|states?) "
    rf"(?:the |an? )?{_DEGREE} (?P<what>[^?]+?)(?: than [^?]*)?\??$"
)
_COMPARE = re.compile(
    r"(?i)^(?:please )?(?:compare|contrast) (?P<what>.+?)"
    r"(?: (?:of|in|for|between|from|across) .*)?$"
)
_SHORTEST_NAME = 3  # letters of a word by which a document is named


def is_about_documents(question: str) -> bool:
    """Whether a question speaks of the documents themselves, several of them.

    >>> is_about_documents("Which of these reports has the higher revenue?")
    True
    >>> is_about_documents("What is the difference between tin and lead?")
    False
    """
    return _ABOUT_DOCUMENTS.search(" ".join(words_of(question))) is not None


def is_comparing(question: str) -> bool:
    """Whether a question has a word that compares, whatever it compares.

    >>> is_comparing("Is tin lighter than lead?"), is_comparing("Where is tin found?")
    (True, False)
    """
    return _COMPARES.search(" ".join(words_of(question))) is not None


def compared_names(question: str, names: Sequence[str]) -> list[int]:
    """Which of the documents with these names a question compares; none unless at least two.

    A question names a document by a word that no other document's name has.

    >>> compared_names(
    ...     "Compare the sales of Apple and Nvidia", ["Apple.pdf", "msft.pdf", "nvidia.pdf"]
    ... )
    [0, 2]
    >>> compared_names("When did Apple and Nvidia meet?", ["Apple.pdf", "msft.pdf", "nvidia.pdf"])
    []
    """
    if not is_comparing(question):
        return []
    asked = words_of(question)
    own = [set(words_of(name.rpartition(".")[0] or name)) - STOP_WORDS for name in names]
    often = Counter(word for words in own for word in words)
    telling = {word for word in set(asked) if often[word] == 1 and _can_name(word)}
    found = [i for i, words in enumerate(own) if words & telling]
    return found if len(found) > 1 else []


def asked_of_each(question: str) -> str:
    """What to ask each document, of a question that compares what they say; else the question.

    >>> asked_of_each("Which of these reports has the larger net revenue for the quarter?")
    'What is the net revenue for the quarter?'
    >>> asked_of_each("Compare the opening hours of Harbour Hall and Mill Lane")
    'What is the opening hours?'
    """
    found = _HAS_MOST.match(question.strip()) or _COMPARE.match(question.strip().rstrip("?."))
    if found is None:
        return question
    return f"What is the {found['what'].removeprefix('the ').strip()}?"


def _can_name(word: str) -> bool:
    return len(word) >= _SHORTEST_NAME and not word.isdigit()
