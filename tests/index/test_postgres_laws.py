"""Laws of an index in PostgreSQL: it holds and finds what an index in a folder does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragctx.embedding import load_embedder
from ragctx.errors import InputError
from ragctx.index.filters import Filter
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index
from ragctx.index.recall import measure_recall
from ragctx.index.repair import verify_index
from ragctx.ingestion.run import ingest
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import chunks_of, document_of, index_with, made_of, put
from tests.support.postgres_server import PostgresServer, schema_of

EMBEDDER = HashEmbedder()
PATHS = ("x.pdf", "y.pdf", "z.pdf")
CONTENTS = {
    "a": ("one two", "three"),
    "b": ("two three", "", "four"),
    "c": ("one two", "five six"),
    "e": (),
}
a_path, an_id = st.sampled_from(PATHS), st.sampled_from(sorted(CONTENTS))
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("put", "put_text", "alias")), a_path, an_id),
        st.tuples(st.just("move"), a_path, a_path),
        st.tuples(st.just("keep"), st.sampled_from(("one", "all")), an_id),
        st.tuples(st.just("settle"), st.just(""), an_id),
        st.tuples(st.just("remove"), st.sampled_from((*PATHS, *CONTENTS, "no.pdf")), st.just("")),
    ),
    max_size=12,
)


@pytest.fixture
def pair(tmp_path: Path, postgres_address: str) -> tuple[Index, Index]:
    """An empty index in a folder, and one in PostgreSQL."""
    return index_with(tmp_path / "index", {}), index_with(postgres_address, {})


def changed(index: Index, step: tuple[str, str, str]) -> object:
    action, path, id = step
    with index.writer() as writer:
        if action == "put":
            return put(writer, id, *CONTENTS[id], path=path)[0]
        if action == "put_text":
            document, chunks, _ = made_of(id, *CONTENTS[id])
            return writer.put_text(path, document, chunks, recipe="r")
        if action == "alias":
            return writer.alias(path, id, recipe="r"), writer.alias(path, id, recipe="other")
        if action == "move":
            return writer.move(path, id)
        if action == "keep":
            lacking = writer.lacking(id, 1) if path == "one" else writer.lacking(id)
            writer.keep({row: EMBEDDER.encode([c.text])[0] for row, c in lacking.items()})
            return list(lacking.values())
        if action == "settle":
            return writer.settle(id), writer.count_lacking(id), writer.waiting_documents()
        return writer.remove(path)


def state(index: Index) -> dict[str, object]:
    """Everything that one can ask an index, but for times and sizes."""
    with index.snapshot() as snapshot:
        info = snapshot.info()
        return {
            "counts": (info.documents, info.sources, info.pages, info.chunks, info.unembedded),
            "sources": [replace(source, stored="") for source in snapshot.sources()],
            "documents": [snapshot.document(id) for id in CONTENTS],
            "chunks": [snapshot.chunks(id) for id in CONTENTS],
            "recipes": (snapshot.recipes(), snapshot.recipe),
            "vectors": [
                {text: vector.tobytes() for text, vector in snapshot.sound_vectors(id).items()}
                for id in CONTENTS
            ],
            "waiting": (snapshot.is_complete, snapshot.lacking()),
            "lacking": [snapshot.count_lacking(id) for id in CONTENTS],
            "hits": [
                search(snapshot, EMBEDDER, question, k, retriever=retriever)
                for retriever in ("dense", "lexical", "hybrid")
                for question in ("one two", "six", "nothing")
                for k in (1, 99)
            ],
        }


@pytest.mark.slow
@given(steps)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_changes_leaves_the_same_as_in_a_folder(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    steps: list[tuple[str, str, str]],
) -> None:
    with schema_of(postgres) as address:
        folder = index_with(tmp_path_factory.mktemp("index"), {})
        database = index_with(address, {})
        for step in steps:
            assert changed(database, step) == changed(folder, step), step
        assert state(database) == state(folder)
        assert verify_index(address) == ()


def test_the_same_changes_leave_the_same_as_in_a_folder(pair: tuple[Index, Index]) -> None:
    folder, database = pair
    for step in (
        *(("put", "x.pdf", "a"), ("put", "y.pdf", "b"), ("put", "x.pdf", "c")),
        *(("put_text", "z.pdf", "a"), ("keep", "one", "a"), ("settle", "", "a")),
        *(("alias", "z.pdf", "c"), ("move", "y.pdf", "x.pdf"), ("remove", "c", "")),
        *(("put_text", "y.pdf", "a"), ("keep", "all", "a"), ("settle", "", "a")),
    ):
        assert changed(database, step) == changed(folder, step), step
        assert state(database) == state(folder), step
    assert verify_index(str(database.path)) == ()


# ---- Words -----------------------------------------------------------------------------------

WORDS = (
    *("tin", "Tin", "lead", "file_name", "name", "file", "Straße", "strasse", "Müller", "muller"),
    *(
        "the",
        "of",
        "東京都",
        "京都",
        "犬",
        "犬小屋",
        "m²",
        "co-op",
        "x" * 400,
        "ﬁsh",
        "naïve",
        "\0",
    ),
)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
collections = st.lists(st.lists(texts, min_size=1, max_size=5), min_size=1, max_size=6)


@pytest.mark.slow
@given(collections, st.lists(texts, min_size=1, max_size=4), st.integers(1, 8))
@settings(max_examples=30)
def test_words_find_the_same_passages_with_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    documents: list[list[str]],
    questions: list[str],
    k: int,
) -> None:
    held = {f"d{i}": pages for i, pages in enumerate(documents)}
    filters = (Filter(), Filter(("d0",)), Filter((), 2, 3), Filter(("d0",), 2))
    with schema_of(postgres) as address:
        folder = index_with(tmp_path_factory.mktemp("index"), held)
        database = index_with(address, held)
        with folder.snapshot() as one, database.snapshot() as other:
            for question in questions:
                expression = match_expression(question)
                if not expression:
                    continue
                for filter in filters:
                    expected = one.hits(one.matching(expression, k, filter))
                    found = other.hits(other.matching(expression, k, filter))
                    assert [hit.chunk for hit in found] == [hit.chunk for hit in expected]
                    assert [hit.score for hit in found] == pytest.approx(
                        [hit.score for hit in expected], rel=1e-12
                    )


# ---- Vectors ---------------------------------------------------------------------------------


@pytest.mark.slow
@given(collections, texts, st.integers(1, 30), st.booleans())
@settings(max_examples=20)
def test_vectors_find_the_same_passages_with_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    documents: list[list[str]],
    question: str,
    k: int,
    exact: bool,
) -> None:
    held = {f"d{i}": pages for i, pages in enumerate(documents)}
    vector = EMBEDDER.encode([question])[0]
    with schema_of(postgres) as address:
        folder = index_with(tmp_path_factory.mktemp("index"), held)
        database = index_with(address, held)
        with folder.snapshot() as one, database.snapshot() as other:
            for filter in (Filter(), Filter(("d0",)), Filter((), 2, 3)):
                expected = one.hits(one.nearest(vector, k, filter, exact=exact))
                assert other.hits(other.nearest(vector, k, filter, exact=exact)) == expected


DIM, MANY = 32, 3000


@pytest.fixture
def large(postgres_address: str) -> Iterator[Index]:
    """An index of 3,000 passages with vectors of chance, in 30 documents of 100 pages."""
    place, _, schema = postgres_address.partition("#")  # so few are sorted unless that is forbidden
    options = quote("-c enable_seqscan=off -c enable_sort=off")
    embedder = HashEmbedder(dim=DIM)
    index = Index.create(f"{place}&options={options}#{schema}", embedder=embedder)
    chance = np.random.default_rng(1)
    with index.writer() as writer:
        for i in range(MANY // 100):
            document = document_of(f"d{i}", *(f"page {i} {j}" for j in range(100)))
            vectors = chance.normal(size=(100, DIM)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            writer.put(f"d{i}.pdf", document, chunks_of(document), vectors, recipe="r")
    yield index


@pytest.mark.slow
def test_a_large_index_is_searched_by_its_graph_and_scored_exactly(
    large: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragctx.index.postgres.nearest.NEAR_FROM", 1)
    large.compact()
    assert measure_recall(large).recall >= 0.97
    with large.snapshot() as snapshot:
        vector = snapshot.some_vectors(3)[2]
        for filter in (Filter(), Filter(("d1", "d2")), Filter((), 50, 60), Filter(("d3",), 7, 9)):
            exact = dict(snapshot.nearest(vector, 10, filter, exact=True))
            near = dict(snapshot.nearest(vector, 10, filter))
            assert len(near) == len(exact) == (3 if filter.documents == ("d3",) else 10)
            shared = near.keys() & exact.keys()
            assert {row: near[row] for row in shared} == {row: exact[row] for row in shared}
            assert len(shared) >= 0.9 * len(exact)
        plan = snapshot.connection.execute(
            f"EXPLAIN SELECT row FROM vectors ORDER BY vector::halfvec({DIM}) <#> "
            f"%s::vector::halfvec({DIM}) LIMIT 200",
            (vector,),
        )
        assert "vectors_near" in str(plan.fetchall())


# ---- What PostgreSQL cannot hold -------------------------------------------------------------


def test_zero_bytes_come_back(pair: tuple[Index, Index]) -> None:
    texts = ("a\0b \x1a0 \x1a", "\0", "\x1a1\0")
    for index in pair:
        with index.writer() as writer:
            put(writer, "n", *texts)
    folder, database = pair
    assert database.document("n") == folder.document("n") == document_of("n", *texts)
    assert database.chunks("n") == folder.chunks("n")


def test_a_path_longer_than_postgresql_looks_up_is_refused(pair: tuple[Index, Index]) -> None:
    _, database = pair
    for path, id in (("x" * 3000, "a"), ("a.pdf", "x" * 3000)):
        with (
            database.writer() as writer,
            pytest.raises(InputError, match=r"bytes .* looks up 2,600 at most"),
        ):
            put(writer, id, "text", path=path)
    assert database.sources() == ()


def test_numbers_of_64_bits_are_held(pair: tuple[Index, Index]) -> None:
    _, database = pair
    document, chunks, vectors = made_of("a", "some text")
    page = 2**62
    document = replace(document, pages=(replace(document.pages[0], number=page),))
    chunks = [replace(chunks[0], first_page=page, last_page=page)]
    with database.writer() as writer:
        writer.put("a.pdf", document, chunks, vectors, recipe="r")
    assert database.document("a") == replace(document, path="a.pdf")
    (hit,) = search(database, EMBEDDER, "some", filter=Filter((), page))
    assert hit.chunk == chunks[0]


# ---- What reading and writing promise --------------------------------------------------------


def test_a_snapshot_sees_one_state(pair: tuple[Index, Index]) -> None:
    _, database = pair
    with database.writer() as writer, database.snapshot() as before:
        assert before.sources() == ()
        put(writer, "a", "some text")
        assert before.sources() == ()
        assert search(before, EMBEDDER, "text") == []
        with database.snapshot() as after:
            assert [source.path for source in after.sources()] == ["a.pdf"]


def test_two_indexes_in_one_database_know_nothing_of_each_other(postgres: PostgresServer) -> None:
    with schema_of(postgres) as one, schema_of(postgres) as other:
        first, second = index_with(one, {"a": ("text",)}), index_with(other, {"b": ("text",)})
        assert [source.path for source in first.sources()] == ["a.pdf"]
        assert [source.path for source in second.sources()] == ["b.pdf"]


@pytest.mark.parametrize("which", [0, 1])
def test_compacting_changes_nothing_that_is_found(pair: tuple[Index, Index], which: int) -> None:
    index = pair[which]
    for step in (("put", "x.pdf", "a"), ("put", "x.pdf", "b"), ("put", "y.pdf", "c")):
        changed(index, step)
    before = state(index)
    index.compact()
    assert state(index) == before


@pytest.mark.parametrize("which", [0, 1])
def test_recall_is_measured(pair: tuple[Index, Index], which: int) -> None:
    index = pair[which]
    with pytest.raises(InputError, match="holds no vectors"):
        measure_recall(index)
    changed(index, ("put", "x.pdf", "a"))
    assert measure_recall(index, 5, questions=3).recall == 1


def test_the_words_of_a_passage_that_are_gone_are_told(
    pair: tuple[Index, Index], postgres: PostgresServer
) -> None:
    _, database = pair
    changed(database, ("put", "x.pdf", "a"))
    assert verify_index(str(database.path)) == ()
    schema = str(database.path).partition("#")[2]
    damages: dict[str, Callable[[], object]] = {
        "words": lambda: postgres.execute(f"DELETE FROM {schema}.postings WHERE term = 'two'"),
        "document": lambda: postgres.execute(f"UPDATE {schema}.chunks SET text = 'other'"),
    }
    for part, damage in damages.items():
        damage()
        assert [problem.part for problem in verify_index(str(database.path))] == [part]


# ---- The sample documents --------------------------------------------------------------------

QUESTIONS = (
    "For how many years should the station's battery last?",
    "When were late fines abolished?",
    "What is a pyranometer?",
    "How long may a library book be kept, and who may renew it?",
    "the of and",
    "tidal range",
)


@pytest.mark.slow
def test_the_sample_documents_are_found_in_the_same_order_with_the_same_scores(
    tmp_path: Path, postgres_address: str, samples: Path
) -> None:
    embedder = load_embedder()
    folder = Index.create(tmp_path / "index", embedder=embedder)
    database = Index.create(postgres_address, embedder=embedder)
    for index in (folder, database):
        rows = ingest([samples], index, embedder)
        assert {row.outcome for row in rows} == {"added"}
    filters = (Filter(), Filter(("field-station-manual.pdf",)), Filter((), 3, 9))
    for question in QUESTIONS:
        for retriever in ("dense", "lexical", "hybrid"):
            for filter in filters:
                found, expected = (
                    search(index, embedder, question, 30, retriever=retriever, filter=filter)
                    for index in (database, folder)
                )
                assert [hit.chunk for hit in found] == [hit.chunk for hit in expected]
                assert [hit.score for hit in found] == pytest.approx(
                    [hit.score for hit in expected], rel=1e-12
                )
                if retriever == "dense":
                    assert found == expected
    assert verify_index(postgres_address) == ()
