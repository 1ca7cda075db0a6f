"""The frozen records that one step of ragctx hands to the next. Nothing here does any work.

Those that hold much have a short `repr`, and in a notebook some are shown as a card. Documents, the
ledger of an ingest run, certificates and attributions have modules of their own; their names are
handed on here.

Offsets are characters into `Document.text`, half open. Page numbers count from 1. Ranks count
from 1. Scores: higher is better. Times are in seconds (`_s`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from ragctx.arguments import require_kind, require_number, require_whole
from ragctx.attribution import Attribution as Attribution
from ragctx.cards import card, clipped, line
from ragctx.certificate import Certificate as Certificate
from ragctx.certificate import SegmentCount as SegmentCount
from ragctx.certificate import SegmentKind as SegmentKind
from ragctx.documents import PAGE_SEPARATOR as PAGE_SEPARATOR
from ragctx.documents import Document as Document
from ragctx.documents import GetDocument as GetDocument
from ragctx.documents import Heading as Heading
from ragctx.documents import Page as Page
from ragctx.documents import PageStatus as PageStatus
from ragctx.documents import PdfStatus as PdfStatus
from ragctx.documents import Section as Section
from ragctx.documents import file_name as file_name
from ragctx.file_formats import Unit, unit_of
from ragctx.ingest_ledger import IngestOutcome as IngestOutcome
from ragctx.ingest_ledger import IngestRow as IngestRow
from ragctx.outcomes import NO_ANSWER as NO_ANSWER
from ragctx.outcomes import UNREAD as UNREAD
from ragctx.outcomes import Outcome as Outcome
from ragctx.outcomes import Refusal as Refusal
from ragctx.text.wording import counted, pages_words, place_words, section_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: `text == document.text[start:end]`. `token_count` is in the embedder's tokens.

    `title`, `section` and `lead_in` tell what it belongs to (`ragctx.headers`). They are searched
    with the text, and are no part of it.
    """

    id: str
    document_id: str
    start: int
    end: int
    first_page: int | None  # None where it is not known, as of another retriever
    last_page: int | None
    text: str
    token_count: int
    title: str = ""  # the document's
    section: tuple[str, ...] = ()  # the headings above it, the outermost first
    lead_in: str = ""  # what it goes on from: the header rows of its table, the opening of its list

    def __repr__(self) -> str:
        pages = pages_words(self.first_page, self.last_page)
        return line("Chunk", clipped(self.id), pages, clipped(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that a search brought, with the document it came from. Rank counts from 1."""

    rank: int
    score: float | None  # the retriever's own, higher is better; None where it gave none
    chunk: Chunk
    document: str = ""  # the document's name, for people
    path: str = ""
    similarity: float | None = field(default=None, compare=False)  # cosine to the question
    retrieved_rank: int | None = None  # before a reranker scored it; None where none did

    @classmethod
    def from_text(
        cls,
        rank: int,
        score: float | None,
        text: str,
        document: str = "",
        *,
        page: int | None = None,
    ) -> Hit:
        """A hit from somebody else's retriever: only text is known, and perhaps its page.

        >>> Hit.from_text(1, 0.9, "Paris is in France.", "atlas").chunk.text
        'Paris is in France.'

        Raises:
            InputError: an argument is of another kind; the first two are often swapped.
        """
        require_whole("rank", rank)
        if score is not None:
            require_number("score", score)
        require_kind("text", text, str, "the order is from_text(rank, score, text, document)")
        require_kind("document", document, str, "give the document's name, or leave it out")
        if page is not None:
            require_whole("page", page)
        chunk = Chunk(
            id=f"{document}#{rank}",
            document_id=document,
            start=0,
            end=len(text),
            first_page=page,
            last_page=page,
            text=text,
            token_count=0,
        )
        return cls(rank=rank, score=score, chunk=chunk, document=document, path=document)

    @property
    def place(self) -> str:
        """Its pages, or the headings above it in a document with sections; "" if not known."""
        chunk, unit = self.chunk, unit_of(self.document)
        numbers = place_words(unit, chunk.first_page, chunk.last_page)
        return section_words(chunk.section) if unit == "section" and chunk.section else numbers

    def __repr__(self) -> str:
        score = "no score" if self.score is None else f"score {self.score:.4g}"
        place = (clipped(self.document) if self.document else "", self.place)
        return line("Hit", f"rank {self.rank}", score, *place, clipped(self.chunk.text))


LedgerOutcome = Literal["selected", "trimmed", "merged", "dropped"]


class LedgerRow(NamedTuple):
    """What became of one candidate, and why. `tokens` is what it costs in the prompt.

    A tuple, because there may be thousands, and dataclasses that are frozen are slow to make.
    """

    chunk: str  # the candidate's chunk id
    document: str
    rank: int
    score: float | None
    tokens: int
    outcome: LedgerOutcome
    reason: str
    start: int = 0  # the candidate's characters in its document's text, half open
    end: int = 0
    into: str | None = None  # of a merged candidate: the chunk id of the span that holds it
    section: tuple[str, ...] = ()  # the headings above the candidate, the outermost first


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The hits that fit, in rank order, and the ledger of all candidates, in rank order.

    `room_tokens` is what the prompt leaves for passages, headers included: the prompt's own budget
    less its template and question.
    """

    selected: tuple[Hit, ...]
    tokens: tuple[int, ...]  # cost of selected[i] in the prompt
    ledger: tuple[LedgerRow, ...]
    used_tokens: int
    room_tokens: int
    upper_bound: float  # no selection that fits in the room has a larger summed relevance
    relevance: float  # the summed relevance of this one

    @property
    def gap(self) -> float:
        """How far from the best this can be at most: a share of `upper_bound`, from 0 (it is best).

        >>> Selection(
        ...     selected=(),
        ...     tokens=(),
        ...     ledger=(),
        ...     used_tokens=0,
        ...     room_tokens=100,
        ...     upper_bound=4.0,
        ...     relevance=3.0,
        ... ).gap
        0.25
        """
        return 1 - self.relevance / self.upper_bound if self.upper_bound else 0.0

    @property
    def budget_tokens(self) -> int:
        """The former name of `room_tokens`. Using it gives a DeprecationWarning."""
        warnings.warn(
            "Selection.budget_tokens is now Selection.room_tokens", DeprecationWarning, stacklevel=2
        )
        return self.room_tokens


@dataclass(frozen=True, slots=True)
class Placement:
    """The selected hits in prompt order: a permutation of `Selection.selected`, nothing else."""

    strategy: str
    hits: tuple[Hit, ...]
    note: str = ""  # why, if a strategy fell back to another


Role = Literal["system", "user"]
"""Whose turn of a chat a segment belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of the prompt, tokenised on its own. `hit` is set for passages."""

    kind: SegmentKind
    label: str  # "1", "2", … for passages, in prompt order; "" for the rest
    text: str
    token_ids: tuple[int, ...]
    hit: Hit | None = None
    text_start: int = 0  # where the passage's own text begins in `text` …
    text_end: int = 0  # … and ends
    token_start: int = 0  # the same in `token_ids`; headers and markers are outside
    token_end: int = 0
    role: Role = "user"
    framed_text: str | None = None  # what of `text` is the message, if the rest is a chat template

    @property
    def message_text(self) -> str:
        """The part of `text` that belongs to the chat message, without the chat template."""
        return self.text if self.framed_text is None else self.framed_text

    @property
    def own_text(self) -> str:
        """The passage's own text, without headers and markers."""
        return self.text[self.text_start : self.text_end]

    def as_item(self) -> tuple[str, str]:
        """Its heading and text, for a card."""
        document = self.hit.document if self.hit else ""
        heading = (f"[{self.label}] {document}", counted(len(self.token_ids), "token"))
        return ", ".join(heading), self.own_text

    def __repr__(self) -> str:
        kind = f"{self.kind} [{self.label}]" if self.label else self.kind
        return line("Segment", kind, counted(len(self.token_ids), "token"), clipped(self.text))


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The assembled prompt. `len(token_ids) + max_new_tokens <= context_window`, always.

    `saved_tokens` is what merging passages that overlap or touch saved of their texts.
    `text_tokens`, `cached_tokens` and `order_saved_tokens`: see `Certificate`.
    """

    segments: tuple[Segment, ...]
    question: str
    placement: str
    context_window: int
    max_new_tokens: int
    budget_tokens: int
    ledger: tuple[LedgerRow, ...] = ()
    saved_tokens: int = 0
    text_tokens: int | None = None
    cached_tokens: int | None = None
    order_saved_tokens: int = 0

    @cached_property
    def token_ids(self) -> tuple[int, ...]:
        """Every segment's ids, one after another."""
        return tuple(token for segment in self.segments for token in segment.token_ids)

    @cached_property
    def text(self) -> str:
        """Every segment's text, one after another."""
        return "".join(segment.text for segment in self.segments)

    @property
    def token_count(self) -> int:
        """Tokens in the prompt: the sum over its segments, exactly."""
        return len(self.token_ids)

    @property
    def passages(self) -> tuple[Segment, ...]:
        """The passage segments, in prompt order."""
        return tuple(segment for segment in self.segments if segment.kind == "passage")

    @cached_property
    def certificate(self) -> Certificate:
        """How the tokens add up."""
        return Certificate(
            context_window=self.context_window,
            max_new_tokens=self.max_new_tokens,
            budget_tokens=self.budget_tokens,
            prompt_tokens=self.token_count,
            segments=tuple(SegmentCount(s.kind, s.label, len(s.token_ids)) for s in self.segments),
            text_tokens=self.text_tokens,
            cached_tokens=self.cached_tokens,
            order_saved_tokens=self.order_saved_tokens,
        )

    def __repr__(self) -> str:
        return line("Prompt", clipped(self.question), *self._sizes())

    def _repr_html_(self) -> str:
        facts = (*self._sizes(), f"placement {self.placement}", f"window {self.context_window:,}")
        return card(self.question, facts, map(Segment.as_item, self.passages))

    def _sizes(self) -> tuple[str, str]:
        passages = counted(len(self.passages), "passage")
        return passages, f"{self.token_count:,} of {self.budget_tokens:,} tokens"


FinishReason = Literal["stop", "length", "abstain", "refused", "tool_call"]
"""How a generator ended: by itself, at its limit of tokens, or without an answer: it tells that the
passages hold none, will not answer, or calls a tool instead."""


@dataclass(frozen=True, slots=True)
class CopiedSpan:
    """Where an answer was copied from: characters of one passage's own text."""

    passage: int  # index into `Prompt.passages`
    start: int
    end: int


SURE = 0.7
"""The confidence from which an answer is sure where its model does not say otherwise. Chosen by
hand."""


@dataclass(frozen=True, slots=True)
class CopiedGuess:
    """Another answer that a generator which copies found likely, and where it stands."""

    text: str
    span: CopiedSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a generator gave. `spans` are set by generators that copy (the bundled reader).

    The first span is the answer, further ones are places in other documents that say the same.
    `alternatives` come from other passages and say something else, the likeliest first.
    `text` is the answer alone. `thought` is what the model wrote for itself before it; `token_ids`
    are those of both.

    `prefill_s` are the seconds until the first token was known, `decode_s` those from there on.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prefill_s: float
    decode_s: float
    reused_tokens: int  # prompt tokens whose keys and values came from the cache
    confidence: float | None = None  # probability that the answer is right
    spans: tuple[CopiedSpan, ...] = ()
    thought: str = ""
    thought_tokens: int = 0  # as a server counts them, which may keep the thought to itself
    sure_from: float = SURE  # the confidence from which the answer is to be relied on
    alternatives: tuple[CopiedGuess, ...] = ()
    approximate: bool = False  # whether the model read the prompt in a way that is not its own

    @property
    def is_sure(self) -> bool | None:
        """Whether the answer is to be relied on; None where the model does not tell."""
        return None if self.confidence is None else self.confidence >= self.sure_from


CitationStatus = Literal["verified", "unverified", "unknown_label"]
"""How a citation fared when it was checked.

- `verified`: the text of the cited pages contains the quote, and the quote what is cited.
- `unverified`: the passage exists, but nothing in it was found that supports the statement, or the
  passage is no longer part of the document's text.
- `unknown_label`: the prompt has no passage with this label.

A hit of another retriever belongs to no document that ragctx could open. There `verified` means
that the passage contains the quote; the page numbers are what the retriever gave.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where a statement comes from. `quote == document.text[start:end]` when verified.

    Of an unverified citation, the quote is only the nearest sentence of the passage, if any.
    """

    label: str
    document: str
    path: str
    first_page: int | None  # None where it is not known
    last_page: int | None
    start: int
    end: int
    quote: str
    status: CitationStatus
    page_labels: tuple[str, ...] = ()  # what those pages call themselves
    answer_start: int | None = None  # the words of the answer, within start…end; None if not found
    answer_end: int | None = None
    statement: str = ""  # the part of the answer that is cited; "" for a copied answer
    ocr: bool = False  # whether a page that the quote is on was read by OCR, which may misread it
    unit: Unit = "page"  # what is numbered: a document that is no PDF has sections

    @property
    def place(self) -> str:
        """Its pages or sections, in words; "" where they are not known."""
        words = place_words(self.unit, self.first_page, self.last_page, self.page_labels)
        return words + " (OCR)" * self.ocr

    def as_item(self) -> tuple[str, str]:
        """Its heading and quote, for a card."""
        parts = (f"[{self.label}] {self.document}", self.place, self.status.replace("_", " "))
        return ", ".join(filter(None, parts)), self.quote


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another answer beside an unsure one, and where it comes from.

    `is_conflict`: another document says in the same words the same thing, but for the answer.
    """

    text: str
    citation: Citation
    is_conflict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with its sources, or an abstention.

    Of an abstention `refusal` tells why, and `nearest` are up to three passages found for it.
    `scale` is what the head of a table says of its numbers ("in millions"), if the answer is one.
    """

    question: str
    text: str
    abstained: bool
    citations: tuple[Citation, ...]
    generation: Generation
    prompt: Prompt
    model: str
    timing: Sequence[tuple[str, float]] = field(default_factory=tuple)  # (stage, seconds)
    refusal: Refusal | None = None
    nearest: tuple[Hit, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    scale: str = ""

    @property
    def confidence(self) -> float | None:
        """Probability that the answer is right; None where the model does not tell."""
        return self.generation.confidence

    @property
    def outcome(self) -> Outcome:
        """How the question ended: see `Outcome`."""
        if self.refusal is not None and self.refusal.reason in UNREAD:
            return "not_read"
        if self.refusal is not None and self.refusal.reason in NO_ANSWER:
            return "no_answer"
        if self.abstained:
            return "not_in_documents"
        if self.generation.is_sure is None:
            return "answered"
        return "sure" if self.generation.is_sure else "unsure"

    def __repr__(self) -> str:
        reason = self.refusal.reason if self.refusal else "not answered"
        text = f"abstained: {reason}" if self.abstained else clipped(self.text)
        return line("Answer", text, *self._certainty())

    def _repr_html_(self) -> str:
        text = self.refusal.message if self.refusal else self.text
        nearest = [(f"nearest: {hit.document}", hit.chunk.text) for hit in self.nearest]
        items = (*map(Citation.as_item, self.citations), *nearest)
        return card(text, (self.question, *self._certainty(), self.model), items)

    def _certainty(self) -> tuple[str, str]:
        confidence = "" if self.confidence is None else f"confidence {self.confidence:.2f}"
        return confidence, counted(len(self.citations), "citation")
