"""A griffe extension: what the code says, as the site shows it.

Examples in docstrings become blocks of code, and the comment behind a field describes the field.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
"""From a line with a prompt to the next blank line, as doctest has it."""

_COMMENT = re.compile(r"\A[^\"'\n]*?  # (?P<words>.+)\Z")
"""The comment of a field whose line has no quotation marks before it."""


def fenced(text: str) -> str:
    r"""The docstring with its examples in fences.

    >>> fenced("Add.\n\n>>> 1 + 1\n2")
    'Add.\n\n```pycon\n>>> 1 + 1\n2\n```'
    """
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found.group()}\n```", text)


def comment_of(source: str) -> str:
    """The comment behind a field, as a sentence; "" if there is none.

    >>> comment_of("tokens: int  # what it costs")
    'What it costs.'
    """
    found = _COMMENT.match(source)
    if found is None:
        return ""
    words = found["words"].strip()
    return words[0].upper() + words[1:] + ("" if words[-1] in ".…?!" else ".")


class Docstrings(griffe.Extension):
    """Changes docstrings where they are read."""

    def on_object(self, *, obj: griffe.Object, **rest: Any) -> None:
        """Called for each module, class, function and attribute when it was read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
        elif obj.is_attribute and obj.parent and obj.parent.is_class:
            words = comment_of(obj.source)
            if words:
                obj.docstring = griffe.Docstring(words, parent=obj)
