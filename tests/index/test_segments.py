"""Laws of segments: however an index grew, it finds what comparing with everything would find."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragctx.errors import InputError, StoreError
from ragctx.index import store
from ragctx.index.clusters import Clusters, cluster_of, learned_centers
from ragctx.index.database import DATABASE
from ragctx.index.filters import Filter
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index
from ragctx.index.postings import Postings, merged, postings_of, read_merged
from ragctx.index.protocol import IndexState, SearchableIndex
from ragctx.index.repair import repair_index, verify_index
from ragctx.index.snapshot import FolderSnapshot
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import as_version, index_with, made_of, put, segment_of

EVERYTHING = (-(2**62), 2**62)
WORDS = ("tin", "zinc", "lead", "melts", "Straße", "naïve", "東京都", "x_y", "42", "the")


@pytest.fixture(scope="module", autouse=True)
def small_world() -> Iterator[None]:
    """What a million passages need, for a handful: clusters, words in segments, several of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("segment", "sealing"):
            patch.setattr(f"ragctx.index.{module}.CLUSTERED_FROM", 12)
            patch.setattr(f"ragctx.index.{module}.WORDS_FROM", 4)
            patch.setattr(f"ragctx.index.{module}.HASHED_BYTES", 0)
        patch.setattr("ragctx.index.snapshot.LEXICON_FROM", 1)
        patch.setattr("ragctx.index.sealing.REWRITE_ROWS", 24)
        patch.setattr("ragctx.index.sealing.SEAL_AT_MOST", 9)
        patch.setattr("ragctx.index.folder.SEAL_ROWS", 5)
        patch.setattr("ragctx.index.engine.FEW", 3)
        yield


# ---- Against a dictionary --------------------------------------------------------------------


@dataclass
class Model:
    """What an index should hold: the pages of each document."""

    documents: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def require(self, index: Index) -> None:
        """Check that an index finds what comparing with every page would."""
        texts = {
            f"{id}:{page}": text
            for id, pages in self.documents.items()
            for page, text in enumerate(pages, 1)
        }
        names = sorted(texts)
        vectors = HashEmbedder().encode([texts[name] for name in names]).astype(np.float64)
        with index.snapshot() as snapshot:
            for question in ("tin melts", "Straße 42", "the x_y 東京都"):
                (vector,) = HashEmbedder().encode([question])
                scored = snapshot.nearest(vector, 10**6, Filter(), exact=True)
                products = (vectors.reshape(-1, len(vector)) * vector.astype(np.float64)).sum(1)
                assert [score for _, score in scored] == sorted(products, reverse=True)
                told = {
                    f"{hit.chunk.document_id}:{hit.chunk.first_page}": hit.chunk.text
                    for hit in snapshot.hits(scored)
                }
                assert told == texts
                assert snapshot.nearest(vector, 10**6, Filter()) == scored
                require_same_words(snapshot, question)


def require_same_words(snapshot: FolderSnapshot, question: str, k: int = 10**6) -> None:
    """Check that segments give the very scores and the order of FTS5."""
    expression = match_expression(question)
    if not expression:
        return
    for filter in (Filter(), Filter(first_page=2, last_page=3)):
        by_fts = store.search_words(snapshot.connection, expression, k, None, filter.pages)
        assert snapshot.matching(expression, k, filter) == by_fts


page = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
names = st.sampled_from(["a", "b", "c", "d"])
steps = st.one_of(
    st.tuples(st.just("put"), names, st.lists(page, max_size=9).map(tuple)),
    st.tuples(st.just("text"), names, st.lists(page, max_size=3).map(tuple)),
    st.tuples(st.just("remove"), names, st.just(())),
    st.tuples(st.just("compact"), st.just(""), st.just(())),
    st.tuples(st.just("close"), st.just(""), st.just(())),
    st.tuples(st.just("reopen"), st.just(""), st.just(())),
)


@given(st.lists(steps, max_size=14))
@settings(max_examples=60)
def test_whatever_is_done_an_index_finds_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    index, model = index_with(folder, {}), Model()
    open_writer = index.writer()
    writer = open_writer.__enter__()
    for what, id, pages in (*steps, ("close", "", ())):
        match what:
            case "put":
                put(writer, id, *pages)
                model.documents[id] = pages
            case "text":  # first the words, then the vectors
                document, chunks, vectors = made_of(id, *pages)
                writer.put_text(f"{id}.pdf", document, chunks, recipe="r")
                lacking = writer.lacking(id)
                writer.keep(dict(zip(lacking, vectors, strict=True)))
                with index.snapshot() as snapshot:
                    require_same_words(snapshot, "tin Straße x_y 東")
                assert writer.settle(id)
                model.documents[id] = pages
            case "remove":
                writer.remove(id)
                model.documents.pop(id, None)
            case "compact":
                writer.compact()
                assert len(list(folder.glob("vectors-*"))) <= 1
            case _:
                open_writer.__exit__(None, None, None)
                index = Index.open(folder) if what == "reopen" else index
                model.require(index)
                assert verify_index(folder) == ()
                open_writer = index.writer()
                writer = open_writer.__enter__()
    open_writer.__exit__(None, None, None)
    model.require(index)


def test_what_is_added_one_by_one_ends_in_few_segments(tmp_path: Path) -> None:
    index = index_with(tmp_path, {})
    for i in range(40):
        with index.writer() as writer:
            put(writer, f"d{i}", f"tin {i}", f"zinc {i}")
    with index.snapshot() as snapshot:
        sizes = sorted(segment.rows for segment in snapshot.meta.segments)
    assert sum(sizes) == 80 and len(sizes) <= 8
    assert {path.name for path in tmp_path.glob("vectors-*")} == {
        told.name for told in snapshot.meta.segments
    }
    index.compact()
    assert len(snapshot_of(index).meta.segments) == 1
    assert verify_index(tmp_path) == ()


def snapshot_of(index: Index) -> FolderSnapshot:
    with index.snapshot() as snapshot:
        return snapshot


def test_a_segment_that_is_mostly_deleted_is_made_again(tmp_path: Path) -> None:
    index = index_with(tmp_path, {"a": [f"tin {i}" for i in range(8)], "b": ["zinc"] * 1})
    with index.writer() as writer:
        writer.remove("a")
    (told,) = snapshot_of(index).meta.segments
    assert told.rows == 1
    with index.snapshot() as snapshot:
        assert snapshot.connection.execute("SELECT count(*) FROM dropped").fetchone() == (0,)


# ---- Words -----------------------------------------------------------------------------------


texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    min_size=1,
    max_size=12,
)


@given(texts, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(max_examples=60)
def test_the_words_of_segments_score_as_fts5_does(
    tmp_path_factory: pytest.TempPathFactory, pages: list[str], question: str
) -> None:
    index = index_with(tmp_path_factory.mktemp("index"), {"a": pages[:5], "b": pages[5:]})
    with index.snapshot() as snapshot:
        for asked in (question, "tin zinc the", "東 Straße x_y 42", pages[0]):
            for k in (1, 3, 10**6):
                require_same_words(snapshot, asked, k)


def plain(postings: Postings) -> list[dict[int, int]]:
    """The words of each passage, and how often each is there."""
    found: list[dict[int, int]] = [{} for _ in range(len(postings))]
    for key in postings.keys.tolist():
        places, counts = postings.find(key)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            found[place][key] = count
    return found


@given(texts, texts, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_merged_words_are_those_of_the_passages_that_stay(
    one: list[str], other: list[str], chance: object
) -> None:
    kept = [chance.random() < 0.7 for _ in (*one, *other)]  # type: ignore[attr-defined]
    places = list(range(sum(kept)))
    chance.shuffle(places)  # type: ignore[attr-defined]
    given_out = iter(places)
    to = np.array([next(given_out) if stays else -1 for stays in kept], np.int64)
    parts = [(postings_of(one), to[: len(one)]), (postings_of(other), to[len(one) :])]
    expected = [""] * sum(kept)
    for text, place in zip((*one, *other), to.tolist(), strict=True):
        if place >= 0:
            expected[place] = text
    made, wanted = read_merged(merged(parts, sum(kept))), postings_of(expected)
    assert plain(made) == plain(wanted)
    np.testing.assert_array_equal(made.lengths, wanted.lengths)


# ---- Clusters --------------------------------------------------------------------------------


def heaps(n: int, dim: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors around some directions."""
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((20, dim))
    found = centers[generator.integers(20, size=n)] + 0.5 * generator.standard_normal((n, dim))
    unit: NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def test_clusters_hold_every_vector_once_and_the_nearest_are_in_the_nearest() -> None:
    vectors = heaps(2000, 16, seed=0)
    centers = learned_centers(vectors, len(vectors))
    of_each = cluster_of(vectors, centers)
    order = np.argsort(of_each, kind="stable")
    bounds = np.searchsorted(of_each[order], np.arange(len(centers) + 1))
    clusters = Clusters(centers=centers, bounds=bounds)
    everything = [i for place in clusters.nearest(vectors[0], 1.0) for i in range(2000)[place]]
    assert everything == list(range(2000))
    found = 0
    for question in heaps(50, 16, seed=1):
        read = [i for place in clusters.nearest(question, 1 / 8) for i in range(2000)[place]]
        assert len(set(read)) == len(read) < 1000
        best = np.argsort(-(vectors[order] @ question))[:10]
        found += len({*best.tolist()} & {*read})
    assert found >= 450  # of 500


def test_a_search_gives_as_many_as_there_are_also_by_clusters(tmp_path: Path) -> None:
    index = index_with(tmp_path, {"a": [f"tin {i} zinc" for i in range(60)], "b": ["lead"] * 5})
    (vector,) = HashEmbedder().encode(["zinc 3"])
    with index.snapshot() as snapshot:
        assert snapshot.engine.segments[0].clusters is not None
        for k in (1, 5, 64, 65, 10**9):
            assert len(snapshot.nearest(vector, k, Filter())) == min(k, 65)
        assert len(snapshot.nearest(vector, 9, Filter(("b",)))) == 5
        assert len(snapshot.nearest(vector, 9, Filter(first_page=50))) == 9
        with pytest.raises(InputError, match="nan"):
            snapshot.nearest(np.full(8, np.nan, np.float32), 1, Filter())


# ---- Damage ----------------------------------------------------------------------------------


PAGES = {"a": [f"tin {i} zinc" for i in range(20)], "b": [f"lead {i}" for i in range(9)]}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.999, 1.0])
def test_a_damaged_file_too_large_to_be_checked_is_never_believed_for_long(
    tmp_path: Path, share: float
) -> None:
    """A large file is not read to open it, so damage shows when it is met, or by `verify`."""
    index = index_with(tmp_path, PAGES)
    with index.snapshot() as snapshot:
        (vector,) = HashEmbedder().encode(["tin 3 zinc"])
        expected = snapshot.nearest(vector, 29, Filter())
    file = segment_of(tmp_path)
    data = bytearray(file.read_bytes())
    at = min(int(share * len(data)), len(data) - 64)
    data[at : at + 64] = b"\x7f" * 64
    file.write_bytes(data)
    assert [problem.part for problem in verify_index(tmp_path)] == ["vectors"]
    with Index.open(tmp_path).snapshot() as snapshot:
        found = snapshot.nearest(vector, 29, Filter())
        assert {score for _, score in found} <= {score for _, score in expected}
        assert isinstance(snapshot.matching('"tin" OR "zinc"', 29, Filter()), list)
    with Index.open(tmp_path).writer() as writer:  # joins it with what is new: it is read whole
        put(writer, "c", *PAGES["a"])
        writer.compact()
    assert verify_index(tmp_path) == ()
    repair_index(tmp_path)
    assert verify_index(tmp_path) == ()


def test_what_a_lost_segment_held_is_found_told_and_sealed_again(tmp_path: Path) -> None:
    index = index_with(tmp_path, PAGES)
    (vector,) = HashEmbedder().encode(["tin 3 zinc"])
    with index.snapshot() as snapshot:
        expected = snapshot.nearest(vector, 29, Filter())
        assert snapshot.engine.notes == ()
    segment_of(tmp_path).unlink()
    index = Index.open(tmp_path)
    with index.snapshot() as snapshot:
        assert snapshot.nearest(vector, 29, Filter()) == expected
        assert "No such file" in snapshot.engine.notes[0]
        require_same_words(snapshot, "tin zinc")
    with index.writer():
        pass
    assert verify_index(tmp_path) == ()
    with index.snapshot() as snapshot:
        assert snapshot.nearest(vector, 29, Filter()) == expected
        assert snapshot.engine.notes == ()


def test_no_room_for_a_segment_loses_nothing_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    index = index_with(tmp_path, PAGES)
    with monkeypatch.context() as patch:
        patch.setattr("ragctx.index.segment_file.os.fsync", full)
        with pytest.raises(StoreError, match=r"No space left.*ragctx index compact"):
            with index.writer() as writer:
                put(writer, "c", *PAGES["a"])  # more than is sealed on the way
    assert verify_index(tmp_path) == ()
    assert [s.chunks for s in index.sources()] == [20, 9, 20]
    index.compact()
    assert verify_index(tmp_path) == () and len(list(tmp_path.glob("vectors-*"))) == 1


def test_a_reader_goes_on_while_its_segments_are_joined(tmp_path: Path) -> None:
    index = index_with(tmp_path, PAGES)
    (vector,) = HashEmbedder().encode(["tin 3 zinc"])
    late = Index.open(tmp_path)
    with index.snapshot() as snapshot, late.snapshot() as opened_later:
        expected = snapshot.nearest(vector, 29, Filter())
        with Index.open(tmp_path).writer() as writer:
            put(writer, "c", "tin", "zinc")
            writer.compact()
        assert snapshot.nearest(vector, 29, Filter()) == expected
        assert opened_later.nearest(vector, 29, Filter()) == expected  # its file is gone by now


@pytest.mark.parametrize("version", [1, 2])
def test_an_index_of_before_is_brought_into_segments_and_the_old_file_kept_until_then(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_with(tmp_path, PAGES)
    (vector,) = HashEmbedder().encode(["tin 3 zinc"])
    with index.snapshot() as snapshot:
        expected = [score for _, score in snapshot.nearest(vector, 29, Filter())]
    as_version(tmp_path, version)
    old = tmp_path / "vectors.faiss"

    def full(*_: object) -> None:
        assert old.exists()
        raise OSError(28, "No space left on device")

    for room in (False, True):
        with Index.open(tmp_path).snapshot() as snapshot:
            assert room or "ragctx index compact" in snapshot.info().notes[0]
            scored = snapshot.nearest(vector, 29, Filter())
            assert [score for _, score in scored] == expected and old.exists()
        with monkeypatch.context() as patch:
            if room:
                Index.open(tmp_path).compact()
            else:
                patch.setattr("ragctx.index.segment_file.os.fsync", full)
                with pytest.raises(StoreError, match="ragctx index compact"):
                    Index.open(tmp_path).compact()
    assert not old.exists() and verify_index(tmp_path) == ()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM unsealed").fetchone() == (0,)


def test_another_kind_of_index_is_searched_as_a_folder_is(tmp_path: Path) -> None:
    """What a search asks for is in `protocol`, and nothing else is asked for."""
    index = index_with(tmp_path, PAGES)
    asked = {
        name
        for protocol in (SearchableIndex, IndexState)
        for name in vars(protocol)
        if not name.startswith("_")
    }

    class Elsewhere:
        """An index that has what `protocol` names, and no more."""

        def __init__(self, held: Index | FolderSnapshot) -> None:
            self._held = held

        def __getattr__(self, name: str) -> object:
            assert name in asked, f"{name} is asked for, and not in the protocol"
            return getattr(self._held, name)

        @contextmanager
        def snapshot(self) -> Iterator[IndexState]:
            with self._held.snapshot() as snapshot:
                yield cast(IndexState, Elsewhere(snapshot))

    elsewhere = cast(SearchableIndex, Elsewhere(index))
    for retriever in ("dense", "lexical", "hybrid"):
        found = search(elsewhere, HashEmbedder(), "tin 3", 5, retriever=retriever)
        assert found == search(index, HashEmbedder(), "tin 3", 5, retriever=retriever)
