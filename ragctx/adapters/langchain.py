"""A LangChain document transformer that keeps an exact token budget and places what fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ragctx.adapters.fitting import Fitting, Passage, as_tokenizer
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.selection.selectors import Selector, fill
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
            "document_order" reads the metadata `source` and `start_index`.
        select: which to take when not all fit: a function in `ragctx.selection.selectors`.
        separator: what your chain puts between two documents.
        render: how your chain renders a document, e.g. with `format_document`.

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
        select: Selector = fill,
        separator: str = "\n\n",
        render: Callable[[Document], str] = page_content,
    ) -> None:
        self.fitting = Fitting(
            tokenizer=as_tokenizer(tokenizer),
            budget_tokens=budget_tokens,
            placement=placement,
            select=select,
            separator=separator,
        )
        self.render = render

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """The same objects, those that fit, in prompt order.

        Raises:
            InputError: there are further keyword arguments; none is known.
            BudgetError: there are documents, and none fits.
        """
        if kwargs:
            raise InputError(f"transform_documents knows no {', '.join(kwargs)}; leave it out")
        order = self.fitting.order([self._passage(document) for document in documents])
        return [documents[i] for i in order]

    def _passage(self, document: Document) -> Passage:
        source, start = document.metadata.get("source"), document.metadata.get("start_index")
        return Passage(
            text=self.render(document),
            document=str(source or ""),
            start=start if isinstance(start, int) else 0,
        )
