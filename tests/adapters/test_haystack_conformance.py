"""What Haystack asks of its rankers and retrievers; LostInTheMiddleRanker is the reference."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("haystack", reason="haystack is not installed: ragctx[haystack]")

from haystack import Document, Pipeline
from haystack.components.builders import PromptBuilder
from haystack.components.rankers import LostInTheMiddleRanker

from ragctx.adapters.haystack import BudgetRanker, IndexRetriever
from ragctx.errors import InputError
from ragctx.tokens.load import load_tokenizer
from tests.support.fakes import HashEmbedder

pytestmark = pytest.mark.slow

TOKENIZER = load_tokenizer("bundled")
QUESTION = "At how many degrees does tin melt?"


def ours(word_count_threshold: int | None = None, top_k: int | None = None) -> BudgetRanker:
    """A `BudgetRanker` in the place of `LostInTheMiddleRanker`: the budget is never reached."""
    return BudgetRanker(
        TOKENIZER,
        99_999,
        "haystack",
        top_k=top_k,
        word_count_threshold=word_count_threshold,
    )


RANKERS = {"LostInTheMiddleRanker": LostInTheMiddleRanker, "BudgetRanker": ours}
each_ranker = pytest.mark.parametrize("ranker", RANKERS.values(), ids=RANKERS)


def numbered(count: int) -> list[Document]:
    return [Document(content=f"word{i}") for i in range(1, count + 1)]


def contents(done: dict[str, list[Document]]) -> str:
    return " ".join((one.content or "").removeprefix("word") for one in done["documents"])


# ---- A ranker that reorders


@each_ranker
@pytest.mark.parametrize(
    ("count", "order"),
    [
        (0, ""),
        (1, "1"),
        (2, "1 2"),
        (9, "1 3 5 7 9 8 6 4 2"),
        (10, "1 3 5 7 9 10 8 6 4 2"),
    ],
)
def test_the_best_stand_at_both_ends(ranker: Any, count: int, order: str) -> None:
    assert contents(ranker().run(documents=numbered(count))) == order


@each_ranker
@pytest.mark.parametrize("top_k", [1, 2, 5, 8, 9, 20])
def test_top_k_is_the_first_k(ranker: Any, top_k: int) -> None:
    expected = ranker().run(documents=numbered(9)[:top_k])
    assert ranker().run(documents=numbered(9), top_k=top_k) == expected
    assert ranker(top_k=top_k).run(documents=numbered(9)) == expected
    assert ranker(top_k=3).run(documents=numbered(9), top_k=top_k) == expected


@each_ranker
@pytest.mark.parametrize(("threshold", "order"), [(1, "1"), (6, "1 3 5 6 4 2"), (100, None)])
def test_words_are_counted_until_the_threshold(ranker: Any, threshold: int, order: str) -> None:
    order = order or "1 3 5 7 9 8 6 4 2"
    made = ranker(word_count_threshold=threshold)
    assert made.word_count_threshold == threshold
    assert contents(made.run(documents=numbered(9))) == order
    assert contents(ranker().run(documents=numbered(9), word_count_threshold=threshold)) == order


@each_ranker
@pytest.mark.parametrize("wrong", [0, -1])
def test_limits_below_one_are_refused(ranker: Any, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"top_k must be > 0, but got {wrong}"):
        ranker(top_k=wrong)
    with pytest.raises(ValueError, match=f"top_k must be > 0, but got {wrong}"):
        ranker().run(documents=numbered(2), top_k=wrong)
    with pytest.raises(ValueError, match="Invalid value for word_count_threshold"):
        ranker(word_count_threshold=wrong)
    with pytest.raises(ValueError, match="Invalid value for word_count_threshold"):
        ranker().run(documents=numbered(2), word_count_threshold=wrong)


@each_ranker
def test_a_document_without_text_is_refused(ranker: Any) -> None:
    with pytest.raises(ValueError, match="text"):
        ranker().run(documents=[Document(content="a"), Document(content=None)])


@each_ranker
def test_of_one_id_the_best_score_is_kept(ranker: Any) -> None:
    found = ranker().run(
        documents=[
            Document(id="twice", content="first", score=0.1),
            Document(id="once", content="other"),
            Document(id="twice", content="better", score=0.9),
        ]
    )
    assert [one.content for one in found["documents"]] == ["better", "other"]


made_documents = st.lists(
    st.builds(
        Document,
        id=st.sampled_from("abcdefgh"),
        content=st.sampled_from(["", "one", "two words", "and three words"]),
        score=st.none() | st.floats(0, 1),
    ),
    max_size=12,
)
limits = st.none() | st.integers(1, 12)


@given(documents=made_documents, top_k=limits, words=limits, run_top_k=limits, run_words=limits)
def test_it_gives_what_lost_in_the_middle_ranker_gives(
    documents: list[Document],
    top_k: int | None,
    words: int | None,
    run_top_k: int | None,
    run_words: int | None,
) -> None:
    theirs, mine = (made(words, top_k) for made in RANKERS.values())
    asked: dict[str, Any] = {"top_k": run_top_k, "word_count_threshold": run_words}
    assert mine.run(documents, **asked) == theirs.run(documents, **asked)


# ---- Components


def test_settings_are_written_and_read() -> None:
    made = BudgetRanker("bundled", 99_999, "haystack", top_k=3, word_count_threshold=7)
    data = made.to_dict()
    assert data == {
        "type": "ragctx.adapters.haystack.BudgetRanker",
        "init_parameters": {
            "tokenizer": "bundled",
            "budget_tokens": 99_999,
            "placement": "haystack",
            "select": "fill",
            "separator": "\n\n",
            "top_k": 3,
            "word_count_threshold": 7,
        },
    }
    assert BudgetRanker.from_dict(data).to_dict() == data
    older = {**data, "init_parameters": {"tokenizer": "bundled", "budget_tokens": 9}}
    assert BudgetRanker.from_dict(older).word_count_threshold is None


def test_a_component_says_what_goes_in_and_out() -> None:
    ranker = ours()
    inputs = ranker.__haystack_input__._sockets_dict
    assert set(inputs) == {"documents", "top_k", "word_count_threshold"}
    assert inputs["documents"].is_mandatory and not inputs["top_k"].is_mandatory
    assert set(ranker.__haystack_output__._sockets_dict) == {"documents"}


async def test_a_ranker_runs_in_a_coroutine() -> None:
    expected = ours().run(documents=numbered(5), top_k=3)
    assert await ours().run_async(documents=numbered(5), top_k=3) == expected


def test_copies_rank_the_same() -> None:
    made = ours(top_k=4)
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again.run(documents=numbered(9)) == made.run(documents=numbered(9))


# ---- A retriever


@pytest.fixture
def retriever(metals: Path) -> IndexRetriever:
    return IndexRetriever(metals, HashEmbedder(), top_k=4, retriever="lexical")


async def test_the_retriever_is_one(retriever: IndexRetriever) -> None:
    found = retriever.run(query=QUESTION)["documents"]
    assert len(found) == 4 and all(isinstance(one, Document) for one in found)
    assert retriever.run(query=QUESTION, top_k=2)["documents"] == found[:2]
    assert (await retriever.run_async(query=QUESTION))["documents"] == found
    best = found[0]
    assert (best.id, best.content) == ("tin:0-25", "Tin melts at 232 degrees.")
    assert best.score is not None
    assert best.meta == {
        "source_id": "tin",
        "file_path": "tin.pdf",
        "page_number": 1,
        "split_idx_start": 0,
    }
    with pytest.raises(ValueError, match="k is 0"):
        retriever.run(query=QUESTION, top_k=0)
    for again in (copy.deepcopy(retriever), pickle.loads(pickle.dumps(retriever))):
        assert again.run(query=QUESTION)["documents"] == found


def test_a_retriever_of_names_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragctx import Index, load_embedder

    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", "ragctx.adapters.haystack")
    folder = str(tmp_path / "index")
    Index.create(folder, embedder=load_embedder())
    made = IndexRetriever(folder, top_k=2)
    data = made.to_dict()
    assert data["init_parameters"] == {
        "index": folder,
        "embedder": "default",
        "top_k": 2,
        "retriever": "hybrid",
    }
    assert IndexRetriever.from_dict(data).to_dict() == data
    pipeline = Pipeline()
    pipeline.add_component("retriever", made)
    assert Pipeline.loads(pipeline.dumps()).get_component("retriever").to_dict() == data
    assert made.run(query=QUESTION) == {"documents": []}


def test_a_retriever_that_holds_an_object_is_not_written(retriever: IndexRetriever) -> None:
    with pytest.raises(InputError, match="the embedder of this IndexRetriever is a function or"):
        retriever.to_dict()


async def test_a_pipeline_finds_ranks_and_renders(retriever: IndexRetriever) -> None:
    template = "{% for d in documents %}{{ d.content }}\n{% endfor %}"
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("ranker", BudgetRanker("bundled", 24, separator="\n"))
    pipeline.add_component("prompt", PromptBuilder(template, required_variables=["documents"]))
    pipeline.connect("retriever.documents", "ranker.documents")
    pipeline.connect("ranker.documents", "prompt.documents")
    given: dict[str, Any] = {"retriever": {"query": QUESTION}, "ranker": {"top_k": 2}}
    done = pipeline.run(given)
    lines = done["prompt"]["prompt"].splitlines()
    assert lines[0] == "Tin melts at 232 degrees." and len(lines) == 2
    assert await pipeline.run_async(given) == done
