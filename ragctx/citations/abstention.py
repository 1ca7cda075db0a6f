"""Whether an answer is an abstention: it tells that the documents do not hold it, and no more."""

from __future__ import annotations

import re

from ragctx.citations.labels import without_labels
from ragctx.records import Generation
from ragctx.text.sentences import sentence_spans

_LONGEST = 3
"""Sentences. A longer text contains more than that the answer is not known. Chosen by hand."""

_SOURCES = (
    r"(?:the |these |this |those |any of the |my |your )?(?:\w{1,20} ){0,2}?"
    r"(?:documents?|passages?|texts?|context|sources?|excerpts?|materials?)\b"
)
_NOT = r"(?: not|n't)"
_FOUND = (
    r"(?:found|mentioned|given|stated|contained|provided|available|present|specified|included|"
    r"answered|covered|discussed|described|explained|addressed)"
)
_SAY = (
    r"(?:says?|states?|mentions?|contains?|provides?|includes?|holds?|gives?|specif(?:y|ies)|"
    r"answers?|covers?|discuss(?:es)?|have|has|tells?|address(?:es)?|describes?|explains?|offers?)\b"
)
_UNABLE = r"(?:cannot|can't|can not|could not|couldn't|(?:am|are|was|were) (?:not able|unable) to)"
_OPENING = re.compile(
    r"\A(?:(?:unfortunately|sorry|i'm sorry|i am sorry|i apologi[sz]e|apologies),? (?:but )?)?"
    r"(?:(?:based on|according to|from) [^,]{1,80}, )?"
)
_ABSTENTIONS = tuple(
    re.compile(pattern)
    for pattern in (
        # "Not in the documents", "The answer is not given in these passages"
        rf"(?:.{{0,100}}?\b(?:is|was|are|were){_NOT} |not )(?:\w{{1,10}}ly )?(?:{_FOUND} )?"
        rf"(?:in|by|from) {_SOURCES}",
        # "The passages do not say", "None of the documents mentions it"
        rf"{_SOURCES} (?:do|does|did){_NOT} (?:\w{{1,20}} )?{_SAY}",
        rf"(?:none|neither) of {_SOURCES} {_SAY}",
        # "I don't know", "I cannot find that"
        rf"(?:i|we) do{_NOT} (?:know\b|have (?:enough|the|any) information)",
        rf"(?:i|we) {_UNABLE} (?:\w{{1,20}} )?(?:find|answer|determine|tell|say)\b",
        # "There is no information about it", "No answer found", "Not enough information"
        r"(?:there (?:is|was) )?(?:no|not enough|insufficient) (?:\w{1,20} )?"
        rf"(?:information|answer|mention)\b(?: (?:is |was )?{_FOUND})?"
        r"(?: (?:about|on|of|regarding|in|to|for|that)\b.*)?\W*\Z",
        # "The question cannot be answered", "It is not possible to say"
        r"(?:the (?:answer|question)|it|this|that)(?: \w{1,20})? (?:cannot|can't|can not|could not)"
        r" be (?:answered|determined|found|inferred)",
        r"it is (?:not possible|impossible) to (?:answer|determine|say|tell)\b",
        rf"(?:unanswerable|unknown|n/a|no answer|not (?:answerable|{_FOUND}))\W*\Z",
    )
)
_TAKEN_BACK = re.compile(r"\b(?:but|however|although|though|nevertheless|instead)\b")


def abstained(generation: Generation) -> bool:
    """Whether the generator abstained: by its `finish_reason`, or in the words of its answer.

    One that wrote nothing, would not answer or called a tool has said nothing of the documents.
    """
    if generation.finish_reason in ("refused", "tool_call"):
        return False
    is_said = bool(generation.text.strip()) and is_abstention(generation.text)
    return generation.finish_reason == "abstain" or is_said


def is_abstention(text: str) -> bool:
    """Whether a text only tells that the documents do not hold the answer.

    It must begin with that, be short, cite nothing afterwards and not take it back ("… but"). A
    text without a single word is an abstention too.

    >>> is_abstention("Not in the documents."), is_abstention("The passages do not say this.")
    (True, True)
    >>> is_abstention("The manual does not say when, but page 3 gives 1998 [1].")
    False
    >>> is_abstention("The key is not in the lock.")
    False
    """
    plain = re.sub(r"[*_`\"“”]", "", text).replace("\u2019", "'")
    if not re.search(r"\w", without_labels(plain)):
        return True
    spans = sentence_spans(plain)  # before the case is folded: sentences begin with capitals
    if len(spans) > _LONGEST:
        return False
    end = spans[0][1]
    first, rest = without_labels(plain[:end]).casefold(), plain[end:]
    first = _OPENING.sub("", re.sub(r"\s+", " ", first).strip(), count=1)
    cites_later = len(spans) > 1 and without_labels(rest) != rest
    taken_back = _TAKEN_BACK.search(first) or _TAKEN_BACK.search(rest.casefold())
    return not (taken_back or cites_later) and any(p.match(first) for p in _ABSTENTIONS)
