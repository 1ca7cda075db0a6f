"""From a sentence and a span to a question: turned round by English grammar, or with a gap.

Turning a statement into a question by rule is the "identity" baseline of Lewis, Denoyer and Riedel,
"Unsupervised Question Answering by Cloze Translation" (ACL 2019), in the word order of English
questions: what is asked for, then the auxiliary, then the rest. Only sentences whose subject and
auxiliary are certain without a parser are turned, and only into questions that a person might ask:
"In which year", "How many people" and "Who rebuilt", but not "Under what is"; all others can still
have a gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ragctx.evaluation.questions.active_voice import active
from ragctx.evaluation.questions.answer_spans import (
    ARTICLES,
    CLOSED_CLASS,
    PREPOSITIONS,
    AnswerSpan,
)
from ragctx.evaluation.questions.do_support import Verbs, with_auxiliary
from ragctx.evaluation.questions.oddities import oddities

GAP = "_____"

_NO_VERBS = Verbs()

_AUXILIARY = re.compile(
    r" (is|are|was|were|does|did|can|could|may|might|must|will|would|shall|should"
    r"|(?:has|have|had)(?= been\b))"
    r"(?= )"
)
_LEAD = re.compile(
    r"(?:In|On|At|By|During|After|Before|Since|Under|For|With|Within|Until) [^,]{2,60}, "
)
_TIME = re.compile(
    r"\d|\b(?:years?|months?|weeks?|days?|hours?|minutes?|seasons?|century|centuries|decades?|night|"
    r"morning|evening|winter|spring|summer|autumn|war|fire|january|february|march|april|may|june|"
    r"july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
"""What a lead must tell to be asked after the verb as well: when. Others belong to the subject."""
_TAIL = re.compile(
    r",? (?:which|who|where|while|whereas|although|but|because|so that)\b.*|(?:[,;] |—).*"
    r"| and (?:up|down|\d|[$€£¥]).*"
)
_TWO_CLAUSES = re.compile(
    r"[,;:\"“”()—]|\b(?:and|or|but|that|which|who|whom|whose|where|when|if|while|because|although|"
    r"there|this|these|it|they|we|you|has|have|had|do|does|did)\b",
    re.IGNORECASE,
)
_UNRESOLVED = re.compile(
    r"\b(?:it|its|itself|they|them|their|he|him|his|she|her|hers|we|us|our|ours|you|your|i|me|my|this|"
    r"these|those|such|latter|former|here|there|so|above|below|following|previous|therefore|thus|"
    r"instead|also|too|again|however|moreover|otherwise|accordingly|hence|likewise)\b",
    re.IGNORECASE,
)
"""Words that mean nothing without the sentences before them."""
_COPULAS = ("is", "are", "was", "were")
_COMPARED = frozenset("up down higher lower".split())
_MOST_VERB_WORDS = 2  # between an auxiliary and a span that is its object, as in "be paid"
_LONGEST_SYMBOL = 3  # letters of a unit's symbol, as in "kWh"
_MOST_SUBJECT_WORDS = 9  # a longer subject is seldom a plain noun phrase; chosen by hand
_BROKEN_BY = frozenset("and or nor than but as between not no of to minus plus".split())
"""Directly before the span, these join it to words that would stay behind in the question."""
_GOES_ON = frozenset("and or of".split())
"""Directly after the span, these show that it is only the beginning of something longer."""
_COUNTED = re.compile(r" of (?:the )?[a-z]+(?=[.,]| (?:at|by|for|from|in|on|to|when|with)\b)")
_WHICH = {"date": "which date", "month": "which month", "year": "which year"}
_FRONTED = {
    "year": frozenset("in since by until before after during".split()),
    "month": frozenset("in since by until before after during".split()),
    "date": frozenset("on since by until before after".split()),
    "number": frozenset("after within for by in on over at during every".split()),
    "percent": frozenset(("by", "at")),
    "money": frozenset(("for", "by")),
}
"""The prepositions that can begin a question for each kind of span. A term or a name has none:
"Under what" and "In what" are no beginnings that a person would choose."""
_PLURAL_UNITS = frozenset(
    "people men women children feet percent hertz kilohertz megahertz staff species series".split()
)
_PERSONS = re.compile(
    r"(?:convicted|born|elected|appointed|sentenced|hired|arrested|awarded|married|educated|accused|"
    r"charged|promoted|named|nominated)\b"
)
"""Participles that only a person is the subject of."""
_NOT_OF_SUBJECT = frozenset("are were have may might can could would".split())
"""With these a subject cannot be asked for: "What are" expects more than one answer, and of what
may be there are always many."""
_SECOND_PAST = re.compile(r" and [a-z]+ed\b")  # "did grant in part and denied in part"
_NO_VERB = re.compile(r"(?:nothing|little|much|harm|well|so|not|the|a|an|this)\b")
"""After "does" or "did" these show that it is the sentence's own verb: "does nothing"."""
_PARTICIPLE = re.compile(r"[a-z]{1,30}(?:ed|en|wn|lt|de|ught)\b")
_SUPERLATIVE = re.compile(r"the (?:[a-z]+est|first|last|only|most [a-z]+|least [a-z]+)\b")
_DESCRIBED = (" that ", " which ", " who ", " whose ", " where ", " when ", " of ", " to ")
"""After a span these go on about it: it is only the beginning of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clause:
    """The parts of a sentence: lead ("In spring, "), subject, auxiliary, and the rest."""

    lead: str
    subject: str
    auxiliary: str
    rest: str


def with_gap(sentence: str, span: AnswerSpan) -> str:
    """The sentence with a gap where the span was.

    >>> with_gap(
    ...     "Tin melts at 232 degrees.", AnswerSpan(start=13, end=16, kind="number", unit="degrees")
    ... )
    'Fill in the gap: Tin melts at _____ degrees.'
    """
    return f"Fill in the gap: {sentence[: span.start]}{GAP}{sentence[span.end :]}"


def turned(
    sentence: str,
    span: AnswerSpan,
    is_common_word: Callable[[str], bool] = lambda word: False,
    verbs: Verbs = _NO_VERBS,
) -> str | None:
    """A question whose answer is the span; None where the grammar is not plain enough.

    Args:
        sentence: English, with single spaces.
        span: what is asked for.
        is_common_word: whether a word, in lower case, is not a name: it may lose its capital.
        verbs: known verbs; without any, only sentences with an auxiliary are turned.

    >>> turned("In 1931 the hall was rebuilt by Roth.", AnswerSpan(start=32, end=36, kind="name"))
    >>> turned(
    ...     "The filter must be cleaned every 40 hours.",
    ...     AnswerSpan(start=33, end=35, kind="number", unit="hours"),
    ... )
    'How often must the filter be cleaned?'
    >>> turned(
    ...     "Mount Mayon is the steepest volcano of all.", AnswerSpan(start=0, end=11, kind="name")
    ... )
    'What is the steepest volcano of all?'
    >>> tank = "The tank holds 12 litres of oil."
    >>> turned(
    ...     tank,
    ...     AnswerSpan(start=15, end=17, kind="number", unit="litres"),
    ...     verbs=Verbs(frozenset(["hold"])),
    ... )
    'How many litres of oil does the tank hold?'
    """
    sentence, span = _with_auxiliary(sentence, span, verbs)
    clause = _clause_of(sentence)
    if clause is None:
        return None
    subject_at = len(clause.lead)
    auxiliary_at = subject_at + len(clause.subject) + 1
    subject = clause.subject if clause.lead else _uncapitalised(clause.subject, is_common_word)
    if span.end <= subject_at:
        return _asked_in_lead(clause, span, subject)
    lead = _uncapitalised(clause.lead, is_common_word).rstrip(", ")
    if lead and not _TIME.search(lead):
        return None
    if span.end < auxiliary_at:
        return _asked_of_subject(clause, span, span.start - subject_at, lead)
    rest = _Rest.of(clause, span, auxiliary_at + len(clause.auxiliary) + 1)
    if rest is None:
        return None
    asked = replace(clause, subject=subject, lead=lead)
    if rest.words[-1:] == ["by"] and len(rest.words) > 1:
        by_agent = _asked_of_agent(asked, span, rest, verbs)
        if by_agent or span.kind in ("name", "term"):
            return by_agent
    return _asked_of_rest(asked, span, rest)


def _with_auxiliary(sentence: str, span: AnswerSpan, verbs: Verbs) -> tuple[str, AnswerSpan]:
    """The sentence with "does" or "did" where it lacks an auxiliary, and the span moved with it."""
    lead = _LEAD.match(sentence)
    changed = with_auxiliary(sentence, verbs, lead.end() if lead else 0)
    if changed is None:
        return sentence, span
    longer_sentence, verb_at, longer = changed
    if span.end <= verb_at:
        in_lead = lead is not None and span.end <= lead.end()
        return (longer_sentence if in_lead else sentence), span
    return longer_sentence, replace(span, start=span.start + longer, end=span.end + longer)


def _clause_of(sentence: str) -> _Clause | None:
    """The parts of a sentence; None where they are not certain."""
    lead = _LEAD.match(sentence)
    body = sentence[lead.end() :] if lead else sentence
    auxiliary = _AUXILIARY.search(body)
    if auxiliary is None or body[-1] != ".":
        return None
    subject = body[: auxiliary.start()]
    words = subject.split()
    if len(words) > _MOST_SUBJECT_WORDS or _TWO_CLAUSES.search(subject):
        return None
    if words[-1].lower() in CLOSED_CLASS or words[-1].endswith("ly"):
        return None
    if words[0].lower() in PREPOSITIONS or words[0].endswith("ing"):
        return None
    if auxiliary[1] == "did" and _SECOND_PAST.search(body, auxiliary.end()):
        return None
    return _Clause(
        lead=lead[0] if lead else "",
        subject=subject,
        auxiliary=auxiliary[1],
        rest=body[auxiliary.end() + 1 :],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What follows the auxiliary: the words before the span, what is asked for, what follows it."""

    words: list[str]  # without an article directly before the span
    has_article: bool
    asked: str
    after: str

    @classmethod
    def of(cls, clause: _Clause, span: AnswerSpan, rest_at: int) -> _Rest | None:
        """The parts of a clause's rest; None where the span cannot be taken out of it."""
        start, end = span.start - rest_at, span.end - rest_at
        before, after = clause.rest[:start], clause.rest[end:]
        wanted = _wanted(span, after)
        if wanted is None or _TWO_CLAUSES.search(before):
            return None
        words = before.split()
        has_article = bool(words) and words[-1].lower() in ARTICLES
        if has_article:
            words.pop()
        asked, after = wanted
        return cls(words=words, has_article=has_article, asked=asked, after=after)


def _asked_in_lead(clause: _Clause, span: AnswerSpan, subject: str) -> str | None:
    """The span is in the lead: In 1931, the hall was … -> In which year was the hall …?"""
    lead = clause.lead.rstrip(", ")
    before, after = lead[: span.start].split(), lead[span.end :]
    if len(before) == 2 and before[1].lower() in ARTICLES:
        before.pop()
    wanted = _wanted(span, after)
    if len(before) != 1 or wanted is None or wanted[1].strip():
        return None
    if before[0].lower() not in _FRONTED.get(span.kind, ()):
        return None
    return _sentence(before[0], wanted[0], clause.auxiliary, subject, _trimmed(clause.rest))


def _asked_of_subject(clause: _Clause, span: AnswerSpan, start: int, lead: str) -> str | None:
    """The span is the subject: Mount Mayon is … -> What is …?"""
    before, after = clause.subject[:start].split(), clause.subject[start + span.end - span.start :]
    if [word for word in before if word.lower() not in ARTICLES] or after.strip():
        return None
    if span.kind not in ("name", "term") or clause.rest.startswith("to "):
        return None
    if clause.auxiliary in _NOT_OF_SUBJECT:
        return None
    if clause.auxiliary in ("does", "did") and _NO_VERB.match(clause.rest):
        return None
    is_copula = clause.auxiliary in ("is", "was")
    said_of_person = span.kind == "name" and _PERSONS.match(clause.rest)
    if is_copula and not (_PARTICIPLE.match(clause.rest) or _SUPERLATIVE.match(clause.rest)):
        return None  # "What is zero …?", "What is true …?"
    if span.kind == "name" and not said_of_person and not _SUPERLATIVE.match(clause.rest):
        return None  # nobody can know whether to ask "who" or "what"
    asked = "Who" if said_of_person else "What"
    return _sentence(asked, clause.auxiliary, _trimmed(clause.rest), lead)


def _asked_of_agent(clause: _Clause, span: AnswerSpan, rest: _Rest, verbs: Verbs) -> str | None:
    """The span is who did it: The hall was rebuilt by Roth. -> Who rebuilt the hall?"""
    if " and by " in rest.after:
        return None  # one agent of two
    *words, participle, _ = rest.words
    verb = active(" ".join((clause.auxiliary, *words)), participle, verbs)
    if verb is None or span.kind not in ("name", "term", "number"):
        return None
    if span.kind == "number":
        if verb != participle:  # "How many people has …"
            return None
        return _sentence(rest.asked, verb, clause.subject, _trimmed(rest.after), clause.lead)
    asked = "who" if span.kind == "name" else "what"
    if span.kind == "term" and not rest.has_article:
        return None
    return _sentence(asked, verb, clause.subject, _trimmed(rest.after), clause.lead)


def _asked_of_rest(clause: _Clause, span: AnswerSpan, rest: _Rest) -> str | None:
    """The span is after the auxiliary: The hall was sold in 1931. -> In which year was …?"""
    words = list(rest.words)
    if span.kind == "term" and not rest.has_article:
        return None
    fronted = words.pop() if words and words[-1] in (*PREPOSITIONS, "every") else ""
    if fronted and fronted not in _FRONTED.get(span.kind, ()):
        return None
    if (fronted and fronted in _BROKEN_BY) or (words and words[-1].lower() in _BROKEN_BY):
        return None
    if span.kind in ("name", "term"):
        # Only as the object of a verb: of "is a …" nobody knows how much belongs to it.
        is_object = clause.auxiliary in ("does", "did") and len(words) == 1
        if not is_object or rest.after.startswith(" to "):
            return None
    elif not fronted and not _may_stay_bare(words, span):
        return None
    if "not" in words:  # "Until which date will it not occur?"
        return None
    fronted, asked = _opening(clause, span, rest.asked, fronted, words)
    return _sentence(
        fronted,
        asked,
        clause.auxiliary,
        clause.subject,
        " ".join(words),
        _trimmed(rest.after),
        clause.lead,
    )


def _opening(
    clause: _Clause, span: AnswerSpan, asked: str, fronted: str, words: Sequence[str]
) -> tuple[str, str]:
    """The preposition and the question word that a question begins with, as people say it."""
    if fronted == "every":
        return "", "how often"
    if fronted or span.kind not in ("number", "percent", "money"):
        return fronted, asked
    if clause.auxiliary in _COPULAS and not words:
        return "", "what"  # the share was 12 percent
    if span.kind == "percent" and words and words[-1] in _COMPARED:
        return "by", asked
    return "", asked


def _may_stay_bare(words: list[str], span: AnswerSpan) -> bool:
    """Whether the words before a span without a preposition end in a verb, not in a description."""
    if span.kind not in ("number", "percent", "money"):
        return False
    if not words:
        return True
    if words[-1][0].isupper() or len(words) > _MOST_VERB_WORDS:
        return False
    return words[-1] in _COMPARED or words[-1] not in CLOSED_CLASS - {"be", "been"}


def _wanted(span: AnswerSpan, after: str) -> tuple[str, str] | None:
    """(What to ask for, what follows the span and its unit).

    None where the words after the span belong to it: it is then only a part of the answer.
    """
    if span.kind == "number":
        if not _is_plural(span.unit):
            return None
        after = after.removeprefix(f" {span.unit}")
        counted = _COUNTED.match(after)
        of_what = counted[0] if counted else ""
        asked, after = f"how many {span.unit}{of_what}", after[len(of_what) :]
    elif span.kind == "percent":
        asked = "what percentage"
    elif span.kind == "money":
        asked = "how much money"
    else:
        asked = _WHICH.get(span.kind, "what")
    if span.kind in ("name", "term") and after.startswith(_DESCRIBED):
        return None
    following = after.split()
    if after.startswith(("’", "'")):
        return None
    if after.startswith(" ") and following[0].strip(".,;") not in CLOSED_CLASS - _GOES_ON:
        return None
    return asked, after


def _is_plural(unit: str) -> bool:
    """Whether "how many" can be asked of a unit: "hours" and "kW", but not "man page" for 7."""
    last = unit.split()[-1]
    return last.endswith("s") or last in _PLURAL_UNITS or len(last) <= _LONGEST_SYMBOL


def _trimmed(rest: str) -> str:
    """The end of a sentence without its full stop and without clauses that hang on it."""
    return _TAIL.sub("", rest.rstrip(".")).strip(" .")


def _uncapitalised(words: str, is_common_word: Callable[[str], bool]) -> str:
    """The words that begin a sentence, as they are written in the middle of one."""
    first, _, following = words.partition(" ")
    lowered = first.lower()
    if lowered not in CLOSED_CLASS and following[:1].isupper():  # "Data Center revenue"
        return words
    if first[1:] == lowered[1:] and (lowered in CLOSED_CLASS or is_common_word(lowered)):
        return words[:1].lower() + words[1:]
    return words


def _sentence(*parts: str) -> str | None:
    """The parts as a question; None if it refers to another sentence, or is odd in another way."""
    text = " ".join(part.strip() for part in parts if part.strip())
    if _UNRESOLVED.search(text):
        return None
    question = f"{text[:1].upper()}{text[1:]}?"
    return None if oddities(question) else question
