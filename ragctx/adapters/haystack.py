"""A Haystack ranker that keeps an exact token budget and places what fits."""

from __future__ import annotations

from typing import Any

from ragctx.adapters.fitting import Fitting, Passage, as_tokenizer
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.selection.selectors import Selector, fill
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
            "document_order" reads the meta `source_id` and `split_idx_start`.
        select: which to take when not all fit: a function in `ragctx.selection.selectors`.
        separator: what your prompt template puts between two documents' contents.

    A pipeline can be written to YAML if `tokenizer` and `placement` are names and `select` is the
    default. Haystack 3 reads it with `allowed_modules=["ragctx.adapters.haystack"]`.

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
        select: Selector = fill,
        separator: str = "\n\n",
    ) -> None:
        self.fitting = Fitting(
            tokenizer=as_tokenizer(tokenizer),
            budget_tokens=budget_tokens,
            placement=placement,
            select=select,
            separator=separator,
        )
        self.tokenizer = tokenizer  # kept as it was passed: a name can be serialised

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """The same objects, those that fit, in prompt order: {"documents": [...]}.

        Raises:
            InputError: a document has no text.
            BudgetError: there are documents, and none fits.
        """
        order = self.fitting.order([_passage(document) for document in documents])
        return {"documents": [documents[i] for i in order]}

    def to_dict(self) -> dict[str, Any]:
        """The settings as Haystack serialises them.

        Raises:
            InputError: tokenizer or placement is not a name, or `select` is not the default.
        """
        fitting = self.fitting
        named = isinstance(self.tokenizer, str) and isinstance(fitting.placement, str)
        if not named or fitting.select is not fill:
            raise InputError(
                "this BudgetRanker holds a function or an object, which cannot be written: give "
                "tokenizer and placement by name, and leave select out"
            )
        settings: dict[str, Any] = default_to_dict(
            self,
            tokenizer=self.tokenizer,
            budget_tokens=fitting.budget_tokens,
            placement=fitting.placement,
            separator=fitting.separator,
        )
        return settings

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BudgetRanker:
        """A ranker with the settings that `to_dict` gave."""
        ranker: BudgetRanker = default_from_dict(cls, data)
        return ranker


def _passage(document: Document) -> Passage:
    if document.content is None:
        raise InputError(f"the document {document.id} has no text; filter such ones out before")
    source, start = document.meta.get("source_id"), document.meta.get("split_idx_start")
    return Passage(
        text=document.content,
        score=document.score,
        document=str(source or ""),
        start=start if isinstance(start, int) else 0,
    )
