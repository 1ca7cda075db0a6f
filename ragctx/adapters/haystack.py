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
    """Documents in order of relevance -> those that fit, in prompt order, the same objects.

    Args:
        tokenizer: the model's: "tiktoken:gpt-4o", a model's directory, or a `Tokenizer`.
        budget_tokens: for the documents' contents, joined: at most so many, counted exactly.
        placement: a name in `ragctx.placement.strategies.STRATEGIES`, or a function of your own.
            "document_order" reads the meta `source_id` and `split_idx_start`.
        select: which to take when not all fit: a function in `ragctx.selection.selectors`.
        separator: what your prompt template puts between two documents' contents.

    A pipeline can be written to YAML if tokenizer and placement are given by name and `select` is
    left as it is. Haystack 3 reads it with `allowed_modules=["ragctx.adapters.haystack"]`.

    Raises InputError for settings that cannot be; BudgetError, when running, if none fits.

    >>> ranker = BudgetRanker(tokenizer="bundled", budget_tokens=8)
    >>> texts = ("Tin melts.", "Iron does.", "Lead too.")
    >>> given = [Document(content=text) for text in texts]
    >>> [document.content for document in ranker.run(documents=given)["documents"]]
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
        self.tokenizer = tokenizer  # as it was given: a name can be written down

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Those of `documents` that fit, in prompt order, as {"documents": [...]}.

        Raises InputError for a document without text.
        """
        order = self.fitting.order([*map(_passage, documents)])
        return {"documents": [documents[i] for i in order]}

    def to_dict(self) -> dict[str, Any]:
        """For Haystack's serialisation."""
        how = self.fitting
        named = isinstance(self.tokenizer, str) and isinstance(how.placement, str)
        if not named or how.select is not fill:
            raise InputError(
                "this BudgetRanker holds a function or an object, which cannot be written: give "
                "tokenizer and placement by name, and leave select out"
            )
        written: dict[str, Any] = default_to_dict(
            self,
            tokenizer=self.tokenizer,
            budget_tokens=how.budget_tokens,
            placement=how.placement,
            separator=how.separator,
        )
        return written

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BudgetRanker:
        """From what `to_dict` gave."""
        made: BudgetRanker = default_from_dict(cls, data)
        return made


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
