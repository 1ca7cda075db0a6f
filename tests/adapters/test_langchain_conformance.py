"""LangChain's standard tests for retrievers; what it expects of transformers and compressors."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="langchain-core is not installed: ragctx[langchain]")
pytest.importorskip("langchain_tests", reason="langchain-tests is not installed: ragctx[dev]")

from langchain_core.documents import (
    BaseDocumentCompressor,
    BaseDocumentTransformer,
    Document,
)
from langchain_core.load import dumpd
from langchain_core.runnables import RunnableLambda
from langchain_tests.integration_tests import RetrieversIntegrationTests

from ragctx.adapters.langchain import BudgetCompressor, BudgetTransformer, IndexRetriever
from ragctx.errors import InputError
from tests.support.fakes import HashEmbedder

pytestmark = pytest.mark.slow

QUESTION = "At how many degrees does tin melt?"


class TestIndexRetriever(RetrieversIntegrationTests):
    """The suite that LangChain publishes for those who write retrievers."""

    @pytest.fixture(autouse=True)
    def folder(self, metals: Path) -> None:
        self.metals = metals

    @property
    def retriever_constructor(self) -> type[IndexRetriever]:
        return IndexRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self.metals, "embedder": HashEmbedder()}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


@pytest.fixture
def retriever(metals: Path) -> IndexRetriever:
    return IndexRetriever(index=metals, embedder=HashEmbedder(), retriever="lexical")


@pytest.fixture
def transformer() -> BudgetTransformer:
    return BudgetTransformer(tokenizer="bundled", budget_tokens=24)


def documents(count: int = 4) -> list[Document]:
    return [Document(f"Text number {i}.", metadata={"n": i}) for i in range(count)]


# ---- A retriever in chains


def test_each_document_has_an_id_and_says_where_it_is_from(retriever: IndexRetriever) -> None:
    best = retriever.invoke(QUESTION)[0]
    assert best.page_content == "Tin melts at 232 degrees." and best.id == "tin:0-25"
    assert best.metadata.pop("score") > 0
    assert best.metadata == {
        "source": "tin.pdf",
        "page": 0,
        "start_index": 0,
        "document_id": "tin",
    }


async def test_calls_batches_and_coroutines_find_the_same(retriever: IndexRetriever) -> None:
    found = retriever.invoke(QUESTION, k=2)
    assert len(found) == 2 and retriever.invoke(QUESTION)[:2] == found
    assert retriever.batch([QUESTION, QUESTION], k=2) == [found, found]
    assert await retriever.ainvoke(QUESTION, k=2) == found
    assert await retriever.abatch([QUESTION], k=2) == [found]


def test_a_copied_retriever_finds_the_same(retriever: IndexRetriever) -> None:
    found = retriever.invoke(QUESTION)
    for again in (copy.copy(retriever), copy.deepcopy(retriever), retriever.model_copy()):
        assert again.invoke(QUESTION) == found
    for again in (pickle.loads(pickle.dumps(retriever)), retriever.with_config(tags=["mine"])):
        assert again.invoke(QUESTION) == found


def test_callbacks_and_tags_are_those_of_langchain(metals: Path) -> None:
    from langchain_core.callbacks import BaseCallbackHandler

    seen: list[Any] = []

    class Handler(BaseCallbackHandler):
        def on_retriever_start(self, *_: Any, tags: Any = None, **rest: Any) -> None:
            seen.append(tags)

        def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
            seen.append(len(documents))

    tagged = IndexRetriever(index=metals, embedder=HashEmbedder(), tags=["metals"])
    tagged.invoke(QUESTION, {"callbacks": [Handler()]})
    assert seen == [["metals"], 5]


def test_a_blank_question_and_a_k_of_nothing_are_refused(retriever: IndexRetriever) -> None:
    with pytest.raises(InputError, match="there is nothing to look for"):
        retriever.invoke("  ")
    with pytest.raises(InputError, match="k is 0"):
        retriever.invoke(QUESTION, k=0)


# ---- A transformer and a compressor


def test_the_transformer_is_one(transformer: BudgetTransformer) -> None:
    assert isinstance(transformer, BaseDocumentTransformer)
    assert list(transformer.transform_documents([])) == []
    given = documents()
    found = transformer.transform_documents(given)
    assert isinstance(found, Sequence) and all(isinstance(one, Document) for one in found)
    assert {id(one) for one in found} <= {id(one) for one in given}
    assert transformer.transform_documents(iter(given)) == found
    assert transformer.transform_documents(tuple(given)) == found
    assert given == documents(), "the documents given are left as they were"


async def test_a_transformer_s_coroutine_gives_the_same(transformer: BudgetTransformer) -> None:
    given = documents()
    assert await transformer.atransform_documents(given) == transformer.transform_documents(given)


async def test_the_compressor_is_one(transformer: BudgetTransformer) -> None:
    compressor = BudgetCompressor(transformer=transformer)
    assert isinstance(compressor, BaseDocumentCompressor)
    expected = transformer.transform_documents(documents())
    assert compressor.compress_documents(documents(), QUESTION) == expected
    assert compressor.compress_documents(documents(), QUESTION, callbacks=[]) == expected
    assert await compressor.acompress_documents(documents(), QUESTION) == expected
    assert compressor.compress_documents([], QUESTION) == []
    again = pickle.loads(pickle.dumps(compressor))
    assert again.compress_documents(documents(), QUESTION) == expected


def test_what_was_found_is_made_to_fit(
    retriever: IndexRetriever, transformer: BudgetTransformer
) -> None:
    chain = retriever | RunnableLambda(transformer.transform_documents)
    found = chain.invoke(QUESTION)
    assert found[0].page_content == "Tin melts at 232 degrees." and len(found) < 5


def test_it_compresses_what_another_retriever_finds(
    retriever: IndexRetriever, transformer: BudgetTransformer
) -> None:
    retrievers = pytest.importorskip(
        "langchain_classic.retrievers", reason="langchain-classic is not installed"
    )
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=BudgetCompressor(transformer=transformer), base_retriever=retriever
    )
    assert compressing.invoke(QUESTION) == transformer.transform_documents(
        retriever.invoke(QUESTION)
    )


def test_langchain_s_tracing_can_write_them_down(
    retriever: IndexRetriever, transformer: BudgetTransformer
) -> None:
    for one in (retriever, transformer, BudgetCompressor(transformer=transformer)):
        assert json.dumps(dumpd(one)) and "\n" not in repr(one)
