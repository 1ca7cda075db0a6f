"""A LangChain document transformer that keeps an exact token budget and places what fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

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
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.selection.selectors import Selector, as_selector
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.langchain", "langchain-core", "'ragctx[langchain]'"):
    from langchain_core.documents import BaseDocumentTransformer, Document


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
