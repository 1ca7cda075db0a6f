"""From candidates to a prompt: floor, merge, select, trim, place, build.

`assemble` gives the prompt; `trace` also gives what it was chosen from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from ragctx.arguments import require_function, require_kind, require_whole
from ragctx.errors import BudgetError, InputError
from ragctx.placement.cached import Reuse, most_reused, slot_groups
from ragctx.placement.laws import Strategy
from ragctx.placement.orders import PositionProfile
from ragctx.placement.strategies import place
from ragctx.prompt.build import fill_frame, passage_costs
from ragctx.prompt.frame import Frame, build_frame
from ragctx.prompt.template import load_template
from ragctx.prompt.window import share_window
from ragctx.records import GetDocument, Hit, LedgerRow, Placement, Prompt, Selection
from ragctx.selection.expansion import GetChunks, Surroundings, expand
from ragctx.selection.floors import Floor, cut_below, keep_best
from ragctx.selection.merging import join_ledgers, merge_hits
from ragctx.selection.selectors import Selector, as_selector, fill
from ragctx.selection.trimming import trim_to_fit
from ragctx.text.well_formed import well_formed
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

CachedTokens: TypeAlias = Callable[[Sequence[int]], int]
"""Of a prompt's ids, how many at their beginning a generator holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How a prompt is made. All numbers are tokens of the generator's own tokenizer.

    Args:
        budget_tokens: the most the whole prompt may take, template and question included; None:
            all that the answer leaves of the window.
        context_window: what the model holds, prompt and answer together; None: the generator's.
        max_new_tokens: reserved for the answer.
        placement: the order of the passages, by name (`ragctx.placement.STRATEGIES`) or a function.
        template: the name of a template, the path of a file, or the text of a template itself, with
            its {passages}; None: the generator's, or "qa".
        select: which candidates to take under the budget, by name or as a function, see
            `ragctx.selection`.
        seed: for the placement "random".
        merged_tokens: passages that overlap or touch are merged into spans of at most this many
            tokens. 254 is the longest passage that the bundled reader was trained to read.
        profile: what the placement "calibrated" is calibrated to; see `ragctx probe`.
        floor: which candidates are relevant enough to be shown at all, for example
            `ragctx.selection.floors.at_least(0.3)`; None: all of them.
        max_chunks: the most passages to show; None: as many as fit.
        trim: whether the best passage that does not fit is cut at the end of a sentence.
        expand: how many chunks before and after each passage are added, as far as tokens are left.
        prefer_cached: of orders that are as good as the placement's, take the one whose prompt
            begins most as what the generator has read (`ragctx.placement.cached`).
    """

    budget_tokens: int | None = None
    context_window: int | None = None
    max_new_tokens: int = 256
    placement: str | Strategy = "edges"
    template: str | Path | None = None
    select: str | Selector = fill
    seed: int = 0
    merged_tokens: int = 254
    profile: PositionProfile | None = None
    floor: Floor | None = None
    max_chunks: int | None = None
    trim: bool = False
    expand: int = 0
    prefer_cached: bool = False

    def __post_init__(self) -> None:
        """Raise InputError for a setting of another kind; its range is checked where it is used."""
        for name in ("budget_tokens", "context_window", "max_chunks"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name))
        for name in ("max_new_tokens", "seed", "merged_tokens"):
            require_whole(name, getattr(self, name))
        require_whole("expand", self.expand, least=0)
        if self.floor is not None:
            require_function("floor", self.floor, "give ragctx.selection.floors.at_least(0.3)")
        if self.profile is not None:
            remedy = "give ragctx.evaluation.profiles.load_profile(path).for_placement()"
            require_kind("profile", self.profile, PositionProfile, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A prompt, and what it was chosen from."""

    prompt: Prompt
    candidates: tuple[Hit, ...]  # after floor, merging and max_chunks, in rank order
    costs: tuple[int, ...]  # tokens of candidates[i] in the prompt
    room_tokens: int  # for passages
    selection: Selection


def assemble(
    question: str,
    hits: Sequence[Hit],
    tokenizer: str | Path | Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
    get_document: GetDocument | None = None,
    get_chunks: GetChunks | None = None,
    cached_tokens: CachedTokens | None = None,
) -> Prompt:
    """Choose the best of `hits` that fit, put them in order, and build the prompt.

    Args:
        question: what is asked; not blank.
        hits: candidates of any retriever, in rank order (`Hit.from_text` makes one of a text).
        tokenizer: the generator's, or its name (`load_tokenizer`).
        context_window: tokens the model holds; `assembly.context_window` overrides it.
        assembly: how the prompt is made.
        get_document: a document by its id, or None where there is none. With it, passages that
            only whitespace separates are merged, and a trimmed passage knows its pages.
        get_chunks: a document's chunks by its id, in their order, for `assembly.expand`.
        cached_tokens: of given ids, how many at their beginning the generator holds, for
            `assembly.prefer_cached`; without it nothing is taken to be held.

    Raises:
        BudgetError: not even one passage fits.
        InputError: the question is blank, or a setting is out of range.

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
        get_document=get_document,
        get_chunks=get_chunks,
        cached_tokens=cached_tokens,
    ).prompt


def trace(
    question: str,
    hits: Sequence[Hit],
    tokenizer: str | Path | Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
    get_document: GetDocument | None = None,
    get_chunks: GetChunks | None = None,
    cached_tokens: CachedTokens | None = None,
) -> Trace:
    """`assemble`, keeping what the prompt was chosen from."""
    assembly = assembly or Assembly()
    require_kind("assembly", assembly, Assembly, "give Assembly(placement=…, …)")
    if get_document is not None:
        require_function("get_document", get_document, "give index.document")
    surroundings = _surroundings(assembly, get_document, get_chunks)
    _require_arguments(question, hits)
    tokenizer = as_tokenizer(tokenizer)
    as_selector(assembly.select)  # refused before anything is counted
    question, hits = well_formed(question), [_well_formed(hit) for hit in hits]
    frame = build_frame(
        load_template(assembly.template or "qa"),
        question,
        tokenizer,
        share_window(
            assembly.context_window or context_window,
            assembly.max_new_tokens,
            assembly.budget_tokens,
        ),
    )
    documents = _Documents(cache(get_document)) if get_document else None
    pool = _candidates(hits, frame, tokenizer, assembly, documents)
    room = frame.room_tokens
    while True:
        selection = _selected(pool, room, tokenizer, assembly, documents)
        if surroundings is not None:
            selection = _expanded(
                selection,
                hits,
                frame,
                tokenizer,
                assembly=assembly,
                surroundings=surroundings,
                room_tokens=room,
            )
        if pool.hits and not selection.selected:
            raise BudgetError(_nothing_fits(min(pool.costs), frame, assembly))
        placement = place(
            selection, assembly.placement, seed=assembly.seed, profile=assembly.profile
        )
        try:
            prompt = fill_frame(
                frame,
                placement,
                tokenizer,
                ledger=join_ledgers(pool.ledger, selection.ledger),
                saved_tokens=pool.saved_tokens,
            )
        except BudgetError as error:
            # Joined, parts may take more tokens than each on its own: choose once more, for less.
            if not 0 < error.over_tokens < room:
                raise
            room -= error.over_tokens
            continue
        if assembly.prefer_cached and cached_tokens is not None:
            prompt = _for_cache(prompt, frame, placement, tokenizer, (assembly, cached_tokens))
        return Trace(
            prompt=prompt,
            candidates=pool.hits,
            costs=pool.costs,
            room_tokens=room,
            selection=selection,
        )


def _for_cache(
    prompt: Prompt,
    frame: Frame,
    placement: Placement,
    tokenizer: Tokenizer,
    wanted: tuple[Assembly, CachedTokens],
) -> Prompt:
    """The prompt with its passages in the equally good order of which most is held."""
    assembly, cached_tokens = wanted

    def made(hits: Sequence[Hit]) -> Prompt | None:
        order = replace(placement, hits=tuple(hits))
        try:
            return fill_frame(
                frame, order, tokenizer, ledger=prompt.ledger, saved_tokens=prompt.saved_tokens
            )
        except BudgetError:  # in another order parts may take more tokens where they are joined
            return None

    def reuse(hits: Sequence[Hit]) -> Reuse:
        tried = made(hits)
        return Reuse(-1, 0) if tried is None else _reuse(tried, cached_tokens(tried.token_ids))

    groups = slot_groups(assembly.placement, len(placement.hits), assembly.profile)
    chosen = made(most_reused(placement.hits, groups, reuse)) or prompt
    held = cached_tokens(chosen.token_ids)
    saved = held - cached_tokens(prompt.token_ids)
    return replace(chosen, cached_tokens=held, order_saved_tokens=saved)


def _reuse(prompt: Prompt, tokens: int) -> Reuse:
    """Tokens that are held of a prompt's beginning, and the passages that end within them."""
    ends = accumulate(len(segment.token_ids) for segment in prompt.segments)
    whole = (s for s, end in zip(prompt.segments, ends, strict=True) if end <= tokens)
    return Reuse(tokens, sum(segment.kind == "passage" for segment in whole))


def _expanded(
    selection: Selection,
    hits: Sequence[Hit],
    frame: Frame,
    tokenizer: Tokenizer,
    *,
    assembly: Assembly,
    surroundings: Surroundings,
    room_tokens: int,
) -> Selection:
    """The selection with the text beside its passages, as far as there is room."""
    return expand(
        selection,
        assembly.expand,
        surroundings,
        lambda some: passage_costs(frame.template, some, tokenizer, room_tokens=room_tokens),
        count=tokenizer.count,
        max_tokens=assembly.merged_tokens,
        last_rank=max((hit.rank for hit in hits), default=0),
    )


def _selected(
    pool: _Pool,
    room_tokens: int,
    tokenizer: Tokenizer,
    assembly: Assembly,
    documents: _Documents | None,
) -> Selection:
    """The candidates that fit, the last of them trimmed if that is asked for."""
    selection = as_selector(assembly.select)(pool.hits, pool.costs, room_tokens)
    require_kind("what select gave", selection, Selection, "give a Selection, as knapsack does")
    if not assembly.trim:
        return selection
    return trim_to_fit(
        selection,
        pool.hits,
        pool.costs,
        tokenizer.count,
        page_of=documents.page_of if documents else None,
    )


def _surroundings(
    assembly: Assembly, get_document: GetDocument | None, get_chunks: GetChunks | None
) -> Surroundings | None:
    """Where neighbours are taken from; None if there are to be none.

    Raises InputError if they are wanted and nobody can give them.
    """
    if not assembly.expand:
        return None
    if get_document is None or get_chunks is None:
        raise InputError(
            f"expand is {assembly.expand}, but the text beside passages is not known; give "
            "get_document=index.document and get_chunks=index.chunks, or expand=0"
        )
    return Surroundings(get_document=cache(get_document), get_chunks=cache(get_chunks))


def _require_arguments(question: object, hits: object) -> None:
    if not isinstance(question, str):
        raise InputError(f"question is a {type(question).__name__}; give a text")
    found = hits if isinstance(hits, Sequence) and not isinstance(hits, str | bytes) else None
    if found is None:
        raise InputError(
            f"hits is a {type(hits).__name__}; give a list of hits, such as search returns or "
            "[Hit.from_text(1, 0.9, text, name)]"
        )
    for hit in found:
        if not isinstance(hit, Hit):
            raise InputError(
                f"hits holds a {type(hit).__name__} ({hit!r:.40}); make a hit of a text with "
                "Hit.from_text(rank, score, text, name)"
            )


# ---- Candidates ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """What there is to choose from, and the ledger of what was left out or merged before."""

    hits: tuple[Hit, ...]
    costs: tuple[int, ...]
    ledger: tuple[LedgerRow, ...]
    saved_tokens: int  # by merging


def _candidates(
    hits: Sequence[Hit],
    frame: Frame,
    tokenizer: Tokenizer,
    assembly: Assembly,
    documents: _Documents | None,
) -> _Pool:
    """Apply the floor, merge what overlaps or touches, and keep `max_chunks` at most."""
    ledger: tuple[LedgerRow, ...] = ()
    if assembly.floor is not None:
        cut = cut_below(hits, passage_costs(frame.template, hits, tokenizer), assembly.floor)
        hits, ledger = cut.hits, cut.ledger
    merged = merge_hits(
        hits,
        tokenizer.count,
        max_tokens=assembly.merged_tokens,
        document_text=documents.text_of if documents else None,
    )
    ledger += merged.ledger
    left = merged.hits
    costs = tuple(passage_costs(frame.template, left, tokenizer, room_tokens=frame.room_tokens))
    if assembly.max_chunks is not None:
        best = keep_best(left, costs, assembly.max_chunks)
        left, costs, ledger = best.hits, best.costs, ledger + best.ledger
    return _Pool(hits=left, costs=costs, ledger=ledger, saved_tokens=merged.saved_tokens)


def _well_formed(hit: Hit) -> Hit:
    """The hit with text that can be encoded, so that what is counted is what a model is sent."""
    text, name = well_formed(hit.chunk.text), well_formed(hit.document)
    if text == hit.chunk.text and name == hit.document:
        return hit
    return replace(hit, chunk=replace(hit.chunk, text=text), document=name)


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents that passages come from, each fetched once."""

    get: GetDocument

    def text_of(self, document_id: str) -> str:
        """A document's text; "" where there is no such document."""
        document = self.get(document_id)
        return document.text if document else ""

    def page_of(self, document_id: str, offset: int) -> int:
        """The number of the page at an offset of a document; 1 where there is no such document."""
        document = self.get(document_id)
        return document.page_of(offset).number if document else 1


def _nothing_fits(least: int, frame: Frame, assembly: Assembly) -> str:
    """The message of a budget too small for the shortest candidate, and what would help."""
    room = frame.room_tokens
    cut = "" if assembly.trim else "let a passage be cut (--trim), "
    return (
        f"no passage fits: the shortest takes {least} tokens, {least - room} more than the {room} "
        f"left beside template and question; {frame.window.remedies(least - room)}, {cut}or ingest "
        "with a smaller --chunk-tokens"
    )
