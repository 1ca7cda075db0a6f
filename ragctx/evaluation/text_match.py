"""Whether one text contains another, copies it or is nearly the same, as far as answers go.

All functions compare words (`words_of`): case, articles and forms of letters do not count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from ragctx.text.folding import folded, plain_text
from ragctx.text.folding import plain as plain_letters
from ragctx.text.words import words_of

FEWEST_COPIED_WORDS = 8
"""Fewer equal words in a row may be chance; chosen by hand."""
COPIED_SHARE = 0.8
"""The share of a question's words, in a row, from which it repeats its passage; chosen by hand."""


def plain(text: str) -> str:
    """The words of a text with blanks between: the same for texts that differ in details only."""
    return " ".join(words_of(text))


def holds_any(text: str, phrases: Iterable[str]) -> bool:
    """Whether the text contains any of the phrases, as whole words.

    A phrase without words, such as "&&", is looked for as it is; a blank one is in no text.

    >>> holds_any("Tin melts at 232 degrees.", ["232"]), holds_any("In 1232 it fell.", ["232"])
    (True, False)
    >>> holds_any("Use && or ||.", ["&&"])
    True
    """
    within = f" {plain(text)} "
    for phrase in phrases:
        wanted = plain(phrase)
        bare = folded(phrase.strip())
        if f" {wanted} " in within if wanted else bare and bare in folded(text):
            return True
    return False


def place_of(phrase: str, text: str) -> tuple[int, int] | None:
    """Where a text first has a phrase, whatever its case and the form of its letters.

    >>> text = "Half a KILO of ﬂour"
    >>> text[slice(*(place_of("kilo of flour", text) or (0, 0)))]
    'KILO of ﬂour'
    """
    made = plain_text(text)
    found = re.search(re.escape(plain_letters(phrase)), made.text, re.IGNORECASE)
    return made.origin(*found.span()) if found and found[0] else None


def longest_shared_run(one: str, other: str) -> int:
    """The length in words of the longest run that two texts share.

    >>> longest_shared_run("The old hall holds 40 people.", "Each hall holds 40 people or more.")
    4
    """
    these, those = words_of(one), words_of(other)
    longest, runs = 0, [0] * (len(those) + 1)  # runs[j]: words shared that end at those[j - 1]
    for word in these:
        before = 0
        for j, candidate in enumerate(those, start=1):
            run = before + 1 if word == candidate else 0
            before, runs[j] = runs[j], run
            longest = max(longest, runs[j])
    return longest


def copied_words(question: str, passage: str) -> int:
    """How many words in a row a question repeats from a passage; 0 where too few make a copy.

    >>> copied_words(
    ...     "Who left the old hall in the cold night of 4 May?",
    ...     "Roth left the old hall in the cold night of 4 May.",
    ... )
    9
    """
    run = longest_shared_run(question, passage)
    enough = max(FEWEST_COPIED_WORDS, COPIED_SHARE * len(words_of(question)))
    return run if run >= enough else 0


def alike_to_earlier(texts: Sequence[str], jaccard: float) -> Iterator[tuple[int, int]]:
    """Pairs i < j of indices: for each text that is alike to an earlier one, one of those.

    Alike are texts whose sets of words have at least this Jaccard similarity, above 0 and at most
    1. Exact, by prefix filtering: two sets as alike as that share one of their rarest words
    (Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007). One earlier text
    is enough, so that a thousand nearly equal texts are not compared in pairs.

    >>> list(alike_to_earlier(["how old is it", "how old it is", "it is how old", "who?"], 0.8))
    [(0, 1), (0, 2)]
    """
    sets = [frozenset(words_of(text)) for text in texts]
    counts = Counter(word for words in sets for word in words)
    holders: dict[str, list[int]] = defaultdict(list)
    for j, words in enumerate(sets):
        rarest_first = sorted(words, key=lambda word: (counts[word], word))
        prefix = rarest_first[: len(words) - ceil(jaccard * len(words)) + 1]
        seen: set[int] = set()
        for i in (i for word in prefix for i in holders[word]):
            if i not in seen and len(sets[i] & words) >= jaccard * len(sets[i] | words):
                yield i, j
                break
            seen.add(i)
        for word in prefix:
            holders[word].append(j)
