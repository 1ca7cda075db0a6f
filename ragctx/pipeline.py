"""From a question to a checked answer. Stop at any step and take the result elsewhere.

- `retrieve(question, index, embedder) -> list[Hit]`
- `assemble(question, hits, tokenizer, …) -> Prompt`
- `ask(question, index, embedder, generator) -> Answer`: all of it
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.assembly import Assembly, assemble
from ragctx.citations.abstention import abstained
from ragctx.citations.resolve import cite
from ragctx.errors import InputError
from ragctx.index.index import Index, as_index
from ragctx.records import Answer, GetDocument, Prompt
from ragctx.retrieval import Retrieval, retrieve

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.generator.protocol import Generator
    from ragctx.index.snapshot import Snapshot


def ask(
    question: str,
    index: str | Path | Index | Snapshot,
    embedder: Embedder,
    generator: Generator,
    *,
    retrieval: Retrieval | None = None,
    assembly: Assembly | None = None,
    on_text: Callable[[str], None] | None = None,
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

    Returns:
        The answer. If the documents do not contain one it has `abstained=True` and no citations.

    Raises:
        InputError, IndexMismatchError, BudgetError: as `retrieve` and `assemble` do.
    """
    began = time.perf_counter()
    if not hasattr(generator, "generate"):
        raise InputError(
            f"generator is a {type(generator).__name__}; give what load_generator returns, loaded "
            "once for all questions"
        )
    fitted = fit_generator(assembly or Assembly(), generator)
    index = as_index(index, embedder)
    with index.snapshot() as snapshot:
        get_document = cache(snapshot.document)
        hits = retrieve(question, snapshot, embedder, retrieval)
        retrieved = time.perf_counter()
        prompt = assemble(
            question,
            hits,
            generator.tokenizer,
            context_window=generator.context_window,
            assembly=fitted,
            get_document=get_document,
        )
        assembled = time.perf_counter()
        answer = answer_prompt(prompt, generator, get_document, on_text=on_text)
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
    get_document: GetDocument,
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
