"""Words: those by which texts are compared, and those of lexical search.

FTS5's unicode61 tokenizer, which lexical search uses, takes a run of letters for one word. Chinese
and Japanese are written without spaces, so a whole sentence would be one word; here such runs
become overlapping pairs of characters, in passages and questions alike.
"""

from __future__ import annotations

import re

from ragctx.text.folding import folded, plain

UNSPACED = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+"
)
WORD = re.compile(r"\w+")
_ARTICLES = frozenset(("a", "an", "the"))

STOP_WORDS = frozenset(
    "a about also am an and any are as at be been being but by can could did do does doing for "
    "from had has have having he her here hers him his how i if in into is it its itself me my of "
    "on or our ours she should so some such than that the their theirs them then there these they "
    "this those to us was we were what when where which who whom whose why will with would you "
    "your yours".split()
)
"""English words too common to tell passages apart. A question made only of them keeps them."""


def words_of(text: str) -> list[str]:
    """The words of a text, in order: letters, digits and underscores in a row, no articles.

    They are in the form in which texts are compared (`folding.folded`).

    >>> words_of("The “Tin” melts at 1,232.5 ﬂat degrees")
    ['tin', 'melts', 'at', '1', '232', '5', 'flat', 'degrees']
    """
    return [word for word in WORD.findall(folded(text)) if word not in _ARTICLES]


def compared_words(text: str) -> list[str]:
    """The words of a text with its articles, otherwise as `words_of` gives them.

    >>> compared_words("The ﬁrst １２")
    ['the', 'first', '12']
    """
    return WORD.findall(folded(text))


def singular(word: str) -> str:
    """A word without the s of a plural or a verb.

    >>> singular("litres"), singular("gas"), singular("glass")
    ('litre', 'gas', 'glass')
    """
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def spaced(text: str) -> str:
    """The text with runs of Chinese and Japanese cut into overlapping pairs.

    >>> spaced("in 東京都.")
    'in  東京 京都 都 .'
    """
    return UNSPACED.sub(lambda run: f" {' '.join(overlapping_pairs(run[0]))} ", text)


def searchable(text: str) -> str:
    """The text in the form in which lexical search finds it.

    That is plain letters for full-width, raised, mathematical and joined ones ("ＡＢ", "m²", "㎏"),
    "ss" for "ß", and runs of Chinese and Japanese cut as `spaced` cuts them.

    >>> searchable("５ ㎏ of ﬂour"), searchable("Straße"), searchable("Tin")
    ('5 kg of flour', 'strasse', 'Tin')
    """
    letters, in_one_case = plain(text), folded(text)
    return spaced(letters if in_one_case == letters.lower() else in_one_case)


def overlapping_pairs(run: str) -> list[str]:
    """Overlapping pairs, then the last character alone, so that each begins some word."""
    return [run[i : i + 2] for i in range(len(run))]
