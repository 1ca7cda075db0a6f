"""One kind of thing where another belongs: refused with what helps, never a TypeError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragctx import (
    Assembly,
    Hit,
    Index,
    ask,
    assemble,
    ingest,
    load_embedder,
    load_generator,
    load_tokenizer,
    search,
)
from ragctx.chunking import chunk_document
from ragctx.citations.resolve import cite
from ragctx.documents import Document
from ragctx.errors import IndexMissingError, InputError, ModelError
from ragctx.index.filters import Filter
from ragctx.ingestion import IngestSettings
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pdf
from ragctx.pipeline import answer_prompt
from ragctx.placement.strategies import place
from ragctx.retrieval import fused, retrieve
from ragctx.selection.selectors import knapsack
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.generators import CopyingGenerator
from tests.support.index_samples import index_with, made_of
from tests.support.paths import SAMPLES

QUESTION = "At what temperature does tin melt?"
HITS = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "tin.pdf")]
EMBEDDER, WORDS = HashEmbedder(), WordTokenizer()

Wrong = dict[str, tuple[Callable[[Path], object], str]]
"""Calls, given an index's folder, and what is said to each."""


class Halved(HashEmbedder):
    """An embedder whose vectors are shorter than it says."""

    def encode(self, texts: Sequence[str], **_: Any) -> Any:
        return super().encode(texts)[:, :4]


class Wordy(CopyingGenerator):
    """A generator that gives its answer as a text."""

    def generate(self, prompt: Any, **_: Any) -> Any:
        return "232 degrees"


class Bare:
    """A generator that does not tell what it holds."""

    def generate(self, prompt: Any, **_: Any) -> Any:
        return prompt


def assembled(window: Any = 512, **settings: Any) -> object:
    return assemble(QUESTION, HITS, WORDS, context_window=window, assembly=Assembly(**settings))


def asked(folder: Path, generator: Any = None, **settings: Any) -> object:
    return ask(QUESTION, folder, EMBEDDER, generator or CopyingGenerator("232"), **settings)


def searched(folder: Path, **settings: Any) -> object:
    return search(folder, EMBEDDER, QUESTION, **settings)


def ingested(folder: Path, paths: Any = SAMPLES, **settings: Any) -> object:
    return ingest(paths, folder, EMBEDDER, **settings)


def stored(folder: Path, *arguments: Any) -> object:
    with Index.open(folder).writer() as writer:
        return writer.put(*arguments, recipe="r")


def any_(value: Any) -> Any:
    """The value, of whatever type the call asks for."""
    return value


DOCUMENT, CHUNKS, VECTORS = made_of("zinc", "Zinc melts at 420 degrees.")
PROMPT = assemble(QUESTION, HITS, WORDS, context_window=512)
GENERATION = CopyingGenerator("232 degrees").generate(PROMPT)

SETTINGS: Wrong = {
    "window as text": (
        lambda _: assembled("4096"),
        r"context_window is a str \('4096'\); give a whole number",
    ),
    "window with a point": (lambda _: assembled(4096.0), "context_window is a float"),
    "answer as text": (lambda _: assembled(max_new_tokens="100"), "max_new_tokens is a str"),
    "budget as text": (lambda _: assembled(budget_tokens="100"), "budget_tokens is a str"),
    "passages as text": (lambda _: assembled(max_chunks="3"), "max_chunks is a str"),
    "no placement": (lambda _: assembled(placement=None), "placement is None; give a function"),
    "number as placement": (lambda _: assembled(placement=5), "placement is a int"),
    "number as floor": (lambda _: assembled(floor=0.3), r"give .*at_least\(0.3\)"),
    "path as profile": (lambda _: assembled(profile="p.json"), r"load_profile\(path\)"),
    "selector that gives a list": (
        lambda _: assembled(select=lambda hits, costs, room: list(hits)),
        "what select gave is a list .* give a Selection, as knapsack does",
    ),
    "assembly as dict": (
        lambda _: assemble(QUESTION, HITS, WORDS, context_window=99, assembly=any_({"a": 1})),
        "assembly is a dict .* give Assembly",
    ),
    "index for its documents": (
        lambda folder: assemble(
            QUESTION, HITS, WORDS, context_window=99, get_document=any_(Index.open(folder))
        ),
        "get_document is a FolderIndex .* give index.document",
    ),
    "assembly as name": (lambda folder: asked(folder, assembly="edges"), "assembly is a str"),
    "retrieval as number": (
        lambda folder: retrieve(QUESTION, any_(folder), EMBEDDER, any_(3)),
        r"retrieval is a int \(3\); give Retrieval\(k=",
    ),
    "retrieval as number to ask": (lambda folder: asked(folder, retrieval=3), "is a int"),
    "confidence as text": (
        lambda folder: asked(folder, min_confidence="0.5"),
        "min_confidence is a str",
    ),
    "on_text that is none": (
        lambda folder: asked(folder, on_text=True),
        "on_text is a bool .* give a function of a text",
    ),
    "k as text": (lambda folder: searched(folder, k="5"), "k is a str"),
    "k with a point": (lambda folder: searched(folder, k=2.0), "k is a float"),
    "name as filter": (
        lambda folder: searched(folder, filter="tin.pdf"),
        r"filter is a str .* give Filter\(\('report.pdf',\)\)",
    ),
    "page as text": (lambda _: Filter(first_page=any_("3")), "first_page is a str"),
    "list of retrievers": (
        lambda folder: searched(folder, retriever=["dense"]),
        "retriever is a list .* valid: hybrid",
    ),
    "diversity as text": (lambda folder: searched(folder, mmr_lambda="1"), "mmr_lambda is a str"),
    "ingest settings as dict": (
        lambda folder: ingested(folder, settings={"reader": "pypdf"}),
        "settings is a dict .* give IngestSettings",
    ),
    "progress as function": (
        lambda folder: ingested(folder, progress=print),
        "progress is a builtin_function_or_method",
    ),
    "chunk size as text": (
        lambda folder: ingested(folder, settings=IngestSettings(chunk_tokens=any_("90"))),
        "chunk_tokens is a str",
    ),
    "limits as text": (lambda _: Limits(file_timeout_s=any_("5")), "file_timeout_s is a str"),
    "window below one": (
        lambda _: load_generator("http://[::1]:9/v1#m", tokenizer="bundled", context_window=-1),
        "context_window is -1. Give 1 or more",
    ),
}

THINGS: Wrong = {
    "text and rank swapped": (
        lambda _: Hit.from_text(any_("Tin."), 0.9, any_(1)),
        r"rank is a str \('Tin.'\); give a whole number",
    ),
    "text left out": (
        lambda _: Hit.from_text(1, 0.9, any_(None), "Tin."),
        r"text is None; the order is from_text\(rank, score, text, document\)",
    ),
    "score as text": (lambda _: Hit.from_text(1, any_("0.9"), "Tin."), "score is a str"),
    "texts placed": (lambda _: place(any_(["a", "b"])), "one of hits is a str .* give hits"),
    "nothing placed": (lambda _: place(any_(None)), "hits is None; give a list of hits"),
    "order that gives nothing": (
        lambda _: place(HITS, any_(lambda hits: None)),
        "what the strategy <lambda> gave is None",
    ),
    "order that gives ranks": (
        lambda _: place(HITS, any_(lambda hits: [1])),
        r"one of what the strategy <lambda> gave is a int \(1\)",
    ),
    "texts selected": (lambda _: knapsack(any_(["a"]), [5], 10), "one of hits is a str"),
    "one ranking": (lambda _: fused(any_(HITS), 3), "one of rankings is a Hit"),
    "class as generator": (
        lambda folder: asked(folder, CopyingGenerator),
        "give what load_generator returns",
    ),
    "half a generator": (
        lambda folder: asked(folder, Bare()),
        "generator is a Bare, which has no name, tokenizer, context_window",
    ),
    "generator that gives a text": (
        lambda folder: asked(folder, Wordy()),
        "what the generator gave is a str",
    ),
    "half an embedding": (
        lambda folder: search(folder, Halved(), QUESTION),
        r"gave vectors of shape \(1, 4\) for one text; its dim 8 promises \(1, 8\)",
    ),
    "text as prompt": (
        lambda _: answer_prompt(any_("Who?"), CopyingGenerator(), lambda _: None),
        "prompt is a str .* make one with assemble",
    ),
    "text to cite": (lambda _: cite(any_("Tin [1]."), PROMPT, lambda _: None), "generation is a"),
    "index to cite from": (
        lambda folder: cite(GENERATION, PROMPT, any_(Index.open(folder))),
        "get_document is a FolderIndex .* give index.document",
    ),
    "nothing to ingest": (lambda folder: ingested(folder, None), "paths is None; give the path"),
    "number to ingest": (lambda folder: ingested(folder, [1]), "one of paths is a int"),
    "bytes to ingest": (lambda folder: ingested(folder, b"a.pdf"), "one of paths is a int"),
    "number to read": (lambda _: read_pdf(any_(3)), "path is a int .* give the path of a PDF"),
    "text to cut": (lambda _: chunk_document(any_("text"), WORDS), "document is a str"),
    "path object in a document": (
        lambda _: Document(id="a", path=any_(Path("a.pdf")), pages=()),
        r"path is a \w+Path .* give str\(path\)",
    ),
    "texts as pages": (
        lambda _: Document(id="a", path="a.pdf", pages=any_(("One.",))),
        "one of pages is a str",
    ),
    "lists as vectors": (
        lambda folder: stored(folder, "zinc.pdf", DOCUMENT, CHUNKS, VECTORS.tolist()),
        "vectors is a list .* give np.asarray",
    ),
    "texts as chunks": (
        lambda folder: stored(folder, "zinc.pdf", DOCUMENT, ["Zinc."], VECTORS),
        r"chunks\[0\] is a str",
    ),
    "index made by its class": (lambda folder: Index(folder), "an index with Index.open"),
    "no model": (lambda _: load_generator(any_(None)), "spec is None; give"),
    "empty model": (lambda _: load_generator(""), "no model ''"),
    "empty tokenizer": (lambda _: load_tokenizer(""), "There is no tokenizer ''"),
    "empty embedder": (lambda _: load_embedder(""), "name of the embedder is empty"),
    "nothing to encode": (lambda _: load_tokenizer().encode(any_(None)), "text is None"),
    "bytes to count": (lambda _: load_tokenizer().count(any_(b"tin")), "text is a bytes"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals") / "index"
    return index_with(folder, {"tin": ["Tin melts at 232 degrees."]}).path


@pytest.mark.parametrize("what", [*SETTINGS, *THINGS])
def test_another_kind_of_thing_is_refused_with_what_helps(folder: Path, what: str) -> None:
    call, why = {**SETTINGS, **THINGS}[what]
    with pytest.raises((InputError, ModelError), match=why):
        call(folder)


def test_a_pdf_is_not_taken_for_an_index() -> None:
    [sample, *_] = sorted(SAMPLES.glob("*.pdf"))
    with pytest.raises(IndexMissingError, match=r"is a file, and an index is a folder. .* ingest"):
        asked(sample)
