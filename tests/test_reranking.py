"""Laws of reranking: the candidates stay what they are, in the order of the new scores."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import Assembly, assemble
from ragctx.bundled_reranker import BundledReranker, load_bundled_reranker
from ragctx.errors import InputError, ModelError
from ragctx.headers import indexed_text
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.protocol import IndexState
from ragctx.records import Hit
from ragctx.reranking import CANDIDATES, load_reranker, reranked
from ragctx.retrieval import Query, Retrieval, dense, lexical, search
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with
from tests.support.pdf_files import lines, write

WORDS = "tin lead iron melts boils rusts slowly quickly at of heat water".split()


def hits_of(texts: Sequence[str]) -> list[Hit]:
    return [Hit.from_text(rank, 1 / rank, text) for rank, text in enumerate(texts, 1)]


# ---- the order -------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([-9.5, -0.5, 0.0, 0.25, 3.0]), max_size=12))
def test_the_hits_come_in_the_order_of_their_scores_and_equal_ones_as_before(
    scores: list[float],
) -> None:
    hits = hits_of([f"text {i}" for i in range(len(scores))])
    found = reranked("question", hits, lambda question, hits: scores)
    by_insertion: list[int] = []  # slow, and obviously right
    for i, score in enumerate(scores):
        better = sum(scores[j] >= score for j in by_insertion)
        by_insertion.insert(better, i)
    assert [hit.chunk for hit in found] == [hits[i].chunk for i in by_insertion]
    assert [hit.rank for hit in found] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in found] == [scores[i] for i in by_insertion]
    assert [hit.retrieved_rank for hit in found] == [i + 1 for i in by_insertion]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_finite_number_is_an_error_and_never_the_best(bad: float) -> None:
    hits = hits_of(["tin", "lead"])
    with pytest.raises(InputError, match=r"candidate 2 \('lead'\).*finite number"):
        reranked("tin?", hits, lambda question, hits: [0.5, bad])


def test_a_score_for_each_candidate_is_wanted() -> None:
    with pytest.raises(InputError, match="1 scores for 2 candidates"):
        reranked("tin?", hits_of(["tin", "lead"]), lambda question, hits: [0.5])


def test_where_nothing_was_found_nothing_is_scored() -> None:
    def never(question: str, hits: Sequence[Hit]) -> Sequence[float]:
        raise AssertionError

    assert reranked("tin?", [], never) == []


# ---- within a search -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    pages = {f"d{i:02}": [f"tin melts {'slowly ' * (i % 5)}at {i}"] for i in range(45)}
    return index_with(tmp_path_factory.mktemp("index"), pages)


def longest(question: str, hits: Sequence[Hit]) -> list[float]:
    """Likes long texts."""
    return [float(len(hit.chunk.text)) for hit in hits]


@pytest.mark.parametrize("k", [1, 5, 40])
def test_a_search_gives_the_best_of_more_candidates_than_it_is_asked_for(
    index: Index, k: int
) -> None:
    embedder = HashEmbedder()
    found = search(index, embedder, "tin melts", k, retriever="lexical", reranker=longest)
    pool = search(index, embedder, "tin melts", max(CANDIDATES, k), retriever="lexical")
    expected = sorted(pool, key=lambda hit: (-len(hit.chunk.text), hit.rank))[:k]
    assert [hit.chunk for hit in found] == [hit.chunk for hit in expected]
    assert [hit.retrieved_rank for hit in found] == [hit.rank for hit in expected]


def test_what_the_scores_are_called_says_that_they_are_the_rerankers() -> None:
    assert Retrieval(reranker=longest).score_name == "rerank score"
    assert Retrieval(retriever=lexical).score_name == "BM25 score"
    assert Retrieval(retriever=lambda *_: []).score_name == "score"


# ---- cross-encoders --------------------------------------------------------------------------


def write_cross_encoder(folder: Path, *, labels: int = 1, ranks: bool = True) -> Path:
    """A tiny BERT of random weights, with a head that gives `labels` numbers, or without one."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        BertModel,
        BertTokenizerFast,
    )

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *map(str, range(10))]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
    )
    torch.manual_seed(5)
    model = BertForSequenceClassification(config) if ranks else BertModel(config)
    model.save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("default")  # the library's own
def test_a_cross_encoders_scores_are_those_of_its_model(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_cross_encoder(tmp_path / "ranks")
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    capfd.readouterr()
    hits = hits_of(["tin melts at heat", "water boils", "lead " * 200])
    scores = load_reranker(folder)("tin boils", hits)
    assert "Loading" not in capfd.readouterr().err
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for hit, score in zip(hits, scores, strict=True):
        pair = tokenizer("tin boils", indexed_text(hit.chunk), truncation=True, return_tensors="pt")
        with torch.inference_mode():
            alone = model(**pair).logits.sigmoid().item()
        assert score == pytest.approx(alone, abs=1e-5)
        assert 0 < score < 1
    assert len(set(scores)) == 3


@pytest.mark.filterwarnings("default")
def test_an_embedder_is_no_reranker_its_scores_would_be_random(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "embeds", ranks=False)
    with pytest.raises(ModelError, match="trained as BertModel: it has no weights that score"):
        load_reranker(folder)


@pytest.mark.filterwarnings("default")
def test_a_classifier_is_no_reranker(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "classifies", labels=3)
    with pytest.raises(ModelError, match="3 numbers for a question and a passage, not one score"):
        load_reranker(folder)


@pytest.mark.filterwarnings("default")
def test_an_unknown_reranker_is_refused_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ModelError, match=r"no reranker 'nobody/nothing'.*Give a directory"):
        load_reranker("nobody/nothing")
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="There is no reranker"):
        load_reranker(tmp_path)


# ---- the bundled reader ----------------------------------------------------------------------

ASKED = "At what temperature does tin melt?"
PASSAGES = (
    "Lead boils at 1749 degrees Celsius, and it is heavy.",
    "Tin melts at 232 degrees Celsius. It is a soft metal.",
    "The price of tin rose slowly in spring.",
    "Metal\tMelts at\tBoils at\nTin\t232\t2602\nLead\t327\t1749",
)


@pytest.fixture(scope="module")
def bundled() -> BundledReranker:
    return load_bundled_reranker()


def test_the_bundled_reader_puts_the_passage_with_the_answer_first(
    bundled: BundledReranker,
) -> None:
    found = reranked(ASKED, hits_of(PASSAGES), bundled)
    assert {hit.retrieved_rank for hit in found[:2]} == {2, 4}
    assert all(0 < (hit.score or 0) < 1 for hit in found)


def test_its_log_odds_are_those_of_an_answer_against_none(bundled: BundledReranker) -> None:
    # slow, and obviously right: the reader's own probability that the passage holds no answer
    reader = bundled.reader
    for hit in hits_of(PASSAGES):
        prompt = assemble(
            ASKED,
            [hit],
            reader.tokenizer,
            context_window=reader.context_window,
            assembly=Assembly(template=reader.template),
        )
        passages, question = reader.parts(prompt)
        states = reader.read_question(question, cached := reader.encode(passages))
        none = reader.read_twice(prompt, cached, states).second_null
        against = reader.network.second_null_score(states.answer).item()
        expected = math.log1p(-math.exp(none)) - none + against
        assert reader.log_odds(prompt) == pytest.approx(expected, abs=1e-3)


def test_a_score_does_not_depend_on_the_other_candidates(bundled: BundledReranker) -> None:
    hits = hits_of(PASSAGES)
    together = bundled(ASKED, hits)
    assert together == [bundled(ASKED, [hit])[0] for hit in hits]
    assert together[::-1] == bundled(ASKED, hits[::-1])


def test_what_no_reader_can_hold_or_answer_from_is_last(bundled: BundledReranker) -> None:
    endless, empty = "tin " * 9000, "\t\t"
    scores = bundled(ASKED, hits_of([endless, PASSAGES[0], empty]))
    assert scores[0] == 0.0 and 0 <= scores[2] < scores[1]


def test_a_candidates_cosine_is_known_before_it_is_read_whichever_search_found_it(
    tmp_path: Path,
) -> None:
    index = index_with(tmp_path, {str(i): [text] for i, text in enumerate(PASSAGES)})

    def half_known(snapshot: IndexState, query: Query, k: int, filter: Filter) -> list[Hit]:
        found = dense(snapshot, query, k, filter)
        return [replace(hit, similarity=None) if hit.rank % 2 else hit for hit in found]

    seen: list[float | None] = []

    def look(question: str, hits: Sequence[Hit]) -> list[float]:
        seen.extend(hit.similarity for hit in hits)
        return [float(-hit.rank) for hit in hits]

    search(index, HashEmbedder(), "tin price", retriever=half_known, reranker=look)
    assert len(seen) == len(PASSAGES) and None not in seen


# ---- the command line ------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")
def test_rerank_names_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_cross_encoder(tmp_path / "ranks")
    pdfs, index = tmp_path / "pdfs", tmp_path / "index"
    pdfs.mkdir()
    for i, text in enumerate(("tin melts slowly at 5", "lead melts at 3", "iron rusts at 7")):
        write(pdfs / f"{i}.pdf", [lines(text)])
    code, out, err = said(capsys, "ingest", pdfs, "--index", index)
    assert code == 0, out
    asked = ("search", "tin melts", "--index", index, "--rerank", folder)
    code, out, err = said(capsys, *asked, "--json")
    assert code == 0, err
    hits = json.loads(out)["hits"]
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)
    assert sorted(hit["retrieved_rank"] for hit in hits) == list(range(1, len(hits) + 1))
    code, out, _ = said(capsys, *asked)
    assert code == 0 and "rerank score 0." in out
    code, _, err = said(capsys, "search", "tin", "--index", index, "--rerank", tmp_path / "none")
    assert code == 1 and "There is no reranker" in err and "Traceback" not in err


def test_rerank_bundled_needs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pdfs, index = tmp_path / "pdfs", tmp_path / "index"
    pdfs.mkdir()
    for i, text in enumerate(PASSAGES[:3]):
        write(pdfs / f"{i}.pdf", [lines(text)])
    assert said(capsys, "ingest", pdfs, "--index", index)[0] == 0
    code, out, err = said(
        capsys, "search", ASKED, "--index", index, "--rerank", "bundled", "--json"
    )
    assert (code, err) == (0, "")
    best = json.loads(out)["hits"][0]
    assert best["document"] == "1.pdf" and 0 < best["score"] < 1
    code, out, err = said(capsys, "ask", ASKED, "--index", index, "--rerank", "bundled")
    assert code == 0 and "232 degrees" in out, err
