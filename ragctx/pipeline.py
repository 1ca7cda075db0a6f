"""The walk from a question to a checked answer. Stop at any step and take the result elsewhere.

- `retrieve(question, index, embedder) -> list[Hit]`
- `assemble(question, hits, tokenizer, …) -> Prompt`
- `ask(question, index, embedder, generator) -> Answer`: all of it
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.abstention import is_abstention
from ragctx.budget import Selector, fill
from ragctx.citations import cite
from ragctx.errors import BudgetError, InputError
from ragctx.merging import join_ledgers, merge_hits
from ragctx.placement import PositionProfile, Strategy, place
from ragctx.prompt import build_prompt, load_template, passage_costs, room_for_passages
from ragctx.records import Answer, Document, Hit, Prompt
from ragctx.retrieval import Filter, Retriever, hybrid, search

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index import Index
    from ragctx.tokens import Tokenizer


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How candidates are found: how many, by which retriever, in which documents.

    Few and good beats many: the bundled reader answers best from three to eight passages.
    """

    k: int = 5
    retriever: Retriever = hybrid
    filter: Filter = Filter()
    mmr_lambda: float | None = None


@dataclass(frozen=True, slots=True)
class Assembly:
    """How the prompt is made. None means: as the generator or the window says.

    `budget_tokens` bounds the whole prompt, template and question included; `max_new_tokens` is
    reserved for the answer; together they never exceed `context_window`. Passages that overlap or
    touch are merged into spans of at most `merged_tokens`: the longest that the bundled reader was
    trained to read. All are in the generator's tokens.
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


def retrieve(
    question: str, index: Index, embedder: Embedder, retrieval: Retrieval | None = None
) -> list[Hit]:
    """The passages of `index` nearest to `question`, best first."""
    how = retrieval or Retrieval()
    return search(
        index, embedder, question, how.k,
        retriever=how.retriever, filter=how.filter, mmr_lambda=how.mmr_lambda,
    )  # fmt: skip


def assemble(
    question: str,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
    document_text: Callable[[str], str] | None = None,
) -> Prompt:
    """The sharpest prompt that fits: merge and choose among `hits`, place them, build the prompt.

    `hits` may come from any retriever (`Hit.from_text`). `context_window` is the model's, in
    tokens of `tokenizer`; `assembly.context_window` overrides it. `document_text` gives a
    document's text by its id, so that passages with only whitespace between them can be merged.
    Raises BudgetError when not even one passage fits, InputError for settings that cannot be.

    >>> from ragctx.tokens import load_tokenizer
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees."), Hit.from_text(2, 0.5, "No.")]
    >>> prompt = assemble(
    ...     "When does tin melt?", hits, load_tokenizer("bundled"), context_window=2048
    ... )
    >>> prompt.token_count + prompt.max_new_tokens <= 2048
    True
    """
    how = assembly or Assembly()
    window = how.context_window or context_window
    template = load_template(how.template or "qa")
    room = room_for_passages(
        template, question, tokenizer, context_window=window,
        max_new_tokens=how.max_new_tokens, budget_tokens=how.budget_tokens,
    )  # fmt: skip
    merged = merge_hits(
        hits, tokenizer.count, max_tokens=how.merged_tokens, document_text=document_text
    )
    costs = passage_costs(template, merged.hits, tokenizer)
    selection = how.select(merged.hits, costs, room)
    if costs and not selection.selected:
        raise _nothing_fits(min(costs), room)
    placed = place(selection, how.placement, seed=how.seed, profile=how.profile)
    return build_prompt(
        template, question, placed, tokenizer,
        context_window=window, max_new_tokens=how.max_new_tokens, budget_tokens=how.budget_tokens,
        ledger=join_ledgers(merged.ledger, selection.ledger),
    )  # fmt: skip


def ask(
    question: str,
    index: Index,
    embedder: Embedder,
    generator: Generator,
    *,
    retrieval: Retrieval | None = None,
    assembly: Assembly | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Answer:
    """Answer `question` from the documents of `index`, with sources that were checked.

    `on_text` gets the answer as it is written. An answer the documents do not hold comes back with
    `abstained=True` and no citations. Raises what `retrieve` and `assemble` raise.
    """
    with index.snapshot():  # what is cited is what was found, whatever is ingested meanwhile
        return _ask(question, index, embedder, generator, retrieval, assembly, on_text)


def _ask(
    question: str,
    index: Index,
    embedder: Embedder,
    generator: Generator,
    retrieval: Retrieval | None,
    assembly: Assembly | None,
    on_text: Callable[[str], None] | None,
) -> Answer:
    began = time.perf_counter()
    how = fit_generator(assembly or Assembly(), generator)
    hits = retrieve(question, index, embedder, retrieval)
    retrieved = time.perf_counter()
    prompt = assemble(
        question, hits, generator.tokenizer, context_window=generator.context_window,
        assembly=how, document_text=texts_of(index),
    )  # fmt: skip
    assembled = time.perf_counter()
    answer = answer_prompt(prompt, generator, index.document, on_text=on_text)
    timing = (
        ("retrieve_s", retrieved - began),
        ("assemble_s", assembled - retrieved),
        *answer.timing,
        ("total_s", time.perf_counter() - began),
    )
    return replace(answer, timing=timing)


def texts_of(index: Index) -> Callable[[str], str]:
    """A document's whole text by its id; "" where there is none. For `assemble`."""

    def text_of(document_id: str) -> str:
        document = index.document(document_id)
        return document.text if document else ""

    return text_of


def answer_prompt(
    prompt: Prompt,
    generator: Generator,
    get_document: Callable[[str], Document | None],
    *,
    on_text: Callable[[str], None] | None = None,
) -> Answer:
    """Let `generator` answer a prompt, and check what it cites against the documents.

    `get_document` gives a document by its id, or None where there is none.
    """
    generation = generator.generate(prompt, on_text=on_text)
    abstained = generation.finish_reason == "abstain" or is_abstention(generation.text)
    citations = () if abstained else cite(generation, prompt, get_document)
    timing = (("prefill_s", generation.prefill_s), ("decode_s", generation.decode_s))
    return Answer(
        prompt.question, generation.text, abstained, citations, generation, prompt,
        generator.name, timing,
    )  # fmt: skip


def fit_generator(assembly: Assembly, generator: Generator) -> Assembly:
    """The assembly with the generator's own template and window where none was named.

    Raises InputError for a window that the generator does not have.
    """
    window = assembly.context_window or generator.context_window
    if window > generator.context_window:
        raise InputError(
            f"context_window is {window} tokens, but {generator.name} holds "
            f"{generator.context_window}; lower --context-window or leave it out"
        )
    template = assembly.template or generator.template
    return replace(assembly, template=template, context_window=window)


def _nothing_fits(least: int, room: int) -> BudgetError:
    return BudgetError(
        f"no passage fits: the shortest takes {least} tokens and {room} are left beside template "
        f"and question; raise --budget-tokens by {least - room} (and --context-window, if that "
        "bounds it), or ingest with a smaller --chunk-tokens"
    )
