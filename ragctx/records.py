"""The frozen records that one step of ragctx hands to the next. Nothing here does any work.

Offsets are characters into `Document.text`, half open. Page numbers count from 1. Ranks count
from 1. Scores: higher is better. Times are in seconds (`_s`).
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

PAGE_SEPARATOR = "\n"
"""The character between two pages in `Document.text`; it belongs to neither page."""

PdfStatus = Literal[
    "ok", "partial", "no_text", "encrypted", "corrupt", "timeout", "too_large", "unreadable"
]
"""What came of a PDF: all of it, part of it, no text layer, a password needed, damaged, over the
time limit, over the size or memory limit, or a file that cannot be read at all (permissions)."""

PageStatus = Literal["ok", "empty", "scanned", "garbled", "timeout", "corrupt", "too_long"]
"""What came of one page. `scanned`: pictures but no text; `garbled`: glyphs without meaning;
`too_long`: left out, for the pages before it hold all the characters that a file may."""

IngestOutcome = Literal["added", "replaced", "unchanged", "duplicate", "removed", "failed"]
"""What an ingest run did with one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: `number` counts from 1, `label` is what the page calls itself ("xii", "A-3")."""

    number: int
    label: str
    text: str
    status: PageStatus = "ok"


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry of a PDF's outline: `depth` counts from 0, `page` from 1."""

    title: str
    page: int
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document's text with its page table.

    `text` is every page's text joined by `PAGE_SEPARATOR`; `page_starts[i]` is where page i begins.

    >>> document = Document(
    ...     id="d1",
    ...     path="a.pdf",
    ...     pages=(Page(number=1, label="i", text="One."), Page(number=2, label="1", text="Two.")),
    ... )
    >>> document.text
    'One.\\nTwo.'
    >>> document.page_of(5).label
    '1'
    """

    id: str  # from the file's content: equal bytes have equal ids
    path: str
    pages: tuple[Page, ...]
    title: str = ""
    outline: tuple[Heading, ...] = ()
    status: PdfStatus = "ok"
    reader: str = ""  # which reader gave the text: "pdfium", "pypdf", or both
    warnings: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """All pages as one stream of characters."""
        return PAGE_SEPARATOR.join(page.text for page in self.pages)

    @cached_property
    def page_starts(self) -> tuple[int, ...]:
        """Offset of each page's first character in `text`."""
        starts, offset = [], 0
        for page in self.pages:
            starts.append(offset)
            offset += len(page.text) + len(PAGE_SEPARATOR)
        return tuple(starts)

    def page_of(self, offset: int) -> Page:
        """The page with the character at `offset`; a separator counts to the page before it."""
        return self.pages[max(0, bisect_right(self.page_starts, offset) - 1)]

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return file_name(self.path)


def file_name(path: str) -> str:
    """The last part of a path, as it is shown to people; the path may be of another system.

    >>> file_name("manuals/pump.pdf"), file_name(r"C:\\manuals\\pump.pdf")
    ('pump.pdf', 'pump.pdf')
    """
    return path.replace("\\", "/").rpartition("/")[2]


GetDocument = Callable[[str], Document | None]
"""A document by its id; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: `text == document.text[start:end]`. `token_count` is in the embedder's tokens."""

    id: str
    document_id: str
    start: int
    end: int
    first_page: int | None  # None where it is not known, as of another retriever
    last_page: int | None
    text: str
    token_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that a search brought, with the document it came from. Rank counts from 1."""

    rank: int
    score: float | None  # the retriever's own, higher is better; None where it gave none
    chunk: Chunk
    document: str = ""  # the document's name, for people
    path: str = ""
    similarity: float | None = field(default=None, compare=False)  # cosine to the question

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
        """
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


SegmentKind = Literal["instruction", "passage", "question", "answer"]

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


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """What one segment of a prompt costs."""

    kind: SegmentKind
    label: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How a prompt's tokens add up: `prompt_tokens + max_new_tokens + slack_tokens` is the window.

    All are tokens of the generator's own tokenizer. `prompt_tokens` is the count of the ids that go
    to the model, the sum over `segments`. `text_tokens` is that of the joined text, where an API
    tokenises it again; None where ids are what is sent.
    """

    context_window: int
    max_new_tokens: int
    budget_tokens: int
    prompt_tokens: int
    segments: tuple[SegmentCount, ...]
    text_tokens: int | None = None

    @property
    def slack_tokens(self) -> int:
        """Tokens of the window that neither the prompt nor the answer needs; never below 0."""
        used = max(self.prompt_tokens, self.text_tokens or 0)
        return self.context_window - self.max_new_tokens - used

    def tokens_of(self, kind: SegmentKind) -> int:
        """Tokens of all segments of one kind."""
        return sum(segment.tokens for segment in self.segments if segment.kind == kind)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The assembled prompt. `len(token_ids) + max_new_tokens <= context_window`, always.

    `saved_tokens` is what merging passages that overlap or touch saved of their texts.
    `text_tokens`: see `Certificate`.
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
        )


FinishReason = Literal["stop", "length", "abstain"]


@dataclass(frozen=True, slots=True)
class CopiedSpan:
    """Where an answer was copied from: characters of one passage's own text."""

    passage: int  # index into `Prompt.passages`
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a generator gave. `spans` are set by generators that copy (the bundled reader).

    `prefill_s` are the seconds until the first token was known, `decode_s` those from there on.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prefill_s: float
    decode_s: float
    reused_tokens: int  # prompt tokens whose keys and values came from the cache
    confidence: float | None = None  # probability that the passages contain the answer
    spans: tuple[CopiedSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much an answer depends on a passage: its log-probability with the passage and without.

    `without` is -inf if no other passage that was read contains the answer.
    """

    label: str
    log_probability: float
    without: float

    @property
    def probability_lost(self) -> float:
        """How much less probable the answer is without the passage; negative: it stood in the way.

        >>> round(Attribution("1", -0.1, float("-inf")).probability_lost, 3)
        0.905
        """
        return math.exp(self.log_probability) - math.exp(self.without)


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, as a name and as a sentence with what to do about it."""

    reason: str  # one of `ragctx.refusals.REASONS`
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with its sources, or an abstention.

    Of an abstention `refusal` tells why, and `nearest` are up to three passages found for it.
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

    @property
    def confidence(self) -> float | None:
        """Probability that the passages hold the answer; None where the model does not tell."""
        return self.generation.confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRow:
    """One file's row in the ingest ledger."""

    path: str
    outcome: IngestOutcome
    status: PdfStatus
    document_id: str = ""
    pages: int = 0
    chunks: int = 0
    reader: str = ""
    seconds: float = 0.0
    message: str = ""  # one line: the fact and the remedy
    page_problems: tuple[tuple[int, PageStatus], ...] = ()
    warnings: tuple[str, ...] = ()
