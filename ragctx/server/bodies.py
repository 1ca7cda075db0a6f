"""What the body of a request may say: settings by name, each checked.

The names are those of the library; what is left out is as the server was started.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ragctx.assembly import Assembly
from ragctx.errors import InputError
from ragctx.follow_ups import Turn, standalone
from ragctx.index.filters import Filter
from ragctx.placement.strategies import STRATEGIES
from ragctx.retrieval import RETRIEVERS, Retrieval
from ragctx.selection.selectors import SELECTORS
from ragctx.text.well_formed import well_formed

Body = Mapping[str, object]
MAX_QUESTION_CHARACTERS = 4000
"""A longer question is no question. Embedders read some 2,000 characters."""
MAX_EARLIER = 20
"""Turns of a conversation that one request may tell."""
MAX_K = 200
"""Passages that one request may ask for."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and how it is to be answered."""

    question: str
    retrieval: Retrieval
    assembly: Assembly
    earlier: tuple[Turn, ...] = ()
    min_confidence: float = 0.0
    strict: bool = False

    @property
    def by_itself(self) -> str:
        """The question with what it leans on, by rule: without waiting for a model."""
        return standalone(self.question, self.earlier)


def body_of(data: bytes) -> Body:
    """The JSON object in a request's body. Raises InputError for anything else."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InputError('the body is not a JSON object; send {"question": "…"}')
    return body


def asked(body: Body, retrieval: Retrieval, assembly: Assembly) -> Asked:
    """A request to ask, search or assemble; what it leaves out is as in these settings.

    Raises InputError for a name that is not known, and for values that are not possible.
    """
    if unknown := sorted(set(body) - set(FIELDS)):
        raise InputError(f"unknown: {', '.join(unknown)}; valid: {', '.join(FIELDS)}")
    return Asked(
        question=question_of(body.get("question")),
        retrieval=replace(
            retrieval,
            k=_whole(body, "k", retrieval.k, most=MAX_K) or retrieval.k,
            retriever=_named(body, "retriever", RETRIEVERS) or retrieval.retriever,
            filter=_filter(body, retrieval.filter),
            mmr_lambda=_share(body, "mmr_lambda", retrieval.mmr_lambda),
        ),
        assembly=_assembly(body, assembly),
        earlier=_earlier(body.get("earlier")),
        min_confidence=_share(body, "min_confidence") or 0.0,
        strict=_flag(body, "strict", False),
    )


def question_of(value: object) -> str:
    """A question. Raises InputError if it is none, is blank or is too long."""
    if not isinstance(value, str):
        raise InputError('there is no "question"; send {"question": "…"}')
    question = well_formed(" ".join(value.split()))
    if not question:
        raise InputError("the question is empty")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise InputError(
            f"the question has {len(question)} characters; {MAX_QUESTION_CHARACTERS} is the most"
        )
    return question


FIELDS: Mapping[str, str] = {
    "question": "what is asked",
    "earlier": f"what was asked and answered before, {MAX_EARLIER} turns at most",
    "k": f"passages to retrieve, 1 to {MAX_K}",
    "retriever": f"one of {', '.join(RETRIEVERS)}",
    "documents": "search only these: names, paths, patterns or ids",
    "first_page": "search only from this page on",
    "last_page": "search only up to this page",
    "mmr_lambda": "trade relevance (1) for variety (0)",
    "budget_tokens": "the most the whole prompt may take",
    "max_new_tokens": "tokens reserved for the answer",
    "placement": f"one of {', '.join(STRATEGIES)}",
    "select": f"one of {', '.join(SELECTORS)}",
    "max_chunks": "consider only so many of the best passages",
    "trim": "shorten the best passage that does not fit",
    "expand": "chunks to show before and after each passage",
    "seed": "for the placement random",
    "min_confidence": "give no answer that is less sure, 0 to 1",
    "strict": "answer only what is sure",
}
"""What a request may say."""


def _earlier(value: object) -> tuple[Turn, ...]:
    turns = [] if value is None else value
    if not isinstance(turns, list) or len(turns) > MAX_EARLIER:
        raise InputError(
            f'earlier is {value!r:.80}; give [{{"question": "…", "answer": "…"}}], {MAX_EARLIER} '
            "turns at most"
        )
    return tuple(map(_turn, turns))


def _turn(value: object) -> Turn:
    answer = value.get("answer", "") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(answer, str):
        raise InputError(f'a turn is {value!r:.80}; give {{"question": "…", "answer": "…"}}')
    return Turn(question_of(value.get("question")), well_formed(answer))


def _filter(body: Body, default: Filter) -> Filter:
    if not {"documents", "first_page", "last_page"} & set(body):
        return default
    documents = body.get("documents", ())
    if isinstance(documents, str):
        documents = [documents]
    if not isinstance(documents, list | tuple) or not all(isinstance(d, str) for d in documents):
        raise InputError(f"documents is {documents!r}; give a list of names")
    return Filter(tuple(documents), _whole(body, "first_page"), _whole(body, "last_page"))


def _assembly(body: Body, default: Assembly) -> Assembly:
    placement = _named(body, "placement", {name: name for name in STRATEGIES})
    return replace(
        default,
        budget_tokens=_whole(body, "budget_tokens", default.budget_tokens),
        max_new_tokens=_whole(body, "max_new_tokens", default.max_new_tokens)
        or default.max_new_tokens,
        placement=placement or default.placement,
        select=_named(body, "select", SELECTORS) or default.select,
        max_chunks=_whole(body, "max_chunks", default.max_chunks),
        trim=_flag(body, "trim", default.trim),
        expand=_whole(body, "expand", default.expand, least=0) or 0,
        seed=_whole(body, "seed", default.seed, least=0) or 0,
    )


def _whole(
    body: Body, name: str, default: int | None = None, *, least: int = 1, most: int = 2**31
) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}; give a whole number, {least} to {most}")
    return value


def _share(body: Body, name: str, default: float | None = None) -> float | None:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"{name} is {value!r}; give a number, 0 to 1")
    return float(value)


def _flag(body: Body, name: str, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; give true or false")
    return value


def _named(body: Body, name: str, known: Mapping[str, T]) -> T | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} is {value!r}; valid: {', '.join(known)}")
    return known[value]
