"""Laws of searching what has no vectors yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragctx import unembedded
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.lock import write_lock
from ragctx.records import Hit
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, made_of

WORDS = "tin lead iron melts boils rusts slowly quickly at of heat water".split()
QUESTIONS = ("tin melts", "does iron rust quickly", "water", "heat of lead", "unheard of")


class Counting(HashEmbedder):
    """Notes the texts it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], **settings: object) -> NDArray[np.float32]:  # type: ignore[override]
        self.asked += texts
        return super().encode(texts, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pages() -> dict[str, list[str]]:
    generator = np.random.default_rng(5)
    return {
        f"d{i:02}": [
            " ".join(generator.choice(WORDS, size=generator.integers(1, 9))) for _ in range(3)
        ]
        for i in range(24)
    }


@pytest.fixture
def whole(tmp_path: Path, pages: dict[str, list[str]]) -> Index:
    return index_with(tmp_path / "whole", pages)


@pytest.fixture
def bare(tmp_path: Path, pages: dict[str, list[str]]) -> Index:
    """The same, but for every third document without vectors."""
    index = Index.create(tmp_path / "bare", embedder=HashEmbedder())
    with index.writer() as writer:
        for i, (id, texts) in enumerate(pages.items()):
            document, chunks, vectors = made_of(id, *texts)
            if i % 3 == 0:
                writer.put(f"{id}.pdf", document, chunks, vectors, recipe="r")
            else:
                writer.put_text(f"{id}.pdf", document, chunks, recipe="r")
    return index


def told(hits: Sequence[Hit]) -> list[tuple[str, float, float | None]]:
    return [(hit.chunk.id, hit.score, hit.similarity) for hit in hits]


@pytest.mark.parametrize("retriever", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize("documents", [(), ("d0*",)])
def test_with_every_vector_kept_nothing_differs(
    whole: Index, bare: Index, retriever: str, documents: tuple[str, ...]
) -> None:
    with bare.writer() as writer:
        for id in writer.waiting_documents():
            lacking = writer.lacking(id)
            vectors = HashEmbedder().encode([chunk.text for chunk in lacking.values()])
            writer.keep(dict(zip(lacking, vectors, strict=True)))
    for question in QUESTIONS:
        for mmr_lambda in (None, 0.5):
            results = [
                search(
                    index,
                    HashEmbedder(),
                    question,
                    10,
                    retriever=retriever,
                    filter=Filter(documents),
                    mmr_lambda=mmr_lambda,
                )
                for index in (whole, bare)
            ]
            assert told(results[0]) == told(results[1])


@pytest.mark.parametrize("most", [1, 4])
def test_of_passages_without_vectors_those_likeliest_by_words_are_compared(
    whole: Index, bare: Index, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unembedded, "FOR_ONE_QUESTION", most)
    with bare.snapshot() as snapshot:
        complete = {chunk.id for i in range(0, 24, 3) for chunk in snapshot.chunks(f"d{i:02}")}
    by_words = search(whole, HashEmbedder(), "tin melts", 72, retriever="lexical")
    likely = [hit.chunk.id for hit in by_words if hit.chunk.id not in complete][:most]
    by_meaning = search(whole, HashEmbedder(), "tin melts", 72, retriever="dense")
    embedder = Counting()
    found = search(bare, embedder, "tin melts", 72, retriever="dense")
    assert told(found) == [hit for hit in told(by_meaning) if hit[0] in {*complete, *likely}]
    assert len(embedder.asked) == 1 + most


def test_every_hit_of_hybrid_has_its_cosine(whole: Index, bare: Index) -> None:
    cosines = {
        hit.chunk.id: hit.score
        for hit in search(whole, HashEmbedder(), "tin melts", 99, retriever="dense")
    }
    for hit in search(bare, HashEmbedder(), "tin melts", 30):
        assert hit.similarity == pytest.approx(cosines[hit.chunk.id])


def test_what_was_embedded_for_one_question_is_kept_for_the_next(bare: Index) -> None:
    first, again = Counting(), Counting()
    assert told(search(bare, first, "tin melts")) == told(search(bare, again, "tin melts"))
    assert len(first.asked) > 1 and again.asked == ["tin melts"]
    assert bare.info().unembedded == 48 - (len(first.asked) - 1)


def test_while_another_process_writes_the_question_is_answered_all_the_same(bare: Index) -> None:
    with write_lock(bare.path):
        found = search(bare, HashEmbedder(), "tin melts")
    assert bare.info().unembedded == 48
    assert told(found) == told(search(bare, HashEmbedder(), "tin melts"))


def test_lexical_search_embeds_nothing(bare: Index) -> None:
    embedder = Counting()
    assert search(bare, embedder, "tin melts", retriever="lexical")
    assert embedder.asked == []
