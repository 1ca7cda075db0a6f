"""Which retriever finds the passage a question was asked about: how the defaults were chosen.

    python -m benchmarks.retrieval --data ../shared/data/qa

Passages of all question sets are in one index. A question counts as answered at rank r when hit r
comes from a passage it was asked about. recall@k and MRR are means within a set, then over sets;
the interval is a paired bootstrap over questions of the difference in MRR to `hybrid`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import result, table
from ragctx.chunking import chunk_document
from ragctx.embedding import Embedder, load_embedder
from ragctx.index import fts_query
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.records import Chunk, Document, Hit, Page
from ragctx.retrieval import CANDIDATES, Query, Retriever, dense, fused, lexical

SETS = (
    "medquad_passage.all", "squadshifts_newwiki.dev", "openstax_review.dev", "openstax_term.dev",
    "openstax_define.dev", "covidqa_para.dev", "policyqa.dev", "sleepqa.dev", "emanual_smarttv.dev",
)  # fmt: skip
CUTS = (1, 5, 10, 20)
Floats = NDArray[np.float64]
Names = NDArray[np.str_]


@dataclass(frozen=True)
class Question:
    """A question, its set, and the ids of the documents that it was asked about."""

    text: str
    set: str
    gold: frozenset[str]


def load(
    folder: Path, passages: int, questions: int, seed: int
) -> tuple[dict[str, str], list[Question]]:
    """(Passages by document id, questions), at most `passages` and `questions` of each set."""
    texts: dict[str, str] = {}
    asked: list[Question] = []
    for name in SETS:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        contexts = sorted({row["context"] for row in rows})
        random.Random(seed).shuffle(contexts)
        chosen = {
            text: hashlib.sha256(text.encode()).hexdigest()[:16] for text in contexts[:passages]
        }
        gold: dict[str, set[str]] = {}
        for row in rows:
            if row["context"] in chosen:
                gold.setdefault(row["question"], set()).add(chosen[row["context"]])
        few = random.Random(seed).sample(sorted(gold), min(questions, len(gold)))
        texts.update((id, text) for text, id in chosen.items())
        asked += [Question(text, name.split(".")[0], frozenset(gold[text])) for text in few]
    return texts, asked


def build(folder: Path, texts: dict[str, str], embedder: Embedder) -> Index:
    """An index of all passages, cut as documents are."""
    index = Index.create(folder, embedder=embedder)
    with index.writer() as writer:
        for id, text in texts.items():
            document = Document(id=id, path=id, pages=(Page(number=1, label="1", text=text),))
            chunks = chunk_document(document, embedder.tokenizer)
            vectors = embedder.encode([chunk.text for chunk in chunks])
            writer.put(id, document, chunks, vectors, recipe="benchmark")
    return index


def stemmed(index: Index) -> Callable[[str], list[tuple[str, float]]]:
    """BM25 over words stemmed by Porter's algorithm: gives (chunk id, score) for a question."""
    memory = sqlite3.connect(":memory:")
    memory.execute(
        "CREATE VIRTUAL TABLE w USING fts5(id UNINDEXED, text, "
        "tokenize='porter unicode61 remove_diacritics 2')"
    )
    ids = dict.fromkeys(source.document_id for source in index.sources())
    rows = [(chunk.id, chunk.text) for id in ids for chunk in index.chunks(id)]
    memory.executemany("INSERT INTO w VALUES (?, ?)", rows)

    def search(question: str) -> list[tuple[str, float]]:
        expression = fts_query.match_expression(question)
        found = memory.execute(
            "SELECT id, -bm25(w) AS score FROM w WHERE w MATCH ? ORDER BY score DESC, id LIMIT ?",
            (expression, CANDIDATES),
        )
        return list(found) if expression else []

    return search


def rankings(
    index: Index, questions: Sequence[Question], embedder: Embedder
) -> tuple[dict[str, list[list[Hit]]], dict[str, float]]:
    """The hits of every variant for every question, and milliseconds per question."""
    hits = {
        chunk.id: Hit(rank=0, score=0.0, chunk=chunk, document=path)
        for chunk, path in _all_chunks(index)
    }
    porter = stemmed(index)
    ranked: dict[str, list[list[Hit]]] = {}
    spent: dict[str, float] = {}
    queries = [Query(question.text, embedder) for question in questions]
    began = perf_counter()
    for query in queries:
        _ = query.vector
    spent["embed the question"] = perf_counter() - began

    def run(name: str, retrieve: Callable[[Query], list[Hit]]) -> None:
        began = perf_counter()
        ranked[name] = [retrieve(query) for query in queries]
        spent[name] = perf_counter() - began

    def searched(retriever: Retriever, query: Query) -> list[Hit]:
        with index.snapshot() as snapshot:
            return retriever(snapshot, query, CANDIDATES, Filter())

    run("dense", partial(searched, dense))
    run("lexical", partial(searched, lexical))
    with mock.patch.object(fts_query, "STOP_WORDS", frozenset()):
        run("lexical, stop words kept", partial(searched, lexical))
    run(
        "lexical, porter",
        lambda query: [
            Hit(rank=rank, score=score, chunk=hits[id].chunk, document=hits[id].document)
            for rank, (id, score) in enumerate(porter(query.text), 1)
        ],
    )
    for name, other, weights in (
        ("hybrid", "lexical", (1.0, 1.0)),
        ("hybrid, dense counts 2", "lexical", (2.0, 1.0)),
        ("hybrid, lexical counts 2", "lexical", (1.0, 2.0)),
        ("hybrid, lexical counts 3", "lexical", (1.0, 3.0)),
        ("hybrid, porter", "lexical, porter", (1.0, 1.0)),
        ("hybrid, porter, lexical counts 2", "lexical, porter", (1.0, 2.0)),
    ):
        ranked[name] = [
            fused(pair, CANDIDATES, weights=weights)
            for pair in zip(ranked["dense"], ranked[other], strict=True)
        ]
    return ranked, {name: round(1000 * s / len(questions), 2) for name, s in spent.items()}


def _all_chunks(index: Index) -> list[tuple[Chunk, str]]:
    with index.snapshot() as snapshot:
        sources = snapshot.sources()
        return [(c, s.path) for s in sources for c in snapshot.chunks(s.document_id)]


def ranks(ranked: Sequence[Sequence[Hit]], questions: Sequence[Question]) -> Floats:
    """Rank of the first hit from a right passage, (questions,); infinite where there is none."""
    return np.array(
        [
            min((h.rank for h in hits if h.chunk.document_id in question.gold), default=np.inf)
            for hits, question in zip(ranked, questions, strict=True)
        ]
    )


def mean_over_sets(values: Floats | NDArray[np.bool_], sets: Names) -> float:
    """The mean of the sets' means."""
    return float(np.mean([values[sets == name].mean() for name in np.unique(sets)]))


def interval(difference: Floats, sets: Names, seed: int) -> tuple[float, float]:
    """95 % of a bootstrap over the questions of each set."""
    generator = np.random.default_rng(seed)
    means = np.zeros(2000)
    for name in np.unique(sets):
        of_set = difference[sets == name]
        means += of_set[generator.integers(len(of_set), size=(2000, len(of_set)))].mean(1)
    low, high = np.percentile(means / len(np.unique(sets)), [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/qa")
    parser.add_argument("--passages", type=int, default=600, help="of each set at most")
    parser.add_argument("--questions", type=int, default=200, help="of each set at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--embedder",
        nargs="+",
        default=["default"],
        help="names for `load_embedder`; where they are several, each is compared with the first",
    )
    options = parser.parse_args()
    texts, questions = load(options.data, options.passages, options.questions, options.seed)
    sets = np.array([question.set for question in questions])
    at: list[dict[str, Floats]] = []
    for name in options.embedder:
        at.append(measured(load_embedder(name), texts, questions, sets, options.seed))
    for name, ranked in zip(options.embedder[1:], at[1:], strict=True):
        compared(f"{name} minus {options.embedder[0]}", at[0], ranked, sets, options.seed)


def measured(
    embedder: Embedder,
    texts: dict[str, str],
    questions: Sequence[Question],
    sets: Names,
    seed: int,
) -> dict[str, Floats]:
    """Print the scores of every retriever; the rank of each question's passage, by retriever."""
    with tempfile.TemporaryDirectory() as folder:
        began = process_time()
        index = build(Path(folder) / "index", texts, embedder)
        build_cpu_s = process_time() - began
        chunks = index.info().chunks
        ranked, ms = rankings(index, questions, embedder)
    at = {name: ranks(hits, questions) for name, hits in ranked.items()}
    scores: dict[str, dict[str, Any]] = {
        name: {
            **{f"recall@{k}": round(mean_over_sets(rank <= k, sets), 4) for k in CUTS},
            "mrr": round(mean_over_sets(1 / rank, sets), 4),
            "mrr_by_set": {
                s: round(float((1 / rank)[sets == s].mean()), 4) for s in np.unique(sets)
            },
            "mrr_minus_hybrid": [
                round(end, 4) for end in interval(1 / rank - 1 / at["hybrid"], sets, seed)
            ],
        }
        for name, rank in at.items()
    }
    header = ("retriever", *(f"recall@{k}" for k in CUTS), "MRR", "MRR minus hybrid's (95 %)")
    table(
        header,
        [
            (
                name,
                *(f"{s[f'recall@{k}']:.3f}" for k in CUTS),
                f"{s['mrr']:.3f}",
                "{:+.3f} … {:+.3f}".format(*s["mrr_minus_hybrid"]),
            )
            for name, s in scores.items()
        ],
    )
    print()
    names = sorted(set(sets))
    table(
        ("MRR by set", *ranked),
        [(s, *(f"{scores[name]['mrr_by_set'][s]:.3f}" for name in ranked)) for s in names],
    )
    result(
        "retrieval",
        n=len(questions),
        passages=len(texts),
        chunks=chunks,
        seed=seed,
        embedder=embedder.id,
        build_cpu_s=round(build_cpu_s, 1),
        sqlite=sqlite3.sqlite_version,
        scores=scores,
        ms_per_question=ms,
    )
    return at


def compared(
    title: str, first: dict[str, Floats], other: dict[str, Floats], sets: Names, seed: int
) -> None:
    """Print by how many points recall differs between two embedders, question by question."""
    rows, points = [], {}
    for name in ("dense", "hybrid"):
        for k in CUTS:
            difference = (other[name] <= k).astype(float) - (first[name] <= k)
            mean, ends = mean_over_sets(difference, sets), interval(difference, sets, seed)
            points[f"{name} recall@{k}"] = [round(100 * end, 2) for end in (mean, *ends)]
            moved = int(np.count_nonzero(difference))
            rows.append(
                (
                    name,
                    k,
                    "{:+.2f} ({:+.2f} … {:+.2f})".format(*points[f"{name} recall@{k}"]),
                    moved,
                )
            )
    table(("retriever", "k", f"recall@k: {title}, points (95 %)", "questions that differ"), rows)
    result("retrieval, compared", n=len(sets), seed=seed, compared=title, points=points)


if __name__ == "__main__":
    main()
