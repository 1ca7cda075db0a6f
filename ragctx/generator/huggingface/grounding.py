"""Answers made of the passages' own words: which token may come next, at every step.

An answer is one statement or several, each a stretch of one passage's own text, from the beginning
of a word to the end of one, and behind it the label of that passage; or else it says that the
documents do not hold the answer. Between statements stand a few connectives:

    answer     = statement { connective statement } [ "." ] | NOT_FOUND
    statement  = span " [" label "]"
    connective = one of CONNECTIVES

That is a finite automaton over token ids: its places are positions in the passages and in the fixed
texts. It only takes tokens away from the choice and leaves the model and its cache alone, so that
what was cached and what was not give the same answer. Line ends and other space become one space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from typing import NamedTuple, TypeAlias

from ragctx.generator.huggingface.streaming import TextStream
from ragctx.records import Segment
from ragctx.text.line_shapes import is_spaceless

NOT_FOUND = "This is not in the documents."
"""What a grounded answer says instead; the built-in templates ask for these words."""

CONNECTIVES = (",", ";", ".", ", and", ", but", ", or", "\n", ".\n", "\n- ", ".\n- ")
"""What may stand between two statements."""

_BREAK = re.compile(r"\s|[.,;:!?)\]}»”’\"']{1,8}(?:\s|\Z)|\Z")
"""What stands behind a word's end: space, or marks and then space; no comma within a number. More
than eight marks are leaders."""


class Joint(Enum):
    """A place between spans and fixed texts."""

    BEGIN = auto()  # of the answer
    CITED = auto()  # behind a statement
    STOPPED = auto()  # behind a full stop
    SPACED = auto()  # a statement follows, a space before it
    BARE = auto()  # a statement follows, none
    ENDED = auto()  # nothing follows


@dataclass(frozen=True, slots=True)
class _InSpan:
    """Behind a token of a passage: `at` is the next."""

    passage: int
    at: int


@dataclass(frozen=True, slots=True)
class _InText:
    """Within fixed ids, of which `at` is the next; `then` is the place behind them."""

    token_ids: tuple[int, ...]
    at: int
    then: Place


Place: TypeAlias = "Joint | _InSpan | _InText"
_Step: TypeAlias = "tuple[int, Place]"

_MAY_END = frozenset((Joint.CITED, Joint.STOPPED, Joint.ENDED))


class Grounding:
    """What may follow what in an answer from `passages`. Immutable; several answers may use it.

    `encode` gives the ids of a text within a prompt, `decode` the text of ids.

    >>> encode = lambda text: [ord(character) for character in text]
    >>> decode = lambda token_ids: "".join(map(chr, token_ids))
    >>> text = "Tin melts at 232 °C."
    >>> tin = Segment(kind="passage", label="1", text=text, text_end=len(text), token_ids=())
    >>> grounding = Grounding([tin], encode, decode)
    >>> def can_be_said(answer: str) -> bool:
    ...     places = grounding.start
    ...     for token in encode(answer):
    ...         places = grounding.after(places, token)
    ...     return grounding.may_end(places)
    >>> can_be_said("melts at 232 °C [1]."), can_be_said("melts [1], at 232 °C. [1]")
    (True, True)
    >>> can_be_said("melts at 23 [1]"), can_be_said("melts"), can_be_said("Tin at 232 °C [1]")
    (False, False, False)
    """

    start: frozenset[Place] = frozenset((Joint.BEGIN,))

    def __init__(
        self,
        passages: Iterable[Segment],
        encode: Callable[[str], Sequence[int]],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self._passages = [run for segment in passages for run in _runs_of(segment, encode, decode)]
        bare, spaced = self._beginnings(spaced=False), self._beginnings(spaced=True)
        no_answer = [_InText(tuple(encode(lead + NOT_FOUND)), 0, Joint.ENDED) for lead in ("", " ")]
        between = [
            _InText(tuple(encode(connective)), 0, _behind(connective)) for connective in CONNECTIVES
        ]
        self._steps: Mapping[Joint, tuple[_Step, ...]] = {
            Joint.BEGIN: (*bare, *spaced, *(s for place in no_answer for s in _text_steps(place))),
            Joint.BARE: bare,
            Joint.SPACED: spaced,
            Joint.STOPPED: spaced,
            Joint.CITED: (*spaced, *(s for place in between for s in _text_steps(place))),
            Joint.ENDED: (),
        }

    def allowed(self, places: Iterable[Place]) -> set[int]:
        """Ids that may come next; empty only behind an answer that nothing may follow."""
        return {token for place in places for token, _ in self._from(place)}

    def after(self, places: Iterable[Place], token: int) -> frozenset[Place]:
        """Where an answer may be once `token` has come."""
        return frozenset(
            then for place in places for step, then in self._from(place) if step == token
        )

    def may_end(self, places: Iterable[Place]) -> bool:
        """Whether the answer may end here."""
        return any(place in _MAY_END for place in places)

    def _from(self, place: Place) -> Iterator[_Step]:
        if isinstance(place, Joint):
            yield from self._steps[place]
        elif isinstance(place, _InText):
            yield from _text_steps(place)
        else:
            passage = self._passages[place.passage]
            for token_ids in passage.ends.get(place.at, ()):
                cited = (*token_ids, *passage.citation)
                yield from _text_steps(_InText(cited, 0, Joint.CITED))
            if place.at < len(passage.token_ids):
                yield passage.token_ids[place.at], _InSpan(place.passage, place.at + 1)

    def _beginnings(self, *, spaced: bool) -> tuple[_Step, ...]:
        """What begins a span, with or without a space before it."""
        return tuple(
            step
            for number, passage in enumerate(self._passages)
            for begun in passage.begins
            for step in _text_steps(
                _InText(begun.spaced if spaced else begun.bare, 0, _InSpan(number, begun.at))
            )
        )


def _behind(connective: str) -> Joint:
    if connective == ".":
        return Joint.STOPPED
    return Joint.BARE if connective[-1:].isspace() else Joint.SPACED


def _text_steps(place: _InText) -> Iterator[_Step]:
    if place.at < len(place.token_ids):
        behind = place.at + 1
        ends = behind == len(place.token_ids)
        then = place.then if ends else _InText(place.token_ids, behind, place.then)
        yield place.token_ids[place.at], then


class _Begun(NamedTuple):
    """The ids that begin a span, without a space before it and with one, and the next index."""

    bare: tuple[int, ...]
    spaced: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Words of a passage as ids, and where a span of them may begin and end.

    Words and tokens need not begin and end together: `ends` has, for an index, the ids that end a
    span before it (none), or within the token there.
    """

    citation: tuple[int, ...]
    token_ids: tuple[int, ...]
    begins: tuple[_Begun, ...]
    ends: Mapping[int, tuple[tuple[int, ...], ...]]


def _runs_of(
    segment: Segment, encode: Callable[[str], Sequence[int]], decode: Callable[[Sequence[int]], str]
) -> Iterator[_Run]:
    """The runs of words that the tokenizer can say: it may not know every character."""
    citation = tuple(encode(f" [{segment.label}]"))
    words = segment.own_text.split()
    for can_be_said, run in groupby(words, lambda word: decode(encode(word)).strip() == word):
        if can_be_said:
            yield _run(tuple(encode(" ".join(run))), citation, encode, decode)


def _run(
    ids: tuple[int, ...],
    citation: tuple[int, ...],
    encode: Callable[[str], Sequence[int]],
    decode: Callable[[Sequence[int]], str],
) -> _Run:
    text, offsets = _offsets(ids, decode)
    begins: list[_Begun] = []
    ends: dict[int, tuple[tuple[int, ...], ...]] = {}
    for i, at in enumerate(offsets):
        if at is None:
            continue
        end = offsets[i + 1] if i < len(ids) else at
        if end is None:  # within a character
            ends[i] = ((),) if _ends_word(text, at) else ()
            continue
        begins += [
            _Begun(tuple(encode(text[start:end])), tuple(encode(f" {text[start:end]}")), i + 1)
            for start in range(at, end)
            if _begins_word(text, start)
        ]
        ends[i] = tuple(
            tuple(encode(text[at:stop]) if stop > at else ())
            for stop in range(at, max(end, at + 1))
            if _ends_word(text, stop)
        )
    return _Run(citation=citation, token_ids=ids, begins=tuple(begins), ends=ends)


def _offsets(
    ids: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> tuple[str, list[int | None]]:
    """The ids' text, and where each id begins in it; the end last. None: within a character."""
    stream = TextStream(decode)
    pieces = [stream.push(token) for token in ids]
    offsets: list[int | None] = [0]
    at = 0
    for piece in pieces:
        at += len(piece)
        offsets.append(at if piece else None)
    rest = stream.finish()
    if rest:
        offsets[-1] = at + len(rest)
    return "".join(pieces) + rest, offsets


def _begins_word(text: str, at: int) -> bool:
    if text[at].isspace():
        return False
    return at == 0 or text[at - 1].isspace() or is_spaceless(text[at])


def _ends_word(text: str, at: int) -> bool:
    if at == 0 or text[at - 1].isspace():
        return False
    beside = text[at - 1 : at + 1]  # scripts without spaces may be cut anywhere
    return bool(_BREAK.match(text, at)) or any(map(is_spaceless, beside))
