"""What LlamaIndex asks of its components: each law holds for one of its own, and for ours."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="llama-index-core is missing: ragctx[llama-index]")

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import LongContextReorder, SimilarityPostprocessor
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from pydantic import ValidationError

from ragctx.adapters.llama_index import BudgetPostprocessor, IndexRetriever
from tests.support.fakes import HashEmbedder

pytestmark = pytest.mark.slow

QUESTION = "At how many degrees does tin melt?"


def ours(**settings: Any) -> BudgetPostprocessor:
    return BudgetPostprocessor(tokenizer="bundled", budget_tokens=24, **settings)


KINDS: dict[str, tuple[type[BaseNodePostprocessor], Callable[..., BaseNodePostprocessor]]] = {
    "LongContextReorder": (LongContextReorder, LongContextReorder),
    "SimilarityPostprocessor": (SimilarityPostprocessor, SimilarityPostprocessor),
    "BudgetPostprocessor": (BudgetPostprocessor, ours),
}
each_kind = pytest.mark.parametrize(("kind", "make"), KINDS.values(), ids=KINDS)


def nodes(count: int = 4) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(text=f"Text number {i}.", id_=f"{i}"), score=1 / (i + 1))
        for i in range(count)
    ]


def ids(found: list[NodeWithScore]) -> list[str]:
    return [one.node_id for one in found]


# ---- Components


@each_kind
def test_a_component_is_written_and_read(kind: Any, make: Any) -> None:
    made = make()
    data = made.to_dict()
    assert data["class_name"] == kind.class_name() != "BaseNodePostprocessor"
    assert json.loads(json.dumps(data)) == data == json.loads(made.to_json())
    before = dict(data)
    for again in (
        kind.from_dict(data),
        kind.from_dict({**data, "class_name": "of an older version"}),
        kind.from_json(made.to_json()),
        kind.model_validate({k: v for k, v in data.items() if k != "class_name"}),
        kind.model_validate_json(made.model_dump_json()),
        kind(**made.model_dump(exclude={"class_name"})),
        kind.model_validate(made),
    ):
        assert again.to_dict() == before == data
        assert ids(again.postprocess_nodes(nodes())) == ids(made.postprocess_nodes(nodes()))


@each_kind
def test_a_component_has_a_schema(kind: Any, make: Any) -> None:
    schema = kind.model_json_schema()
    assert schema["properties"]["class_name"]["default"] == kind.class_name()
    assert json.dumps(schema)


@each_kind
def test_a_component_is_copied_and_pickled(kind: Any, make: Any) -> None:
    made = make()
    expected = ids(made.postprocess_nodes(nodes()))
    for again in (
        pickle.loads(pickle.dumps(made)),
        copy.copy(made),
        copy.deepcopy(made),
        made.model_copy(),
        made.model_copy(deep=True),
    ):
        assert type(again) is kind and ids(again.postprocess_nodes(nodes())) == expected
        assert again.to_dict() == made.to_dict()


@each_kind
def test_a_component_keeps_its_callback_manager_to_itself(kind: Any, make: Any) -> None:
    callbacks = CallbackManager([LlamaDebugHandler(print_trace_on_end=False)])
    made = make(callback_manager=callbacks)
    assert made.callback_manager is callbacks and "callback_manager" not in made.to_dict()
    made.callback_manager = other = CallbackManager()
    assert made.callback_manager is other
    assert isinstance(make().callback_manager, CallbackManager)


@each_kind
def test_equal_settings_make_equal_components(kind: Any, make: Any) -> None:
    callbacks = CallbackManager()
    assert make(callback_manager=callbacks) == make(callback_manager=callbacks)


# ---- Postprocessors


@each_kind
async def test_a_postprocessor_is_called_in_every_way(kind: Any, make: Any) -> None:
    made = make()
    expected = ids(made.postprocess_nodes(nodes()))
    assert expected and ids(made.postprocess_nodes(nodes(), query_str="Tin?")) == expected
    assert ids(made.postprocess_nodes(nodes(), query_bundle=QueryBundle("Tin?"))) == expected
    assert ids(made.postprocess_nodes(nodes(), QueryBundle("Tin?"))) == expected
    assert ids(await made.apostprocess_nodes(nodes(), query_str="Tin?")) == expected
    with pytest.raises(ValueError, match="Cannot specify both"):
        made.postprocess_nodes(nodes(), QueryBundle("Tin?"), "Tin?")


@each_kind
def test_a_postprocessor_gives_the_nodes_it_was_given(kind: Any, make: Any) -> None:
    given = nodes()
    found = make().postprocess_nodes(given)
    assert isinstance(found, list) and {id(one) for one in found} <= {id(one) for one in given}
    assert make().postprocess_nodes([]) == []


@each_kind
def test_a_postprocessor_has_no_prompts(kind: Any, make: Any) -> None:
    assert make().get_prompts() == {} if hasattr(make(), "get_prompts") else True
    assert make()._get_prompts() == {} == make()._get_prompt_modules()


def test_pydantic_refuses_what_is_no_setting() -> None:
    with pytest.raises((ValidationError, TypeError)):
        BudgetPostprocessor.model_validate({"tokenizer": "bundled"})
    with pytest.raises(ValueError, match="budget_tokens is 0"):
        BudgetPostprocessor.from_dict({"tokenizer": "bundled", "budget_tokens": 0})


def test_a_node_is_counted_as_it_is_shown() -> None:
    shown = nodes(2)
    for one in shown:
        one.node.metadata = {"kept": "k", "hidden": "word " * 50}
        one.node.excluded_llm_metadata_keys = ["hidden"]
    assert len(ours().postprocess_nodes(shown)) == 2
    for one in shown:
        one.node.excluded_llm_metadata_keys = []
    with pytest.raises(Exception, match="no passage was selected"):
        ours().postprocess_nodes(shown)


# ---- A retriever


@pytest.fixture
def retriever(metals: Path) -> IndexRetriever:
    return IndexRetriever(index=metals, embedder=HashEmbedder(), k=4, retriever="lexical")


async def test_the_retriever_is_one(retriever: IndexRetriever) -> None:
    assert isinstance(retriever, BaseRetriever)
    found = retriever.retrieve(QUESTION)
    assert len(found) == 4 and all(isinstance(one, NodeWithScore) for one in found)
    assert ids(retriever.retrieve(QueryBundle(QUESTION))) == ids(found)
    assert ids(await retriever.aretrieve(QUESTION)) == ids(found)
    best = found[0]
    assert best.node.get_content(metadata_mode=MetadataMode.NONE) == "Tin melts at 232 degrees."
    assert best.node.metadata == {"file_path": "tin.pdf", "page_label": "1"}
    assert best.node.ref_doc_id == "tin" and best.score is not None
    assert (best.node.start_char_idx, best.node.end_char_idx) == (0, 25)


def test_a_copied_retriever_finds_the_same(retriever: IndexRetriever) -> None:
    for again in (pickle.loads(pickle.dumps(retriever)), copy.deepcopy(retriever)):
        assert ids(again.retrieve(QUESTION)) == ids(retriever.retrieve(QUESTION))
    assert repr(retriever).startswith("IndexRetriever(index=") and "k=4" in repr(retriever)


def test_a_query_engine_answers_from_what_it_finds(retriever: IndexRetriever) -> None:
    engine = RetrieverQueryEngine.from_args(
        retriever, llm=MockLLM(), node_postprocessors=[ours(placement="document_order")]
    )
    response = engine.query(QUESTION)
    assert "Tin melts at 232 degrees." in str(response) and len(response.source_nodes) < 4


def test_other_retrievers_fuse_it(retriever: IndexRetriever) -> None:
    fused = QueryFusionRetriever(
        [retriever, retriever], llm=MockLLM(), num_queries=1, use_async=False, similarity_top_k=2
    )
    assert ids(fused.retrieve(QUESTION)) == ids(retriever.retrieve(QUESTION))[:2]
