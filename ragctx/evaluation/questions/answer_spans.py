"""The parts of a sentence that a question can ask for: numbers, dates, names and terms. By rule.

Sentences must have single spaces (`" ".join(text.split())`). The rules know English units and
function words; numbers and names are found in any language with spaces and capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from ragctx.text.words import STOP_WORDS

SpanKind = Literal["year", "month", "date", "percent", "money", "number", "name", "term"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpan:
    """`sentence[start:end]`, a possible answer; `unit` is what a number counts, e.g. "litres"."""

    start: int
    end: int
    kind: SpanKind
    unit: str = ""


PREPOSITIONS = frozenset(
    "about above across after against along among around as at before behind below between beyond "
    "by during every for from in inside into near of off on onto over per since than through "
    "throughout to toward towards under unlike until upon via with within without despite".split()
)
ARTICLES = frozenset(("a", "an", "the"))
CLOSED_CLASS = (
    STOP_WORDS
    | PREPOSITIONS
    | frozenset(
        "again all although always another because been both cannot each either even few further "
        "how however just least less many may might more most much must neither never no nor not "
        "now often once one only other others otherwise own rather same several shall since still "
        "though thus too two unless very well whether while whose yet".split()
    )
)
"""Function words: they bind a sentence together and mean little by themselves."""

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DATE = rf"\d{{1,2}} {_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,2}}(?:, \d{{4}})?"
_FIGURE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SCALE = r"(?: (?:thousand|million|billion|trillion))?"
_NUMBER = re.compile(
    rf"(?<![\w.,/§#–-])(?:(?P<date>{_DATE})|(?P<month>{_MONTH} \d{{4}})"
    rf"|(?P<money>(?:US)?[$€£¥] ?(?:{_FIGURE}){_SCALE})"
    rf"|(?P<percent>(?:{_FIGURE})(?: ?%| per ?cent\b))|(?P<number>(?:{_FIGURE}){_SCALE}))"
    r"(?![\w/–-]|[.,:]\d)"
)
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")
_UNIT = re.compile(r" (([a-zµ°][\w²³/°-]*|[kMG]?(?:Hz|Pa|W|V|B|J)|°C|K|A)(?![\w’'-]))")
_MOST_UNIT_WORDS = 3  # "active library members"; chosen by hand
_MOST_NAME_WORDS = 5  # longer runs of capitals are titles and headings; chosen by hand
_SHORTEST_NAME = 3  # characters; chosen by hand
_TERM_WORDS = (2, 3)  # fewest and most: one word ("the change") is seldom specific; by hand
_REFERENCE_REACH = 16  # characters before a number in which "section " and the like may be
_REFERENCE = re.compile(
    r"(?:\b(?:section|sect|chapter|figure|fig|table|page|pages|equation|eq|appendix|part|step|"
    r"item|note|rule|article|clause|paragraph|line|version|release|no|nr|vol|level|type|class|"
    r"form|model|id|code|exhibit|schedule|act|title|usc|bug)\.? ?|[§#(\[])\Z",
    re.IGNORECASE,
)
_CAPITALISED = r"[A-Z][\w’'&.-]*[\w]|[A-Z]"
_NAME = re.compile(
    rf"\b(?:{_CAPITALISED})(?: (?:(?:of|de|van|von|la|der|du) )?(?:{_CAPITALISED}))*(?![\w-])"
)
_WITHIN_NO_NAME = frozenset("The This These It In On At If When We You For As A An".split())
"""A capital begins a sentence with these: the name ended before, and a full stop is missing."""
_OF_NAME = re.compile(r" of the [A-Z]")
_NUMBERED = re.compile(r" \d")  # "Part 4" is a place in a book
_TERM_START = re.compile(r"\b(?:the|a|an) (?=[a-z])", re.IGNORECASE)
_TERM_WORD = re.compile(r"[a-z][a-z-]+[a-z](?![\w’'])")
_INFLECTED = re.compile(r"[^sui]s\Z")  # a plural, or a verb as in "the quay decides"
_VAGUE = frozenset(
    "interesting version previous preceding fourth fifth sixth section chapter "
    "similar different following first second third last next same appropriate particular certain "
    "simple simplest single great good best better important real common special whole entire "
    "current possible necessary little hard corresponding main major general given long short "
    "high low large small new old "
    "way place step part example case point time fact kind sort number lot thing reason result "
    "question concern idea word side end set state form change problem purpose level matter".split()
)
"""Words that make a term too vague for an answer: "a similar concern", "the simplest way"."""
_VERBAL = re.compile(r"(?:ing|ed|ly|ise|ize|ous|ful|ive|able|ible|est)\Z")


def answer_spans(sentence: str) -> list[AnswerSpan]:
    """Every span of the sentence that can be asked for, in order and without overlaps.

    >>> text = "The boiler was built by Amelie Roth in 1931 and holds 400 litres."
    >>> [(text[s.start : s.end], s.kind, s.unit) for s in answer_spans(text)]
    [('Amelie Roth', 'name', ''), ('1931', 'year', ''), ('400', 'number', 'litres')]
    """
    kept: list[AnswerSpan] = []
    for span in chain(_numbers(sentence), _names(sentence), _terms(sentence)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def _numbers(sentence: str) -> Iterator[AnswerSpan]:
    for match in _NUMBER.finditer(sentence):
        start, end = match.span()
        if _is_reference(sentence, start):
            continue
        kind = match.lastgroup
        if kind == "date":
            yield AnswerSpan(start=start, end=end, kind="date")
        elif kind == "month":
            yield AnswerSpan(start=start, end=end, kind="month")
        elif kind == "money":
            yield AnswerSpan(start=start, end=end, kind="money")
        elif kind == "percent":
            yield AnswerSpan(start=start, end=end, kind="percent")
        else:
            yield from _counted(sentence, start, end)


def _counted(sentence: str, start: int, end: int) -> Iterator[AnswerSpan]:
    """A year or a number of something; nothing for a bare number, which means too little."""
    before = sentence[:start].split()[-1:]
    if _YEAR.fullmatch(sentence, start, end):
        if before and before[0].lower() in PREPOSITIONS and _closes(sentence, end):
            yield AnswerSpan(start=start, end=end, kind="year")
        return
    unit_end = end
    for _ in range(_MOST_UNIT_WORDS):
        word = _UNIT.match(sentence, unit_end)
        if word is None or word[1] in CLOSED_CLASS:
            break
        unit_end = word.end()
    if unit_end > end:
        yield AnswerSpan(start=start, end=end, kind="number", unit=sentence[end + 1 : unit_end])


def _is_reference(sentence: str, start: int) -> bool:
    """Whether the number is part of a name ("Section 4") rather than a count."""
    return _REFERENCE.search(sentence, max(0, start - _REFERENCE_REACH), start) is not None


def _names(sentence: str) -> Iterator[AnswerSpan]:
    """Runs of capitalised words; a single one at the start of a sentence may be any word."""
    for match in _NAME.finditer(sentence):
        start, end = match.span()
        if match[0].endswith(("’s", "'s")):
            end -= len("'s")
        words = match[0].split()
        if len(words) > _MOST_NAME_WORDS or re.fullmatch(_MONTH, match[0]):
            continue
        if sentence[max(0, start - 2) : start - 1].isdigit() or _WITHIN_NO_NAME.intersection(words):
            continue  # "MAX" of "737 MAX" tells too little
        if start == 0 and (len(words) == 1 or words[0].lower() in CLOSED_CLASS):
            continue
        if _OF_NAME.match(sentence, end):  # "Department" of "Department of the Treasury"
            continue
        before = sentence[:start].rstrip() or " "
        if before[-1] in "\"“‘'(:.[/*" or _NUMBERED.match(sentence, end):
            continue
        if end - start < _SHORTEST_NAME:
            continue
        yield AnswerSpan(start=start, end=end, kind="name")


def _terms(sentence: str) -> Iterator[AnswerSpan]:
    """The words from an article to the next function word: "the (desiccant cabinet) in"."""
    for match in _TERM_START.finditer(sentence):
        words, end = [], match.end()
        while word := _TERM_WORD.match(sentence, end):
            if word[0] in CLOSED_CLASS:
                break
            words.append(word)
            end = word.end() + sentence.startswith(" ", word.end())
        if words and _is_specific([word[0] for word in words]):
            if _closes(sentence, words[-1].end()):
                yield AnswerSpan(start=match.end(), end=words[-1].end(), kind="term")


def _is_specific(words: list[str]) -> bool:
    if not _TERM_WORDS[0] <= len(words) <= _TERM_WORDS[1] or _VAGUE.intersection(words):
        return False
    if any(_VERBAL.search(word) for word in words[1:]):
        return False
    return not any(_INFLECTED.search(word) for word in words)


def _closes(sentence: str, end: int) -> bool:
    """Whether the noun phrase ends here: with the clause, or before a function word."""
    rest = sentence[end:].split()
    return not sentence[end:].startswith(" ") or (bool(rest) and rest[0] in CLOSED_CLASS)
