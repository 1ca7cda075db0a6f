"""The conversation that a client sends: its last question, and the turns before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from ragctx.errors import InputError
from ragctx.follow_ups import Turn


def question_in(messages: Sequence[object]) -> tuple[str, tuple[Turn, ...]]:
    """The question that a conversation ends with, and what was asked and answered before.

    Raises InputError if there is none.

    >>> question_in(
    ...     [
    ...         {"role": "user", "content": "What is the F-100?"},
    ...         {"role": "assistant", "content": "A filter."},
    ...         {"role": "user", "content": "How much does it cost?"},
    ...     ]
    ... )
    ('How much does it cost?', (Turn(question='What is the F-100?', answer='A filter.'),))
    """
    said = [(role, text) for role, text in map(_said, messages) if text]
    asked = [i for i, (role, _) in enumerate(said) if role == "user"]
    if not asked:
        raise InputError('there is no message of the role "user" with text; it is the question')
    turns = (
        Turn(said[i][1], " ".join(text for role, text in said[i:j] if role == "assistant"))
        for i, j in pairwise(asked)
    )
    return said[asked[-1]][1], tuple(turns)


def _said(message: object) -> tuple[str, str]:
    """Who said what; ("", "") for anything that is no text."""
    if not isinstance(message, Mapping):
        return "", ""
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        return "", ""
    if isinstance(content, str):
        return role, content.strip()
    if not isinstance(content, Sequence):
        return role, ""
    parts = (part.get("text") for part in content if isinstance(part, Mapping))
    return role, " ".join(part for part in parts if isinstance(part, str)).strip()
