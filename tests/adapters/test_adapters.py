"""Laws of the adapters, with the real frameworks: exact budgets, the same objects given back."""

from __future__ import annotations

import asyncio
import copy
import doctest
import importlib
import json
import math
import os
import pickle
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.adapters.fitting import Fitting, Passage
from ragctx.errors import BudgetError, InputError
from ragctx.placement.strategies import STRATEGIES, place
from ragctx.records import Hit
from ragctx.selection.selectors import SELECTORS, fill, knapsack, prefix
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import Tokenizer
from tests.support.fakes import ByteTokenizer, WordTokenizer

PACKAGES = {
    "langchain": "langchain_core",
    "llama_index": "llama_index.core",
    "haystack": "haystack",
}
EXTRAS = {name: name.replace("_", "-") for name in PACKAGES}
each_adapter = pytest.mark.parametrize("adapter", PACKAGES, indirect=True)


class Adapter(ABC):
    """One framework's documents and our adapter for them, told in one way."""

    def __init__(self, name: str) -> None:
        package = PACKAGES[name]
        pytest.importorskip(package, reason=f"{package} is not installed: ragctx[{EXTRAS[name]}]")
        self.module = importlib.import_module(f"ragctx.adapters.{name}")

    @abstractmethod
    def documents(
        self, texts: Sequence[str], scores: Sequence[float | None], places: Sequence[Any] = ()
    ) -> list[Any]: ...

    @abstractmethod
    def pages(self, texts: Sequence[str], pages: Sequence[tuple[int, int]]) -> list[Any]:
        """Pieces of pages, each at (page from 1, first character) of the same file."""

    @abstractmethod
    def made(self, **settings: Any) -> Any: ...

    @abstractmethod
    def run(self, made: Any, documents: list[Any]) -> Any: ...

    def fit(self, documents: list[Any], **settings: Any) -> list[Any]:
        found = self.run(self.made(**settings), documents)
        assert isinstance(found, list)
        return found

    @abstractmethod
    def text(self, document: Any) -> str: ...


class LangChain(Adapter):
    def documents(
        self, texts: Sequence[str], scores: Sequence[float | None], places: Sequence[Any] = ()
    ) -> list[Any]:
        documents = [
            self.module.Document(text, metadata={"score": score, "nested": {"n": [i]}})
            for i, (text, score) in enumerate(zip(texts, scores, strict=True))
        ]
        for document, (source, start) in zip(documents, places, strict=False):
            document.metadata.update(source=source, start_index=start)
        return documents

    def pages(self, texts: Sequence[str], pages: Sequence[tuple[int, int]]) -> list[Any]:
        return [
            self.module.Document(
                text, metadata={"source": "a.pdf", "page": page - 1, "start_index": start}
            )
            for text, (page, start) in zip(texts, pages, strict=True)
        ]

    def made(self, **settings: Any) -> Any:
        return self.module.BudgetTransformer(**settings)

    def run(self, made: Any, documents: list[Any]) -> Any:
        return made.transform_documents(documents)

    def text(self, document: Any) -> str:
        return str(document.page_content)


class LlamaIndex(Adapter):
    def documents(
        self, texts: Sequence[str], scores: Sequence[float | None], places: Sequence[Any] = ()
    ) -> list[Any]:
        schema = importlib.import_module("llama_index.core.schema")
        nodes = [schema.TextNode(text=text, metadata={"file": "a.pdf"}) for text in texts]
        for node, (source, start) in zip(nodes, places, strict=False):
            info = schema.RelatedNodeInfo(node_id=source)
            node.relationships[schema.NodeRelationship.SOURCE] = info
            node.start_char_idx = start
        return [
            schema.NodeWithScore(node=node, score=score)
            for node, score in zip(nodes, scores, strict=True)
        ]

    def pages(self, texts: Sequence[str], pages: Sequence[tuple[int, int]]) -> list[Any]:
        places = [(f"page document {page}", start) for page, start in pages]
        documents = self.documents(texts, [None] * len(texts), places)
        for document, (page, _) in zip(documents, pages, strict=True):
            document.node.metadata = {"file_path": "a.pdf", "page_label": f"{page}"}
        return documents

    def made(self, **settings: Any) -> Any:
        return self.module.BudgetPostprocessor(**settings)

    def run(self, made: Any, documents: list[Any]) -> Any:
        return made.postprocess_nodes(documents)

    def text(self, document: Any) -> str:
        return str(document.node.get_content(metadata_mode="llm"))


class Haystack(Adapter):
    def documents(
        self, texts: Sequence[str], scores: Sequence[float | None], places: Sequence[Any] = ()
    ) -> list[Any]:
        return [
            self.module.Document(
                id=f"{i}",
                content=text,
                score=score,
                meta=dict(zip(("source_id", "split_idx_start"), place, strict=True)),
            )
            for i, (text, score, place) in enumerate(
                zip(texts, scores, places or [("", 0)] * len(texts), strict=True)
            )
        ]

    def pages(self, texts: Sequence[str], pages: Sequence[tuple[int, int]]) -> list[Any]:
        documents = self.documents(
            texts, [None] * len(texts), [("the source", start) for _, start in pages]
        )
        for document, (page, _) in zip(documents, pages, strict=True):
            document.meta["page_number"] = page
        return documents

    def made(self, **settings: Any) -> Any:
        return self.module.BudgetRanker(**settings)

    def run(self, made: Any, documents: list[Any]) -> Any:
        return made.run(documents=documents)["documents"]

    def text(self, document: Any) -> str:
        return str(document.content)


ADAPTERS = {"langchain": LangChain, "llama_index": LlamaIndex, "haystack": Haystack}


@pytest.fixture(scope="session")
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return ADAPTERS[request.param](request.param)


# ---- The law -----------------------------------------------------------------------------------


class GrowingTokenizer(ByteTokenizer):
    """Joined text takes more tokens than its pieces: seven more for each seam."""

    def count(self, text: str) -> int:
        return super().count(text) + 7 * len(re.findall(r"(?<=\w)(\n\n| and )(?=\w)", text))


def found_by_trying(
    texts: Sequence[str], tokenizer: Tokenizer, budget: int, between: str
) -> set[int]:
    """Which `fill` takes, found by trying: each in turn if all taken so far still fit, joined."""
    taken: list[int] = []
    for i in range(len(texts)):
        if tokenizer.count(between.join(texts[j] for j in [*taken, i])) <= budget:
            taken.append(i)
    return set(taken)


texts_drawn = st.lists(st.text("ab \n[é", max_size=12), max_size=8)


@given(
    texts=texts_drawn,
    budget=st.integers(1, 60),
    tokenizer=st.sampled_from([ByteTokenizer(), WordTokenizer(), GrowingTokenizer()]),
    placement=st.sampled_from([*STRATEGIES]),
    select=st.sampled_from([fill, prefix, knapsack]),
    separator=st.sampled_from(["\n\n", "", " and "]),
)
def test_the_chosen_joined_in_order_take_no_more_than_the_budget(
    texts: list[str], budget: int, tokenizer: Tokenizer, placement: str, select: Any, separator: str
) -> None:
    fitting = Fitting(
        tokenizer=tokenizer,
        budget_tokens=budget,
        placement=placement,
        select=select,
        separator=separator,
    )
    try:
        order = fitting.order([Passage(text=text) for text in texts])
    except BudgetError:
        least = min if select is not prefix else next  # what must fit: any of them, or the first
        assert least(map(tokenizer.count, texts)) > budget
        return
    assert len(set(order)) == len(order) and set(order) <= set(range(len(texts)))
    assert tokenizer.count(separator.join(texts[i] for i in order)) <= budget


@given(texts=texts_drawn, budget=st.integers(1, 60), separator=st.sampled_from(["\n\n", "", "-"]))
def test_what_is_chosen_is_what_trying_finds(texts: list[str], budget: int, separator: str) -> None:
    tokenizer = ByteTokenizer()
    expected = found_by_trying(texts, tokenizer, budget, separator)
    try:
        order = Fitting(tokenizer=tokenizer, budget_tokens=budget, separator=separator).order(
            [Passage(text=text) for text in texts]
        )
    except BudgetError:
        assert not expected and texts
        return
    assert set(order) == expected
    hits = [Hit.from_text(i, 0.0, "") for i in sorted(expected)]
    assert order == [hit.rank for hit in place(hits).hits]


def test_where_joining_makes_tokens_no_more_is_left_out_than_must_be() -> None:
    passages = [Passage(text="a" * 8), Passage(text="b" * 3), Passage(text="c")]
    assert Fitting(tokenizer=GrowingTokenizer(), budget_tokens=15, separator="\n\n").order(
        passages
    ) == [0]
    assert Fitting(tokenizer=GrowingTokenizer(), budget_tokens=18, separator="\n\n").order(
        passages
    ) == [0, 2]
    assert Fitting(tokenizer=ByteTokenizer(), budget_tokens=15, separator="\n\n").order(
        passages
    ) == [0, 1]


# ---- In each framework -------------------------------------------------------------------------

TEXTS = ("one two three", "four five", "six seven eight nine", "ten")


@each_adapter
def test_those_that_fit_come_back_as_they_were_in_prompt_order(adapter: Adapter) -> None:
    documents = adapter.documents(TEXTS, [0.9, 0.8, 0.7, 0.6])
    before = copy.deepcopy(documents)
    tokenizer = ByteTokenizer()
    joined = "\n\n".join(adapter.text(documents[i]) for i in (0, 3, 1))  # edges, without the third
    placed = adapter.fit(documents, tokenizer=tokenizer, budget_tokens=tokenizer.count(joined))
    assert list(map(id, placed)) == [id(documents[i]) for i in (0, 3, 1)]
    assert documents == before


@each_adapter
@pytest.mark.parametrize("scores", [(None,) * 4, (-9.0, math.nan, None, math.inf), (0.0,) * 4])
def test_what_stands_first_is_the_best_whatever_the_scores_say(
    adapter: Adapter, scores: Sequence[float | None]
) -> None:
    documents = adapter.documents(TEXTS, scores)
    placed = adapter.fit(documents, tokenizer="bundled", budget_tokens=1000)
    assert list(map(id, placed)) == [id(documents[i]) for i in (0, 2, 3, 1)]


@each_adapter
def test_placements_by_name_and_by_function_and_selectors_go_through(adapter: Adapter) -> None:
    documents = adapter.documents(TEXTS, [0.9, 0.8, 0.7, 0.6])
    for placement in ("best_last", lambda hits: hits[::-1]):
        placed = adapter.fit(
            documents, tokenizer="bundled", budget_tokens=1000, placement=placement, select=prefix
        )
        assert list(map(id, placed)) == [*map(id, documents[::-1])]


@each_adapter
def test_document_order_reads_the_framework_s_own_metadata(adapter: Adapter) -> None:
    places = [("b", 50), ("a", 90), ("b", 10), ("a", 20)]
    documents = adapter.documents(TEXTS, [None] * 4, places)
    placed = adapter.fit(
        documents, tokenizer="bundled", budget_tokens=1000, placement="document_order"
    )
    assert list(map(id, placed)) == [id(documents[i]) for i in (2, 0, 3, 1)]
    unknown = adapter.documents(TEXTS, [None] * 4)
    assert (
        adapter.fit(unknown, tokenizer="bundled", budget_tokens=1000, placement="document_order")
        == unknown
    )


@each_adapter
def test_nothing_that_fits_is_an_error_and_nothing_found_is_not(adapter: Adapter) -> None:
    documents = adapter.documents(["word " * 50], [0.5])
    with pytest.raises(BudgetError, match=r"the shortest \d+, and budget_tokens is 5"):
        adapter.fit(documents, tokenizer="bundled", budget_tokens=5)
    assert adapter.fit([], tokenizer="bundled", budget_tokens=5) == []


@each_adapter
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"budget_tokens": 0}, "budget_tokens is 0"),
        ({"placement": "sideways"}, "'sideways'"),
        ({"tokenizer": "nobody's"}, "nobody's"),
        ({"tokenizer": None}, "tokenizer is a NoneType"),
        ({"placement": None}, "placement is None; give a function of hits"),
        ({"select": 5}, "select is 5. Valid: fill, prefix, knapsack"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    adapter: Adapter, settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        adapter.fit([], **{"tokenizer": "bundled", "budget_tokens": 5, **settings})


@pytest.mark.parametrize("adapter", ["langchain", "haystack"], indirect=True)
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"budget_tokens": "800"}, r"budget_tokens is a str \('800'\); give a whole number"),
        ({"separator": None}, "separator is None; give the text between two documents"),
    ],
)
def test_settings_of_another_kind_are_refused_where_pydantic_does_not(
    adapter: Adapter, settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        adapter.made(**{"tokenizer": "bundled", "budget_tokens": 5, **settings})


@each_adapter
def test_the_examples_run(adapter: Adapter) -> None:
    done = doctest.testmod(adapter.module)
    assert (done.failed, done.attempted > 0) == (0, True)


@each_adapter
def test_selectors_are_known_by_name_too_and_a_wrong_name_tells_the_right_ones(
    adapter: Adapter,
) -> None:
    documents = adapter.documents(TEXTS, [0.9, 0.8, 0.7, 0.6])
    for name, select in SELECTORS.items():
        settings = {"tokenizer": WordTokenizer(), "budget_tokens": 60}
        assert adapter.fit(documents, **settings, select=name) == adapter.fit(
            documents, **settings, select=select
        )
    with pytest.raises(InputError, match=r"select is 'best'\. Valid: fill, prefix, knapsack"):
        adapter.fit(documents, tokenizer="bundled", budget_tokens=60, select="best")


@each_adapter
def test_another_library_s_tokenizer_is_refused_with_what_helps(adapter: Adapter) -> None:
    class TheirTokenizer:
        def encode(self, text: str) -> list[int]:
            return []

    with pytest.raises(
        InputError, match=r"TheirTokenizer, which is none of ragctx's\. Give its na"
    ):
        adapter.fit([], tokenizer=TheirTokenizer(), budget_tokens=5)


@each_adapter
def test_a_generator_is_taken_and_one_document_or_a_text_is_refused(adapter: Adapter) -> None:
    documents = adapter.documents(TEXTS, [None] * 4)
    settings = {"tokenizer": "bundled", "budget_tokens": 1000}
    generated: Any = (document for document in documents)
    assert adapter.fit(generated, **settings) == adapter.fit(documents, **settings)
    for wrong in (documents[0], "some text", None, [*documents, "some text"]):
        with pytest.raises(InputError, match=r"documents (is|holds) a "):
            adapter.fit(wrong, **settings)


@each_adapter
@pytest.mark.parametrize(
    "tokenizer", ["bundled", load_tokenizer("bundled")], ids=["name", "object"]
)
@pytest.mark.parametrize("copied", ["copy", "deepcopy", "pickle", "cloudpickle"])
def test_an_adapter_can_be_copied_and_sent_to_another_process(
    adapter: Adapter, copied: str, tokenizer: str | Tokenizer
) -> None:
    # Spark, Ray and multiprocessing send a chain's steps as pickles.
    cloud = pytest.importorskip("cloudpickle") if copied == "cloudpickle" else None
    made = adapter.made(
        tokenizer=tokenizer, budget_tokens=60, select="knapsack", placement="best_last"
    )
    dumps = cloud.dumps if cloud else pickle.dumps
    again = getattr(copy, copied)(made) if hasattr(copy, copied) else pickle.loads(dumps(made))
    documents = adapter.documents(TEXTS, [0.9, 0.8, 0.7, 0.6])
    assert adapter.run(again, documents) == adapter.run(made, documents)
    if not isinstance(adapter, Haystack):  # whose pipelines have a `repr` of their own
        assert repr(again) == repr(made)


def test_a_copied_tokenizer_reads_special_tokens_as_text_as_its_original_does() -> None:
    # The tokenizers package forgets in a pickle that special tokens in a text are only text.
    made = load_tokenizer("bundled")
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        for text in ("Hello [SEP]", "[CLS] a [MASK] b", "plain"):
            assert again.encode(text) == made.encode(text)
            assert again.encode_markup(text) == made.encode_markup(text)


@pytest.mark.parametrize("adapter", ["langchain", "llama_index"], indirect=True)
def test_a_repr_is_one_line_that_tells_the_settings(adapter: Adapter) -> None:
    shown = repr(adapter.made(tokenizer="bundled", budget_tokens=60, select=knapsack))
    assert "tokenizer='bundled', budget_tokens=60, placement='edges', select='knapsack'" in shown
    assert len(repr(adapter.made(tokenizer=ByteTokenizer(), budget_tokens=60))) < 200


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ((10.0, 1.0, 0.99), [0]),  # they fall, so they count: the first outweighs the others
        ((10.0, 9.0, 8.9), [1, 2]),
        ((None, None, None), [0]),  # 1 / rank: 1 against 1/2 + 1/3
        ((-99.0, -50.0, -10.0), [0]),  # distances: the first is the best all the same
        ((9.0, math.nan, 8.0), [0]),
    ],
)
def test_knapsack_weighs_by_scores_that_fall_and_else_by_rank(
    scores: Sequence[float | None], chosen: list[int]
) -> None:
    passages = [
        Passage(text=text, score=score)
        for text, score in zip(("a" * 10, "b" * 5, "c" * 5, "d" * 11), (*scores, 0.9), strict=True)
    ]
    fitting = Fitting(
        tokenizer=ByteTokenizer(),
        budget_tokens=10,
        select=knapsack,
        separator="",
        placement="best_first",
    )
    assert fitting.order(passages) == chosen


@pytest.mark.parametrize("adapter", ["langchain"], indirect=True)
@pytest.mark.parametrize("key", ["score", "relevance_score"])
def test_langchain_s_scores_are_read_from_the_metadata(adapter: Adapter, key: str) -> None:
    # LangChain's documents have no score; retrievers and rerankers put it into the metadata.
    documents = [
        adapter.module.Document(text, metadata={key: score})
        for text, score in (("a" * 10, 0.9), ("b" * 4, 0.8), ("c" * 4, 0.79), ("d" * 11, 0.1))
    ]
    placed = adapter.fit(documents, tokenizer=ByteTokenizer(), budget_tokens=10, select="knapsack")
    assert placed == documents[1:3]


@each_adapter
def test_pages_that_are_documents_come_in_page_order(adapter: Adapter) -> None:
    # Most loaders make one document of each page, and positions begin at 0 on each: the end of page
    # one came after page three, and pages 1 and 2 of one file were taken for the same text.
    pages = [(3, 0), (1, 900), (2, 400), (1, 0)]
    texts = ["Page three begins.", "Page one ends.", "Page two middle.", "Page one begins."]
    documents = adapter.pages(texts, pages)
    placed = adapter.fit(
        documents, tokenizer="bundled", budget_tokens=500, placement="document_order"
    )
    assert list(map(id, placed)) == [id(documents[i]) for i in (3, 1, 2, 0)]


# ---- In their pipelines ------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["langchain"], indirect=True)
def test_a_langchain_chain_gets_the_documents_that_fit(adapter: Adapter) -> None:
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableLambda

    transformer = adapter.module.BudgetTransformer(
        tokenizer="bundled", budget_tokens=7, separator="\n"
    )
    documents = adapter.documents(TEXTS, [None] * 4)
    seen: list[str] = []

    def joined(documents: Sequence[Any]) -> dict[str, str]:
        seen.append("\n".join(document.page_content for document in documents))
        return {"context": seen[-1]}

    chain = (
        RunnableLambda(lambda question: documents)
        | RunnableLambda(transformer.transform_documents, transformer.atransform_documents)
        | joined
        | ChatPromptTemplate.from_template("{context}\nWhat?")
        | FakeListChatModel(responses=["Yes.", "Yes."])
    )
    assert chain.invoke("?").content == "Yes."
    assert asyncio.run(chain.ainvoke("?")).content == "Yes."
    assert seen == ["one two three\nten\nfour five"] * 2
    with pytest.raises(InputError, match="knows no lambda_mult"):
        transformer.transform_documents(documents, lambda_mult=0.5)


@pytest.mark.parametrize("adapter", ["langchain"], indirect=True)
def test_a_langchain_document_is_counted_as_the_chain_renders_it(adapter: Adapter) -> None:
    from langchain_core.prompts import PromptTemplate, format_document

    prompt = PromptTemplate.from_template("From {file}: {page_content}")
    documents = adapter.documents(TEXTS, [None] * 4)
    for document in documents:
        document.metadata["file"] = "a.pdf"
    placed = adapter.fit(
        documents,
        tokenizer=WordTokenizer(),
        budget_tokens=14,
        render=lambda document: format_document(document, prompt),
    )
    assert [document.page_content for document in placed] == ["one two three", "ten"]


@pytest.mark.parametrize("adapter", ["llama_index"], indirect=True)
def test_a_llama_index_query_engine_gets_the_nodes_that_fit(adapter: Adapter) -> None:
    from llama_index.core import MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM

    nodes = [found.node for found in adapter.documents(TEXTS * 5, [None] * 20)]
    postprocessor = adapter.module.BudgetPostprocessor(tokenizer=WordTokenizer(), budget_tokens=40)
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(4))
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=20, node_postprocessors=[postprocessor]
    )
    response = engine.query("What?")
    texts = [adapter.text(found) for found in response.source_nodes]
    assert 1 < len(texts) < 20 and all("a.pdf" in text for text in texts)
    assert WordTokenizer().count("\n\n".join(texts)) <= 40
    assert "\n\n".join(texts) in str(response)  # the mock model repeats its prompt
    assert asyncio.run(postprocessor.apostprocess_nodes(response.source_nodes))
    assert postprocessor.class_name() == "RagctxBudgetPostprocessor"


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
def test_a_haystack_pipeline_gets_the_documents_that_fit_and_can_be_written(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", "ragctx.adapters.haystack")
    from haystack import Pipeline
    from haystack.components.builders import PromptBuilder

    template = "{% for d in documents %}{{ d.content }}\n{% endfor %}What?"
    ranker = adapter.module.BudgetRanker(tokenizer="bundled", budget_tokens=7, separator="\n")
    pipeline = Pipeline()
    pipeline.add_component("ranker", ranker)
    pipeline.add_component("prompt", PromptBuilder(template, required_variables=["documents"]))
    pipeline.connect("ranker.documents", "prompt.documents")
    again = Pipeline.loads(pipeline.dumps())
    for one in (pipeline, again):
        done = one.run({"ranker": {"documents": adapter.documents(TEXTS, [None] * 4)}})
        assert done["prompt"]["prompt"] == "one two three\nten\nfour five\nWhat?"


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
def test_a_haystack_ranker_that_holds_a_function_is_not_written(adapter: Adapter) -> None:
    ranker = adapter.module.BudgetRanker
    for one in (
        ranker(tokenizer=ByteTokenizer(), budget_tokens=9),
        ranker(tokenizer="bundled", budget_tokens=9, placement=lambda hits: hits),
        ranker(tokenizer="bundled", budget_tokens=9, select=lambda *given: fill(*given)),
    ):
        with pytest.raises(InputError, match="cannot be written"):
            one.to_dict()


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
def test_a_haystack_document_without_text_is_named(adapter: Adapter) -> None:
    picture = adapter.module.Document(id="picture", content=None)
    with pytest.raises(InputError, match="document picture has no text"):
        adapter.fit([picture], tokenizer="bundled", budget_tokens=9)


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
@pytest.mark.parametrize("select", SELECTORS)
def test_a_haystack_ranker_is_written_with_every_selector(adapter: Adapter, select: str) -> None:
    settings = {"tokenizer": "bundled", "budget_tokens": 9, "top_k": 2}
    for one in (select, SELECTORS[select]):
        data = adapter.made(**settings, select=one, separator=" ").to_dict()
        assert data["init_parameters"] == {
            **settings,
            "placement": "edges",
            "select": select,
            "separator": " ",
            "word_count_threshold": None,
        }
        again = adapter.module.BudgetRanker.from_dict(data)
        assert again.to_dict() == data and again.fitting.select is SELECTORS[select]


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
def test_a_haystack_ranker_stands_where_lost_in_the_middle_ranker_stood(adapter: Adapter) -> None:
    documents = adapter.documents(TEXTS, [0.9, 0.8, 0.7, 0.6])
    ranker = adapter.made(tokenizer="bundled", budget_tokens=99, placement="best_first", top_k=3)
    assert ranker.run(documents=documents)["documents"] == documents[:3]
    assert ranker.run(documents=documents, top_k=2)["documents"] == documents[:2]
    assert ranker.run(documents=[*documents[:2], *documents])["documents"] == documents[:3]
    done = asyncio.run(ranker.run_async(documents=documents, top_k=1))
    assert done == {"documents": documents[:1]}
    assert ranker.run(documents=documents, word_count_threshold=4)["documents"] == documents[:2]
    with pytest.raises(InputError, match="top_k must be > 0, but got 0"):
        ranker.run(documents=documents, top_k=0)
    with pytest.raises(InputError, match="word_count_threshold must be > 0, but got -1"):
        adapter.made(tokenizer="bundled", budget_tokens=99, word_count_threshold=-1)


@pytest.mark.parametrize("adapter", ["haystack"], indirect=True)
def test_a_haystack_async_pipeline_runs_the_ranker(adapter: Adapter) -> None:
    from haystack import Pipeline

    pipeline = Pipeline()
    pipeline.add_component("ranker", adapter.made(tokenizer="bundled", budget_tokens=99))
    documents = adapter.documents(TEXTS, [None] * 4)
    done = asyncio.run(pipeline.run_async({"ranker": {"documents": documents, "top_k": 1}}))
    assert done["ranker"]["documents"] == documents[:1]


@pytest.mark.parametrize("adapter", ["llama_index"], indirect=True)
def test_a_llama_index_postprocessor_is_written_and_read(adapter: Adapter) -> None:
    from llama_index.core.callbacks import CallbackManager

    callbacks = CallbackManager()
    kind = adapter.module.BudgetPostprocessor
    settings = {"tokenizer": "bundled", "budget_tokens": 9, "select": "knapsack"}
    made = adapter.made(**settings, callback_manager=callbacks)
    assert made.callback_manager is callbacks
    data = made.to_dict()
    assert data == {
        **settings,
        "placement": "edges",
        "separator": "\n\n",
        "class_name": "RagctxBudgetPostprocessor",
    }
    documents = adapter.documents(TEXTS, [None] * 4)
    for again in (
        kind.from_dict(data),
        kind.from_json(made.to_json()),
        kind.model_validate(settings),
        kind.model_validate_json(json.dumps(settings)),
        made.model_copy(deep=True),
    ):
        assert adapter.run(again, documents) == adapter.run(made, documents)
        assert again.to_dict() == data
    for wrong in ({"placement": lambda hits: hits}, {"tokenizer": ByteTokenizer()}):
        with pytest.raises(InputError, match="cannot be written; give it by name"):
            adapter.made(**{**settings, **wrong}).to_dict()
    with pytest.raises(ValueError, match="budget_tokens is 0"):
        kind.model_validate({**settings, "budget_tokens": 0})


# ---- Their own reorderers ----------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["haystack", "llama_index"], indirect=True)
@pytest.mark.parametrize("n", range(1, 9))
def test_the_order_that_bears_a_framework_s_name_is_its_order(adapter: Adapter, n: int) -> None:
    documents = adapter.documents([f"text {i}" for i in range(n)], [1 / (i + 1) for i in range(n)])
    if isinstance(adapter, Haystack):
        from haystack.components.rankers import LostInTheMiddleRanker

        theirs, name = LostInTheMiddleRanker().run(documents=documents)["documents"], "haystack"
    else:
        from llama_index.core.postprocessor import LongContextReorder

        theirs, name = LongContextReorder().postprocess_nodes(documents), "llama_index"
    ours = adapter.fit(documents, tokenizer="bundled", budget_tokens=9999, placement=name)
    assert list(map(id, ours)) == list(map(id, theirs))


# ---- Importing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGES)
def test_without_the_package_the_extra_is_named(name: str) -> None:
    top = PACKAGES[name].split(".")[0]
    code = f"""
import sys
sys.modules[{top!r}] = None
from ragctx.errors import MissingExtraError
try:
    import ragctx.adapters.{name}
except MissingExtraError as error:
    assert "pip install 'ragctx[{EXTRAS[name]}]'" in str(error), error
else:
    raise SystemExit("imported")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_room_itself_imports_no_framework() -> None:
    tops = {package.split(".")[0] for package in PACKAGES.values()}
    code = f"import sys, ragctx.adapters; assert not {tops} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_using_haystack_s_adapter_writes_nothing_and_reaches_no_network(tmp_path: Path) -> None:
    pytest.importorskip("haystack", reason="haystack is not installed: ragctx[haystack]")
    code = """
import sys, ragctx.adapters.haystack as adapter
from haystack import Document, Pipeline, telemetry
pipeline = Pipeline()
pipeline.add_component("ranker", adapter.BudgetRanker(tokenizer="bundled", budget_tokens=9))
pipeline.run({"ranker": {"documents": [Document(content="Tin.")]}})
"""
    environment = {**os.environ, "HOME": str(tmp_path), "HAYSTACK_TELEMETRY_ENABLED": "False"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not list(tmp_path.rglob(".haystack*"))
