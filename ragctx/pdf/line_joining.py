"""The characters of one line, and how a line goes on in the next."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from ragctx.pdf.characters import clean_characters
from ragctx.pdf.compounds import is_compound
from ragctx.text.line_shapes import is_spaceless

HYPHEN = "\ufffe"
"""At the end of a line: a hyphen that, according to the PDF library, only divides a word."""

_LOOSE_ACCENT = re.compile("([¨ˇ˘˚¸ˆ˜])([A-Za-zı])|(´)(ı)")
_COMBINING = dict(zip("¨ˇ˘˚¸ˆ˜´", "\u0308\u030c\u0306\u030a\u0327\u0302\u0303\u0301", strict=True))
_LAST_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]+(?:-\w+){0,8}\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+(?:-\w+)*")
_URL = re.compile(r"(?:\bhttps?:|\bwww\.|://|\S@)(?:\S{0,200}[/_=&?])?\Z")
_ENDS_OF_URL = frozenset(":./@_=&?")  # one of which `_URL` ends with
_URL_AND_STOP = re.compile(r"(?:\bhttps?:|\bwww\.)\S{0,200}\.\Z")
_NEXT_NOTE = re.compile(r"\d{1,3} [A-Z]")
_REST_OF_URL = re.compile(r"[a-z0-9-]{1,63}[./]\w")
_REST_IN_CODE = re.compile(r"[A-Za-z0-9_-]{1,63}[./?=&]")
_LONGEST = 200
"""Characters at a line's end, or at the next line's beginning, in which a word is sought."""


def clean_piece(text: str) -> str:
    """A piece of a line as a person would type it; a dividing hyphen at its end becomes `HYPHEN`.

    >>> clean_piece("the  ef\\ufb01cient na¨ıve co\\xadop\\x07")
    'the efficient naïve coop'
    """
    if text.isascii() and text.isprintable():  # nothing to clean
        return " ".join(text.split())
    text = text.strip()
    divided = text[-1:] in (HYPHEN, "\x02", "\xad")
    text = text[:-1] if divided else text
    if not text.isascii():
        text = _LOOSE_ACCENT.sub(_composed, text)
    cleaned = " ".join(clean_characters(text.replace(HYPHEN, "-").replace("\x02", "-")).split())
    return cleaned + HYPHEN if divided and cleaned else cleaned


def _composed(match: re.Match[str]) -> str:
    """One letter for an accent and a letter, if there is one (TeX sets "ï" as "¨" and "ı")."""
    accent, letter = match[1] or match[3], (match[2] or match[4]).replace("ı", "i")
    whole = unicodedata.normalize("NFC", letter + _COMBINING[accent])
    return whole if len(whole) == 1 else match[0]


def goes_on_as_url(text: str, following: str = "") -> bool:
    """Whether the line ends within a web or mail address, as its next line may show.

    >>> goes_on_as_url("see https://example.org/"), goes_on_as_url("either/")
    (True, False)
    >>> goes_on_as_url("see https://bugs.example.", "org/12"), goes_on_as_url("at www.x.org.", "It")
    (True, False)
    """
    if text[-1:] == "." and _REST_OF_URL.match(following):
        return _URL_AND_STOP.search(text[-_LONGEST:]) is not None
    if text[-1:] not in _ENDS_OF_URL or _NEXT_NOTE.match(following):
        return False
    return _URL.search(text[-_LONGEST:]) is not None


def goes_on_as_url_in_code(text: str, following: str) -> bool:
    """Whether a line of code ends within a web address, and the next begins as one goes on.

    >>> goes_on_as_url_in_code('<link href="https://example.org/4.3/', 'css/a.css">')
    True
    >>> goes_on_as_url_in_code("# https://example.org/api/", 'region = "eu"')
    False
    """
    return _REST_IN_CODE.match(following) is not None and goes_on_as_url(text, following)


def join_broken(text: str, following: str, words: Mapping[str, int]) -> str:
    """`text` and the line that follows it as running text, without a hyphen that divides a word.

    Of "reader-" and "friendly", the hyphen stays if the document (`words` counts its words, in
    lower case) writes the word with a hyphen more often than without, if what follows does not
    begin with a small letter, or if both are words of their own (see `compounds`). The result
    always ends with `following`.

    >>> words = {"reader-friendly": 1}
    >>> join_broken("an exam-", "ple", words), join_broken("reader-", "friendly", words)
    ('an example', 'reader-friendly')
    >>> join_broken("the UTF-", "8 code", {}), join_broken("first", "second", {})
    ('the UTF-8 code', 'first second')
    """
    last = text[-1:]
    if last in ("-", "\u2010", HYPHEN):
        return _without_hyphen(text, last, following, words)
    if goes_on_as_url(text, following) or (last in ("–", "—") and text[-2:-1].isalnum()):
        return text + following
    if is_spaceless(last) and is_spaceless(following[:1]):
        return text + following
    return f"{text} {following}"


def held_together(text: str, following: str) -> str:
    """Two lines of one cell as one line; a hyphen that may divide a word there becomes `HYPHEN`.

    >>> whole_words(held_together("an anti-", "viral drug"), {"anti-viral": 2})
    'an anti-viral drug'
    """
    if text[-1:] in ("-", "\u2010", HYPHEN) and text[-2:-1].isalpha() and following[:1].isalpha():
        return text[:-1] + HYPHEN + following
    return join_broken(text, following, {})


def whole_words(text: str, words: Mapping[str, int]) -> str:
    """A line of which cells have several lines, without the hyphens that divide words there."""
    if HYPHEN not in text or HYPHEN not in text[:-1]:
        return text
    whole, *parts = text[:-1].split(HYPHEN)
    for part in parts:
        whole = join_broken(whole + HYPHEN, part, words)
    return whole + text[-1]


_LINK_OF_CHAIN = re.compile(r"\w-(?:a|an|and|as|by|for|in|of|off|on|or|out|the|to|up)\Z")
"""What "state-of-the-" ends with: words of their own, which no line end divides."""


def _without_hyphen(text: str, last: str, following: str, words: Mapping[str, int]) -> str:
    if last != HYPHEN and text[-2:-1] in ("", " ", "-"):  # a dash, or an option such as "--"
        return f"{text} {following}"
    first, second = _LAST_WORD.search(text[-_LONGEST:-1]), _FIRST_WORD.match(following[:_LONGEST])
    if first is None or second is None:
        return f"{text[:-1]}-{following}"
    joined = words.get((first[0] + second[0]).lower(), 0)
    hyphenated = words.get(f"{first[0]}-{second[0]}".lower(), 0)
    keeps = hyphenated > joined or (
        not joined
        and (
            not second[0][0].islower()
            or is_compound(first[0].lower(), second[0].lower(), words)
            or _LINK_OF_CHAIN.search(text[-_LONGEST:-1]) is not None
        )
    )
    return f"{text[:-1]}{'-' if keeps else ''}{following}"
