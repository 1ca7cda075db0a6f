"""What an agent may say to a tool: names, kinds, limits and what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragctx.errors import InputError
from ragctx.placement.strategies import STRATEGIES
from ragctx.retrieval import RETRIEVERS
from ragctx.selection.selectors import SELECTORS
from ragctx.server.bodies import MAX_K, MAX_QUESTION_CHARACTERS, Body
from ragctx.views import View

MAX_SEARCH_K = 50
"""Passages of one search: each is some 200 tokens of what the agent can read."""
MAX_BUDGET_TOKENS = 1_000_000
TEMPLATES = ("context", "qa", "qa_question_first", "qa_question_both", "qa_by_document", "plain")
"""Built-in templates that models other than the bundled reader can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument of a tool. `least` and `most` bound numbers, `names` are the valid texts."""

    kind: Literal["string", "integer", "number", "boolean", "array"]
    description: str
    names: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**31 - 1

    def schema(self) -> View:
        """Its JSON schema.

        >>> WHERE["first_page"].schema()["minimum"]
        1
        """
        view: View = {"type": self.kind, "description": self.description}
        if self.names:
            view["enum"] = list(self.names)
        if self.kind in ("integer", "number"):
            view |= {"minimum": self.least, "maximum": self.most}
        if self.kind == "array":
            view["items"] = {"type": "string"}
        return view

    def require(self, name: str, value: object) -> None:
        """Raise InputError for a text or whole number that is not valid."""
        if self.kind == "string" and not isinstance(value, str):
            raise InputError(f"{name} is {value!r:.60}; give a text")
        if self.names and value not in self.names:
            raise InputError(f"{name} is {value!r:.60}; valid: {', '.join(self.names)}")
        if self.kind == "integer" and not (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.least <= value <= self.most
        ):
            limits = f"{self.least} to {self.most}"
            raise InputError(f"{name} is {value!r:.60}; give a whole number, {limits}")


Parameters = Mapping[str, Parameter]


def text(description: str) -> Parameter:
    """Any text."""
    return Parameter(kind="string", description=description)


def one_of(names: Iterable[str], description: str) -> Parameter:
    """One of some names."""
    return Parameter(kind="string", description=description, names=tuple(names))


def whole(description: str, least: int = 1, most: int = 2**31 - 1) -> Parameter:
    """A whole number."""
    return Parameter(kind="integer", description=description, least=least, most=most)


def flag(description: str) -> Parameter:
    """True or false."""
    return Parameter(kind="boolean", description=description)


QUESTION = text(
    "What is asked, as a whole question that stands by itself; "
    f"{MAX_QUESTION_CHARACTERS} characters at most."
)
WHERE: Parameters = {
    "documents": Parameter(
        kind="array",
        description="Search only these: names as list_documents shows them, parts of names, "
        "patterns (*2023*.pdf) or ids.",
    ),
    "first_page": whole("Search only from this page on."),
    "last_page": whole("Search only up to this page."),
}
SEARCH: Parameters = {
    "question": QUESTION,
    "k": whole("Passages to give (default 5).", most=MAX_SEARCH_K),
    **WHERE,
    "retriever": one_of(RETRIEVERS, "hybrid (default): by meaning and by words."),
}
ASK: Parameters = {
    "question": QUESTION,
    **WHERE,
    "k": whole("Passages to read (default 5).", most=MAX_SEARCH_K),
    "strict": flag("Answer only what is sure: no guesses."),
    "min_confidence": Parameter(
        kind="number", description="Give no answer that is less sure.", most=1
    ),
}
ASSEMBLE: Parameters = {
    "question": QUESTION,
    "budget_tokens": whole(
        "The most tokens that the text may take, everything included. 2000 is a good start.",
        most=MAX_BUDGET_TOKENS,
    ),
    "tokenizer": text(
        "Whose tokens are counted: that of the model which will read the text. tiktoken:NAME, an "
        "encoding or a model of OpenAI's (tiktoken:o200k_base, tiktoken:gpt-4o); bundled, if you "
        "do not know yours (then leave a margin)."
    ),
    "template": one_of(
        TEMPLATES,
        "context (default): the passages, under numbers with document and pages. The others are "
        "whole prompts, with instructions and the question.",
    ),
    "placement": one_of(
        STRATEGIES,
        "The order of the passages. edges (default): the best at both ends, the weakest in the "
        "middle, which models read worst.",
    ),
    "k": whole("Passages to choose from (default 20); more for a large budget.", most=MAX_K),
    **WHERE,
    "context_window": whole(
        "All that the model holds, text and answer: then the text and max_new_tokens fit in.",
        most=2 * MAX_BUDGET_TOKENS,
    ),
    "max_new_tokens": whole(
        "Tokens reserved for the model's answer, beside the budget (default 256).",
        most=MAX_BUDGET_TOKENS,
    ),
    "select": one_of(SELECTORS, "How to choose when not all fit; fill (default): the best first."),
    "trim": flag("Shorten the best passage that does not fit, at the end of a sentence."),
    "expand": whole(
        "Chunks to show before and after each passage, as far as there is room.", 0, 20
    ),
}
READ_PAGE: Parameters = {
    "document": text("Its name as search or list_documents shows it, or its id."),
    "page": whole("Its number in the file, from 1."),
    "start": whole("Character of the page to begin at; for a page that was cut.", 0),
}
LIST_DOCUMENTS: Parameters = {
    "name": text("Only those with this in their name or path, or that match this pattern."),
    "start": whole("How many to leave out; for a list that was cut.", 0),
}


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

    Raises InputError for one that the tool does not know, that is missing or not valid. What is not
    a text or a whole number is checked where it is used.
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

    >>> in_names_of(ASSEMBLE, "raise --budget-tokens to 90, or ingest with --chunk-tokens 80")
    'raise budget_tokens to 90, or ingest with --chunk-tokens 80'
    """

    def named(match: re.Match[str]) -> str:
        name = _OTHERWISE.get(match[1], match[1]).replace("-", "_")
        return name if name in parameters else match[0]

    return _OPTION.sub(named, message)
