"""Signs that a question is none that a person would ask: a fragment, a table's row, no English.

Found by rule, without a parser. The rules know English; they are for what cannot be a question in
any style, not for clumsy wording. `ragctx questions make` drops such questions, and `check` reports
them in people's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_AUXILIARIES = (
    "is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|will|would|shall|should"
)
_CONJUNCTION = (
    r"that|which|who|whom|whose|what|where|when|why|how|if|whether|while|because|although|since|"
    r"until|unless|before|after|and|or|but|nor|than|as|so|to|it|there|they|he|she|we|you|i|"
    r"say|think|believe|guess|claim|feel|know|suggest|mean|hope|argue|assume|state|show|find|tell|once"
)
"""Words after which another clause may follow, and so another finite verb."""
_DOUBLED_VERB = re.compile(
    r"\A(?:(?:in|on|at|by|for|to|from|with|of|under|after|before) )?"
    r"(?:what|which|how (?:many|much)|when|where|why|who|whom)\b(?: [a-z]+){0,3}? "
    rf"(?:do|does|did) (?:(?!(?:{_CONJUNCTION})\b)[\w’'-]+ )+(?:is|are|was|were|am)\b",
    re.IGNORECASE,
)
"""After "did" comes an infinitive, unless a word in between begins another clause."""
_REPEATED = re.compile(
    r"\b(the|a|an|of|to|in|on|at|for|with|by|from|is|are|was|were|does|did|and|or) \1\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\A(?:[^\s?]+ ){0,7}?"
    r"(?P<word>this|these|the (?:above|following|latter|preceding)|"
    r"the (?:passage|excerpt|paragraph|snippet|text)(?: above| below)?)\b"
    r"(?! (?:year|month|week|day|century|decade|morning|evening|weekend|summer|winter|spring|"
    r"autumn|time|(?:type|kind|sort) of)\b)",
    re.IGNORECASE,
)
"""Early in a question nothing is there yet that "this" could refer to."""
_ELLIPSIS = re.compile(
    rf"\A(?:(?:[a-z]+ )?(?:what|which|how|when|where|why|who|whom)\b(?: [a-z]+){{0,3}}? )?"
    rf"(?:{_AUXILIARIES}) (he|she|they|it)\b(?! not\b)([^?]*)",
    re.IGNORECASE,
)
"""A question whose subject is a pronoun: only the sentence before it tells who or what is meant."""
_IMPERSONAL = re.compile(
    r"\A (?:take|takes|cost|costs|mean|rain|snow|happen|matter|make sense|a |the |an |not |called|"
    r"[a-z]+ (?:that|to|for|if|when)\b|.*\b(?:to|that|if|when)\b)",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(r"(?:\.\.\.|…|[,;:]|\.(?=\s*\?)|\b(?:the|a|an|and|or))\s*\?*\Z")
_CELLS = re.compile(r"\||\t|(?:(?<!\S)(?=\S*\d)[\d.,%$€£()+-]+[ ?]){4}|\.{4}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CASELESS = re.compile(r"[\u0590-\u0fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of scripts of which the rules know nothing, not even where words end."""
_FEWEST_WORDS = 3


def oddities(question: str) -> tuple[str, ...]:
    """What is odd about a question, each in a few words; nothing about a sound one.

    >>> oddities("How many litres does the tank hold?")
    ()
    >>> oddities("What did the pump is driven by?")
    ('two finite verbs: "What did the pump is"',)
    >>> oddities("When was it built?"), oddities("12 17 19 22 71?")
    (('"it" is nowhere explained',), ('cells of a table', 'no words'))
    """
    return tuple(_found(" ".join(question.split())))


def _found(question: str) -> Iterator[str]:
    if _CASELESS.search(question):
        return
    if verb := _DOUBLED_VERB.search(question):
        yield f'two finite verbs: "{verb[0]}"'
    if twice := _REPEATED.search(question):
        yield f'the same word twice: "{twice[0]}"'
    if word := _unexplained(question):
        yield f'"{word}" is nowhere explained'
    if _CELLS.search(question):
        yield "cells of a table"
    if not _WORD.search(question):
        yield "no words"
    elif (words := len(question.split())) < _FEWEST_WORDS:
        yield f"only {words} words"
    if cut := _CUT_OFF.search(question):
        yield f'cut off at "{cut[0].strip()}"'
    if any(question.count(one) != question.count(other) for one, other in ("()", "[]", "“”")):
        yield "a bracket or quotation mark without its other half"


def _unexplained(question: str) -> str:
    """A word that only a sentence before the question would explain; "" without any."""
    if re.search(r"[.!?;] ", question):
        return ""  # there is such a sentence
    if reference := _REFERENCE.search(question):
        return reference["word"]
    subject = _ELLIPSIS.match(question)
    if subject is None:
        return ""
    needs_no_noun = subject[1].lower() == "it" and _IMPERSONAL.match(subject[2])
    return "" if needs_no_noun else subject[1]
