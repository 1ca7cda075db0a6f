"""An index in PostgreSQL beside the same index in a folder: storing, searching, bytes, recall.

    python -m benchmarks.postgres --address postgresql://user@host/database --data ../shared/data/qa
    python -m benchmarks.postgres --address postgresql://… --data … --sizes 1000 10000 100000

The address is that of a database in which schemas may be made and dropped. Both indexes hold the
same passages and vectors (`benchmarks.grown_corpus`); embedding is left out. Each search opens a
snapshot of its own, as a question does, and the two take turns. Every hit and score of the exact
searches is compared; with more passages than are compared one by one, recall@10 is told instead.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.common import result, table
from benchmarks.grown_corpus import DOCUMENT, Base, base, documents
from benchmarks.index import Given, word_questions
from ragctx.index.address import PostgresAddress
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.index.postgres.connection import connected
from ragctx.index.postgres.nearest import NEAR_FROM
from ragctx.index.recall import measure_recall
from ragctx.retrieval import search

SIZES = (1000, 10_000)
QUESTIONS = 40
SCHEMA = "ragctx_benchmark"


def stored(index: Index, known: Base, first: int, end: int) -> float:
    """Milliseconds for a passage of the documents from number `first` to before `end`."""
    made = list(documents(known, first, end))
    began = perf_counter()
    with index.writer() as writer:
        for document, chunks, vectors in made:
            writer.put(document.path, document, chunks, vectors, recipe="benchmark")
    return 1000 * (perf_counter() - began) / ((end - first) * DOCUMENT)


def searched(indexes: Sequence[Index], known: Base) -> list[dict[str, float]]:
    """Median milliseconds of searches in each index, and how many gave the same as the first."""
    embedder: Any = Given(known)
    words, asked = word_questions(known), known.questions
    kinds = {
        "dense": (asked, "dense", Filter()),
        "dense, one document": (asked, "dense", Filter(("d3.pdf",))),
        "lexical, common words": (words["common"], "lexical", Filter()),
        "lexical, rare words": (words["rare"], "lexical", Filter()),
        "hybrid": (asked, "hybrid", Filter()),
    }
    found: list[dict[str, float]] = [{} for _ in indexes]
    for name, (texts, retriever, filter) in kinds.items():
        took: list[list[float]] = [[] for _ in indexes]
        same = 0
        for text in texts[: QUESTIONS + 1]:
            hits = []
            for times, index in zip(took, indexes, strict=True):
                began = perf_counter()
                hits.append(search(index, embedder, text, 10, retriever=retriever, filter=filter))
                times.append(1000 * (perf_counter() - began))
            ids = [[hit.chunk.id for hit in some] for some in hits]
            same += all(some == ids[0] for some in ids)
        for one, times in zip(found, took, strict=True):
            one[f"{name}_ms"] = round(median(times[1:]), 2)
            one[f"{name}_same"] = round(same / len(texts[: QUESTIONS + 1]), 3)
    return found


def sizes_of(address: PostgresAddress) -> dict[str, int]:
    """Bytes of each table with its indexes, and of each index."""
    with connected(address) as connection:
        found = connection.execute(
            """SELECT relname, CASE relkind WHEN 'r' THEN pg_total_relation_size(oid)
                ELSE pg_relation_size(oid) END FROM pg_class
            WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'i') ORDER BY 2 DESC""",
            (address.schema,),
        )
        return dict(found.fetchall())


def _dropped(address: PostgresAddress) -> None:
    with connected(address) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    given = parser.parse_args()
    known = base(given.data)
    address = PostgresAddress(f"{given.address.partition('#')[0]}#{SCHEMA}")
    embedder: Any = Given(known)
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        opening: Callable[[Any], Index] = lambda place: Index.create(  # noqa: E731
            place, embedder=embedder
        )
        _dropped(address)
        indexes = (opening(Path(folder) / "index"), opening(address))
        before = 0
        for size in given.sizes:
            end = size // DOCUMENT
            took = [stored(index, known, before, end) for index in indexes]
            for index in indexes:
                index.compact()
            for index, kind, store_ms, found in zip(
                indexes, ("folder", "postgresql"), took, searched(indexes, known), strict=True
            ):
                info, recall = index.info(), measure_recall(index, questions=QUESTIONS)
                step = {"kind": kind, "passages": size, "store_ms_a_passage": round(store_ms, 3)}
                step |= {"bytes_a_passage": info.bytes // size, "recall_at_10": recall.recall}
                steps.append(step | found)
            before = end
        tables = sizes_of(address)
        _dropped(address)
    names = list(steps[0])
    table(names, [[step[name] for name in names] for step in steps])
    result(
        "postgres",
        questions=QUESTIONS,
        compared_one_by_one_to=NEAR_FROM,
        bytes_of_tables=tables,
        steps=steps,
    )


if __name__ == "__main__":
    main()
