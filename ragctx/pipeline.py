"""The walk from a question to a checked answer. Stop at any step and take the result elsewhere.

    hits = search(index, embedder, question, k)      -> list[Hit]
    prompt = assemble(question, hits, tokenizer, …)  -> Prompt
    answer = ask(question, index, embedder, …)       -> Answer
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.budget import Selector, fill
from ragctx.citations import cite, is_abstention
from ragctx.errors import BudgetError
from ragctx.placement import place
from ragctx.prompt import Template, build_prompt, frame_tokens, load_template, passage_costs
from ragctx.records import Answer, Document, Hit, Prompt
from ragctx.retrieval import Filter, Retriever, hybrid, search

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index import Index
    from ragctx.tokens import Tokenizer


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How candidates are found: how many, by which retriever, in which documents."""

    k: int = 20
    retriever: Retriever = hybrid
    filter: Filter = Filter()
    mmr_lambda: float | None = None


@dataclass(frozen=True, slots=True)
class Assembly:
    """How the prompt is made. None means: as the generator or the window says.

    `budget_tokens` bounds the whole prompt, template and question included; `max_new_tokens` is
    reserved for the answer; together they never exceed `context_window`.
    """

    budget_tokens: int | None = None
    context_window: int | None = None
    max_new_tokens: int = 256
    placement: str = "edges"
    template: str | None = None
    select: Selector = fill
    seed: int = 0


def assemble(
    question: str,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    *,
    context_window: int,
    assembly: Assembly | None = None,
) -> Prompt:
    """The sharpest prompt that fits: choose among `hits`, place them, build the prompt.

    `hits` may come from any retriever (`Hit.from_text`). `context_window` is the model's, in
    tokens of `tokenizer`; `assembly.context_window` overrides it. Raises BudgetError when not even
    the best passage fits, InputError for settings that cannot be.

    >>> from ragctx.tokens import load_tokenizer
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees."), Hit.from_text(2, 0.5, "No.")]
    >>> prompt = assemble(
    ...     "When does tin melt?", hits, load_tokenizer("bundled"), context_window=2048
    ... )
    >>> prompt.token_count + prompt.max_new_tokens <= 2048
    True
    """
    assembly = assembly or Assembly()
    window = assembly.context_window or context_window
    budget = assembly.budget_tokens
    if budget is None:
        budget = window - assembly.max_new_tokens
    template = load_template(assembly.template or "qa")
    room = budget - frame_tokens(template, question, tokenizer)
    costs = passage_costs(template, hits, tokenizer)
    selection = assembly.select(hits, costs, max(0, room))
    if hits and not selection.selected:
        raise _nothing_fits(costs, room, budget)
    placement = place(selection.selected, assembly.placement, seed=assembly.seed)
    return build_prompt(
        template, question, placement, tokenizer, context_window=window,
        max_new_tokens=assembly.max_new_tokens, budget_tokens=budget, ledger=selection.ledger,
    )


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
    `abstained=True` and no text of its own making.
    """
    began = time.perf_counter()
    retrieval = retrieval or Retrieval()
    hits = search(
        index, embedder, question, retrieval.k, retriever=retrieval.retriever,
        filter=retrieval.filter, mmr_lambda=retrieval.mmr_lambda,
    )
    retrieved = time.perf_counter()
    assembly = fit_generator(assembly or Assembly(), generator)
    prompt = assemble(
        question, hits, generator.tokenizer, context_window=generator.context_window,
        assembly=assembly,
    )
    assembled = time.perf_counter()
    answer = answer_prompt(prompt, generator, index.document, on_text=on_text)
    timing = (
        ("retrieve_s", retrieved - began),
        ("assemble_s", assembled - retrieved),
        *answer.timing,
        ("total_s", time.perf_counter() - began),
    )
    return replace(answer, timing=timing)


def answer_prompt(
    prompt: Prompt,
    generator: Generator,
    get_document: Callable[[str], Document | None],
    *,
    on_text: Callable[[str], None] | None = None,
) -> Answer:
    """Let `generator` answer a prompt, and check what it cites against the documents."""
    generation = generator.generate(prompt, on_text=on_text)
    abstained = generation.finish_reason == "abstain" or is_abstention(generation.text)
    citations = () if abstained else cite(generation, prompt, get_document)
    timing = (("prefill_s", generation.prefill_s), ("decode_s", generation.decode_s))
    return Answer(
        prompt.question, generation.text, abstained, citations, generation, prompt,
        generator.name, timing,
    )


def fit_generator(assembly: Assembly, generator: Generator) -> Assembly:
    """The assembly with the generator's own template and window where none was named."""
    return replace(
        assembly,
        template=assembly.template or generator.template,
        context_window=assembly.context_window or generator.context_window,
    )


def _nothing_fits(costs: Sequence[int], room: int, budget: int) -> BudgetError:
    least = min(costs)
    return BudgetError(
        f"no passage fits: the shortest needs {least} tokens and {max(0, room)} of the budget of "
        f"{budget} are left beside template and question; raise the budget by "
        f"{least - max(0, room)} (--budget-tokens), or ingest with a smaller --chunk-tokens"
    )
