"""For Haystack: documents that fit an exact token budget, placed; and an index as a retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.adapters.finding import Finder
from ragctx.adapters.fitting import (
    Fitting,
    Passage,
    as_list,
    remade,
    selector_name,
    text_in,
    whole_in,
)
from ragctx.arguments import require_whole
from ragctx.errors import InputError, require_extra
from ragctx.index.address import without_password
from ragctx.placement.laws import Strategy
from ragctx.records import Hit
from ragctx.retrieval import Retriever
from ragctx.selection.selectors import Selector, as_selector
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.haystack", "haystack-ai", "'ragctx[haystack]'"):
    from haystack import Document, component, default_from_dict, default_to_dict

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.index import Index


@component
class BudgetRanker:
    """A ranker: of documents in order of relevance it returns those that fit, in prompt order.

    Args:
        tokenizer: the model's: "tiktoken:gpt-4o", a model's directory, or a `Tokenizer`.
        budget_tokens: the most tokens that the contents, joined, may take; counted exactly.
        placement: a name in `ragctx.placement.strategies.STRATEGIES`, or a function of your own.
            "document_order" reads the meta `source_id` (or `file_path`), `page_number` and
            `split_idx_start`.
        select: which to take when not all fit: "fill", "prefix", "knapsack", or a function like
            those in `ragctx.selection.selectors`.
        separator: what your prompt template puts between two documents' contents.
        top_k: the most documents to return, the best; None: as many as fit.
        word_count_threshold: as LostInTheMiddleRanker has it: documents are taken until they have
            this many words together, the one that reaches it included; the budget holds as well.

    A pipeline can be written to YAML if `tokenizer`, `placement` and `select` are names. Haystack 3
    reads it with `allowed_modules=["ragctx.adapters.haystack"]`.

    Raises InputError for invalid settings; `run` raises BudgetError if no document fits.

    >>> ranker = BudgetRanker(tokenizer="bundled", budget_tokens=8)
    >>> texts = ("Tin melts.", "Iron does.", "Lead too.")
    >>> documents = [Document(content=text) for text in texts]
    >>> [document.content for document in ranker.run(documents=documents)["documents"]]
    ['Tin melts.', 'Iron does.']
    """

    def __init__(
        self,
        tokenizer: str | Tokenizer,
        budget_tokens: int,
        placement: str | Strategy = "edges",
        select: str | Selector = "fill",
        separator: str = "\n\n",
        *,
        top_k: int | None = None,
        word_count_threshold: int | None = None,
    ) -> None:
        self.fitting = Fitting(
            tokenizer=as_tokenizer(tokenizer),
            budget_tokens=budget_tokens,
            placement=placement,
            select=as_selector(select),
            separator=separator,
        )
        self.top_k = _positive("top_k", top_k)
        self.word_count_threshold = _positive("word_count_threshold", word_count_threshold)
        self.tokenizer = tokenizer  # kept as it was passed: a name can be serialised

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only, as the frames that Haystack puts around `run` cannot be copied."""
        return remade, (type(self), self._settings())

    @component.output_types(documents=list[Document])
    def run(
        self,
        documents: list[Document],
        top_k: int | None = None,
        word_count_threshold: int | None = None,
    ) -> dict[str, list[Document]]:
        """The same objects, those that fit, in prompt order: {"documents": [...]}.

        Of documents with one id the one with the highest score is kept. `top_k` and
        `word_count_threshold` override the ranker's own.

        Raises:
            InputError: a document has no text, or one of the two limits is below 1.
            BudgetError: there are documents, and none fits.
        """
        most = _positive("top_k", top_k) or self.top_k
        words = _positive("word_count_threshold", word_count_threshold) or self.word_count_threshold
        found = _distinct(as_list(documents, Document))[:most]
        passages = [_passage(document) for document in found]
        chosen = self.fitting.order(passages[: words and _until_words(passages, words)])
        return {"documents": [found[i] for i in chosen]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        documents: list[Document],
        top_k: int | None = None,
        word_count_threshold: int | None = None,
    ) -> dict[str, list[Document]]:
        """`run` in a thread, so that the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.run, documents, top_k, word_count_threshold)

    def to_dict(self) -> dict[str, Any]:
        """The settings as Haystack serialises them.

        Raises:
            InputError: tokenizer, placement or select is not a name.
        """
        return _as_dict(self, self._settings(), ("tokenizer", "placement", "select"))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BudgetRanker:
        """A ranker with the settings that `to_dict` gave."""
        ranker: BudgetRanker = default_from_dict(cls, data)
        return ranker

    def _settings(self) -> dict[str, Any]:
        fitting = self.fitting
        return {
            "tokenizer": self.tokenizer,
            "budget_tokens": fitting.budget_tokens,
            "placement": fitting.placement,
            "select": selector_name(fitting.select),
            "separator": fitting.separator,
            "top_k": self.top_k,
            "word_count_threshold": self.word_count_threshold,
        }


@component
class IndexRetriever:
    """A ragctx index as a retriever: its passages for a question, the best first.

    Args:
        index: the index or its path.
        embedder: the one that the index was made with, or its name.
        top_k: how many documents; also an input of `run`.
        retriever: "hybrid", "dense", "lexical", or a function like those in `ragctx.retrieval`.

    A document's meta are `source_id`, `file_path`, `page_number` (from 1) and `split_idx_start` (in
    the whole document's text); its `id` is the passage's. A pipeline can be written to YAML if
    `index`, `embedder` and `retriever` are texts.

    Raises what `ragctx.adapters.finding.Finder` raises.
    """

    def __init__(
        self,
        index: str | Path | Index,
        embedder: str | Path | Embedder = "default",
        top_k: int = 5,
        retriever: str | Retriever = "hybrid",
    ) -> None:
        self._finder = Finder(index=index, embedder=embedder, k=top_k, retriever=retriever)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only: the index is opened again where the copy is made."""
        return remade, (type(self), self._settings())

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """The best passages for a question: {"documents": [...]}.

        Raises:
            InputError: the query is blank, or `top_k` is below 1.
        """
        return {"documents": [_document(hit) for hit in self._finder.hits(query, top_k)]}

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """`run` in a thread, so that the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.run, query, top_k)

    def to_dict(self) -> dict[str, Any]:
        """The settings as Haystack serialises them; a database's address without its password.

        Raises:
            InputError: index, embedder or retriever is not a text.
        """
        settings = self._settings()
        if isinstance(settings["index"], str):
            settings["index"] = without_password(settings["index"])
        return _as_dict(self, settings, ("index", "embedder", "retriever"))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IndexRetriever:
        """A retriever with the settings that `to_dict` gave."""
        retriever: IndexRetriever = default_from_dict(cls, data)
        return retriever

    def _settings(self) -> dict[str, Any]:
        return {
            "top_k" if name == "k" else name: value for name, value in self._finder.settings.items()
        }


def _as_dict(made: object, settings: dict[str, Any], named: Iterable[str]) -> dict[str, Any]:
    unnamed = [name for name in named if not isinstance(settings[name], str)]
    if unnamed:
        raise InputError(
            f"the {' and '.join(unnamed)} of this {type(made).__name__} is a function or an "
            "object, which cannot be written; give it by name"
        )
    data: dict[str, Any] = default_to_dict(made, **settings)
    return data


def _positive(name: str, limit: int | None) -> int | None:
    """The limit. The messages are those of Haystack's own rankers, and say what to do."""
    if limit is None:
        return None
    require_whole(name, limit)
    if limit < 1:
        raise InputError(
            f"Invalid value for {name}: {name} must be > 0, but got {limit}. Leave it out for as "
            "many as fit the budget."
        )
    return limit


def _distinct(documents: list[Document]) -> list[Document]:
    """The documents, each id once, where it was first; of those with one id the best score's."""
    best: dict[str, Document] = {}
    for document in documents:
        known = best.get(document.id)
        if known is None or _score(document) > _score(known):
            best[document.id] = document
    return [*best.values()]


def _score(document: Document) -> float:
    return float("-inf") if document.score is None else float(document.score)


def _until_words(passages: list[Passage], words: int) -> int:
    """How many passages it takes to reach that number of words, or all."""
    sums = accumulate(len(passage.text.split()) for passage in passages)
    return next((i for i, total in enumerate(sums, 1) if total >= words), len(passages))


def _document(hit: Hit) -> Document:
    chunk = hit.chunk
    page = {} if chunk.first_page is None else {"page_number": chunk.first_page}
    meta = {
        "source_id": chunk.document_id,
        "file_path": hit.path,
        **page,
        "split_idx_start": chunk.start,
    }
    return Document(id=chunk.id, content=chunk.text, score=hit.score, meta=meta)


def _passage(document: Document) -> Passage:
    if document.content is None:
        raise InputError(f"the document {document.id} has no text; filter such ones out before")
    return Passage(
        text=document.content,
        score=document.score,
        document=text_in(document.meta, "source_id", "file_path"),
        page=whole_in(document.meta, "page_number"),
        start=whole_in(document.meta, "split_idx_start"),
    )
