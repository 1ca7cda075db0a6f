"""Page texts as a person would type them: no ligature glyphs, no broken words, no running heads.

Pure functions on text, in time linear in its length whatever it holds. All of it happens before a
document's page table is made, so offsets into `Document.text` are exact ever after.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

EDGE_LINES = 3
"""Running heads and feet are looked for in this many lines at either end of a page."""
MIN_PAGES = 6
"""Documents with fewer pages keep all their lines."""
LONGEST_HEAD = 120
"""No line of more characters than this is a running head."""
MARGIN_LINES = 8
"""So many lines that count up by one and hold nothing else are the numbers in a margin."""
MAX_MARKS = 32
"""No letter bears more accents: NFC sorts them in quadratic time."""

_HYPHEN = "\u2027"  # stands for "the word goes on in the next line" while a page is cleaned
_PRESENTATION = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\uffff"  # controls and what is no character
    "\u200b\u2060-\u2064\ufeff\U000e0000-\U000e0fff"  # without width: only machines read them
    "\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # turning the direction of writing
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile("[\xa0\u2000-\u200a\u202f\u205f]")
_UNLETTERED = re.compile(rf"[^\w\s]{{{MAX_MARKS},}}")
_BREAK = re.compile(rf"{_HYPHEN}[ \t]*\n?[ \t]*|(?<=\w)[-\u2010][ \t]*\n[ \t]*(?=\w)")
_LAST_WORD, _NEXT_WORD = re.compile(r"\w*\Z"), re.compile(r"\w{0,64}")
_WORD = re.compile(r"(\w{1,64})(?:-|\u2010)[ \t]*\n[ \t]*(\w{1,64})")
_MARKED_WORD = re.compile(rf"(\w{{0,64}}){_HYPHEN}[ \t]*\n?[ \t]*(\w{{0,64}})")
_WORD = re.compile(r"\w+(?:-\w+)*")
_SAYS_PAGE = re.compile(r"\W*(?:page\s*\d+(?:\s*(?:of|/)\s*\d+)?|\d+\s*of\s*\d+)\W*", re.I)
_ROMAN = re.compile(r"\W*[ivxlc]{1,7}\W*", re.I)
_FIRST_NUMBER = re.compile(r"\W{0,3}(\d{1,5})(?![\d.,])")
_LAST_NUMBER = re.compile(r"(?<![\d.,$€£])(\d{1,5})\W{0,3}$")
_MARGIN = re.compile(r"[A-Z]?(\d{1,3})[A-Z]?")
_LETTER = re.compile(r"[^\W\d_]")  # numbers alone repeat in any table
_GLYPH_NAMES = re.compile(r"(?:/[A-Za-z]{1,3}\d{1,5}){3,}")
_CJK = {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "HALFWIDTH", "FULLWIDTH"}


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
    unnumbered = [drop_margin_numbers(page) for page in joined]
    return [tidy_lines(page) for page in drop_running_lines(unnumbered)]


def clean_characters(text: str) -> str:
    """Letters instead of ligatures and presentation forms, composed accents, plain spaces.

    What nobody sees (controls, marks of direction, tags) is taken out: it could carry words to a
    model that no reader of the page has read.

    >>> clean_characters("ef\\ufb01cient caf\\u0065\\u0301\\xa0now")
    'efficient café now'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x02", _HYPHEN)
    text = text.replace("\ufffe", _HYPHEN).replace("\xad\n", _HYPHEN + "\n").replace("\xad", "")
    text = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))
    text = _SPACE.sub(" ", text.replace("\u2028", "\n").replace("\u2029", "\n\n"))
    return unicodedata.normalize("NFC", _UNLETTERED.sub(_few_marks, text))


def clean_line(text: str) -> str:
    """A title or label: cleaned, on one line.

    >>> clean_line("imagemagick\\x00 \\n \\ufb01le")
    'imagemagick file'
    """
    return " ".join(clean_characters(text).replace(_HYPHEN, "").split())


def join_broken_words(text: str, words: Counter[str]) -> str:
    """Undo hyphens at line ends. `words` counts the document's words, lower case.

    A hyphen stays where the document writes the word with one elsewhere, or where the next line
    does not go on in lower case; else the halves are one word.
    """

    def hyphen(match: re.Match[str]) -> str:
        first = _LAST_WORD.findall(text[max(0, match.start() - 64) : match.start()])[0]
        second = _NEXT_WORD.findall(text, match.end(), match.end() + 64)[0]
        if words[(first + second).lower()]:
            return ""
        if words[f"{first}-{second}".lower()] or not second[:1].islower() or first[-1:].isdigit():
            return "-"
        return ""

    return _BREAK.sub(hyphen, text)


def drop_margin_numbers(text: str) -> str:
    """Remove the numbers that count a page's lines in its margin (transcripts, proofs).

    >>> drop_margin_numbers("Sworn in.\\n" + "\\n".join(map(str, range(1, 26))))
    'Sworn in.'
    """
    kept: list[str] = []
    run: list[str] = []
    last = -1
    for line in [*text.split("\n"), ""]:
        match = _MARGIN.fullmatch(line.strip())
        number = int(match[1]) if match else -1
        if number < 0 or number != last + 1:
            kept += run if len(run) < MARGIN_LINES else []
            run = []
        if number >= 0:
            run.append(line)
        else:
            kept.append(line)
        last = number
    return "\n".join(kept[:-1]) if any(line.strip() for line in kept) else text


def drop_running_lines(pages: Sequence[str]) -> list[str]:
    """Remove heads and feet from the pages' edges.

    Those are lines that hold the page's number (one that counts up with the pages, on at least
    three), and lines that stand at the same end of a third of the pages; of these the first stays.
    """
    if len(pages) < MIN_PAGES:
        return list(pages)
    lines = [page.split("\n") for page in pages]
    numbering = _numbering(lines)
    repeated = _repeated(lines)
    return [
        "\n".join(_without_running(page, i, numbering, repeated)) for i, page in enumerate(lines)
    ]


def tidy_lines(text: str) -> str:
    """Single spaces, no space at line ends, at most one empty line in a row."""
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def garbled_share(text: str) -> float:
    """Share of characters that are no text: private use, unassigned, glyph names.

    >>> garbled_share("sound text"), garbled_share("\\ue001\\ue002"), garbled_share("/g18/g152/g3")
    (0.0, 1.0, 1.0)
    """
    named = sum(len(match[0]) for match in _GLYPH_NAMES.finditer(text))
    bad = filled = 0
    for character, count in Counter(text).items():
        if not character.isspace():
            filled += count
            if character == "\ufffd" or unicodedata.category(character) in _NO_TEXT:
                bad += count
    return min(1.0, (bad + named) / filled) if filled else 0.0


def mixed_share(text: str) -> float:
    """Share of neighbouring letters that are of different scripts, in the first 2,000 characters.

    In a language hardly any are; where a font does not say what its glyphs mean, most are.

    >>> mixed_share("日本語のテキスト text"), mixed_share("ୈೋ৭߲ͷද")
    (0.0, 1.0)
    """
    scripts = [_script(character) for character in text[:2000]]
    pairs = [(a, b) for a, b in itertools.pairwise(scripts) if a and b]
    return sum(a != b for a, b in pairs) / len(pairs) if pairs else 0.0


_NO_TEXT = ("Co", "Cn", "Cs", "Cc")


def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "?").split()[0]
    return "CJK" if first in _CJK else first


def _few_marks(match: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in match[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _edges(lines: Sequence[str], depth: int = EDGE_LINES) -> list[tuple[int, str]]:
    """(line, "head" or "foot") of the outer filled lines."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    feet = filled[max(depth, len(filled) - depth) :]
    return [*((i, "head") for i in filled[:depth]), *((i, "foot") for i in feet)]


def _key(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", " ".join(line.lower().split()))


def _numbers(line: str) -> list[int]:
    """The numbers a line begins and ends with."""
    line = line.strip()
    if len(line) > LONGEST_HEAD:
        return []
    return [
        int(match[1]) for match in (_FIRST_NUMBER.match(line), _LAST_NUMBER.search(line)) if match
    ]


def _numbering(pages: Sequence[Sequence[str]]) -> set[int]:
    """What is added to a page's index to give the number it prints, for each way of counting."""
    counts: Counter[int] = Counter()
    for i, page in enumerate(pages):
        counts.update({n - i for at, _ in _edges(page, 2) for n in _numbers(page[at])})
    many = max(3, len(pages) // 10)
    return {offset for offset, count in counts.items() if count >= many}


def _repeated(pages: Sequence[Sequence[str]]) -> dict[tuple[str, str], int]:
    """Lines that stand at the same end of many pages, and the first page that has each."""
    first: dict[tuple[str, str], int] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for i, page in enumerate(pages):
        keys = {
            (side, _key(page[at])) for at, side in _edges(page) if len(page[at]) <= LONGEST_HEAD
        }
        counts.update(keys)
        for key in keys:
            first.setdefault(key, i)
    many = max(3, len(pages) // 3)
    return {key: first[key] for key, n in counts.items() if n >= many and _LETTER.search(key[1])}


def _without_running(
    lines: list[str], i: int, numbering: set[int], repeated: dict[tuple[str, str], int]
) -> list[str]:
    edges = _edges(lines)
    running = {at for at, side in edges if repeated.get((side, _key(lines[at])), i) < i}
    for at, _ in _edges(lines, 2):
        running |= {at} if any(n - i in numbering for n in _numbers(lines[at])) else set()
    for at, _ in (edges[:1] + edges[-1:]) if edges else []:
        line = lines[at].strip()[:LONGEST_HEAD]
        running |= {at} if _SAYS_PAGE.fullmatch(line) or _ROMAN.fullmatch(line) else set()
    if len(running) == sum(bool(line.strip()) for line in lines):
        return lines  # a page of nothing else keeps it: better a head too many than no page
    return [line for at, line in enumerate(lines) if at not in running]
