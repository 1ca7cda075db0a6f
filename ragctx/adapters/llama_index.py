"""For LlamaIndex: nodes that fit an exact token budget, placed; and an index as a retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
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
    written,
)
from ragctx.errors import InputError, require_extra
from ragctx.placement.laws import Strategy
from ragctx.records import Hit
from ragctx.retrieval import Retriever
from ragctx.selection.selectors import Selector, as_selector
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.llama_index", "llama-index-core", "'ragctx[llama-index]'"):
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import (
        MetadataMode,
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.index import Index


class BudgetPostprocessor(BaseNodePostprocessor):
    """Of nodes in order of relevance, returns those that fit, the same objects, in prompt order.

    A node is counted as LlamaIndex shows it to a model, metadata included. Its place in the list is
    its rank; its score may be None.

    Args:
        tokenizer: the model's: "tiktoken:gpt-4o", a model's directory, or a `Tokenizer`.
        budget_tokens: the most tokens that the nodes' texts, joined, may take; counted exactly.
        placement: a name in `ragctx.placement.strategies.STRATEGIES`, or a function of your own.
            "document_order" reads each node's source document and `start_char_idx`. Readers that
            make one document of each page are understood: then the metadata `file_path` (or
            `file_name`) names the document, and `page_label` (or `page`) the page.
        select: which to take when not all fit: "fill", "prefix", "knapsack", or a function like
            those in `ragctx.selection.selectors`.
        separator: what your response synthesizer puts between two nodes.
        callback_manager: LlamaIndex's; kept, not used.
        class_name: stands among the settings that LlamaIndex writes; ignored.

    Settings by name are written by `to_dict` and read by `from_dict`; a function is refused.

    Raises InputError for invalid settings; `postprocess_nodes` raises BudgetError if none fits.

    >>> from llama_index.core.schema import TextNode
    >>> postprocessor = BudgetPostprocessor(tokenizer="bundled", budget_tokens=8)
    >>> texts = ("Tin melts.", "Iron does.", "Lead too.")
    >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
    >>> [node.text for node in postprocessor.postprocess_nodes(nodes)]
    ['Tin melts.', 'Iron does.']
    """

    tokenizer: Any
    budget_tokens: int
    placement: Any = "edges"
    select: Any = "fill"
    separator: str = "\n\n"

    def __init__(
        self,
        *,
        tokenizer: str | Tokenizer,
        budget_tokens: int,
        placement: str | Strategy = "edges",
        select: str | Selector = "fill",
        separator: str = "\n\n",
        callback_manager: CallbackManager | None = None,
        class_name: str = "",
    ) -> None:
        super().__init__(
            tokenizer=tokenizer,
            budget_tokens=budget_tokens,
            placement=placement,
            select=selector_name(select),
            separator=separator,
            callback_manager=callback_manager or CallbackManager(),
        )
        _ = self.fitting  # raises for invalid settings, early

    @cached_property
    def fitting(self) -> Fitting:
        """The settings, with the tokenizer loaded."""
        return Fitting(
            tokenizer=as_tokenizer(self.tokenizer),
            budget_tokens=self.budget_tokens,
            placement=self.placement,
            select=as_selector(self.select),
            separator=self.separator,
        )

    def __repr__(self) -> str:
        return written(type(self).__name__, self._settings())

    __str__ = __repr__

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only: LlamaIndex would drop, with a warning, what it cannot pickle."""
        return remade, (type(self), self._settings())

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex serialises this class."""
        return "RagctxBudgetPostprocessor"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The settings as LlamaIndex writes them, to be read by `from_dict`.

        Raises:
            InputError: tokenizer, placement or select is not a name.
        """
        for name in ("tokenizer", "placement", "select"):
            if not isinstance(getattr(self, name), str):
                raise InputError(
                    f"this BudgetPostprocessor's {name} is a function or an object, which cannot "
                    "be written; give it by name"
                )
        settings: dict[str, Any] = super().to_dict(**kwargs)
        return settings

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        found = as_list(nodes, NodeWithScore)
        order = self.fitting.order([_passage(node) for node in found])
        return [found[i] for i in order]

    def _settings(self) -> dict[str, Any]:
        names = ("tokenizer", "budget_tokens", "placement", "select", "separator")
        return {name: getattr(self, name) for name in names}


def _passage(node_with_score: NodeWithScore) -> Passage:
    node = node_with_score.node
    page = whole_in(node.metadata, "page_label", "page", "page_number")
    file = text_in(node.metadata, "file_path", "file_name") if page else ""
    return Passage(
        text=node.get_content(metadata_mode=MetadataMode.LLM),
        score=node_with_score.score,
        document=file or node.ref_doc_id or "",
        page=page,
        start=getattr(node, "start_char_idx", None) or 0,
    )


class IndexRetriever(BaseRetriever):
    """A ragctx index as a retriever: its passages for a question, the best first.

    Args:
        index: the index or its path.
        embedder: the one that the index was made with, or its name.
        k: how many nodes; LlamaIndex calls it `similarity_top_k`.
        retriever: "hybrid", "dense", "lexical", or a function like those in `ragctx.retrieval`.
        callback_manager: LlamaIndex's.

    A node's metadata are `file_path` and `page_label` (the page's number, from 1), its source the
    document, its `start_char_idx` and `end_char_idx` characters of the whole document's text.

    Raises what `ragctx.adapters.finding.Finder` raises.
    """

    def __init__(
        self,
        *,
        index: str | Path | Index,
        embedder: str | Path | Embedder = "default",
        k: int = 5,
        retriever: str | Retriever = "hybrid",
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._finder = Finder(index=index, embedder=embedder, k=k, retriever=retriever)

    def __repr__(self) -> str:
        return written(type(self).__name__, self._finder.settings)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settings only: the index is opened again where the copy is made."""
        return remade, (type(self), self._finder.settings)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(hit) for hit in self._finder.hits(query_bundle.query_str)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _node(hit: Hit) -> NodeWithScore:
    chunk = hit.chunk
    page = {} if chunk.first_page is None else {"page_label": str(chunk.first_page)}
    node = TextNode(
        id_=chunk.id,
        text=chunk.text,
        metadata={"file_path": hit.path, **page},
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.document_id)},
    )
    return NodeWithScore(node=node, score=hit.score)
