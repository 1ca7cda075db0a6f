"""A griffe extension: the examples in docstrings become blocks of code on the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
"""From a line with a prompt to the next blank line, as doctest has it."""


def fenced(text: str) -> str:
    r"""The docstring with its examples in fences.

    >>> fenced("Add.\n\n>>> 1 + 1\n2")
    'Add.\n\n```pycon\n>>> 1 + 1\n2\n```'
    """
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found.group()}\n```", text)


class Doctests(griffe.Extension):
    """Puts the examples of every docstring into fences."""

    def on_object(self, *, obj: griffe.Object, **rest: Any) -> None:
        """Called for each module, class, function and attribute when it was read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
