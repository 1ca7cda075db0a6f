"""Words: those by which texts are compared, and those of lexical search.

For search, what of a passage is indexed, and which query a question becomes: FTS5's unicode61
tokenizer takes a run of letters for one word. Chinese and Japanese write without spaces, so a whole
sentence would be one word; here such runs become overlapping pairs of characters, in passages and
questions alike.
"""

from __future__ import annotations

import re

_UNSPACED = re.compile("[\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
                       "\U00020000-\U000323af]+")  # fmt: skip
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset(("a", "an", "the"))
_MOST_WORDS = 256  # of one question; FTS5 limits the depth of a query

STOP_WORDS = frozenset(
    "a about also am an and any are as at be been being but by can could did do does doing for "
    "from had has have having he her here hers him his how i if in into is it its itself me my of "
    "on or our ours she should so some such than that the their theirs them then there these they "
    "this those to us was we were what when where which who whom whose why will with would you "
    "your yours".split()
)
"""English words that say nothing about a passage. A question made only of them keeps them."""


def words_of(text: str) -> list[str]:
    """The words of a text, in order: letters, digits and underscores in a row, no articles.

    >>> words_of("The “Tin” melts at 1,232.5 degrees")
    ['tin', 'melts', 'at', '1', '232', '5', 'degrees']
    """
    return [word for word in _WORD.findall(text.casefold()) if word not in _ARTICLES]


def spaced(text: str) -> str:
    """The text with runs of Chinese and Japanese cut into overlapping pairs.

    >>> spaced("in 東京都.")
    'in  東京 京都 都 .'
    """
    return _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


def match_expression(question: str) -> str:
    """An FTS5 query for passages with any of the question's words; "" when it has none.

    Every word is quoted and holds only letters, digits and underscores, so nothing in a question
    is ever FTS5 syntax.

    >>> match_expression('What is a "boiling point"? NEAR(x*)')
    '"boiling" OR "point" OR "near" OR "x"'
    >>> match_expression("東京 犬")
    '"東京" OR "犬"*'
    """
    words = dict.fromkeys(word for part in _WORD.findall(question.lower()) for word in _parts(part))
    telling = [word for word in words if word not in STOP_WORDS] or list(words)
    return " OR ".join(_quoted(word) for word in telling[:_MOST_WORDS])


def _parts(word: str) -> list[str]:
    """The word itself, or the pairs of its unspaced runs and what stands between them."""
    parts: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        pairs = _pairs(run[0])
        parts += [word[end : run.start()], *(pairs[:-1] or pairs)]
        end = run.end()
    return [part for part in (*parts, word[end:]) if part]


def _pairs(run: str) -> list[str]:
    """Overlapping pairs, then the last character alone, so that each begins some word."""
    return [run[i : i + 2] for i in range(len(run))]


def _quoted(word: str) -> str:
    one_sign = len(word) == 1 and _UNSPACED.fullmatch(word)
    return f'"{word}"*' if one_sign else f'"{word}"'
