"""A Haystack ranker that keeps an exact token budget and places what fits."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

from ragctx.adapters.fitting import (
    Fitting,
    Passage,
    as_list,
    remade,
    selector_name,
    text_in,
    whole_in,
)
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.selection.selectors import Selector, as_selector
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.haystack", "haystack-ai", "'ragctx[haystack]'"):
    from haystack import Document, component, default_from_dict, default_to_dict


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
        word_count_threshold: LostInTheMiddleRanker's limit in words. It is taken so that this
            ranker can stand where that one stood, and ignored with a warning: set `budget_tokens`.

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
        self.top_k = _checked_top_k(top_k)
        self.tokenizer = tokenizer  # kept as it was passed: a name can be serialised
        self._hint(word_count_threshold)

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

        Of documents with one id the first is kept. `top_k` overrides the ranker's own.

        Raises:
            InputError: a document has no text, or `top_k` is below 1.
            BudgetError: there are documents, and none fits.
        """
        self._hint(word_count_threshold)
        distinct: dict[str, Document] = {}
        for document in as_list(documents, Document):
            distinct.setdefault(document.id, document)
        found = [*distinct.values()][: _checked_top_k(top_k) or self.top_k]
        chosen = self.fitting.order([_passage(document) for document in found])
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
        settings = self._settings()
        if not all(
            isinstance(settings[name], str) for name in ("tokenizer", "placement", "select")
        ):
            raise InputError(
                "this BudgetRanker holds a function or an object, which cannot be written: give "
                "tokenizer, placement and select by name"
            )
        written_settings: dict[str, Any] = default_to_dict(self, **settings)
        return written_settings

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
        }

    def _hint(self, word_count_threshold: int | None) -> None:
        if word_count_threshold is not None:
            warnings.warn(
                f"word_count_threshold={word_count_threshold} is ignored: what fits is decided by "
                f"budget_tokens={self.fitting.budget_tokens}, counted exactly; leave it out",
                stacklevel=3,
            )


def _checked_top_k(top_k: int | None) -> int | None:
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k is {top_k}. Give 1 or more, or leave it out.")
    return top_k


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
