"""Page texts as a person would type them: no ligature glyphs, no broken words, no running heads.

Pure functions on text. All of it happens before a document's page table is made, so offsets into
`Document.text` are exact ever after.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_HYPHEN = "\u2027"  # stands for "the word goes on in the next line" while a page is cleaned
_PRESENTATION = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
_BROKEN_WORD = re.compile(r"(\w+)(?:-|\u2010)[ \t]*\n[ \t]*(\w+)")
_MARKED_WORD = re.compile(rf"(\w*){_HYPHEN}[ \t]*\n?[ \t]*(\w*)")
_WORD = re.compile(r"\w+(?:-\w+)*")
_PAGE_NUMBER = re.compile(r"\W*(?:page\s*)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:of|/)\s*\d{1,4})?\W*", re.I)

EDGE_LINES = 3
"""Running heads and feet are looked for in this many lines at either end of a page."""
MIN_PAGES = 6
"""Documents with fewer pages keep all their lines."""


def normalise_pages(pages: Sequence[str]) -> list[str]:
    """The pages' texts, cleaned together, because what repeats tells what is no content.

    >>> normalise_pages(["The of\\ufb01ce is reader-\\r\\nfriendly."])
    ['The office is readerfriendly.']
    >>> normalise_pages(["A reader-friendly text is reader-\\nfriendly."])
    ['A reader-friendly text is reader-friendly.']
    """
    cleaned = [clean_characters(page) for page in pages]
    words = Counter(word.lower() for page in cleaned for word in _WORD.findall(page))
    joined = [join_broken_words(page, words) for page in cleaned]
    return [tidy_lines(page) for page in drop_running_lines(joined)]


def clean_characters(text: str) -> str:
    """Letters instead of ligatures and presentation forms, composed accents, plain spaces.

    >>> clean_characters("ef\\ufb01cient caf\\u0065\\u0301\\xa0now")
    'efficient café now'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x02", _HYPHEN)
    text = text.replace("\ufffe", _HYPHEN).replace("\xad\n", _HYPHEN + "\n").replace("\xad", "")
    text = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _CONTROL.sub("", text).replace("\u2028", "\n").replace("\u2029", "\n\n")
    text = re.sub("[\xa0\u2000-\u200a\u202f\u205f]", " ", text)
    return unicodedata.normalize("NFC", text)


def join_broken_words(text: str, words: Counter[str]) -> str:
    """Undo hyphens at line ends. `words` counts the document's words, lower case.

    A hyphen stays where the document writes the word with one elsewhere, or where the next line
    does not go on in lower case; else the halves are one word.
    """

    def join(match: re.Match[str]) -> str:
        first, second = match[1], match[2]
        hyphenated = f"{first}-{second}"
        if words[(first + second).lower()]:
            return first + second
        if words[hyphenated.lower()] or not second[:1].islower() or first[-1:].isdigit():
            return hyphenated
        return first + second

    text = _MARKED_WORD.sub(join, text)
    return _BROKEN_WORD.sub(join, text)


def drop_running_lines(pages: Sequence[str]) -> list[str]:
    """Remove heads and feet: lines at a page's edge that stand, digits apart, on many pages.

    Many: a third of the pages, and at least three. Lone page numbers at the edge go too.
    """
    lines = [page.split("\n") for page in pages]
    if len(pages) < MIN_PAGES:
        return list(pages)
    seen = Counter(key for page in lines for key in {_key(page[i]) for i in _edges(page)})
    many = max(3, len(pages) // 3)
    return ["\n".join(_without_running(page, seen, many)) for page in lines]


def tidy_lines(text: str) -> str:
    """Single spaces, no space at line ends, at most one empty line in a row."""
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def garbled_share(text: str) -> float:
    """Share of characters that are no text: private use, unassigned, replacement characters.

    >>> garbled_share("sound text"), garbled_share("\\ue001\\ue002")
    (0.0, 1.0)
    """
    characters = [character for character in text if not character.isspace()]
    if not characters:
        return 0.0
    bad = sum(
        character == "\ufffd" or unicodedata.category(character) in ("Co", "Cn", "Cs", "Cc")
        for character in characters
    )
    return bad / len(characters)


def _edges(lines: Sequence[str]) -> list[int]:
    filled = [i for i, line in enumerate(lines) if line.strip()]
    return sorted({*filled[:EDGE_LINES], *filled[-EDGE_LINES:]})


def _key(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", " ".join(line.lower().split()))


def _without_running(lines: list[str], seen: Counter[str], many: int) -> list[str]:
    edges = _edges(lines)
    running = {i for i in edges if seen[_key(lines[i])] >= many and len(lines[i]) < 120}
    outer = {edges[0], edges[-1]} if edges else set()
    running |= {i for i in outer if _PAGE_NUMBER.fullmatch(lines[i].strip())}
    if len(running) == len([line for line in lines if line.strip()]):
        return lines  # a page of nothing else keeps it: better a head too many than no page
    return [line for i, line in enumerate(lines) if i not in running]
