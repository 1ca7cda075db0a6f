"""Kinds of arguments: what a tool tells an agent of each, and how what comes is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragctx.errors import InputError
from ragctx.server.bodies import Body
from ragctx.views import View


class Parameter(Protocol):
    """One argument of a tool."""

    @property
    def description(self) -> str:
        """What it is for, for the agent."""
        ...

    def schema(self) -> View:
        """Its JSON schema."""
        ...

    def require(self, name: str, value: object) -> None:
        """Raise InputError unless the value is valid; `name` is the argument's."""
        ...


Parameters = Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Text:
    """A text of some characters at most."""

    description: str
    most: int = 1000

    def schema(self) -> View:
        return {"type": "string", "description": self.description, "maxLength": self.most}

    def require(self, name: str, value: object) -> None:
        if not isinstance(value, str):
            raise InputError(f"{name} is {value!r:.60}; give a text")
        if len(value) > self.most:
            raise InputError(f"{name} has {len(value)} characters; {self.most} is the most")


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of texts, or one."""

    description: str
    most: int = 100

    def schema(self) -> View:
        items = {"type": "string"}
        return {
            "type": "array",
            "description": self.description,
            "items": items,
            "maxItems": self.most,
        }

    def require(self, name: str, value: object) -> None:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list):
            raise InputError(f"{name} is {value!r:.60}; give a list of texts")
        if len(texts) > self.most:
            raise InputError(f"{name} has {len(texts)} texts; {self.most} is the most")
        for text in texts:
            Text("").require(f"one of {name}", text)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some names."""

    description: str
    names: tuple[str, ...]

    def schema(self) -> View:
        return {"type": "string", "description": self.description, "enum": list(self.names)}

    def require(self, name: str, value: object) -> None:
        if value not in self.names:
            raise InputError(f"{name} is {value!r:.60}; valid: {', '.join(self.names)}")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within limits.

    >>> Whole("A page.").schema()["minimum"]
    1
    """

    description: str
    least: int = 1
    most: int = 2**31 - 1

    def schema(self) -> View:
        limits = {"minimum": self.least, "maximum": self.most}
        return {"type": "integer", "description": self.description, **limits}

    def require(self, name: str, value: object) -> None:
        least, most = self.least, self.most
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"{name} is {value!r:.60}; give a whole number, {least} to {most}")


@dataclass(frozen=True, slots=True)
class Share:
    """A number from 0 to 1."""

    description: str

    def schema(self) -> View:
        return {"type": "number", "description": self.description, "minimum": 0, "maximum": 1}

    def require(self, name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r:.60}; give a number, 0 to 1")


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    description: str

    def schema(self) -> View:
        return {"type": "boolean", "description": self.description}

    def require(self, name: str, value: object) -> None:
        if not isinstance(value, bool):
            raise InputError(f"{name} is {value!r:.60}; give true or false")


def schema_of(parameters: Parameters, required: Sequence[str]) -> View:
    """The JSON schema of a call's arguments."""
    return {
        "type": "object",
        "properties": {name: parameter.schema() for name, parameter in parameters.items()},
        "required": list(required),
        "additionalProperties": False,
    }


def checked(arguments: Body, parameters: Parameters, required: Sequence[str]) -> Body:
    """The arguments without those that are null.

    Raises InputError for one that the tool does not know, that is missing or not valid.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if unknown := [name for name in given if name not in parameters]:
        names = ", ".join(map(repr, unknown))[:200]
        raise InputError(f"unknown: {names}; valid: {', '.join(parameters)}")
    if missing := [name for name in required if name not in given]:
        raise InputError(f"{', '.join(missing)} missing; needed: {', '.join(required)}")
    for name, value in given.items():
        parameters[name].require(name, value)
    return given


_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_OTHERWISE = {"document": "documents"}


def in_names_of(parameters: Parameters, message: str) -> str:
    """A message with the names of parameters for the options of the command line.

    >>> known = {"budget_tokens": Whole("…")}
    >>> in_names_of(known, "raise --budget-tokens to 90, or ingest with --chunk-tokens 80")
    'raise budget_tokens to 90, or ingest with --chunk-tokens 80'
    """

    def named(match: re.Match[str]) -> str:
        name = _OTHERWISE.get(match[1], match[1]).replace("-", "_")
        return name if name in parameters else match[0]

    return _OPTION.sub(named, message)
