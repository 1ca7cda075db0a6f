"""From a question to a checked answer. Stop at any step and take the result elsewhere.

- `retrieve(question, index, embedder) -> list[Hit]`
- `assemble(question, hits, tokenizer, …) -> Prompt`
- `ask(question, index, embedder, generator) -> Answer`: all of it
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.arguments import require_function, require_kind, require_number
from ragctx.assembly import Assembly, assemble
from ragctx.citations.abstention import abstained
from ragctx.citations.beside import alternatives_of, scale_of
from ragctx.citations.resolve import cite
from ragctx.errors import InputError
from ragctx.generator.protocol import require_generator
from ragctx.generator.thought import without_thought
from ragctx.index.filters import matching_ids
from ragctx.index.index import as_index
from ragctx.records import NO_ANSWER, Answer, Generation, GetDocument, Hit, Prompt, Refusal
from ragctx.refusals import (
    WITHHELD,
    Searched,
    no_answer,
    not_answered_words,
    only_a_guess,
    too_unsure,
    why_refused,
)
from ragctx.retrieval import Retrieval, retrieve

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.filters import Filter
    from ragctx.index.protocol import IndexState, SearchableIndex

NEAREST = 3
"""Passages shown with a refusal: enough to see what the search found. Chosen by hand."""


def ask(
    question: str,
    index: str | Path | SearchableIndex,
    embedder: Embedder,
    generator: Generator,
    *,
    retrieval: Retrieval | None = None,
    assembly: Assembly | None = None,
    on_text: Callable[[str], None] | None = None,
    min_confidence: float = 0.0,
    strict: bool = False,
) -> Answer:
    """Answer `question` from the documents of `index`, with sources that were checked.

    Search, prompt and citations all see the index as it is now, whatever is ingested meanwhile.

    Args:
        question: what is asked; not blank.
        index: where to search; its path opens it.
        embedder: the one the index was made with.
        generator: what answers.
        retrieval: how passages are found.
        assembly: how the prompt is made; template and window are the generator's unless given.
        on_text: called with each piece of the answer as it is written.
        min_confidence: an answer that is less sure becomes a refusal; from 0 to 1.
        strict: an answer that is only a guess becomes a refusal too.

    Returns:
        The answer; `Answer.outcome` tells how far to rely on it. If there is none it has
        `abstained=True`, no citations, the reason in `refusal` and the passages found in `nearest`.

    Raises:
        InputError, IndexMismatchError, BudgetError: as `retrieve` and `assemble` do; InputError
            also for `min_confidence` or `strict` with a model that does not tell how sure it is.
    """
    _require_arguments(generator, assembly, retrieval, on_text, min_confidence)
    began = time.perf_counter()
    fitted = fit_generator(assembly or Assembly(), generator)
    index = as_index(index, embedder)
    with index.snapshot() as snapshot:
        get_document = cache(snapshot.document)
        retrieval = retrieval or Retrieval()
        hits = retrieve(question, snapshot, embedder, retrieval)
        retrieved = time.perf_counter()
        prompt = assemble(
            question,
            hits,
            generator.tokenizer,
            context_window=generator.context_window,
            assembly=fitted,
            get_document=get_document,
            get_chunks=snapshot.chunks,
        )
        assembled = time.perf_counter()
        answer = answer_prompt(
            prompt,
            generator,
            get_document,
            on_text=on_text,
            min_confidence=min_confidence,
            strict=strict,
        )
        if answer.abstained:
            answer = _explained(answer, hits, snapshot, retrieval.filter, generator)
    timing = (
        ("retrieve_s", retrieved - began),
        ("assemble_s", assembled - retrieved),
        *answer.timing,
        ("total_s", time.perf_counter() - began),
    )
    return replace(answer, timing=timing)


def _require_arguments(
    generator: object,
    assembly: object,
    retrieval: object,
    on_text: object,
    min_confidence: float,
) -> None:
    require_generator(generator)
    if assembly is not None:
        require_kind("assembly", assembly, Assembly, "give Assembly(placement=…, …)")
    if retrieval is not None:
        require_kind("retrieval", retrieval, Retrieval, "give Retrieval(k=…, retriever=…)")
    if on_text is not None:
        require_function("on_text", on_text, "give a function of a text, such as print")
    require_number("min_confidence", min_confidence)
    if not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence is {min_confidence}. Give 0 to 1: a probability.")


def answer_prompt(
    prompt: Prompt,
    generator: Generator,
    get_document: GetDocument,
    *,
    on_text: Callable[[str], None] | None = None,
    min_confidence: float = 0.0,
    strict: bool = False,
) -> Answer:
    """Let `generator` answer a prompt, and check what it cites against the documents.

    `get_document` gives a document by its id, or None where there is none. With a `min_confidence`,
    or if `strict`, nothing is given to `on_text` before it is known that the answer is sure enough.
    """
    require_kind("prompt", prompt, Prompt, "make one with assemble")
    require_generator(generator)
    waits = bool(min_confidence) or strict
    generation = generator.generate(prompt, on_text=None if waits else on_text)
    require_kind("what the generator gave", generation, Generation, "give a Generation")
    generation = without_thought(generation)
    refusal = no_answer(generation, prompt.max_new_tokens, generator.name)
    withheld: Refusal | None = None
    if refusal is None and abstained(generation):
        refusal = Refusal("not_answered", not_answered_words(generation.confidence))
    elif refusal is None:
        refusal = withheld = _withheld(generation, min_confidence, strict, generator.name)
        if waits and refusal is None and on_text is not None and generation.text:
            on_text(generation.text)
    citations = () if refusal else cite(generation, prompt, get_document)
    timing = (("prefill_s", generation.prefill_s), ("decode_s", generation.decode_s))
    return Answer(
        question=prompt.question,
        text="" if withheld else _answer_text(generation),
        abstained=refusal is not None,
        citations=citations,
        generation=generation,
        prompt=prompt,
        model=generator.name,
        timing=timing,
        refusal=refusal,
        nearest=_nearest(prompt) if refusal else (),
        alternatives=() if refusal else alternatives_of(generation, prompt, get_document),
        scale="" if refusal else scale_of(generation, prompt, get_document),
    )


def _answer_text(generation: Generation) -> str:
    """The answer; a copied one without the line breaks of the page that it was copied from."""
    return " ".join(generation.text.split()) if generation.spans else generation.text


def _withheld(generation: Generation, least: float, strict: bool, model: str) -> Refusal | None:
    """The refusal of an answer that is less sure than `least`, or if `strict`, not sure.

    Raises InputError if it is not known how sure it is.
    """
    if not least and not strict:
        return None
    if generation.confidence is None:
        option = "--strict" if strict else "--min-confidence"
        raise InputError(
            f"{model} does not tell how sure it is, so its answers cannot be held to "
            f"{'that' if strict else f'a confidence of {least:g}'}; leave out {option}"
        )
    if generation.confidence < least:
        return too_unsure(generation.confidence, least)
    return only_a_guess(generation.confidence) if strict and not generation.is_sure else None


def _nearest(prompt: Prompt) -> tuple[Hit, ...]:
    """The best of the prompt's passages, in rank order."""
    hits = [passage.hit for passage in prompt.passages if passage.hit is not None]
    return tuple(sorted(hits, key=lambda hit: hit.rank)[:NEAREST])


def _explained(
    answer: Answer, hits: Sequence[Hit], snapshot: IndexState, filter: Filter, generator: Generator
) -> Answer:
    """The abstention with its reason, and the passages that the search found."""
    nearest = tuple(hits[:NEAREST])
    reason = answer.refusal.reason if answer.refusal else ""
    if reason in WITHHELD or (reason in NO_ANSWER and answer.prompt.passages):
        return replace(answer, nearest=nearest)
    sources = snapshot.sources()
    if filter.documents:
        named = matching_ids(filter.documents, sources)
        sources = tuple(source for source in sources if source.document_id in named)
    searched = Searched(sources=sources, found=bool(hits), best=hits[0].score if hits else None)
    refusal = why_refused(answer.prompt, answer.confidence, searched, generator.only_language)
    return replace(answer, refusal=refusal, nearest=nearest)


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
