"""Gives an English sentence without an auxiliary one: "The tank holds" -> "The tank does hold".

Verbs are learned from the documents themselves: words that follow "to", "can" or "must" but never
"the" or "a". Nothing else is known about words, so only the plainest sentences are changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ragctx.evaluation.questions.answer_spans import ARTICLES, CLOSED_CLASS

_BEFORE_VERB = re.compile(
    r"\b(?:to|can|cannot|could|may|might|must|will|would|shall|should|not|did|does|do) "
    r"([a-z]{2,})\b"
)
_BEFORE_NOUN = re.compile(r"\b(?:the|a|an|this|each|of|in) ([a-z]{2,})\b", re.IGNORECASE)
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|cannot|could|may|might|must|will|"
    r"would|shall|should)\b"
)
_SIGNS = re.compile(r"[^\s,;]+")
_PAST = {
    "began": "begin", "took": "take", "gave": "give", "became": "become", "came": "come",
    "went": "go", "grew": "grow", "rose": "rise", "fell": "fall", "wrote": "write", "drew": "draw",
    "chose": "choose", "drove": "drive", "broke": "break", "ran": "run", "saw": "see",
    "lay": "lie", "froze": "freeze", "spoke": "speak", "threw": "throw", "knew": "know",
}  # fmt: skip
"""Irregular past forms that differ from the participle: "the tide rose" can only be a past, whereas
"the book sold in May" may have been sold or have sold."""
_MOST_SUBJECT_WORDS = 7  # a longer subject is seldom a plain noun phrase; chosen by hand


@dataclass(frozen=True, slots=True)
class Verbs:
    """The verbs of some documents, in their base form, e.g. "hold"."""

    known: frozenset[str] = field(default_factory=frozenset)

    def base_of(self, word: str) -> tuple[str, str] | None:
        """(Base form, "does" or "did") of a finite verb; None for any other word.

        >>> verbs = Verbs(frozenset(("hold", "carry", "use", "stop")))
        >>> [verbs.base_of(word) for word in ("holds", "carried", "used", "stopped", "held")]
        [('hold', 'does'), ('carry', 'did'), ('use', 'did'), ('stop', 'did'), None]
        """
        if word in _PAST:
            return _PAST[word], "did"
        for base in _without_s(word):
            if base in self.known:
                return base, "does"
        for base in _without_ed(word):
            if base in self.known:
                return base, "did"
        return None


def learned_verbs(texts: Iterable[str]) -> Verbs:
    """The verbs of some texts: words that follow an auxiliary or "to" and never an article.

    >>> sorted(learned_verbs(["It can hold a lot.", "The use of it: to use it and to turn."]).known)
    ['hold', 'turn']
    """
    verbs: Counter[str] = Counter()
    nouns: Counter[str] = Counter()
    for text in texts:
        line = " ".join(text.split())
        verbs.update(_BEFORE_VERB.findall(line))
        nouns.update(word.lower() for word in _BEFORE_NOUN.findall(line))
    return Verbs(frozenset(word for word in verbs if not nouns[word] and word not in CLOSED_CLASS))


def with_auxiliary(sentence: str, verbs: Verbs, start: int = 0) -> tuple[str, int, int] | None:
    """The sentence with "does" or "did", the offset of its verb, and how much longer it became.

    None for a sentence that has an auxiliary, or whose main verb is not certain. `start` is the
    offset of the subject.

    >>> with_auxiliary("The tank holds 12 litres.", Verbs(frozenset(["hold"])))
    ('The tank does hold 12 litres.', 9, 4)
    """
    if _AUXILIARY.search(sentence):
        return None
    for word, following in _words(sentence, start):
        verb = verbs.base_of(word[0])
        if verb is None:
            continue
        base, auxiliary = verb
        subject = sentence[start : word.start()].split()
        rest = sentence[word.end() :]
        if (
            not _is_subject(subject, auxiliary)
            or not _may_follow(following)
            or _has_verb(rest, verbs)
        ):
            return None
        replacement = f"{auxiliary} {base}"
        longer = len(replacement) - len(word[0])
        return f"{sentence[: word.start()]}{replacement}{rest}", word.start(), longer
    return None


def _words(sentence: str, start: int) -> Iterator[tuple[re.Match[str], str]]:
    """The words that may be the verb, each with the word after it."""
    words = list(_SIGNS.finditer(sentence, start))
    for word, following in pairwise(words[1 : _MOST_SUBJECT_WORDS + 2]):
        if word[0].isalpha() and word[0].islower():
            yield word, following[0]


def _is_subject(words: list[str], auxiliary: str) -> bool:
    """Whether these words are a noun phrase, in the singular where the auxiliary is "does"."""
    last = words[-1]
    begins = words[0].lower() in ARTICLES or (words[0][0].isupper() and len(words) == 1)
    begins = begins or all(word[0].isupper() for word in words)
    if not begins or last.lower() in CLOSED_CLASS or not last.isalnum():
        return False
    return auxiliary == "did" or not re.search(r"[^su]s\Z", last)


def _may_follow(word: str) -> bool:
    """Whether a word can follow a verb directly: a function word, a number or a name."""
    return word.lower().strip(".,;") in CLOSED_CLASS or not word[0].islower()


def _has_verb(rest: str, verbs: Verbs) -> bool:
    """Whether another verb follows: then the first may be only a participle or a plural."""
    words = rest.split()
    return any(
        before != "to" and (word in verbs.known or verbs.base_of(word) is not None)
        for before, word in zip(["", *words], (w.strip(".,;:") for w in words), strict=False)
    )


def _without_s(word: str) -> Iterator[str]:
    if word.endswith("s"):
        yield word[:-1]
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("ies"):
        yield f"{word[:-3]}y"


def _without_ed(word: str) -> Iterator[str]:
    if word.endswith("ed"):
        yield word[:-1]
        yield word[:-2]
        yield word[:-3]
    if word.endswith("ied"):
        yield f"{word[:-3]}y"
