"""Where sentences begin and end, by rule, in text that came out of a PDF.

Two questions are answered in turn. Which line ends are real (a heading, a table row, the end of a
paragraph), and which only wrapped the line? And within each run of wrapped lines: which full stops
end a sentence, and which belong to an abbreviation, a number, an initial or an ellipsis?

Thresholds were chosen by hand on the texts of the test collection.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ragctx.errors import InputError
from ragctx.text.line_shapes import (
    CLOSERS,
    NEIGHBOURS,
    begins_bullet,
    begins_item,
    ends_sentence,
    is_lone_marker,
    is_spaceless,
    is_table_row,
)

Break = Literal["paragraph", "line", "sentence"]
"""What ends a sentence: a blank line or a full stop at a real line end; a real line end without a
full stop (heading, table row, list item); a full stop within a paragraph."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, heading, table row or list item: `text[start:end]`, no whitespace at its ends."""

    start: int
    end: int
    after: Break


def split_sentences(text: str) -> list[Sentence]:
    r"""Every sentence of `text`, in order. Between two of them there is only whitespace.

    >>> [s.after for s in split_sentences("A Heading\n\nDr. No came. He left.")]
    ['paragraph', 'sentence', 'paragraph']
    """
    sentences = []
    for start, end, blank_after in _paragraphs(text):
        ends = [*_stops(text, start, end), end]
        for i, stop in enumerate(ends):
            after: Break = "sentence"
            if i == len(ends) - 1:
                after = "paragraph" if blank_after or ends_sentence(text, start, end) else "line"
            sentences.append(Sentence(start, stop, after))
            start = _skip_space(text, stop, end)
    return sentences


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of every sentence; each character that is not whitespace is in exactly one.

    >>> text = "Pi is 3.14, e.g. in the U.S. army. Is it? Yes!"
    >>> [text[a:b] for a, b in sentence_spans(text)]
    ['Pi is 3.14, e.g. in the U.S. army.', 'Is it?', 'Yes!']
    """
    return [(sentence.start, sentence.end) for sentence in split_sentences(text)]


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of all sentences that `text[start:end]` touches; (start, end) if it touches none.

    All of `text` is split for it, so give a page or a passage, not a whole manual.

    Raises:
        InputError: `start` and `end` are not a span of `text`.

    >>> text = "It rained. The dog slept. We left."
    >>> text[slice(*sentence_around(text, 15, 18))]
    'The dog slept.'
    """
    if not 0 <= start <= end <= len(text):
        raise InputError(
            f"({start}, {end}) is not a span of a text of {len(text)} characters. "
            "Give 0 <= start <= end <= len(text)."
        )
    spans = sentence_spans(text)
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, max(end, start + 1), key=lambda span: span[0]) - 1
    return (spans[first][0], spans[last][1]) if first <= last else (start, end)


# ---- Lines -----------------------------------------------------------------------------------

FULL_PERCENTILE = 0.7
"""A full line is as long as this share of the lines around it, or longer."""
ROOM = 0.85
"""The next word would have fitted if the line were then no longer than this share of a full one:
letters differ in width, so lines of equal width differ in length."""
SHORT = 0.4
"""A line shorter than this share of a full one was ended by its author, whatever follows."""

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    start: int
    end: int
    text: str
    blank_after: bool


def _lines(text: str) -> list[_Line]:
    """The lines that are not blank, without the whitespace at their ends."""
    spans = []
    for match in _LINE.finditer(text):
        line = match.group().rstrip()
        if line:
            start = match.start() + len(line) - len(line.lstrip())
            spans.append((start, match.start() + len(line)))
    lines = []
    for i, (start, end) in enumerate(spans):
        following = spans[i + 1][0] if i + 1 < len(spans) else len(text)
        blank = i + 1 == len(spans) or len(_LINE_END.findall(text, end, following)) > 1
        lines.append(_Line(start=start, end=end, text=text[start:end], blank_after=blank))
    return lines


def _paragraphs(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether a blank line follows) of every run of lines that were only wrapped."""
    lines = _lines(text)
    lengths = [len(line.text) for line in lines]
    start = 0
    for i, line in enumerate(lines):
        if line.blank_after or _is_real_end(line.text, lines[i + 1].text, _width(lengths, i)):
            yield lines[start].start, line.end, line.blank_after
            start = i + 1


def _width(lengths: list[int], i: int) -> int:
    """How long a full line is around line i, in characters: a high percentile, not the longest.

    Where a hyphenated word was joined, two lines have become one.
    """
    around = sorted(lengths[max(0, i - NEIGHBOURS) : i + NEIGHBOURS + 1])
    return around[math.ceil(FULL_PERCENTILE * (len(around) - 1))]


def _is_real_end(line: str, following: str, width: int) -> bool:
    """Whether the line was ended by its author, not by the width of the page.

    What tells: the first word of the next line would have fitted on this one. `width` is the length
    of a full line, in characters.
    """
    if is_lone_marker(line):
        return False
    if begins_bullet(following) or line[-1] in "{}" or is_table_row(line, following):
        return True
    word = following[0] if is_spaceless(following[0]) else following.split(None, 1)[0]
    fits = len(line) + 1 + len(word) <= ROOM * width
    # Narrower than `ends_clause`, with which 80 sentences of the test collection would change.
    if begins_item(following) and (fits or line[-1] in ".:;!?"):
        return True
    if not fits or line[-1] in ",-":
        return False
    goes_on = following[0].islower() and line[-1] != ":" and not ends_sentence(line)
    return not (goes_on and len(line) >= SHORT * width)


# ---- Full stops ------------------------------------------------------------------------------

_CLOSERS = rf"[{re.escape(CLOSERS)}]*"
_NOTES = r"(?:\[\d{1,3}(?:[,–-]\s?\d{1,3})*\])*"  # "word.[12] Next"
_SPACELESS_STOPS = "。！？｡।॥؟۔።"
_STOP = re.compile(  # what begins with a set is sought quickly
    rf"[.!?…{_SPACELESS_STOPS}](?:"
    rf"(?<=[.!?…])(?<![.!?…][.!?…])[.!?…]*{_CLOSERS}{_NOTES}(?=\s)"
    rf"|(?<=[a-z)]\.)\d{{1,2}}(?=\s+[A-Z])"  # a footnote mark: "word.12 Next"
    rf"|(?<=[{_SPACELESS_STOPS}])[{_SPACELESS_STOPS}]*{_CLOSERS})"  # they need no space
)
_WORD_BEFORE = re.compile(r"\S{0,24}\Z")
_WORD = re.compile(r"\w+")

_NEVER_LAST = frozenset(
    "mr mrs ms dr prof rev hon gen col capt lt sgt st mt messrs e.g i.e eg ie cf vs viz approx ca "
    "resp incl esp ibid z.b d.h u.a s.o bzw vgl sr sra mme mlle".split()
)
"""Abbreviations that want something after them, so never end a sentence."""
_BEFORE_NUMBER = frozenset(
    "al no nos nr fig figs sec secs sect ch chap eq eqs ref refs p pp vol vols art par para tab "
    "app abs ed eds jan feb mar apr jun jul aug sep sept oct nov dec supp cum stat cir ver".split()
)
"""Abbreviations before a number or bracket; before anything else they may be words ("No.")."""
_STARTERS = frozenset(
    "the this that these those it its he she we they you i a an in on at if when while for from "
    "but and or so as however there here then thus also to what why how who where our their his "
    "her each all some most many one no not with by after before since although because".split()
)
"""Words that, capitalised after "U.S." or an initial, begin a new sentence."""
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_SECTION = re.compile(r"\d{1,2}(?:\.\d{1,2}){2,}")  # "3.2.1. Title"
_ROMAN = re.compile(r"[IVXLC]+")
_ITEM_NUMBER = re.compile(r"\(?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,5})")
_MONTHS = frozenset(
    "januar februar märz april mai juni juli august september oktober november dezember "
    "jahrhundert".split()
)
"""German writes "am 3. Mai"."""


def _stops(text: str, start: int, end: int) -> Iterator[int]:
    """Offsets just after each sentence of `text[start:end]`, but for the last."""
    for match in _STOP.finditer(text, start, end):
        following = _skip_space(text, match.end(), end)
        if following < end and _ends_sentence(text, start, match, following, end):
            yield match.end()
            start = following


def _ends_sentence(text: str, start: int, match: re.Match[str], following: int, end: int) -> bool:
    """Whether the stop that `match` found ends the sentence that began at `start`."""
    mark, first = match.group(), text[following]
    if mark[0] not in ".!?…":
        return True
    if first.islower() or first in ",;:.)]}…":
        return False
    if mark.count(".") > 3:  # a row of dots leads the eye to a page number
        return False
    if mark.rstrip(CLOSERS) != ".":
        return True
    word = _WORD_BEFORE.search(text, max(start, match.start() - 24), match.start())
    before = word.group().lstrip("([{\"'“‘«") if word else ""
    after = _WORD.match(text, following, end)
    return _ends_after(
        before, after.group() if after else "", first, _at_line_start(text, start, word)
    )


def _ends_after(before: str, after: str, first: str, at_line_start: bool) -> bool:
    """Whether a full stop between the words `before` and `after` ends the sentence."""
    lowered = before.lower()
    if not before:  # " . ": a row of spaced dots, or a stop set apart
        return first.isupper()
    if lowered in _NEVER_LAST or _SECTION.fullmatch(before):
        return False
    if at_line_start and _ITEM_NUMBER.fullmatch(before):
        return False
    if lowered in _BEFORE_NUMBER:
        return not (first.isdigit() or _ROMAN.fullmatch(after) or first in "(§")
    if _ACRONYM.fullmatch(before):
        return after.lower() in _STARTERS and first.isupper()
    return not (before.isdigit() and len(before) < 3 and after.lower() in _MONTHS)


def _at_line_start(text: str, start: int, word: re.Match[str] | None) -> bool:
    """Whether the word is at the beginning of a sentence or a line."""
    if word is None:
        return False
    at = word.start()
    while at > start and text[at - 1] in " \t":
        at -= 1
    return at == start or text[at - 1] in "\n\r"


def _skip_space(text: str, start: int, end: int) -> int:
    """The first offset from `start` that holds no whitespace, or `end`."""
    while start < end and text[start].isspace():
        start += 1
    return start
