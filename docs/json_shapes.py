"""The JSON objects of `--json` as types, for `docs.build_json`; tests hold real outputs to them.

Where a command prints a record as it is, that record is the type (`Result`, `StoredProfile`). The
comment behind a field, here and in the records, is its description in the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ragctx.evaluation.certainty import StoredCertainty
from ragctx.evaluation.profiles import StoredProfile
from ragctx.evaluation.questions.check import QuestionProblem
from ragctx.evaluation.results import Result
from ragctx.file_formats import Unit
from ragctx.generator.cache_stats import CacheStats, StoreStats
from ragctx.generator.huggingface.measure import Measured
from ragctx.generator.huggingface.plan import Plan
from ragctx.index.recall import Recall
from ragctx.index.repair import Problem, Repair
from ragctx.index.store import SourceInfo
from ragctx.pdf.page_view import WhyLeftOut
from ragctx.prompt.imitation import ImitatedLabel
from ragctx.records import (
    Citation,
    FinishReason,
    IngestOutcome,
    LedgerOutcome,
    Outcome,
    PageStatus,
    PdfStatus,
    Refusal,
    SegmentCount,
)


class HitShape(TypedDict):
    """A passage that a search found."""

    rank: int  # from 1
    score: float | None  # the retriever's own, higher is better
    retrieved_rank: int | None  # before --rerank; null where nothing reranked it
    document: str  # the file's name
    path: str
    first_page: int | None  # from 1; null where it is not known
    last_page: int | None
    unit: Unit  # what these number: a document that is no PDF has sections
    start: int  # characters of the document's text, half open
    end: int
    text: str
    chunk: str  # the passage's id
    title: str  # the document's, as it was stored with the passage; "" where it is not known
    section: list[str]  # the headings above the passage, the outermost first
    lead_in: str  # the table's header rows or the list's opening that the passage goes on from


class LedgerRowShape(TypedDict):
    """What became of one candidate for the prompt, and why."""

    chunk: str  # the candidate's id
    document: str
    rank: int
    score: float | None
    tokens: int  # what it costs in the prompt, header included
    outcome: LedgerOutcome
    reason: str
    section: list[str]  # the headings above it, the outermost first


class CertificateShape(TypedDict):
    """How the tokens add up: prompt, answer and slack together are the window."""

    context_window: int
    max_new_tokens: int  # reserved for the answer
    budget_tokens: int  # the most that the prompt may take
    prompt_tokens: int  # the sum over the segments
    segments: list[SegmentCount]
    text_tokens: int | None  # of the joined text, where a server tokenises it again
    cached_tokens: int | None  # that the model held, where passages were placed for that
    order_saved_tokens: int  # of those, how many more than in the placement's own order
    slack_tokens: int  # of the window, that neither prompt nor answer needs


class PromptShape(TypedDict):
    """`ragctx prompt --json`: a prompt that fits."""

    question: str
    text: str
    token_count: int
    token_ids: list[int]
    context_window: int
    max_new_tokens: int
    budget_tokens: int
    placement: str  # the strategy that was used
    segments: list[SegmentCount]
    certificate: CertificateShape
    saved_tokens: int  # by merging passages that overlap or touch
    ledger: list[LedgerRowShape]


class SearchShape(TypedDict):
    """`ragctx search --json`: passages, best first."""

    question: str
    hits: list[HitShape]


class FateShape(LedgerRowShape):
    """A row of the ledger, where it is from, and what would let it in."""

    label: str  # in the prompt; "" if it is not in it
    tokens_to_enter: int | None  # how many more would let it in; null: it is in, or not known
    path: str
    first_page: int | None
    last_page: int | None
    unit: Unit  # what these number
    start: int
    end: int


class FrontierShape(TypedDict):
    """The largest summed relevance that so many tokens for passages allow."""

    tokens: int
    relevance: float


class ExplanationShape(TypedDict):
    """`ragctx explain --json`: why a prompt contains what it contains."""

    question: str
    placement: str
    certificate: CertificateShape
    room_tokens: int  # what the prompt leaves for passages
    used_tokens: int
    saved_tokens: int
    relevance: float  # summed, of the selection
    upper_bound: float  # no selection that fits has more
    gap: float  # share of upper_bound that the selection may lack at most
    score_name: str  # what the candidates' scores are, e.g. "RRF score"
    candidates: list[FateShape]
    frontier: list[FrontierShape]
    imitated_labels: list[ImitatedLabel]


@dataclass(frozen=True, kw_only=True)
class PlanShape(Plan):
    """`ragctx plan --json`: what a model needs.

    Weights' bytes are those at `dtype`, all others at `kv_dtype`; tokens are prompt and answer
    together.
    """

    measured: Measured | None  # with --measure


class UsageShape(TypedDict):
    """Tokens of a question and its answer."""

    context_window: int
    budget_tokens: int
    prompt_tokens: int
    max_new_tokens: int
    new_tokens: int  # of the answer
    reused_tokens: int  # of the prompt, from the cache
    slack_tokens: int
    cached_tokens: int | None  # that the model held, where passages were placed for that
    order_saved_tokens: int  # of those, how many more than in the placement's own order


class AttributionShape(TypedDict):
    """How much the answer depends on one passage; numbers are null where they are infinite."""

    label: str
    document: str
    log_probability: float | None  # of the answer, with all passages
    log_probability_without: float | None  # null: no other passage contains the answer
    probability_lost: float | None


class CacheShape(TypedDict):
    """What the bundled reader or a local model had read before."""

    memory: CacheStats
    disk: StoreStats | None  # null without --kv-cache


class AlternativeShape(TypedDict):
    """Another answer beside an unsure one, or one that another document gives instead."""

    answer: str
    is_conflict: bool  # another document says in the same words the same thing, but for the answer
    citation: Citation


class _AnswerShape(TypedDict):
    question: str
    answer: str  # "" if it abstained
    abstained: bool
    outcome: Outcome
    confidence: float | None  # that the answer is right; null where the model does not tell
    refusal: Refusal | None  # why there is no answer
    nearest: list[HitShape]  # up to three passages, if it abstained
    alternatives: list[AlternativeShape]  # up to two, beside an unsure answer
    scale: str | None  # what the head of a table says of the number: "in millions"
    finish_reason: FinishReason
    thought: str  # what the model wrote for itself before the answer; "" if nothing
    approximate: bool  # whether the model read each passage on its own (--reuse-passages)
    citations: list[Citation]
    placement: str
    usage: UsageShape
    timing: dict[str, float]  # seconds by stage
    model: str


class AnswerShape(_AnswerShape, total=False):
    """`ragctx ask --json`: an answer with its sources, or an abstention."""

    kv_cache: CacheShape  # of the bundled reader and of local models
    attribution: list[AttributionShape]  # with --attribute
    prompt: PromptShape  # with --show-prompt
    ledger: list[LedgerRowShape]  # with --explain


class BatchAnswerShape(AnswerShape, total=False):
    """A line of `ragctx ask --batch`: an answer and where its question stood."""

    line: int  # from 1, in the file of questions
    id: object  # the "id" of the question's row, if it has one


class _BatchErrorShape(TypedDict):
    line: int
    error: str


class BatchErrorShape(_BatchErrorShape, total=False):
    """A line of `ragctx ask --batch` for a question that could not be processed."""

    question: str  # if the line could be read
    id: object


class PageProblemShape(TypedDict):
    """A page without text, or without all of it."""

    page: int  # from 1
    status: PageStatus


class IngestRowShape(TypedDict):
    """What became of one file."""

    path: str
    outcome: IngestOutcome
    status: PdfStatus
    document_id: str
    pages: int
    chunks: int
    reader: str  # the library that read it
    seconds: float
    message: str  # the fact and the remedy, in one line
    page_problems: list[PageProblemShape]
    warnings: list[str]
    unit: Unit  # what `pages` counts


class IngestShape(TypedDict):
    """`ragctx ingest --json`: one row per file, and totals of what was read in this run."""

    rows: list[IngestRowShape]
    files: int
    pages: int
    chunks: int
    seconds: float
    pages_per_s: float
    chunks_per_s: float
    unembedded: int  # chunks of the index without vectors, after `--lexical` or a break
    index: str  # its folder


class BoxShape(TypedDict):
    """A box on a page as it is shown, in points from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


class PageLineShape(TypedDict):
    """A line of a page."""

    text: str
    box: BoxShape | None  # null where the reader gives no places


class LeftOutShape(TypedDict):
    """A line of a page that is not part of its text."""

    text: str
    why: WhyLeftOut
    box: BoxShape | None


class PageShape(TypedDict):
    """`ragctx page --json`: a page as it is read, or a section of a document that is no PDF."""

    document: str  # the file's name
    path: str
    unit: Unit
    page: int  # its number, from 1
    label: str  # what the page calls itself; of a section, the headings above it
    status: PageStatus
    reader: str  # the library that read it, or a section's format; "" if none could
    width: float | None  # as shown, in points; null for a section
    height: float | None
    text: str
    lines: list[PageLineShape]  # in reading order
    left_out: list[LeftOutShape]
    quote: str | None  # of --quote
    quote_boxes: list[BoxShape] | None  # one for each line that the quote is on
    quote_start: int | None  # the quote in a section's text: characters, half open
    quote_end: int | None
    png: str | None  # the picture that was written


class IndexInfoShape(TypedDict):
    """`ragctx index info --json`: an index in numbers. Times are UTC, ISO 8601."""

    path: str
    documents: int
    sources: int  # files; several may hold one document
    pages: int
    chunks: int
    unembedded: int  # chunks without vectors, found by their words until `ragctx ingest` goes on
    bytes: int  # of all its files
    embedder: str
    dim: int
    metric: str
    format_version: int
    ragctx_version: str  # of the ragctx that created it
    created: str
    updated: str
    reader: str | None  # the settings of its documents; null where they are not known
    hidden: str | None
    chunk_tokens: int | None
    overlap_tokens: int | None
    headers: bool | None  # null in an index of before there were any
    segments: int  # files that hold its vectors and words
    unsealed: int  # chunks with vectors that are in none of them yet
    deleted: int  # chunks in them that are no longer in the index
    notes: list[str]  # what slows searches, and what to do
    recall: Recall | None  # of --recall


class CompactedShape(TypedDict):
    """`ragctx index compact --json`: what was joined."""

    segments_before: int
    segments: int
    forgotten: int  # deleted chunks that were still in segments
    freed_bytes: int  # less than 0 where what was in no segment came into one


class SourcesShape(TypedDict):
    """`ragctx index list --json`: the documents of an index."""

    sources: list[SourceInfo]


class VerifyShape(TypedDict):
    """`ragctx index verify --json`: whether every checksum holds."""

    sound: bool
    problems: list[Problem]
    unembedded: int  # chunks without vectors, which is no problem


class RemovedShape(TypedDict):
    """`ragctx index remove --json`: what was removed."""

    removed: list[SourceInfo]


class CachePartShape(TypedDict):
    """One part of the cache."""

    name: str
    path: str
    entries: int
    bytes: int
    max_bytes: int | None  # null: without a bound


class CachedIndexShape(TypedDict):
    """An index of PDFs that `ask` was given."""

    path: str
    bytes: int
    used: str  # when it was last used: UTC, ISO 8601
    documents: list[str]


class CacheInfoShape(TypedDict):
    """`ragctx cache info --json`: what is kept to save time."""

    path: str
    parts: list[CachePartShape]
    indexes: list[CachedIndexShape]  # the one used last first


class CacheClearedShape(TypedDict):
    """`ragctx cache clear --json`: what was removed."""

    indexes: int
    answers: int
    indexes_in_use: int  # or not removable; they stay


class CheckedShape(TypedDict):
    """`ragctx questions check --json`: what is wrong with a file of questions."""

    rows: int
    sound: bool
    counts: dict[str, int]  # of problems, by kind
    problems: list[QuestionProblem]


class PassageSourceShape(TypedDict):
    """Where a passage of an assembled text is from."""

    label: str  # its number in the text
    document: str
    path: str
    first_page: int | None
    last_page: int | None


class AssembledShape(TypedDict):
    """What the tool `assemble` gives: `ragctx prompt --json` but for the ids, and more."""

    question: str
    text: str
    tokenizer: str  # the name that the call gave
    text_tokens: int  # of `text` as a whole: at most budget_tokens
    token_count: int  # the sum over the segments, each by itself
    context_window: int
    max_new_tokens: int
    budget_tokens: int
    placement: str
    segments: list[SegmentCount]
    certificate: CertificateShape
    saved_tokens: int
    ledger: list[LedgerRowShape]
    sources: list[PassageSourceShape]


class PageTextShape(TypedDict):
    """What the tool `read_page` gives."""

    document: str  # the file's name
    path: str
    document_id: str
    title: str
    page: int  # its number, from 1
    unit: Unit  # what `page` counts
    label: str  # what the page calls itself
    pages: int  # of the document
    status: PageStatus
    text: str
    start: int  # characters of the page's text, half open
    end: int
    characters: int  # of the whole page
    next_start: int | None  # where what was cut begins
    uri: str


class ListedShape(TypedDict):
    """A document in a list."""

    document: str  # the file's name
    path: str
    document_id: str
    title: str
    pages: int
    unit: Unit  # what `pages` counts
    status: PdfStatus
    uri: str


class ListShape(TypedDict):
    """What the tool `list_documents` gives."""

    documents: list[ListedShape]
    count: int  # of all that match
    next_start: int | None  # where what was cut begins


class ToolAnswerShape(_AnswerShape):
    """What the tool `ask` gives: `ragctx ask --json`."""


TOOL_SHAPES: dict[str, type] = {
    "search": SearchShape,
    "ask": ToolAnswerShape,
    "assemble": AssembledShape,
    "read_page": PageTextShape,
    "list_documents": ListShape,
}
"""What each tool of `ragctx mcp` gives."""

SHAPES: dict[str, tuple[type, ...]] = {
    "ask": (AnswerShape,),
    "ask --batch": (BatchAnswerShape, BatchErrorShape),
    "search": (SearchShape,),
    "prompt": (PromptShape,),
    "explain": (ExplanationShape,),
    "ingest": (IngestShape,),
    "page": (PageShape,),
    "index info": (IndexInfoShape,),
    "index list": (SourcesShape,),
    "index verify": (VerifyShape,),
    "index repair": (Repair,),
    "index compact": (CompactedShape,),
    "index remove": (RemovedShape,),
    "cache info": (CacheInfoShape,),
    "cache clear": (CacheClearedShape,),
    "compare": (Result,),
    "probe": (StoredProfile,),
    "calibrate": (StoredCertainty,),
    "plan": (PlanShape,),
    "questions check": (CheckedShape,),
}
"""The types that a command with --json prints; a line of a batch is one of two."""
