"""From candidates to a prompt: cut, merge, select, trim, place, build, each step a room of its own.

`assemble` gives the prompt; `trace` also what it was chosen from, for those who ask why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from ragctx.errors import BudgetError
from ragctx.placement.laws import Strategy
from ragctx.placement.orders import PositionProfile
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt, passage_costs
from ragctx.prompt.frame import room_for_passages
from ragctx.prompt.template import Template, load_template
from ragctx.prompt.window import Window, share_window
from ragctx.records import Document, Hit, LedgerRow, Prompt, Selection
from ragctx.selection.floors import Floor, cut_below, keep_best
from ragctx.selection.merging import join_ledgers, merge_hits
from ragctx.selection.selectors import Selector, fill
from ragctx.selection.trimming import PageOf, trim_to_fit
from ragctx.tokens.tokenizer import Tokenizer

GetDocument = Callable[[str], Document | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How the prompt is made. None means: as the generator or the window says, or not at all.

    `budget_tokens` bounds the whole prompt, template and question included; `max_new_tokens` is
    reserved for the answer; together they never exceed `context_window`. Passages that overlap or
    touch are merged into spans of at most `merged_tokens`: the longest that the bundled reader was
    trained to read. All are in the generator's tokens. `floor` (`cut.at_least(0.3)`,
    `cut.near_best`) and `max_chunks` say which candidates are shown at all; with `trim`, the best
    one that does not fit is cut at the end of a sentence.
    """

    budget_tokens: int | None = None
    context_window: int | None = None
    max_new_tokens: int = 256
    placement: str | Strategy = "edges"
    template: str | None = None
    select: Selector = fill
    seed: int = 0
    merged_tokens: int = 254
    profile: PositionProfile | None = None  # what `calibrated` places by; see `ragctx probe`
    floor: Floor | None = None
    max_chunks: int | None = None
    trim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A prompt, and what it was chosen from."""

    prompt: Prompt
    candidates: tuple[Hit, ...]  # after the cut and merging, in rank order
    costs: tuple[int, ...]  # tokens of candidates[i] in the prompt
    room_tokens: int  # for passages
    selection: Selection


def assemble(
    question: str,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
    document_text: Callable[[str], str] | None = None,
    get_document: GetDocument | None = None,
) -> Prompt:
    """The sharpest prompt that fits: merge and choose among `hits`, place them, build the prompt.

    `hits` may come from any retriever (`Hit.from_text`). `context_window` is the model's, in
    tokens of `tokenizer`; `assembly.context_window` overrides it. `get_document` (or, if only texts
    are known, `document_text`) gives a document by its id, so that passages with only whitespace
    between them can be merged, and a trimmed one knows its pages.
    Raises BudgetError when not even one passage fits, InputError for settings that cannot be.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees."), Hit.from_text(2, 0.5, "No.")]
    >>> prompt = assemble(
    ...     "When does tin melt?", hits, load_tokenizer("bundled"), context_window=2048
    ... )
    >>> prompt.token_count + prompt.max_new_tokens <= 2048
    True
    """
    return trace(
        question,
        hits,
        tokenizer,
        context_window=context_window,
        assembly=assembly,
        document_text=document_text,
        get_document=get_document,
    ).prompt


def trace(
    question: str,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
    document_text: Callable[[str], str] | None = None,
    get_document: GetDocument | None = None,
) -> Trace:
    """`assemble`, keeping what the prompt was chosen from."""
    how = assembly or Assembly()
    window = share_window(
        how.context_window or context_window, how.max_new_tokens, how.budget_tokens
    )
    template = load_template(how.template or "qa")
    room = room_for_passages(template, question, tokenizer, **asdict(window))
    sources = _Sources(document_text, get_document)
    found = _candidates(
        hits=hits, template=template, tokenizer=tokenizer, how=how, sources=sources, room=room
    )
    selection = how.select(found.hits, found.costs, room)
    if how.trim:
        selection = trim_to_fit(
            selection, found.hits, found.costs, tokenizer.count, page_of=sources.page_of
        )
    if found.hits and not selection.selected:
        raise BudgetError(_nothing_fits(min(found.costs), room, window, how))
    placed = place(selection, how.placement, seed=how.seed, profile=how.profile)
    ledger = join_ledgers(found.ledger, selection.ledger)
    prompt = build_prompt(template, question, placed, tokenizer, **asdict(window), ledger=ledger)
    prompt = replace(prompt, saved_tokens=found.saved_tokens)
    return Trace(
        prompt=prompt,
        candidates=found.hits,
        costs=found.costs,
        room_tokens=room,
        selection=selection,
    )


# ---- Candidates ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    hits: tuple[Hit, ...]
    costs: tuple[int, ...]
    ledger: tuple[LedgerRow, ...]  # of those that are none any more
    saved_tokens: int


def _candidates(
    hits: Sequence[Hit],
    template: Template,
    tokenizer: Tokenizer,
    how: Assembly,
    sources: _Sources,
    room: int,
) -> _Candidates:
    """What there is to choose from, after the floor, merging, and the limit on passages."""
    ledger: tuple[LedgerRow, ...] = ()
    if how.floor is not None:
        cut = cut_below(hits, passage_costs(template, hits, tokenizer), how.floor)
        hits, ledger = cut.hits, cut.ledger
    merged = merge_hits(
        hits, tokenizer.count, max_tokens=how.merged_tokens, document_text=sources.text_of
    )
    ledger += merged.ledger
    left = merged.hits
    costs = tuple(passage_costs(template, left, tokenizer, room_tokens=room))
    if how.max_chunks is not None:
        best = keep_best(left, costs, how.max_chunks)
        left, costs, ledger = best.hits, best.costs, ledger + best.ledger
    return _Candidates(hits=left, costs=costs, ledger=ledger, saved_tokens=merged.saved_tokens)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What is known of the documents that passages come from."""

    document_text: Callable[[str], str] | None
    get_document: GetDocument | None

    @property
    def text_of(self) -> Callable[[str], str] | None:
        """A document's text by its id; None where no text is known."""
        if self.document_text is not None or self.get_document is None:
            return self.document_text
        return texts_from(self.get_document)

    @property
    def page_of(self) -> PageOf | None:
        """The page of an offset in a document; None where no pages are known."""
        get_document = self.get_document
        if get_document is None:
            return None

        def page_of(document_id: str, offset: int) -> int:
            document = get_document(document_id)
            return document.page_of(offset).number if document else 1

        return page_of


def texts_from(get_document: GetDocument) -> Callable[[str], str]:
    """A document's text by its id; "" where there is no such document."""

    def text_of(document_id: str) -> str:
        document = get_document(document_id)
        return document.text if document else ""

    return text_of


def _nothing_fits(least: int, room: int, window: Window, how: Assembly) -> str:
    cut = "" if how.trim else "let a passage be cut (--trim), "
    return (
        f"no passage fits: the shortest takes {least} tokens, {least - room} more than the {room} "
        f"left beside template and question; {window.remedies(least - room)}, {cut}or ingest with "
        "a smaller --chunk-tokens"
    )
