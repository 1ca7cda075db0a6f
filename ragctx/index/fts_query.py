"""A question as a query of SQLite's full-text index (FTS5)."""

from __future__ import annotations

import re

from ragctx.text.composition import composed
from ragctx.text.folding import folded
from ragctx.text.words import STOP_WORDS, UNSPACED, WORD, overlapping_pairs

_MOST_WORDS = 256  # of one question; FTS5 limits the depth of a query. Chosen by hand
_LOOSE_ACCENTS = re.compile("[\u0300-\u0331]")  # which FTS5 counts as a part of the word, and drops


def match_expression(question: str) -> str:
    """An FTS5 query for passages with any of the question's words; "" when it has none.

    Every word is quoted and holds only letters, digits and underscores, so nothing in a question
    is ever FTS5 syntax.

    >>> match_expression('What is a "boiling point"? NEAR(x*)')
    '"boiling" OR "point" OR "near" OR "x"'
    >>> match_expression("東京 犬")
    '"東京" OR "犬"*'
    >>> match_expression("Mu\\N{COMBINING DIAERESIS}ller")  # as macOS writes it
    '"müller"'
    >>> match_expression("Straße")  # an index of ragctx 0.1 has it as it is written
    '"strasse" OR "straße"'
    """
    plain = folded(question), composed(question).lower()
    words = dict.fromkeys(
        word
        for form in dict.fromkeys(plain)
        for part in WORD.findall(_LOOSE_ACCENTS.sub("", form))
        for word in _parts(part)
    )
    content_words = [word for word in words if word not in STOP_WORDS] or list(words)
    return " OR ".join(_quoted(word) for word in content_words[:_MOST_WORDS])


def _parts(word: str) -> list[str]:
    """The word itself, or the pairs of its Chinese and Japanese runs and what is between them."""
    parts: list[str] = []
    end = 0
    for run in UNSPACED.finditer(word):
        pairs = overlapping_pairs(run[0])
        parts += [word[end : run.start()], *(pairs[:-1] or pairs)]
        end = run.end()
    return [part for part in (*parts, word[end:]) if part]


def _quoted(word: str) -> str:
    is_lone_character = len(word) == 1 and UNSPACED.fullmatch(word)
    return f'"{word}"*' if is_lone_character else f'"{word}"'
