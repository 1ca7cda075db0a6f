"""For LangChain: documents that fit an exact token budget, placed; and an index as a retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.adapters.finding import Finder
from ragctx.adapters.fitting import (
    Fitting,
    Passage,
    as_list,
    number_in,
    remade,
    selector_name,
    text_in,
    whole_in,
    written,
)
from ragctx.arguments import require_function
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.records import Hit
from ragctx.retrieval import Retriever
from ragctx.selection.selectors import Selector, as_selector
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.langchain", "langchain-core", "'ragctx[langchain]'"):
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
        Callbacks,
    )
    from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import PrivateAttr

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.index import Index


def page_content(document: Document) -> str:
    """The document's text without its metadata, as LangChain's default prompt renders it."""
    text: str = document.page_content
    return text


class BudgetTransformer(BaseDocumentTransformer):
    """Of documents in order of relevance, returns those that fit, in prompt order.

    Args:
        tokenizer: the model's: "tiktoken:gpt-4o", a model's directory, or a `Tokenizer`.
        budget_tokens: the most tokens of the documents, rendered and joined; counted exactly.
        placement: a name in `ragctx.placement.strategies.STRATEGIES`, or a function of your own.
            "document_order" reads the metadata `source`, `page` (or `page_number`) and
            `start_index`.
        select: which to take when not all fit: "fill", "prefix", "knapsack", or a function like
            those in `ragctx.selection.selectors`. "knapsack" weighs by the metadata
            `relevance_score` or `score` where they fall from first to last, else by rank.
        separator: what your chain puts between two documents.
        render: how your chain renders a document, e.g. with `format_document`.

    It can be pickled and copied if its settings can: a lambda as `render` cannot be pickled.

    Raises InputError for invalid settings; `transform_documents` raises BudgetError if none fits.

    >>> transformer = BudgetTransformer(tokenizer="bundled", budget_tokens=8)
    >>> documents = [Document("Tin melts."), Document("Iron does."), Document("Lead too.")]
    >>> [document.page_content for document in transformer.transform_documents(documents)]
    ['Tin melts.', 'Iron does.']
    """

    def __init__(
        self,
        *,
        tokenizer: str | Tokenizer,
        budget_tokens: int,
        placement: str | Strategy = "edges",
        select: str | Selector = "fill",
        separator: str = "\n\n",
        render: Callable[[Document], str] = page_content,
    ) -> None:
        self.fitting = Fitting(
            tokenizer=as_tokenizer(tokenizer),
            budget_tokens=budget_tokens,
            placement=placement,
            select=as_selector(select),
            separator=separator,
        )
        require_function("render", render, "give a function of a document")
        self.render = render
        self._settings = {
            "tokenizer": tokenizer,
            "budget_tokens": budget_tokens,
            "placement": placement,
            "select": selector_name(select),
            "separator": separator,
            "render": render,
        }

    def __repr__(self) -> str:
        return written(type(self).__name__, self._settings)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only: a tokenizer that was named is loaded again where the copy is made."""
        return remade, (type(self), self._settings)

    def transform_documents(
        self, documents: Iterable[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """The same objects, those that fit, in prompt order.

        Raises:
            InputError: there are further keyword arguments, of which none is known; or `documents`
                are not documents.
            BudgetError: there are documents, and none fits.
        """
        if kwargs:
            raise InputError(f"transform_documents knows no {', '.join(kwargs)}; leave it out")
        found = as_list(documents, Document)
        order = self.fitting.order([self._passage(document) for document in found])
        return [found[i] for i in order]

    def _passage(self, document: Document) -> Passage:
        metadata = document.metadata
        return Passage(
            text=self.render(document),
            score=number_in(metadata, "relevance_score", "score"),
            document=text_in(metadata, "source"),
            page=whole_in(metadata, "page", "page_number"),
            start=whole_in(metadata, "start_index"),
        )


class BudgetCompressor(BaseDocumentCompressor):
    """A `BudgetTransformer` where LangChain asks for a compressor (ContextualCompressionRetriever).

    >>> transformer = BudgetTransformer(tokenizer="bundled", budget_tokens=4)
    >>> documents = [Document("Tin melts."), Document("Iron does.")]
    >>> compressor = BudgetCompressor(transformer=transformer)
    >>> [document.page_content for document in compressor.compress_documents(documents, "Tin?")]
    ['Tin melts.']
    """

    transformer: Any

    def __init__(self, *, transformer: BudgetTransformer) -> None:
        super().__init__(transformer=transformer)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """What the transformer gives; the query has done its work when the documents were ranked.

        Raises what `BudgetTransformer.transform_documents` raises.
        """
        return self.transformer.transform_documents(documents)  # type: ignore[no-any-return]


class IndexRetriever(BaseRetriever):
    """A ragctx index as a retriever: its passages for a question, the best first.

    Args:
        index: the index or its path.
        embedder: the one that the index was made with, or its name.
        k: how many documents; also an argument of `invoke`.
        retriever: "hybrid", "dense", "lexical", or a function like those in `ragctx.retrieval`.

    A document's metadata are `source` (the file's path), `page` (from 0, as LangChain's loaders
    count), `start_index` (in the whole document's text), `score` and `document_id`; its `id` is the
    passage's. It can be pickled if its settings can.

    Raises what `ragctx.adapters.finding.Finder` raises.
    """

    index: Any
    embedder: Any
    k: int
    retriever: Any
    _finder: Finder = PrivateAttr()

    def __init__(
        self,
        *,
        index: str | Path | Index,
        embedder: str | Path | Embedder = "default",
        k: int = 5,
        retriever: str | Retriever = "hybrid",
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        finder = Finder(index=index, embedder=embedder, k=k, retriever=retriever)
        super().__init__(tags=tags, metadata=metadata, **finder.settings)
        self._finder = finder

    def __repr__(self) -> str:
        return written(type(self).__name__, self._finder.settings)

    __str__ = __repr__

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only: the index is opened again where the copy is made."""
        settings = {**self._finder.settings, "tags": self.tags, "metadata": self.metadata}
        return remade, (type(self), settings)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [_document(hit) for hit in self._finder.hits(query, k)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        hits = await asyncio.to_thread(self._finder.hits, query, k)
        return [_document(hit) for hit in hits]


def _document(hit: Hit) -> Document:
    chunk = hit.chunk
    page = {} if chunk.first_page is None else {"page": chunk.first_page - 1}
    metadata = {
        "source": hit.path,
        **page,
        "start_index": chunk.start,
        "score": hit.score,
        "document_id": chunk.document_id,
    }
    return Document(chunk.text, id=chunk.id, metadata=metadata)
