"""Characters as a person would type them: letters, not ligature glyphs; nothing invisible.

The functions are pure and take time linear in the length of the text, whatever it holds. They run
before a document's pages are joined, so that offsets into `Document.text` stay exact.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import compress, pairwise
from operator import and_, or_

from ragctx.pdf.symbol_fonts import without_private
from ragctx.text.composition import composed
from ragctx.text.radicals import without_radicals
from ragctx.text.well_formed import well_formed

_HYPHEN = "\u2027"  # "the word goes on in the next line", while a page is cleaned
_PRESENTATION = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\uffff"  # controls and non-characters
    "\u200b\u2060-\u2064\ufeff\U000e0000-\U000e0fff"  # without width: only machines read them
    "\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # turning the direction of writing
)
_SPACE = re.compile("[\xa0\u2000-\u200a\u202f\u205f]")
_GLYPH_NAMES = re.compile(r"(?:/[A-Za-z]{1,3}\d{1,5}){3,}")
_CJK = {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "HALFWIDTH", "FULLWIDTH"}


def clean_characters(text: str) -> str:
    """Letters instead of ligatures and presentation forms, composed accents, plain spaces.

    What nobody sees (controls, marks of direction, tags) is removed: it could bring words to a
    model that no reader of the page can see.

    >>> clean_characters("ef\\ufb01cient caf\\u0065\\u0301\\xa0now")
    'efficient café now'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x02", _HYPHEN)
    text = text.replace("\ufffe", _HYPHEN).replace("\xad\n", _HYPHEN + "\n").replace("\xad", "")
    text = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = without_private(without_radicals(well_formed(_INVISIBLE.sub("", text))))
    text = _SPACE.sub(" ", text.replace("\u2028", "\n").replace("\u2029", "\n\n"))
    return composed(text)


def clean_line(text: str) -> str:
    """A title or label: cleaned, on one line.

    >>> clean_line("imagemagick\\x00 \\n \\ufb01le")
    'imagemagick file'
    """
    return " ".join(clean_characters(text).replace(_HYPHEN, "").split())


def garbled_share(text: str) -> float:
    """Share of characters, 0 to 1, that are not text: private use, unassigned, glyph names.

    >>> garbled_share("sound text"), garbled_share("\\ue001\\ue002"), garbled_share("/g18/g152/g3")
    (0.0, 1.0, 1.0)
    """
    named = sum(len(match[0]) for match in _GLYPH_NAMES.finditer(text))
    if not named and not any(map(_is_no_text, set(text))):
        return 0.0
    counts = Counter(text)
    bad = sum(count for character, count in counts.items() if _is_no_text(character))
    filled = sum(count for character, count in counts.items() if not character.isspace())
    return min(1.0, (bad + named) / filled)


def _is_no_text(character: str) -> bool:
    no_text = character == "\ufffd" or unicodedata.category(character) in _NO_TEXT
    return no_text and not character.isspace()


def mixed_share(text: str) -> float:
    """Share (0 to 1) of neighbouring letters of different scripts, in the first 2,000 characters.

    In text of any language hardly any are; where a font maps glyphs to the wrong letters, most are.

    >>> mixed_share("日本語のテキスト text"), mixed_share("ୈೋ৭߲ͷද")
    (0.0, 1.0)
    """
    scripts = [_script(character) for character in text[:2000]]
    pairs = [(a, b) for a, b in pairwise(scripts) if a and b]
    return sum(a != b for a, b in pairs) / len(pairs) if pairs else 0.0


def torn_share(text: str) -> float:
    """Share of words, 0 to 1, that are single letters of torn words, and hardly ever words.

    They stand beside each other ("N O T I C E"), or after what is no word by itself ("th e"): it
    has a single letter after it wherever the text has it. (A letter alone in its line or among
    words, as in an index, in a drawing, in mathematics, is no part of a torn word.) A text of a few
    words tells nothing.

    >>> torn_share("N O T I C E of th e Board to a l l of them"), torn_share("K, and p in L")
    (0.5, 0.0)
    """
    tokens = [token for line in text.splitlines() for token in (*line.split(), "")]
    count = sum(token.strip(_AROUND).isalpha() for token in tokens)
    if count < _FEW_WORDS:
        return 0.0
    lone = [len(token) == 1 and token.isalpha() for token in tokens]
    beside = map(or_, [False, *lone], [*lone[1:], False])
    after = map(_beginnings(tokens).__contains__, ["", *tokens])
    letters = compress(tokens, map(and_, lone, map(or_, beside, after)))
    return sum(map(_is_no_word, letters)) / count


def _beginnings(tokens: Sequence[str]) -> set[str]:
    """Words of small letters that have a single small letter after them wherever they stand."""
    pairs = [(token, following.strip(_AROUND)) for token, following in pairwise(tokens)]
    before_one = {token for token, end in pairs if len(end) == 1 and end.islower()}
    others = {token for token, end in pairs if not (len(end) == 1 and end.islower())}
    return {t for t in before_one - others if len(t) > 1 and t.isalpha() and t[-1].islower()}


def _is_no_word(letter: str) -> bool:
    return letter not in _WORDS_OF_ONE and letter != letter.swapcase()


_AROUND = ".,:;!?()[]\"'“”„’"
_WORDS_OF_ONE = frozenset("aAàÀIyY")
"""Of English, French, Spanish and Italian; of "e", "o" and "u" there are as many in torn words."""
_FEW_WORDS = 8
_NO_TEXT = ("Co", "Cn", "Cs", "Cc")


def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "?").split()[0]
    return "CJK" if first in _CJK else first
