"""The walk from a question to a checked answer. Stop at any step and take the result elsewhere.

- `retrieve(question, index, embedder) -> list[Hit]`
- `assemble(question, hits, tokenizer, …) -> Prompt`
- `ask(question, index, embedder, generator) -> Answer`: all of it
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly as Assembly
from ragctx.assembly import assemble as assemble
from ragctx.assembly import texts_from
from ragctx.assembly import trace as trace
from ragctx.citations.abstention import abstained
from ragctx.citations.resolve import cite
from ragctx.errors import InputError
from ragctx.records import Answer, Document, Prompt
from ragctx.retrieval import Retrieval, retrieve

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.index import Index


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
        return _ask(
            question=question,
            index=index,
            embedder=embedder,
            generator=generator,
            retrieval=retrieval,
            assembly=assembly,
            on_text=on_text,
        )


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
        question,
        hits,
        generator.tokenizer,
        context_window=generator.context_window,
        assembly=how,
        get_document=index.document,
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


def texts_of(index: Index) -> Callable[[str], str]:
    """A document's whole text by its id; "" where there is none. For `assemble`."""
    return texts_from(index.document)


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
    is_refused = abstained(generation)
    citations = () if is_refused else cite(generation, prompt, get_document)
    timing = (("prefill_s", generation.prefill_s), ("decode_s", generation.decode_s))
    return Answer(
        question=prompt.question,
        text=generation.text,
        abstained=is_refused,
        citations=citations,
        generation=generation,
        prompt=prompt,
        model=generator.name,
        timing=timing,
    )


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
