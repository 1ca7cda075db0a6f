"""A LlamaIndex node postprocessor that keeps an exact token budget and places what fits."""

from __future__ import annotations

from ragctx.adapters.fitting import Fitting, Passage, as_tokenizer
from ragctx.errors import require_extra
from ragctx.placement.laws import Strategy
from ragctx.selection.selectors import Selector, fill
from ragctx.tokens.tokenizer import Tokenizer

with require_extra("ragctx.adapters.llama_index", "llama-index-core", "'ragctx[llama-index]'"):
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle


class BudgetPostprocessor(BaseNodePostprocessor):
    """Of nodes in order of relevance, returns those that fit, the same objects, in prompt order.

    A node is counted as LlamaIndex shows it to a model, metadata included. Its place in the list is
    its rank; its score may be None.

    Args:
        tokenizer: the model's: "tiktoken:gpt-4o", a model's directory, or a `Tokenizer`.
        budget_tokens: the most tokens that the nodes' texts, joined, may take; counted exactly.
        placement: a name in `ragctx.placement.strategies.STRATEGIES`, or a function of your own.
            "document_order" reads each node's source document and `start_char_idx`.
        select: which to take when not all fit: a function in `ragctx.selection.selectors`.
        separator: what your response synthesizer puts between two nodes.

    Raises InputError for invalid settings; `postprocess_nodes` raises BudgetError if none fits.

    >>> from llama_index.core.schema import TextNode
    >>> postprocessor = BudgetPostprocessor(tokenizer="bundled", budget_tokens=8)
    >>> texts = ("Tin melts.", "Iron does.", "Lead too.")
    >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
    >>> [node.text for node in postprocessor.postprocess_nodes(nodes)]
    ['Tin melts.', 'Iron does.']
    """

    _fitting: Fitting = PrivateAttr()

    def __init__(
        self,
        *,
        tokenizer: str | Tokenizer,
        budget_tokens: int,
        placement: str | Strategy = "edges",
        select: Selector = fill,
        separator: str = "\n\n",
    ) -> None:
        super().__init__()
        self._fitting = Fitting(
            tokenizer=as_tokenizer(tokenizer),
            budget_tokens=budget_tokens,
            placement=placement,
            select=select,
            separator=separator,
        )

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex serialises this class."""
        return "RagctxBudgetPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        order = self._fitting.order([_passage(node) for node in nodes])
        return [nodes[i] for i in order]


def _passage(node_with_score: NodeWithScore) -> Passage:
    node = node_with_score.node
    return Passage(
        text=node.get_content(metadata_mode=MetadataMode.LLM),
        score=node_with_score.score,
        document=node.ref_doc_id or "",
        start=getattr(node, "start_char_idx", None) or 0,
    )
