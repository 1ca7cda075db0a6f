"""The question of a conversation: the last thing the user said, made to stand by itself.

The search sees one question. "How much does it cost?" finds nothing by itself; what "it" is was
said before. Where a question leans on the one before (it begins in the middle, or has a pronoun and
names nothing), that one is put in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ragctx.errors import InputError

_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|him|his|she|her|there|one|ones)\b",
    re.IGNORECASE,
)
_BEGINS_IN_THE_MIDDLE = re.compile(
    r"\A(?:and|but|or|so|then|also|what about|how about|what else)\b", re.IGNORECASE
)
FEW_WORDS = 3
"""A question of so few words is a piece of one."""


def question_in(messages: Sequence[object]) -> str:
    """The question that a conversation ends with.

    Raises InputError if there is none.

    >>> question_in(
    ...     [
    ...         {"role": "user", "content": "What is the F-100?"},
    ...         {"role": "assistant", "content": "A filter."},
    ...         {"role": "user", "content": "How much does it cost?"},
    ...     ]
    ... )
    'What is the F-100? How much does it cost?'
    """
    said = [text for message in messages if (text := _said_by_user(message))]
    if not said:
        raise InputError('there is no message of the role "user" with text; it is the question')
    question = said[-1]
    if len(said) > 1 and leans(question):
        return f"{said[-2]} {question}"
    return question


def leans(question: str) -> bool:
    """Whether a question cannot be understood without the one before.

    >>> leans("And in winter?"), leans("How long does it take?"), leans("Why?")
    (True, True, True)
    >>> leans("How often must the filter be cleaned?")
    False
    """
    words = re.findall(r"\w+", question)
    if len(words) <= FEW_WORDS or _BEGINS_IN_THE_MIDDLE.match(question.strip()):
        return True
    names = [word for word in words[1:] if word[0].isupper() or word[0].isdigit()]
    return _PRONOUN.search(question) is not None and not names


def _said_by_user(message: object) -> str:
    if not isinstance(message, Mapping) or message.get("role") != "user":
        return ""
    content = message.get("content")
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, Sequence):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, Mapping))
    return " ".join(part for part in parts if isinstance(part, str)).strip()
