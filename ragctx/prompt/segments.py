"""The segments of a prompt: what is in each, and which of the prompt's tokens are its own.

A tokenizer that reads a prompt as one text (`JoinsParts`) is given it as one text, and the tokens
are dealt out to the segments in which they begin. So the ids are those that the model's own chat
template gives, and their counts still add up exactly. Any other tokenizer is given part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from ragctx.file_formats import Unit, unit_of
from ragctx.headers import section_words
from ragctx.prompt.frame import Frame
from ragctx.prompt.template import Part, Template, by_section, without
from ragctx.records import Hit, Segment
from ragctx.tokens.tokenizer import JoinsParts, TextPart, Tokenizer


def laid_out(frame: Frame, hits: Sequence[Hit], tokenizer: Tokenizer) -> tuple[Segment, ...]:
    """The segments of a prompt: the frame's, with one for each hit in between.

    Consecutive passages of a document share one header.
    """
    passages = list(_passages(frame.template, hits))
    if isinstance(tokenizer, JoinsParts) and tokenizer.joins_parts:
        return _joined(frame, passages, tokenizer)
    markup, plain = cache(tokenizer.encode_markup), cache(tokenizer.encode)  # for this prompt
    segments = [
        passage.segment([(markup if ours else plain)(text) for text, ours in passage.parts])
        for passage in passages
    ]
    return (*frame.before, *segments, *frame.after)


def _joined(
    frame: Frame, passages: Sequence[_Passage], tokenizer: JoinsParts
) -> tuple[Segment, ...]:
    """The segments with the ids of the prompt as one text."""
    around = (*frame.before, *frame.after)
    lone = [TextPart(segment.text, segment.kind != "question") for segment in around]
    parts = [part for passage in passages for part in passage.parts]
    opening = len(frame.before)
    shares = tokenizer.encode_parts([*lone[:opening], *parts, *lone[opening:]])
    left = iter(shares)
    before = [replace(segment, token_ids=tuple(next(left))) for segment in frame.before]
    between = [passage.segment([next(left) for _ in passage.parts]) for passage in passages]
    after = [replace(segment, token_ids=tuple(next(left))) for segment in frame.after]
    return (*before, *between, *after)


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage before it is tokenised: `parts[own]` is its text."""

    hit: Hit
    label: str
    parts: tuple[TextPart, ...]
    own: int

    def segment(self, token_ids: Sequence[Sequence[int]]) -> Segment:
        """The segment, given the ids of each part."""
        text_start = sum(len(part.text) for part in self.parts[: self.own])
        token_start = sum(map(len, token_ids[: self.own]))
        return Segment(
            kind="passage",
            label=self.label,
            text="".join(part.text for part in self.parts),
            token_ids=tuple(token for ids in token_ids for token in ids),
            hit=self.hit,
            text_start=text_start,
            text_end=text_start + len(self.parts[self.own].text),
            token_start=token_start,
            token_end=token_start + len(token_ids[self.own]),
        )


def _passages(template: Template, hits: Iterable[Hit]) -> Iterator[_Passage]:
    before = None
    for position, hit in enumerate(hits, start=1):
        document = hit.chunk.document_id, hit.document
        header = template.header if document != before else ()
        parts = (*header, *passage_parts(template, known_of(hit)))
        label = str(position)
        texts = tuple(
            TextPart(SLOTS[part.slot](hit), False)
            if part.slot
            else TextPart(part.with_label(label), True)
            for part in parts
        )
        yield _Passage(hit, label, texts, [part.slot for part in parts].index("text"))
        before = document


class Known(NamedTuple):
    """What is known of where a passage is from: it decides which parts stand around it."""

    pages: bool
    section: bool
    unit: Unit


def known_of(hit: Hit) -> Known:
    """What is known of where a hit is from."""
    return Known(hit.chunk.first_page is not None, bool(hit.chunk.section), unit_of(hit.document))


def passage_parts(template: Template, known: Known) -> Sequence[Part]:
    """The template's parts for a passage, without those about what is not known of it."""
    parts = template.passage
    if known.unit == "section" and known.pages:
        parts = by_section(parts, is_named=known.section)
    unknown = {name for name in ("pages", "section") if not getattr(known, name)}
    return without(unknown, parts) if unknown else parts


def one_line_name(name: str) -> str:
    """A document's name on one line, whatever the file is called."""
    return " ".join(name.split()) or "untitled"


def _pages(hit: Hit) -> str:
    first, last = hit.chunk.first_page, hit.chunk.last_page
    return str(first) if first == last else f"{first}-{last}"


def _section(hit: Hit) -> str:
    return " ".join(section_words(hit.chunk).split())


def _lead_in(hit: Hit) -> str:
    return f"{hit.chunk.lead_in}\n" if hit.chunk.lead_in else ""


SLOTS: dict[str, Callable[[Hit], str]] = {
    "text": lambda hit: hit.chunk.text,
    "document": lambda hit: one_line_name(hit.document),
    "section": _section,
    "pages": _pages,
    "lead_in": _lead_in,
}
"""What stands in each slot of a passage."""
