"""Which words of a sentence are worth asking for: numbers, dates, names, terms. By rule alone.

A sentence is given with single spaces (`" ".join(text.split())`). The rules know English units and
function words; numbers and names are found in any language with spaces and capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ragctx.text.words import STOP_WORDS

SpanKind = Literal["year", "month", "date", "percent", "money", "number", "name", "term"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpan:
    """`sentence[start:end]`. Of a number, `unit` is what is counted: "litres"."""

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
"""Words that bind a sentence together and say little themselves."""

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
_MOST_UNIT_WORDS = 3  # "gigawatt hours", "active library members"
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
_NUMBERED = re.compile(r" \d")  # "Part 4" names a place in a book
_TERM_START = re.compile(r"\b(?:the|a|an) (?=[a-z])", re.IGNORECASE)
_TERM_WORD = re.compile(r"[a-z][a-z-]+[a-z](?![\w’'])")
_INFLECTED = re.compile(r"[^sui]s\Z")  # a plural, or a verb: "the quay decides"
_VAGUE = frozenset(
    "similar different following first second third last next same appropriate particular certain "
    "simple simplest single great good best better important real common special whole entire "
    "current possible necessary little hard corresponding main major general given long short "
    "high low large small new old "
    "way place step part example case point time fact kind sort number lot thing reason result "
    "question concern idea word side end set state form change problem purpose level matter".split()
)
"""Words with which a term is no answer to anything: "a similar concern", "the simplest way"."""
_VERBAL = re.compile(r"(?:ing|ed|ly|ise|ize|ous|ful|ive|able|ible|est)\Z")


def answer_spans(sentence: str) -> list[AnswerSpan]:
    """Every span of the sentence worth asking for, none inside another, in order.

    >>> text = "The boiler was built by Amelie Roth in 1931 and holds 400 litres."
    >>> [(text[s.start : s.end], s.kind, s.unit) for s in answer_spans(text)]
    [('Amelie Roth', 'name', ''), ('1931', 'year', ''), ('400', 'number', 'litres')]
    """
    found: list[AnswerSpan] = []
    for spans in (_numbers(sentence), _names(sentence), _terms(sentence)):
        for span in spans:
            if all(span.end <= other.start or other.end <= span.start for other in found):
                found.append(span)
    return sorted(found, key=lambda span: span.start)


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
    """A year, or a number of something. A bare number says too little to be asked for."""
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
    """Whether the number names a place or a thing ("Section 4") and counts nothing."""
    return _REFERENCE.search(sentence, max(0, start - 16), start) is not None


def _names(sentence: str) -> Iterator[AnswerSpan]:
    """Capitalised words. One that begins the sentence says nothing: all first words are so."""
    for match in _NAME.finditer(sentence):
        start, end = match.start(), match.end() - 2 * match[0].endswith(("’s", "'s"))
        words = match[0].split()
        if len(words) > 5 or re.fullmatch(_MONTH, match[0]):
            continue
        if start == 0 and (len(words) == 1 or words[0].lower() in CLOSED_CLASS):
            continue
        before = sentence[:start].rstrip() or " "
        if before[-1] in "\"“‘'(:.[/*" or _NUMBERED.match(sentence, end) or end - start < 3:
            continue
        yield AnswerSpan(start=start, end=end, kind="name")


def _terms(sentence: str) -> Iterator[AnswerSpan]:
    """What an article announces, up to the next function word: "the (desiccant cabinet) in".

    Two or three words: a single one ("the change") seldom means one thing only.
    """
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
    if not 2 <= len(words) <= 3 or _VAGUE.intersection(words):
        return False
    if any(_VERBAL.search(word) for word in words[1:]):
        return False
    return not any(_INFLECTED.search(word) for word in words)


def _closes(sentence: str, end: int) -> bool:
    """Whether the noun phrase ends here: with the clause, or before a function word."""
    rest = sentence[end:].split()
    return not sentence[end:].startswith(" ") or (bool(rest) and rest[0] in CLOSED_CLASS)
