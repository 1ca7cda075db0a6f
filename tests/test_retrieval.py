"""Laws of retrieval: filters come before the best k; fusion and MMR are their formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.records import Hit
from ragctx.retrieval import RETRIEVERS as BY_NAME
from ragctx.retrieval import (
    SCORE_SCALES,
    Query,
    Retriever,
    dense,
    diversified,
    fused,
    hybrid,
    lexical,
    search,
)
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with

WORDS = "tin lead iron melts boils rusts slowly quickly at of heat water".split()
RETRIEVERS = (dense, lexical, hybrid)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """40 documents of 3 pages of random words; some pages are alike."""
    generator = np.random.default_rng(3)

    def page() -> str:
        return " ".join(generator.choice(WORDS, size=generator.integers(1, 9)))

    pages = {f"d{i:02}": [page(), "tin melts", page()] for i in range(40)}
    return index_with(tmp_path_factory.mktemp("index"), pages)


filters = st.builds(
    Filter,
    st.sampled_from([(), ("d0*",), ("d07.pdf", "d31"), ("d3?.pdf",)]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 2, 3]),
)
questions = st.lists(st.sampled_from([*WORDS, "unheard", "the"]), min_size=1, max_size=4).map(
    " ".join
)


def by(retriever: Retriever, index: Index, query: Query, k: int, filter: Filter) -> list[Hit]:
    with index.snapshot() as snapshot:
        return retriever(snapshot, query, k, filter)


def passes(hit: Hit, filter: Filter) -> bool:
    from fnmatch import fnmatch

    first, last = filter.pages
    named = not filter.documents or any(
        fnmatch(hit.document, one) or one == hit.chunk.document_id for one in filter.documents
    )
    return named and first <= hit.chunk.last_page and hit.chunk.first_page <= last


def same(found: Sequence[Hit], expected: Sequence[Hit]) -> bool:
    """Equal but for the rank."""
    return [replace(h, rank=0) for h in found] == [replace(h, rank=0) for h in expected]


@pytest.mark.parametrize("retriever", [dense, lexical])
@given(question=questions, k=st.integers(1, 130), filter=filters)
def test_a_filter_works_before_the_best_k_are_taken(
    index: Index, retriever: Retriever, question: str, k: int, filter: Filter
) -> None:
    query = Query(question, HashEmbedder())
    everything = by(retriever, index, query, 1000, Filter())
    expected = [hit for hit in everything if passes(hit, filter)][:k]
    found = by(retriever, index, query, k, filter)
    assert same(found, expected)
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("retriever", RETRIEVERS)
@given(question=questions, filter=filters)
def test_a_larger_k_only_appends_and_scores_never_rise(
    index: Index, retriever: Retriever, question: str, filter: Filter
) -> None:
    hits = [
        search(index, HashEmbedder(), question, k, retriever=retriever, filter=filter)
        for k in (1, 3, 10, 60)
    ]
    for fewer, more in pairwise(hits):
        assert more[: len(fewer)] == fewer
    scores = [hit.score for hit in hits[-1]]
    assert scores == sorted(scores, reverse=True)
    for one, other in pairwise(hits[-1]):
        assert one.score > other.score or one.chunk.id < other.chunk.id


def test_dense_scores_are_cosines(index: Index) -> None:
    query = Query("tin melts", HashEmbedder())
    hits = by(dense, index, query, 200, Filter())
    assert len(hits) == 120
    vectors = HashEmbedder().encode([hit.chunk.text for hit in hits])
    assert [hit.score for hit in hits] == pytest.approx((vectors @ query.vector).tolist(), abs=1e-6)
    assert hits[0].score == pytest.approx(1)


def test_lexical_scores_are_bm25(index: Index) -> None:
    """The formula of Robertson and Zaragoza 2009 with k1 = 1.2, b = 0.75, as FTS5 has it."""
    question = "iron water unheard"
    hits = by(lexical, index, Query(question, HashEmbedder()), 1000, Filter())
    texts = [
        h.chunk.text.split() for h in by(dense, index, Query("x", HashEmbedder()), 1000, Filter())
    ]
    average = sum(map(len, texts)) / len(texts)

    def score(words: list[str]) -> float:
        total = 0.0
        for word in question.split():
            having = sum(word in text for text in texts)
            idf = max(math.log((len(texts) - having + 0.5) / (having + 0.5)), 1e-6)
            count = words.count(word)
            norm = count + 1.2 * (0.25 + 0.75 * len(words) / average)
            total += idf * count * 2.2 / norm
        return total

    assert hits
    assert [h.score for h in hits] == pytest.approx([score(h.chunk.text.split()) for h in hits])
    assert len(hits) == sum(bool({"iron", "water"} & set(text)) for text in texts)


def test_words_match_whatever_their_case_accents_or_script(tmp_path: Path) -> None:
    pages = ["Zürich café", "東京都は日本の首都です", "plain text", "犬が好き", "naïve Bayes"]
    index = index_with(tmp_path, {"d": pages})
    for question, text in {
        "zurich": pages[0],
        "CAFÉ": pages[0],
        "首都はどこ": pages[1],
        "京都": pages[1],
        "犬": pages[3],
        "Naive?": pages[4],
    }.items():
        assert (
            by(lexical, index, Query(question, HashEmbedder()), 1, Filter())[0].chunk.text == text
        )


@pytest.mark.parametrize(
    "question",
    [
        '"',
        "tin AND",
        "NEAR(tin",
        "tin* OR (",
        "text:tin",
        "-tin ^lead",
        "{a b}: tin",
        "'; DROP",
        "\0",
    ],
)
def test_no_question_breaks_a_search(index: Index, question: str) -> None:
    for retriever in RETRIEVERS:
        search(index, HashEmbedder(), question, 5, retriever=retriever)
    plain = by(lexical, index, Query("tin", HashEmbedder()), 120, Filter())
    if question == "text:tin":  # a column filter, if it were syntax
        found = by(lexical, index, Query(question, HashEmbedder()), 120, Filter())
        assert same(found, plain)


# ---- Fusion ----------------------------------------------------------------------------------


def hits_of(ids: Sequence[str]) -> list[Hit]:
    return [Hit.from_text(rank, -rank, id, id) for rank, id in enumerate(ids, 1)]


rankings = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), min_size=1, max_size=3)


@given(rankings, st.integers(1, 10))
def test_fusion_is_its_formula(rankings: list[list[str]], k: int) -> None:
    made = [
        [replace(h, chunk=replace(h.chunk, id=h.document)) for h in hits_of(r)] for r in rankings
    ]
    expected = {
        id: math.fsum(1 / (60 + r.index(id) + 1) for r in rankings if id in r)
        for r in rankings
        for id in r
    }
    found = fused(made, k)
    assert len(found) == min(k, len(expected))
    for hit in found:
        assert hit.score == pytest.approx(expected[hit.document])
    best = sorted(expected.values(), reverse=True)[:k]
    assert [hit.score for hit in found] == pytest.approx(best)


def test_a_weight_of_nothing_leaves_the_other_ranking() -> None:
    one, other = hits_of("abc"), hits_of("cab")
    assert [h.document for h in fused([one, other], 3, weights=[1, 0])][:3] == ["a", "b", "c"]


def test_hybrid_finds_what_either_finds(index: Index) -> None:
    query = Query("iron rusts", HashEmbedder())
    found = {hit.chunk.id for hit in by(hybrid, index, query, 1000, Filter())}
    for retriever in (dense, lexical):
        assert {hit.chunk.id for hit in by(retriever, index, query, 1000, Filter())} <= found


# ---- Diversity -------------------------------------------------------------------------------

scores_and_vectors = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(scores_and_vectors, st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_mmr_is_its_formula(generator: np.random.Generator, k: int, weight: float) -> None:
    n = int(generator.integers(1, 10))
    scores = np.sort(generator.standard_normal(n))[::-1]
    vectors = generator.standard_normal((n, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    hits = [Hit.from_text(i + 1, float(scores[i]), "", str(i)) for i in range(n)]
    found = diversified(hits, vectors, k, weight)

    taken: list[int] = []
    spread = scores.max() - scores.min()
    for _ in range(min(k, n)):
        values = {
            i: weight * ((scores[i] - scores.min()) / spread if spread else 1.0)
            - (1 - weight) * max((float(vectors[i] @ vectors[j]) for j in taken), default=0.0)
            for i in range(n)
            if i not in taken
        }
        best = max(values.values())
        taken.append(next(i for i, value in values.items() if value >= best - 1e-6))
    assert [hit.document for hit in found] == [str(i) for i in taken]
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_mmr_with_lambda_one_keeps_the_order(index: Index, retriever: Retriever) -> None:
    plain = search(index, HashEmbedder(), "tin melts", 15, retriever=retriever)
    assert plain == search(
        index, HashEmbedder(), "tin melts", 15, retriever=retriever, mmr_lambda=1.0
    )


def test_mmr_takes_one_of_many_equal_passages_first(index: Index) -> None:
    def texts(mmr_lambda: float | None) -> list[str]:
        hits = search(index, HashEmbedder(), "tin melts", 5, retriever=dense, mmr_lambda=mmr_lambda)
        return [hit.chunk.text for hit in hits]

    assert texts(None) == ["tin melts"] * 5
    assert texts(0.3)[0] == "tin melts"
    assert len(set(texts(0.3))) == 5


def test_mmr_of_nothing_is_nothing() -> None:
    assert diversified([], np.empty((0, 4), np.float32), 3, 0.5) == []


# ---- Bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "k", "weight", "message"),
    [
        ("", 5, None, "question is ''"),
        (" \n", 5, None, "nothing to look for"),
        ("tin", 0, None, "k is 0"),
        ("tin", -3, None, "k is -3"),
        ("tin", 5, 1.5, "mmr_lambda is 1.5"),
        ("tin", 5, float("nan"), "mmr_lambda is nan"),
    ],
)
def test_bad_arguments_are_named(
    index: Index, question: str, k: int, weight: float | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        search(index, HashEmbedder(), question, k, mmr_lambda=weight)


def test_a_k_beyond_the_index_gives_everything(index: Index) -> None:
    assert len(search(index, HashEmbedder(), "tin", 10**9)) == 120


@given(questions, filters, st.sampled_from(list(SCORE_SCALES)), st.integers(1, 30))
def test_every_score_lies_on_its_retrievers_scale(
    index: Index, question: str, filter: Filter, name: str, k: int
) -> None:
    scale = SCORE_SCALES[name]
    for hit in search(index, HashEmbedder(), question, k, retriever=name, filter=filter):
        assert scale.least - 1e-6 <= hit.score <= scale.most + 1e-6  # cosines are float32


def test_the_first_of_both_rankings_reaches_the_end_of_the_fused_scale(index: Index) -> None:
    hit = search(index, HashEmbedder(), "tin melts", 1, retriever="dense")[0]
    best, most = fused([[hit], [hit]], 1)[0].score, SCORE_SCALES["hybrid"].most
    assert best <= most == round(best, 4)  # as it is shown, so that it can be asked for


@pytest.mark.parametrize(
    ("retriever", "min_score"),
    [("hybrid", 0.3), ("hybrid", -0.1), ("dense", 1.5), ("dense", -2), ("lexical", -1)],
)
def test_a_floor_that_no_score_can_meet_or_miss_is_an_error(
    retriever: str, min_score: float
) -> None:
    with pytest.raises(InputError, match=rf"min_score is {min_score}.* {retriever} scores are .*"):
        SCORE_SCALES[retriever].require(min_score)
    SCORE_SCALES[retriever].require(0.02)


def test_every_retriever_has_a_scale() -> None:
    assert list(SCORE_SCALES) == list(BY_NAME)
