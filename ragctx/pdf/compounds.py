"""Words that keep the hyphen at which a line ended: "well-known", but not "gov-ernment". Pure.

Where neither form stands elsewhere in the document, its words tell: the halves of a compound are
words of their own, and parts of a word seldom are. That holds for English, which writes compounds
apart or with a hyphen; German and its neighbours write them as one word.

Over the papers, reports, six manuals, a book and a scan of the test collection, the rule below
keeps the hyphen of 67 words that stand nowhere else; four of them are one word ("story-telling").
"""

from __future__ import annotations

from collections.abc import Mapping

MIN_HALF = 4
"""Letters: shorter words are too often a part of others ("arrest-ing", "cap-tain")."""
_COMPOUND_FIRST = frozenset(("well", "self"))
_COMPOUND_SECOND = frozenset(
    ("based", "driven", "known", "level", "oriented", "related", "scale", "specific", "term")
)
_SHORT = frozenset(("all", "low", "mid", "new", "non", "old", "one", "six", "ten", "top", "two"))
_PREFIXES = frozenset(
    "after anti co counter de dis down ex fore head in inter mis out over post pre re sub super "
    "trans un under up with".split()
)
_ENDINGS = frozenset(
    ("ness", "less", "ment", "ship", "able", "ible", "tion", "sion", "ally", "ization")
)
_ONE_WORD = ("und", "het", "och", "og")
"""Words of languages that write compounds as one word."""


def is_compound(first: str, second: str, words: Mapping[str, int]) -> bool:
    """Whether two halves, in small letters, are two words with a hyphen between them.

    `words` counts the words of the document.

    >>> words = {"the": 9, "tree": 2, "search": 4, "over": 3, "stepped": 1}
    >>> is_compound("tree", "search", words), is_compound("over", "stepped", words)
    (True, False)
    >>> is_compound("well", "known", words), is_compound("gov", "ernment", words)
    (True, False)
    """
    if words.get("the", 0) <= sum(words.get(word, 0) for word in _ONE_WORD):
        return False
    *before, last = first.split("-")
    if last in _PREFIXES or second in _ENDINGS:
        return False
    if (last in _COMPOUND_FIRST and len(second) >= MIN_HALF) or second in _COMPOUND_SECOND:
        return True
    both = words.get(last, 0) > 0 and words.get(second.partition("-")[0], 0) > 0
    is_long = (len(last) >= MIN_HALF or last in _SHORT) and len(second) >= MIN_HALF
    return both and (is_long or bool(before))
