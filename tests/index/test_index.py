"""Laws of the index: what it holds is what a dictionary would hold; nearest is truly nearest."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragctx.errors import InputError
from ragctx.index.database import DATABASE, Meta
from ragctx.index.engine import Engine
from ragctx.index.filters import Filter, matching_ids
from ragctx.index.index import Index
from ragctx.index.loading import load_engine
from ragctx.index.repair import verify_index
from ragctx.index.segment import Segment
from ragctx.index.store import SourceInfo
from ragctx.records import Document
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import document_of, index_with, made_of, put, segment_of
from tests.support.paths import ROOT

# ---- Paths and documents ---------------------------------------------------------------------

PATHS = ("x.pdf", "y.pdf", "z.pdf")
CONTENTS = {
    "a": ("one two", "three"),
    "b": ("two three", "", "four"),
    "c": ("one two", "five six"),
    "e": (),
}
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PATHS), st.sampled_from(sorted(CONTENTS))),
        st.tuples(st.just("alias"), st.sampled_from(PATHS), st.sampled_from(sorted(CONTENTS))),
        st.tuples(st.just("remove"), st.sampled_from((*PATHS, *CONTENTS, "no.pdf")), st.just("")),
    ),
    max_size=12,
)


@given(steps, st.booleans())
@settings(max_examples=40)
def test_any_sequence_of_changes_leaves_what_a_dictionary_would_hold(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]], reopen: bool
) -> None:
    folder = tmp_path_factory.mktemp("index")
    index = index_with(folder, {})
    model: dict[str, str] = {}  # path -> document id
    with index.writer() as writer:
        for action, path, id in steps:
            if action == "put":
                put(writer, id, *CONTENTS[id], path=path)
                model[path] = id
            elif action == "alias":
                assert writer.alias(path, id, recipe="r") == (id in model.values())
                assert not writer.alias(path, id, recipe="other")
                if id in model.values():
                    model[path] = id
            else:
                gone = [p for p, held in model.items() if path in (p, held)]
                assert writer.remove(path) == len(gone)
                model = {p: held for p, held in model.items() if p not in gone}
            assert {s.path: s.document_id for s in index.sources()} == model
    index = Index.open(folder) if reopen else index
    _require_same(index, model)


def _require_same(index: Index, model: dict[str, str]) -> None:
    held = set(model.values())
    expected = {
        (text, HashEmbedder().encode([text]).tobytes())
        for id in held
        for text in CONTENTS[id]
        if text
    }
    hits = search(index, HashEmbedder(), "two", 99)
    vectors = index.vectors_of([hit.chunk.id for hit in hits])
    found = {(h.chunk.text, v.tobytes()) for h, v in zip(hits, vectors, strict=True)}
    assert found == expected
    assert len(hits) == sum(bool(text) for id in held for text in CONTENTS[id])
    info = index.info()
    assert (info.documents, info.sources, info.chunks) == (len(held), len(model), len(hits))
    for id in CONTENTS:
        path = min((p for p, document in model.items() if document == id), default="")
        assert index.document(id) == (document_of(id, *CONTENTS[id], path=path) if path else None)
    assert verify_index(index.path) == ()


def test_the_order_in_which_documents_came_does_not_matter(tmp_path: Path) -> None:
    contents = {id: pages for id, pages in CONTENTS.items() if pages}
    one = index_with(tmp_path / "one", contents)
    other = index_with(tmp_path / "other", dict(reversed(contents.items())))
    with other.writer() as writer:
        put(writer, "c", "gone", path="c.pdf")
        put(writer, "c", *CONTENTS["c"], path="c.pdf")
    for question in ("one two", "three", "nothing of this"):
        assert search(one, HashEmbedder(), question, 99) == search(
            other, HashEmbedder(), question, 99
        )


def test_a_changed_file_replaces_its_own_chunks_only(tmp_path: Path) -> None:
    index = index_with(tmp_path, {"a": ["old text"], "b": ["other text"]})
    with index.writer() as writer:
        put(writer, "a2", "new text", path="a.pdf")
    assert index.document("a") is None
    texts = {hit.chunk.text for hit in search(index, HashEmbedder(), "text", 9)}
    assert texts == {"new text", "other text"}


def test_a_new_recipe_replaces_the_chunks_for_every_path_of_the_document(tmp_path: Path) -> None:
    index = index_with(tmp_path, {"a": ["some text", "more text"]})
    with index.writer() as writer:
        assert writer.alias("copy.pdf", "a", recipe="r")
        document, chunks, vectors = made_of("a", "some text", "more text")
        writer.put("copy.pdf", document, chunks[:1], vectors[:1], recipe="other")
    assert {(s.path, s.recipe, s.chunks) for s in index.sources()} == {
        ("a.pdf", "other", 1),
        ("copy.pdf", "other", 1),
    }


def test_every_put_is_seen_at_once_by_readers(tmp_path: Path) -> None:
    index, reader = index_with(tmp_path, {}), Index.open(tmp_path)
    with index.writer() as writer:
        for i in range(4):
            put(writer, f"d{i}", f"text {i}")
            assert len(reader.sources()) == i + 1
            assert len(search(reader, HashEmbedder(), "text", 99)) == i + 1


def test_an_error_within_a_change_undoes_it_and_the_writer_goes_on(tmp_path: Path) -> None:
    """A chunk id of another document is refused by the database, after half was written."""
    index = index_with(tmp_path, {"a": ["some text"]})
    document, chunks, vectors = made_of("b", "first page", "second page")
    stolen = [chunks[0], replace(chunks[1], id=index.chunks("a")[0].id)]
    with index.writer() as writer:
        with pytest.raises(InputError, match="belongs to another document"):
            writer.put("b.pdf", document, stolen, vectors, recipe="r")
        assert [source.path for source in index.sources()] == ["a.pdf"]
        writer.put("b.pdf", document, chunks, vectors, recipe="r")
    assert verify_index(index.path) == ()


def test_an_index_serves_many_threads(tmp_path: Path) -> None:
    index = index_with(tmp_path, {f"d{i}": [f"text {i}", "more"] for i in range(20)})
    expected = search(index, HashEmbedder(), "text 7", 9)
    found: list[object] = []

    def work() -> None:
        for _ in range(10):
            found.append(search(index, HashEmbedder(), "text 7", 9))
            found.append(index.document("d3") and expected)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 120


def test_unknown_chunks_have_no_vectors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no chunk 'x'"):
        index_with(tmp_path, {}).vectors_of(["x"])


def test_info_tells_what_and_who(tmp_path: Path) -> None:
    info = index_with(tmp_path, {"a": ["one", "", "two"]}).info()
    assert (info.documents, info.sources, info.pages, info.chunks) == (1, 1, 3, 2)
    assert (info.embedder, info.dim, info.metric) == ("hash@1", 8, "inner_product")
    assert info.bytes > (tmp_path / DATABASE).stat().st_size
    assert info.created <= info.updated


def test_opening_and_lexical_search_load_no_faiss(tmp_path: Path) -> None:
    index_with(tmp_path, {"a": ["some text"]})
    code = (
        "import sys; "
        "from ragctx.index.index import Index; "
        "from ragctx.retrieval import lexical, search; "
        "from tests.support.fakes import HashEmbedder; "
        "index = Index.open(sys.argv[1]); "
        "found = search(index, HashEmbedder(), 'text', 3, retriever=lexical); "
        "assert found; "
        "assert 'faiss' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)


# ---- Nearest ---------------------------------------------------------------------------------


def engine_of(
    vectors: NDArray[np.float32], documents: list[int], pages: list[int], *cuts: int
) -> Engine:
    """An engine without a store, of a segment up to each cut: row i is 100 + i."""
    n, dim = vectors.shape
    at = np.array(pages, np.int64)
    places = [slice(a, b) for a, b in pairwise([0, *sorted(cuts), n])]
    segments = tuple(
        Segment(
            name="" if i else "vectors-1.safetensors",
            rows=np.arange(100, 100 + n)[place],
            documents=np.array(documents, np.int64)[place],
            first_pages=at[place],
            last_pages=at[place],
            vectors=vectors[place],
        )
        for i, place in enumerate(places)
    )
    meta = Meta(
        format_version=1,
        ragctx_version="0",
        embedder="e",
        dim=dim,
        metric="inner_product",
        created="",
        updated="",
        store="s",
        generation=0,
    )
    return Engine(meta=meta, segments=segments, dropped=np.empty(0, np.int64))


def ids_of(rows: Sequence[int]) -> dict[int, str]:
    return {row: f"{row:09}" for row in rows}


@given(st.data())
@settings(max_examples=150)
def test_nearest_is_the_brute_force_answer_with_ties_by_chunk_id(data: st.DataObject) -> None:
    """Few distinct directions, so that many rows tie, in one segment and in several."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    n, dim = data.draw(st.integers(1, 120)), data.draw(st.sampled_from([2, 5, 8]))
    distinct = data.draw(st.integers(1, 12))
    generator = np.random.default_rng(seed)
    directions = generator.standard_normal((distinct, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vectors = directions[generator.integers(distinct, size=n)].astype(np.float32)
    documents = generator.integers(4, size=n).tolist()
    pages = generator.integers(1, 6, size=n).tolist()
    cuts = data.draw(st.lists(st.integers(0, n), max_size=3))
    engine = engine_of(vectors, documents, pages, *cuts)
    question = vectors[0] if generator.random() < 0.5 else directions[0].astype(np.float32)
    k = data.draw(st.integers(1, n + 3))
    wanted = data.draw(st.none() | st.sets(st.integers(0, 4), max_size=4))
    span = data.draw(st.sampled_from([(1, 2**62), (2, 4), (5, 5), (7, 9)]))
    mask = engine.mask(wanted, span)

    scored = [
        (-float(np.dot(vectors[i].astype(np.float64), question.astype(np.float64))), 100 + i)
        for i in range(n)
        if (wanted is None or documents[i] in wanted) and span[0] <= pages[i] <= span[1]
    ]
    expected = sorted((round(score, 12), row) for score, row in scored)[:k]
    found = engine.nearest(question, k, ids_of, mask)
    assert [row for row, _ in found] == [row for _, row in expected]
    assert [score for _, score in found] == pytest.approx([-s for s, _ in expected])


def test_vectors_that_float32_cannot_tell_apart_are_ordered_by_float64() -> None:
    generator = np.random.default_rng(0)
    base = generator.standard_normal(8)
    near = base + 1e-7 * generator.standard_normal((3000, 8))
    vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    question = vectors[17]
    exact = (vectors.astype(np.float64) * question.astype(np.float64)).sum(1)
    expected = np.lexsort((np.arange(3000), -exact))[:50] + 100
    engine = engine_of(vectors, [0] * 3000, [1] * 3000)
    assert [row for row, _ in engine.nearest(question, 50, ids_of)] == expected.tolist()


def test_an_engine_caught_up_equals_one_made_anew(tmp_path: Path) -> None:
    index = index_with(tmp_path, {f"d{i}": [f"text {i}", "more"] for i in range(5)})
    with index.snapshot() as snapshot:
        old = snapshot.engine
    with index.writer() as writer:
        writer.remove("d1")
        put(writer, "d3", "other", path="d3.pdf")
        with index.snapshot() as snapshot:
            between = snapshot.engine
        put(writer, "c9", "new")
        with index.snapshot() as snapshot:
            caught_up = load_engine(snapshot.connection, tmp_path, snapshot.meta, between)
            anew = load_engine(snapshot.connection, tmp_path, snapshot.meta)
    assert old.segments[0] is between.segments[0]
    for one, other in zip(caught_up.segments, anew.segments, strict=True):
        np.testing.assert_array_equal(one.vectors, other.vectors)
        np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(caught_up.dropped, anew.dropped)


def test_a_segment_is_a_file_that_safetensors_reads(tmp_path: Path) -> None:
    index_with(tmp_path, {"a": ["one", "two"]})
    held = safetensors.numpy.load_file(segment_of(tmp_path))
    assert held["vectors"].shape == (2, 8) and held["rows"].tolist() == [1, 2]


# ---- Filters ---------------------------------------------------------------------------------


def test_documents_are_named_by_id_path_end_of_path_or_pattern(tmp_path: Path) -> None:
    index = index_with(tmp_path, {})
    paths = {"a": "/home/me/manuals/pump.pdf", "b": "/home/me/pump.pdf", "c": "/home/me/Q [1].pdf"}
    with index.writer() as writer:
        for id, path in paths.items():
            put(writer, id, f"text {id}", path=path)
    sources = index.sources()
    for wanted, ids in {
        "a": "a",
        "pump.pdf": "ab",
        "manuals/pump.pdf": "a",
        "/home/me/pump.pdf": "b",
        "*.pdf": "abc",
        "*/manuals/*": "a",
        "Q [1].pdf": "c",
        "./pump.pdf": "ab",
    }.items():
        assert matching_ids([wanted], sources) == set(ids), wanted
    assert matching_ids(["a", "c"], sources) == {"a", "c"}
    with pytest.raises(InputError, match=r"matches 'pmp\.pdf'.*pump\.pdf"):
        matching_ids(["pmp.pdf"], sources)
    with pytest.raises(InputError, match=r"matches 'pmp\.pdf'"):
        search(index, HashEmbedder(), "text", filter=Filter(("pmp.pdf",)))


def test_documents_are_named_by_any_part_in_any_case_and_by_patterns_of_relative_paths() -> None:
    # --document Pump, --document "manuals/*.pdf" and an accent spelled otherwise named nothing.
    paths = {
        "a": "/home/me/Manuals/Pump.pdf",
        "b": "/home/me/old pump.pdf",
        "c": "/x/caf\u00e9.pdf",
    }
    sources = [
        SourceInfo(path=path, document_id=id, recipe="", pages=1, chunks=1, status="ok")
        for id, path in paths.items()
    ]
    for wanted, ids in {
        "pump.pdf": "a",  # a whole name before a part of one
        "PUMP": "ab",
        "old pump.pdf": "b",
        "manuals": "a",
        "manuals/*.pdf": "a",
        "Manuals/*": "a",
        "me/*/*.pdf": "a",
        "*/[no]ld*": "b",
        "CAFE\u0301": "c",
        "ld pu": "b",
    }.items():
        assert matching_ids([wanted], sources) == set(ids), wanted
    for wanted in ("", ".", "./", "/", " ", "pumps"):
        with pytest.raises(InputError, match="No document of the index matches"):
            matching_ids([wanted], sources)
    with pytest.raises(InputError):  # what is to be removed is named in full
        matching_ids(["pump"], sources, by_part=False)


@pytest.mark.parametrize(("first", "last"), [(0, None), (5, 4), (None, 0), (-1, 3)])
def test_page_ranges_that_cannot_be_are_refused(first: int | None, last: int | None) -> None:
    with pytest.raises(InputError, match="pages count from 1"):
        Filter(first_page=first, last_page=last)


def test_one_text_for_documents_is_refused() -> None:
    with pytest.raises(InputError, match=r"\('a.pdf',\)"):
        Filter("a.pdf")  # type: ignore[arg-type]


def test_a_hit_knows_its_document(tmp_path: Path) -> None:
    index = index_with(tmp_path, {})
    with index.writer() as writer:
        put(writer, "a", "some text", path="/z/copy.pdf")
        assert writer.alias("/b/original.pdf", "a", recipe="r")
    (hit,) = search(index, HashEmbedder(), "text")
    assert (hit.rank, hit.document, hit.path) == (1, "original.pdf", "/b/original.pdf")
    document = index.document("a")
    assert isinstance(document, Document)
    assert document.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text
